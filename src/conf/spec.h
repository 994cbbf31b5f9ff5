/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/spec.h - what a person asked for, as one value: words in, no I/O.
 *
 * The command line, the configuration file of a container and the language bindings all go through
 * spec_set() with the same keys and the same words, so an option means the same everywhere. Nothing here
 * looks at the machine: whether a path exists or a level can be had is the planner's business.
 */
#ifndef KENNEL_CONF_SPEC_H
#define KENNEL_CONF_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strv.h"
#include "base/suggest.h"
#include "conf/limits.h"
#include "conf/network.h"

enum spec_isolate { SPEC_ISOLATE_AUTO, SPEC_ISOLATE_FS, SPEC_ISOLATE_NS, SPEC_ISOLATE_USER, SPEC_ISOLATE_VM };
enum spec_idmap { SPEC_IDMAP_AUTO, SPEC_IDMAP_NO, SPEC_IDMAP_RANGE };
enum spec_tty { SPEC_TTY_AUTO, SPEC_TTY_YES, SPEC_TTY_NO };
enum spec_base { SPEC_BASE_SYSTEM, SPEC_BASE_PATH };    /* PATH: directory or image, seen when opened */

struct spec_mount {             /* --mount SRC:DST[:ro] and --share PATH[:ro] */
	char *source;           /* absolute, clean, on the host */
	char *target;           /* absolute, clean, inside */
	bool read_only;
	bool lent; /* a socket at which connections to another one are lent: net/lend.h */
};

struct spec_device {            /* --device PATH[:rwm] */
	char *path;             /* absolute, clean; the same inside */
	bool read, write, make;
};

struct spec_drive { /* --drive [ubdN=]FILE[:ro] */
	char *path; /* absolute, clean, on the host */
	unsigned number; /* 1: /dev/ubdb, and so on; no two have the same */
	bool read_only;
};

#define SPEC_DRIVES_MAX 15u

/* Programs of the machine that a container of the store has run around its life, as command lines. */
enum spec_hook { SPEC_HOOK_PRE_START, SPEC_HOOK_START_HOST, SPEC_HOOK_POST_STOP, SPEC_HOOKS };

struct spec {
	enum spec_isolate isolate;
	enum spec_base base_kind;
	char *base_path;                /* iff SPEC_BASE_PATH; absolute, clean */
	struct strv base_layers;        /* --base system:LAYER,...; empty is all of them */
	struct strv layers;             /* --layer, lowest first; absolute, clean */
	struct strv without, hide;      /* absolute, clean, inside */
	struct spec_mount *mounts;
	size_t n_mounts;
	struct strv sockets; /* --socket: of the caller's session, by name */
	struct strv dbus_talk, dbus_own; /* of its bus: names, "NAME.*" with all below */
	struct spec_device *devices;
	size_t n_devices;
	struct spec_drive *drives; /* further disks of a guest */
	size_t n_drives;
	enum spec_idmap idmap;
	uint32_t idmap_base, idmap_count;       /* iff SPEC_IDMAP_RANGE */
	uint64_t size_bytes;            /* of the delta in memory; 0: half of the memory */
	uint64_t cap_add, cap_drop;     /* bit masks of 1 << CAP_*; "ALL" sets all bits */
	bool no_new_privs;
	bool nest; /* other containers are to be made inside */
	enum spec_net net;
	char *net_where; /* NS: a path, clean; CONTAINER: name or id; PRIVATE, NAT: a private one; or NULL */
	struct spec_interface *interfaces;      /* iff SPEC_NET_INTERFACES */
	size_t n_interfaces;
	struct spec_port *ports;        /* --publish */
	size_t n_ports;
	enum spec_tty tty;
	char *hostname;                 /* NULL: chosen by the planner */
	char *user;                     /* NULL: root; else NAME|UID[:GROUP|GID], looked up inside */
	char *workdir;                  /* NULL: where the caller is, if that is there inside */
	struct strv env;                /* NAME=VALUE; the caller has already looked up a bare NAME */
	uint64_t memory_bytes, pids;    /* 0: no limit */
	uint64_t cpus_milli;            /* thousandths of a processor; 0: no limit */
	struct limits limits; /* the other ones */
	bool quiet;
	struct strv command;            /* empty: the user's shell, as found inside */
	uint64_t ttys; /* further terminals of one in the background, at most SPEC_TTYS_MAX */
	bool root_only; /* what it sees is all that is wanted of a container: one at vm is started at user */
	bool boot; /* the inside's own init as pid 1, instead of kennel's and a command */
	/* It lives on behind its caller; without a command it runs nothing but what enters it later. */
	bool background;
	char *keep;                     /* name of the container that it is; NULL: thrown away */
	char *store;                    /* where containers are; NULL: the user's own place */
	char *file; /* of a container in one file; NULL: none; absolute, clean */
	char *format; /* of one that is made; NULL: ext4 */
	bool force; /* open it over another base, too */
	bool trust; /* honour all of its configuration */

	bool autostart;
	struct strv start_groups;
	uint64_t start_order, start_delay_ms;
	struct strv hooks[SPEC_HOOKS];
	uint64_t hook_timeout_ms; /* 0: as ever */

	struct strv given;              /* key, value, key, value, ...: all that spec_set() took */
	/* Of what follows spec_mark_configured() overrules what came before. */
	size_t n_configured;            /* mounts */
	size_t n_configured_devices;
	size_t n_configured_ports;
	bool net_configured;            /* an interface takes the place of what there is */
	uint64_t configured_caps;
};

#define SPEC_TTYS_MAX 12u

enum spec_use {
	SPEC_USE_UNKNOWN, /* no such key */
	SPEC_USE_VALUE, /* the last one counts */
	SPEC_USE_LIST, /* each one adds to those before */
	SPEC_USE_GROUP, /* may stand many times; those said together take the place of those before */
	SPEC_USE_ONCE, /* of one run, never of a configuration: keep, path, file, ... */
};

struct spec *spec_new(struct kennel_error **err);
struct spec *spec_free(struct spec *s);

/*
 * Sets one key, which is a long option of "kennel run": the table of spec.c has them all. Keys that hold
 * lists append. In values of several fields "\:" ("\," among the layers of a base) and "\\" stand for
 * characters of a field itself.
 * Return: 0, -KENNEL_E_INVALID with a sentence that begins with the key and quotes the value (and a hint
 * that shows a right one), or -KENNEL_E_NOMEM; then nothing changed.
 */
int spec_set(struct spec *s, const char *key, const char *value, struct kennel_error **err) MUST_CHECK;

enum spec_use spec_key_use(const char *key);
/* Offers the keys of a configuration for "did you mean". */
void spec_offer_keys(struct suggestion *near, const char *typed);
/*
 * All that is there came from a configuration: what is set from now on adds to its lists, but takes the
 * place of what contradicts it (another mount at the same place, a capability dropped that was added).
 */
void spec_mark_configured(struct spec *s);

/*
 * What can't be asked for together: what a kernel of its own can't have, idmap at a level without a user
 * namespace, its opposite at levels user and vm, an own network or host name at level fs, two things at one
 * place, a port without a way to it, one capability both added and dropped (beside ALL).
 */
int spec_check(const struct spec *s, struct kennel_error **err) MUST_CHECK;

/* The same without what is a guest's, for level user; it was for level vm. */
void spec_leave_guest(struct spec *s);

bool spec_has_hooks(const struct spec *s);

const char *spec_isolate_name(enum spec_isolate v);     /* "fs", ... */
const char *spec_net_name(enum spec_net v);

#endif
