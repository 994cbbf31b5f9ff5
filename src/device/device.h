/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * device/device.h - which device nodes a sandbox may make and open, and the nodes that every sandbox has.
 *
 * The policy is a list of what is allowed; all else is denied. It is put into force by a control group: text
 * lines in v1, a BPF program in v2. Both guard mknod as well as open, whatever path or file system the node
 * is on.
 */
#ifndef KENNEL_DEVICE_DEVICE_H
#define KENNEL_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct device_rule {
	char type; /* 'c' or 'b' */
	unsigned major, minor;
	bool any_major, any_minor;
	bool read, write, make;
	bool asked; /* the user's own word: refused by the kernel it is an error, ours are not */
};

struct device_policy { /* all that is not allowed here is denied */
	struct device_rule *rules;
	size_t n;
};

/* The nodes of every sandbox: null zero full random urandom tty. */
struct device_node {
	const char *name;
	unsigned major, minor;
};
extern const struct device_node device_nodes[];
extern const size_t device_nodes_n;
/* Is it one of those, by its path on the host? */
bool device_is_default(const char *path);

/*
 * The default policy: those nodes, ptmx, pts and console. Any character device may be made, as with LXC,
 * because archives hold them; only those above can be opened. No block device can be made or opened.
 */
int device_policy_new(struct device_policy **ret, struct kennel_error **err) MUST_CHECK;
/* Adds what stands at path on the host, following links. TYPE where it is not a device. */
int device_policy_allow(struct device_policy *p, const char *path, bool read, bool write, bool make,
			struct kennel_error **err) MUST_CHECK;
struct device_policy *device_policy_free(struct device_policy *p);

/*
 * The i-th rule as a cgroup v1 line ("c 1:3 rwm"); text is the caller's. Returns its length, or -1 where size
 * is too small.
 */
int device_policy_v1(const struct device_policy *p, size_t i, char *text, size_t size) MUST_CHECK;
/* Loads and attaches a BPF_CGROUP_DEVICE program for the policy to a cgroup v2 directory (O_PATH will do). */
int device_policy_attach_v2(const struct device_policy *p, int cgroup_fd, struct kennel_error **err)
	MUST_CHECK;

/*
 * The same in place of the device programs that the group itself has; both hold for a moment. Return: 1, 0 it
 * has none and gets none, or a code.
 */
int device_policy_replace_v2(const struct device_policy *p, int cgroup_fd, struct kennel_error **err)
	MUST_CHECK;

static inline void cleanup_device_policyp(struct device_policy **p)
{
	*p = device_policy_free(*p);
}
#define _cleanup_device_policy_ __attribute__((cleanup(cleanup_device_policyp)))

#endif
