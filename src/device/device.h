/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* device/device.h - which device nodes a sandbox may make and open, and the nodes that every sandbox has. */
#ifndef KENNEL_DEVICE_DEVICE_H
#define KENNEL_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct device_rule {
	char type;                      /* 'c' or 'b' */
	unsigned major, minor;
	bool any_minor;
	bool read, write, make;
};

struct device_policy {                  /* all that is not allowed here is denied */
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

/* The default policy (those nodes, ptmx, pts, console; character devices may be made, as with LXC, but only those opened). */
int device_policy_new(struct device_policy **ret, struct kennel_error **err) MUST_CHECK;
/* Adds what stands at path on the host. TYPE where it is not a device. */
int device_policy_allow(struct device_policy *p, const char *path, bool read, bool write, bool make,
			struct kennel_error **err) MUST_CHECK;
struct device_policy *device_policy_free(struct device_policy *p);

/* cgroup v1 lines ("c 1:3 rwm"), one per rule; text is the caller's. */
int device_policy_v1(const struct device_policy *p, size_t i, char *text, size_t size);
/* Loads and attaches a BPF_CGROUP_DEVICE program for the policy to a cgroup v2 directory. */
int device_policy_attach_v2(const struct device_policy *p, int cgroup_fd, struct kennel_error **err) MUST_CHECK;

#endif
