/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/sockets.h - sockets of the caller's session, by the name of what listens there: --socket wayland.
 *
 * Each is one more mount, of the socket alone, and the variable by which programs find it. The names are
 * flatpak's. They are looked up in the environment of whoever starts the sandbox, at each start anew.
 */
#ifndef KENNEL_RUN_SOCKETS_H
#define KENNEL_RUN_SOCKETS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "conf/spec.h"
#include "net/lend.h"
#include "run/bus.h"

/* Where they are inside: a place that is left to container managers (systemd's "Container Interface"). */
#define SOCKETS_DIR "/run/host"
/* In a guest a client of PulseAudio must not try what takes memory of both ends. */
#define SOCKETS_PULSE_CONFIG "pulse-client.conf"

struct sockets {
	struct spec spec; /* a shallow copy of the one given, with more mounts and variables */
	struct strv env; /* those of spec, ours before the caller's */
	struct spec_mount *mounts;
	size_t n_own; /* how many of these are ours, at the end */
	struct bus bus;
	struct sockets_lender { /* for a guest, beside which no process has the caller's ids */
		int pidfd, dir_fd; /* iff n */
		unsigned n;
		char names[NET_LEND_MAX][REGISTRY_BRIEF_SIZE];
	} lender;
};

/*
 * Fills *ret for a spec that names sockets, which must outlive it. Return: 0; NOTFOUND with the name and the
 * variable where there is none; or another code. Then *ret is empty.
 */
int sockets_find(const struct spec *spec, struct sockets *ret, struct kennel_error **err) MUST_CHECK;
/* Once the sandbox is there. What has to end with it, for net_helper_end(), or -EBADF. */
void sockets_settle(struct sockets *s, int *ret_bus_pidfd, int *ret_lender_pidfd);
void sockets_done(struct sockets *s);

/*
 * The keys of X display number, from a file of xauth(1)'s, in the form that holds under any host name.
 * Appends to ret; rubbish ends the reading. Return: how many. Pure.
 */
unsigned sockets_x_keys(const void *file, size_t size, const char *number, struct buf *ret);
/* The same of the caller's own file. Return: 0, also where there is none, or a code. */
int sockets_read_x_keys(struct buf *ret, struct kennel_error **err) MUST_CHECK;

#endif
