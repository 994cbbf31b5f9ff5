/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * device/device.c - see device.h. The list is short (ten rules and what the user adds), so it is an array
 * that grows by one: each rule costs a write at every start, and a policy that nobody can read is worse than
 * a long one.
 */
#include "device/device.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/pathname.h"

const struct device_node device_nodes[] = {
	{ "null", 1, 3 },   { "zero", 1, 5 },	 { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};
const size_t device_nodes_n = ARRAY_SIZE(device_nodes);

bool device_is_default(const char *path)
{
	for (size_t i = 0; i < device_nodes_n; i++)
		if (path_is_below(path, "/dev") && strcmp(path + strlen("/dev/"), device_nodes[i].name) == 0)
			return true;
	return false;
}

static const struct device_rule more_rules[] = {
	{ .type = 'c', .any_major = true, .any_minor = true, .make = true },
	{ .type = 'c', .major = 5, .minor = 1, .read = true, .write = true }, /* console */
	{ .type = 'c', .major = 5, .minor = 2, .read = true, .write = true }, /* ptmx */
	{ .type = 'c', .major = 136, .any_minor = true, .read = true, .write = true }, /* pts/N */
};

int device_policy_new(struct device_policy **ret, struct kennel_error **err)
{
	_cleanup_device_policy_ struct device_policy *p = calloc(1, sizeof(*p));

	if (!p)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	p->rules = calloc(device_nodes_n + ARRAY_SIZE(more_rules), sizeof(*p->rules));
	if (!p->rules)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	/*
	 * "make" comes from the rule for all character devices, but a v2 program asks for all of an access in
	 * one rule
	 */
	for (size_t i = 0; i < device_nodes_n; i++)
		p->rules[p->n++] = (struct device_rule){ .type = 'c',
							 .major = device_nodes[i].major,
							 .minor = device_nodes[i].minor,
							 .read = true,
							 .write = true,
							 .make = true };
	for (size_t i = 0; i < ARRAY_SIZE(more_rules); i++)
		p->rules[p->n++] = more_rules[i];
	*ret = take_ptr(&p);
	return 0;
}

int device_policy_allow(struct device_policy *p, const char *path, bool read, bool write, bool make,
			struct kennel_error **err)
{
	/* O_PATH: an ordinary open would call the driver, and may wait for a carrier or rewind a tape */
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct device_rule *rules;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "allow the device \"%s\"", path);
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "allow the device \"%s\": it is not a device", path);
	if (!read && !write && !make)
		return fail(err, KENNEL_E_INVALID, "allow the device \"%s\": neither r, w nor m is asked for",
			    path);
	rules = reallocarray(p->rules, p->n + 1, sizeof(*rules));
	if (!rules)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	p->rules = rules;
	p->rules[p->n++] = (struct device_rule){ .type = S_ISBLK(st.st_mode) ? 'b' : 'c',
						 .major = major(st.st_rdev),
						 .minor = minor(st.st_rdev),
						 .read = read,
						 .write = write,
						 .make = make,
						 .asked = true };
	return 0;
}

struct device_policy *device_policy_free(struct device_policy *p)
{
	int saved = errno;

	if (p)
		free(p->rules);
	free(p);
	errno = saved;
	return NULL;
}

static const char *number_or_star(char text[static 12], bool any, unsigned n)
{
	if (any)
		return "*";
	(void)!snprintf(text, 12, "%u", n);
	return text;
}

int device_policy_v1(const struct device_policy *p, size_t i, char *text, size_t size)
{
	const struct device_rule *r = &p->rules[i];
	char major[12], minor[12];
	int n = snprintf(text, size, "%c %s:%s %s%s%s", r->type,
			 number_or_star(major, r->any_major, r->major),
			 number_or_star(minor, r->any_minor, r->minor), r->read ? "r" : "",
			 r->write ? "w" : "", r->make ? "m" : "");

	return n >= 0 && (size_t)n < size ? n : -1;
}
