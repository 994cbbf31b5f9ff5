/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/guest-layers.c - images that this kernel reads by itself, and what lies over them, as layers of
 * the guest's root.
 *
 * All of it is in the tree, too. So where one can't be mounted nobody is the worse: it and what lies below it
 * is seen through the tree then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/macro.h"
#include "vm/program/program.h"

static char lowers[LOWERS_MAX];
static size_t used;

static bool add(const char *dir)
{
	const int n = snprintf(lowers + used, sizeof(lowers) - used, "%s:", dir);

	if (n < 0 || (size_t)n >= sizeof(lowers) - used)
		return false;
	used += (size_t)n;
	return true;
}

/* The changes, and frozen ones below them: all or nothing. */
static bool mount_uppers(unsigned n)
{
	char from[32], at[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(from, sizeof(from), "/upper/%02u", i);
		snprintf(at, sizeof(at), "/upper-%02u", i);
		(void)!mkdir(at, 0700);
		if (mount("upper", at, "hostfs", MS_RDONLY, from) < 0 || !add(at))
			return false;
	}
	return n > 0;
}

/* value: "15:erofs" */
static bool mount_image(const char *value)
{
	char device[32], at[32], *type;
	const unsigned long number = strtoul(value, &type, 10);

	if (*type++ != ':' || number > 25)
		return false;
	snprintf(device, sizeof(device), "/dev/ubd%c", (char)('a' + number));
	snprintf(at, sizeof(at), "/layer-%lu", number);
	(void)!mkdir(at, 0700);
	/* a journal is not replayed: nothing may be written */
	const char *options = strcmp(type, "ext4") == 0 ? "noload" : NULL;

	return mount(device, at, type, MS_RDONLY, options) == 0 && add(at);
}

static unsigned long number_of(const char *config, size_t len, const char *key)
{
	const size_t n = strlen(key);

	for (const char *p = config; p < config + len; p += strlen(p) + 1)
		if (!strncmp(p, key, n))
			return strtoul(p + n, NULL, 10);
	return 0;
}

const char *guest_mount_layers(const char *config, size_t len, unsigned *ret_images, bool *ret_whole)
{
	unsigned told = 0, n = 0;

	*ret_images = 0;
	*ret_whole = false;
	if (!mount_uppers((unsigned)number_of(config, len, "uppers=")))
		return "";
	for (const char *p = config; p < config + len; p += strlen(p) + 1)
		if (!strncmp(p, "layer=", 6) && told++ == n && mount_image(p + 6))
			n++;
	if (n == 0)
		return "";
	*ret_images = n;
	*ret_whole = n == told && number_of(config, len, "whole=");
	return lowers;
}
