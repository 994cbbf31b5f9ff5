# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# integ/screen.bash - a terminal that tmux makes, for what a person sees and types: "load screen" behind "load lib".

setup() {
	need_commands tmux
	kennel_setup
	SOCKET=$T/tmux
}

# screen COMMAND...: starts it on a terminal of 30 lines; its exit code is shown behind "code ".
screen() {
	printf '%q ' "$@" >"$T/command"
	TERM=xterm tmux -S "$SOCKET" -f /dev/null new-session -d -x 90 -y 30 "sh '$T/command'; echo \"code \$?\"; stty -a | grep -o ' -*icanon'; cat"
	at_end end_screen
}

end_screen() {
	tmux -S "$SOCKET" kill-server 2>/dev/null
	rm -f "$SOCKET"
}

keys() {
	tmux -S "$SOCKET" send-keys "$@"
}

shows() {
	tmux -S "$SOCKET" capture-pane -p | grep -q -e "$1"
}

expect() {
	wait_for 20 shows "$1" || {
		tmux -S "$SOCKET" capture-pane -p
		return 1
	}
}
