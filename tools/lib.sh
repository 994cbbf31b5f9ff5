# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# tools/lib.sh - sourced by script/* and tools/check: where things are, and how to build quietly.
#
# KENNEL_BUILD_ROOT is where build directories go; unset, the top of the checkout.

top=$(cd "$(dirname "$0")/.." && pwd -P)
build_root=${KENNEL_BUILD_ROOT:-$top}
# shellcheck disable=SC2034
release_dir=$build_root/build
# shellcheck disable=SC2034
test_dir=$build_root/build-test

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# Options of meson setup for the build that people run: what script/run and script/bench use and script/test drives.
release_options='-Dbuildtype=release -Dtests=false'

# build_in DIR OPTION...: configure once, then compile; nothing is printed unless there is something to do or it fails. As much as
# compiles is compiled, for a test run wants to tell all that is wrong.
build_in() {
	build_in_dir=$1
	shift
	if [ ! -e "$build_in_dir/build.ninja" ]; then
		say "configuring $build_in_dir"
		mkdir -p "$build_in_dir"
		if ! meson setup "$build_in_dir" "$top" "$@" >"$build_in_dir/setup.log" 2>&1; then
			cat "$build_in_dir/setup.log" >&2
			return 1
		fi
		say "compiling"
	fi
	if ! ninja -k 0 -C "$build_in_dir" >"$build_in_dir/compile.log" 2>&1; then
		# from the first thing that went wrong, without what went well
		awk '/^FAILED|ERROR:|: error:/ { on = 1 } on && !/^\[[0-9]+\/[0-9]+\] /' "$build_in_dir/compile.log" >&2
		return 1
	fi
}

build_release() {
	# shellcheck disable=SC2086
	build_in "$release_dir" $release_options
}

# The program in a build directory.
program_in() {
	for program_in_path in "$1/cli/kennel" "$1/kennel"; do
		if [ -x "$program_in_path" ]; then
			printf '%s\n' "$program_in_path"
			return 0
		fi
	done
	return 1
}
