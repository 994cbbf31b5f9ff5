/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/join.c - the network of somebody else's for a sandbox: a namespace with a name, or another sandbox's.
 *
 * A child in a user namespace of its own may not enter it. So this thread does, for the moment of the clone,
 * with what it may do here: the kernel judges.
 */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "run/interfaces.h"
#include "run/sandbox.h"
#include "sys/sys.h"

/* nonblocking: whatever has that name, it does not keep us waiting */
static int open_path(const char *path, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "open the network namespace \"%s\"", path);
	if (sys_ioctl(fd, NS_GET_NSTYPE, NULL) != CLONE_NEWNET)
		return hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" is not a network namespace", path),
			    "name one such as /run/netns/NAME, which \"ip netns add NAME\" makes");
	return take_fd(&fd);
}

static bool is_meant(const struct registry_entry *e, const char *word)
{
	const char *name = registry_get(e, "name", 0);

	return strcmp(e->id, word) == 0 || (name && strcmp(name, word) == 0);
}

/* The one that is meant, or a code. */
static int find(const struct registry_entry *entries, size_t n, const char *word, struct kennel_error **err)
{
	int found = -1;

	for (size_t i = 0; i < n; i++) {
		if (!is_meant(&entries[i], word))
			continue;
		if (found >= 0)
			return hint(err, fail(err, KENNEL_E_INVALID, "two containers named \"%s\" run", word),
				    "\"kennel list\" shows their ids: name one of those");
		found = (int)i;
	}
	return found >= 0 ? found :
			    hint(err, fail(err, KENNEL_E_NOTFOUND, "no container \"%s\" runs", word),
				 "\"kennel list\" shows those that do");
}

static int open_entry(struct launch *l, const struct registry_entry *e, struct kennel_error **err)
{
	const char *init = registry_get(e, "init", 0), *net = registry_get(e, "net", 0);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.10s/ns/net", init ? init : "");
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open the network of \"%s\"", l->spec->net_where);
	/* Its monitor still lives: then that process was the one. */
	if (!registry_is_alive(l->sb->registry_fd, e->id))
		return fail(err, KENNEL_E_NOTFOUND, "\"%s\" has ended", l->spec->net_where);
	l->joins_nat = net && strcmp(net, "nat") == 0;
	l->has_names = registry_get(e, "resolver", 0);
	return take_fd(&fd);
}

static int open_container(struct launch *l, struct kennel_error **err)
{
	struct registry_entry *entries = NULL;
	size_t n = 0;

	int r = registry_list(l->sb->registry_fd, NULL, &entries, &n, NULL, err);
	if (r == 0)
		r = find(entries, n, l->spec->net_where, err);
	if (r >= 0)
		r = open_entry(l, &entries[r], err);
	registry_entries_free(entries, n);
	return r;
}

int join_open(struct launch *l, struct kennel_error **err)
{
	bool path = l->spec->net == SPEC_NET_NS;
	int fd = path ? open_path(l->spec->net_where, err) : open_container(l, err);

	if (fd < 0)
		return wrap(err, fd, "join a network");
	l->join_ns_fd = fd;
	return 0;
}
