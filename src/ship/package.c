/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/package.c - see package.h: what goes in, and its description. package-write.c makes the files.
 */
#include "ship/package-internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ship/oci.h"

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool ship_package_takes(const char *path)
{
	static const char *const left_out[] = {
		"dev",
		"proc",
		"sys",
		"run",
		"tmp",
		"home",
		"root",
		"var/cache",
		"var/log",
		"var/tmp",
		"var/run",
		"var/lib/dpkg",
		"var/lib/apt",
		"var/lib/rpm",
		"var/lib/pacman",
		"var/lib/systemd",
		"var/backups",
		"lib/apk/db",
		"etc/ld.so.cache",
		"etc/passwd",
		"etc/passwd-",
		"etc/group",
		"etc/group-",
		"etc/shadow",
		"etc/shadow-",
		"etc/gshadow",
		"etc/gshadow-",
		"etc/subuid",
		"etc/subuid-",
		"etc/subgid",
		"etc/subgid-",
		"etc/.pwd.lock",
		"etc/mtab",
		"etc/resolv.conf",
		"etc/machine-id",
	};

	for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
		if (is_below(path, left_out[i]))
			return false;
	return true;
}

static bool is_name(const char *s, bool version)
{
	if (!islower((unsigned char)s[0]) && !isdigit((unsigned char)s[0]))
		return false;
	if (version && !isdigit((unsigned char)s[0]))
		return false;
	for (const char *p = s; *p; p++)
		if (!(isalnum((unsigned char)*p) || strchr(version ? ".+-~:" : ".+-", *p)) ||
		    (!version && isupper((unsigned char)*p)))
			return false;
	return strlen(s) >= (version ? 1 : 2) && strlen(s) < 128;
}

static int check_line(const char *what, const char *s, struct kennel_error **err)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return fail(err, KENNEL_E_INVALID, "the %s of a package is one line", what);
	return 0;
}

int ship_package_check(const struct ship_package *p, struct kennel_error **err)
{
	if (!is_name(p->name, false))
		return hint(
			err, fail(err, KENNEL_E_INVALID, "\"%s\" is no name of a package", p->name),
			"lower-case letters, digits, \"+\", \"-\" and \".\"; two at least; --package NAME");
	if (!is_name(p->version, true))
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is no version of a package", p->version),
			    "it begins with a digit: 1.0, 2.3~rc1-1");
	int r = check_line("description", p->description, err);
	if (r == 0)
		r = check_line("list of dependencies", p->depends, err);
	return r == 0 ? check_line("maintainer", p->maintainer, err) : r;
}

/* The last name of a path; *ret_len is without a suffix. */
static const char *last_name(const char *path, size_t *ret_len)
{
	static const char *const suffixes[] = { ".deb", ".tar", ".tar.zst", ".tar.xz", ".tar.gz" };
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t len = strlen(base);

	*ret_len = len;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t m = strlen(suffixes[i]);

		if (len > m && strcmp(base + len - m, suffixes[i]) == 0)
			*ret_len = MIN(*ret_len, len - m);
	}
	return base;
}

int ship_package_version(const char *path, char **ret, struct kennel_error **err)
{
	size_t len, begin;
	const char *base = last_name(path, &len);

	begin = MIN(strcspn(base, "_") + 1, len);
	char *version = strndup(base + begin, MIN(strcspn(base + begin, "_"), len - begin));
	if (version && !is_name(version, true)) {
		free(version);
		version = strdup("1.0");
	}
	*ret = version;
	return version ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

int ship_package_name(const char *path, char **ret, struct kennel_error **err)
{
	size_t len, n = 0;
	const char *base = last_name(path, &len);
	char *name = malloc(strlen(base) + 1);

	if (!name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	len = MIN(len, strcspn(base, "_"));
	for (size_t i = 0; i < len; i++) {
		char c = (char)tolower((unsigned char)base[i]);

		name[n++] = isalnum((unsigned char)c) || strchr("+-.", c) ? c : '-';
	}
	name[n] = '\0';
	*ret = name;
	return 0;
}

const char *ship_package_arch(void)
{
	static const char *const names[][2] = {
		{ "386", "i386" },
		{ "arm", "armhf" },
		{ "ppc64le", "ppc64el" },
	};
	const char *arch = oci_arch();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(arch, names[i][0]) == 0)
			return names[i][1];
	return arch;
}

void package_describe_deb(const struct ship_package *p, const struct package_contents *c, struct buf *control,
			  struct buf *conffiles, struct buf *deletions)
{
	buf_printf(control, "Package: %s\nVersion: %s\nArchitecture: %s\n", p->name, p->version, p->arch);
	buf_printf(control, "Maintainer: %s\n", p->maintainer ? p->maintainer : "nobody <nobody@localhost>");
	buf_printf(control, "Installed-Size: %llu\n", (unsigned long long)((c->bytes + 1023) / 1024));
	if (p->depends)
		buf_printf(control, "Depends: %s\n", p->depends);
	buf_printf(control, "Section: misc\nPriority: optional\nDescription: %s\n",
		   p->description ? p->description : "made by kennel export");
	for (size_t i = 0; i < c->config.n; i++)
		buf_printf(conffiles, "/%s\n", c->config.items[i]);
	for (size_t i = 0; i < c->deletions.n; i++)
		buf_printf(deletions, "/%s\n", c->deletions.items[i]);
}

void package_describe_tar(const struct ship_package *p, const struct package_contents *c, struct buf *b)
{
	buf_printf(b, "format\t1\nname\t%s\nversion\t%s\narch\t%s\n", p->name, p->version, p->arch);
	if (p->maintainer)
		buf_printf(b, "maintainer\t%s\n", p->maintainer);
	if (p->depends)
		buf_printf(b, "depends\t%s\n", p->depends);
	if (p->description)
		buf_printf(b, "description\t%s\n", p->description);
	for (size_t i = 0; i < c->config.n; i++)
		buf_printf(b, "config\t/%s\n", c->config.items[i]);
	for (size_t i = 0; i < c->deletions.n; i++)
		buf_printf(b, "deletion\t/%s\n", c->deletions.items[i]);
}
