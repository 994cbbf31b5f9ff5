/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/spec-opt.h - the options that say what a sandbox is: of "run", and of "create" and "set", which save
 * them.
 *
 * Options are handed to the library as they were typed, with two exceptions that only the caller's process
 * can decide: a path of the host is made absolute, and "--env NAME" takes the value from our own
 * environment. A relative path is put behind getcwd(), which holds no symbolic link, and leading ".." are
 * taken off that: exact. A ".." after a name is left in, and the spec refuses it, because only the kernel
 * knows where a link leads.
 */
#ifndef KENNEL_CLI_SPEC_OPT_H
#define KENNEL_CLI_SPEC_OPT_H

#include <kennel/kennel.h>

#include "base/buf.h"
#include "cli/opt.h"

/* clang-format off */
#define SPEC_OPT_HEADING(text) { .type = OPT_HEADING, .help = text }

#define SPEC_OPT_ROWS \
	SPEC_OPT_HEADING("What it sees"), \
	{ 'b', "base", "BASE", OPT_SETTING, 0, \
	  "what lies underneath: system (the running one), system:LAYER,..., a directory or an image file", \
	  "system " OPT_WORDS_PATH }, \
	{ 'l', "layer", "PATH", OPT_SETTING, 0, \
	  "put a directory or an image on top of the base; may be repeated", OPT_WORDS_PATH }, \
	{ 0, "without", "PATH", OPT_SETTING, 0, "leave out this mount or directory", OPT_WORDS_PATH }, \
	{ 0, "hide", "PATH", OPT_SETTING, 0, "show an empty directory there", OPT_WORDS_PATH }, \
	{ 's', "share", "PATH[:ro]", OPT_SETTING, 0, "the real thing, not a copy: changes there stay", \
	  OPT_WORDS_PATH }, \
	{ 0, "mount", "SRC:DST[:ro]", OPT_SETTING, 0, "the real SRC, seen at DST", OPT_WORDS_PATH }, \
	{ 0, "socket", "NAME", OPT_SETTING, 0, \
	  "of your session: wayland, x11, pipewire, pulseaudio, session-bus, ssh-auth", \
	  "wayland x11 pipewire pulseaudio session-bus ssh-auth" }, \
	{ 0, "dbus-talk", "NAME", OPT_SETTING, 0, \
	  "with --socket session-bus, call this name there; may be repeated", NULL }, \
	{ 0, "dbus-own", "NAME", OPT_SETTING, 0, "and own this one; may be repeated", NULL }, \
	{ 0, "size", "SIZE", OPT_SETTING, 0, \
	  "room for changes in memory, e.g. 2G (default: half of the memory)", NULL }, \
	SPEC_OPT_HEADING("Walls"), \
	{ 0, "isolate", "LEVEL", OPT_SETTING, 0, "fs, ns, user or vm (default: user where it works)", \
	  "fs ns user vm" }, \
	{ 0, "idmap", "IDS", OPT_SETTING, 0, \
	  "the ids outside for those inside: auto, no, BASE or BASE:COUNT", \
	  "auto no" }, \
	{ 0, "cap-add", "CAP", OPT_SETTING, 0, "keep a capability, e.g. NET_ADMIN, or ALL", NULL }, \
	{ 0, "cap-drop", "CAP", OPT_SETTING, 0, "drop a capability, or ALL", NULL }, \
	{ 0, "nest", NULL, OPT_SETTING, 0, "other containers can be made inside, by kennel, Podman or LXC", \
	  NULL }, \
	{ 0, "no-new-privs", NULL, OPT_SETTING, 0, "setuid programs and file capabilities give nothing", \
	  NULL }, \
	{ 0, "device", "PATH[:rwm]", OPT_SETTING, 0, \
	  "allow a device: read, write, make (default: all three)", \
	  OPT_WORDS_PATH }, \
	{ 0, "drive", "FILE[:ro]", OPT_SETTING, 0, \
	  "at vm: a further disk, /dev/ubdb and so on; may be repeated", \
	  OPT_WORDS_PATH }, \
	{ 'n', "net", "KIND", OPT_SETTING, 0, \
	  "nat (default), none, host, private:NAME; root has private, bridge[:NAME], veth:NAME and more", \
	  "nat none host private: private bridge bridge: veth: macvlan: ns: container:" }, \
	{ 'p', "publish", "[IP:]PORT:PORT[/udp]", OPT_SETTING, 0, \
	  "a port of the machine that leads to the second one, inside; may be repeated", NULL }, \
	{ 0, "hostname", "NAME", OPT_SETTING, 0, "its host name", NULL }, \
	SPEC_OPT_HEADING("Limits"), \
	{ 'm', "memory", "SIZE", OPT_SETTING, 0, "memory of all its processes, e.g. 512M", NULL }, \
	{ 0, "swap", "SIZE", OPT_SETTING, 0, \
	  "swap beside that: a size, 0 or max (default: 0 with --memory)", \
	  "0 max" }, \
	{ 0, "pids", "N", OPT_SETTING, 0, "number of processes", NULL }, \
	{ 0, "cpus", "N", OPT_SETTING, 0, "processors it may keep busy, e.g. 1.5", NULL }, \
	{ 0, "cpuset", "LIST", OPT_SETTING, 0, "those that it may use at all, e.g. 0-3,5", "all" }, \
	{ 0, "io", "RATES[,DISK]", OPT_SETTING, 0, \
	  "what it may read and write a second: read=10M,write=5M,riops=N,wiops=N", \
	  "read= write= riops= wiops= max" }, \
	{ 0, "disk", "SIZE", OPT_SETTING, 0, "room for its changes, e.g. 2G", NULL }, \
	SPEC_OPT_HEADING("The command"), \
	{ 0, "boot", NULL, OPT_SETTING, 0, "its own init runs as process 1, instead of a command", NULL }, \
	{ 0, "ttys", "N", OPT_SETTING, 0, "in the background, further terminals for \"kennel console -t\"", \
	  NULL }, \
	{ 'u', "user", "USER[:GROUP]", OPT_SETTING, 0, "run as this user of the inside (default: root)", \
	  NULL }, \
	{ 'w', "workdir", "PATH", OPT_SETTING, 0, "start in this directory (default: where you are)", \
	  OPT_WORDS_PATH }, \
	{ 'e', "env", "NAME[=VALUE]", OPT_SETTING, 0, \
	  "set a variable, or hand on your own; may be repeated", \
	  NULL }

/* Of containers of the store alone: "create" and "set". */
#define SPEC_OPT_STORE_ROWS \
	SPEC_OPT_HEADING("Its start"), \
	{ 0, "autostart", NULL, OPT_SETTING, 0, \
	  "\"kennel start --auto\" starts it, as the service does at boot", NULL }, \
	{ 0, "start-group", "NAME", OPT_SETTING, 0, "a group for --auto --group; may be repeated", NULL }, \
	{ 0, "start-order", "N", OPT_SETTING, 0, "higher ones start first, and stop last (default: 0)", \
	  NULL }, \
	{ 0, "start-delay", "TIME", OPT_SETTING, 0, "how long to wait before the next one is started", \
	  NULL }, \
	{ 0, "hook-pre-start", "COMMAND", OPT_SETTING, 0, \
	  "run this on the machine before each start; may be repeated, as the two below", NULL }, \
	{ 0, "hook-start-host", "COMMAND", OPT_SETTING, 0, \
	  "and this when all is made and nothing runs in it yet", NULL }, \
	{ 0, "hook-post-stop", "COMMAND", OPT_SETTING, 0, "and this when it has ended, however it did", \
	  NULL }, \
	{ 0, "hook-timeout", "TIME", OPT_SETTING, 0, "how long each of them may take (default: 1m)", NULL }
/* clang-format on */

/* Hands one option on to a spec. */
int spec_opt_set(struct kennel_spec *spec, const struct opt_setting *setting, struct kennel_error **err)
	MUST_CHECK;

/* Hands on all of them, the choice of a terminal, and the command. */
int spec_opt_fill(struct kennel_spec *spec, const struct opt_input *in, bool tty, bool no_tty,
		  const char *const *command, struct kennel_error **err) MUST_CHECK;

/* Appends a path of the machine, made absolute. */
int spec_opt_absolute(const char *path, struct buf *ret, struct kennel_error **err) MUST_CHECK;

/* For kennel_spec_set_log(), with the struct cli: says what a person must see. */
void spec_opt_warn(void *cli, enum kennel_log_level level, const char *text);

/* The store that -P names: *ret is NULL, for the own place, or lies in b. */
int spec_opt_store(const char *path, struct buf *b, const char **ret, struct kennel_error **err) MUST_CHECK;

#endif
