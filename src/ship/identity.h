/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/identity.h - what makes a whole system one of its own: a copy of it gets another.
 *
 *   /etc/machine-id, /var/lib/dbus/machine-id   a new random one, in place of what is there
 *   /etc/ssh/ssh_host_*_key and .pub            new ones of the same kinds, of this machine's ssh-keygen;
 *                                               without it they are gone: few systems make them when booted
 *   /etc/hostname                               the new name, where its programs wrote one: else kennel does
 *
 * Written into the changes of the copy, like anything that its programs would have changed. Only regular
 * files are replaced, and no link is followed: what is there was written by a sandbox. Nothing of it is run
 * or read.
 */
#ifndef KENNEL_SHIP_IDENTITY_H
#define KENNEL_SHIP_IDENTITY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

struct identity {
	int delta_fd; /* its changes; gets 0/upper where there is none yet */
	/* What these lie on: frozen deltas, the uppermost first, and the base, which may be -EBADF. */
	const int *layer_fds;
	unsigned n_layers;
	int base_fd;
	bool user_xattr;
	int user_ns_fd; /* as ship_watch has it: 0, or whose root works */
	/* A directory in which keys are for a moment, where nobody else looks; -EBADF: none are made. */
	int scratch_fd;
	const char *hostname; /* NULL: stays */
};

/* *ret_no_keys: there were keys of ssh, and none could be made instead. */
int identity_renew(const struct identity *i, bool *ret_no_keys, struct kennel_error **err) MUST_CHECK;

/*
 * The same in a container's configuration: hardware addresses of its network get random ones, a host name the
 * new one. hostname: NULL: stays. Pure but for the random bytes.
 */
int identity_renew_config(struct buf *config, const char *hostname, struct kennel_error **err) MUST_CHECK;

#endif
