/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/spec-opt.c - see spec-opt.h. */
#include "cli/spec-opt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"

/* Settings that begin with a path of the host, and what has to be escaped in what we put in front of it. */
static const struct host_path {
	const char *name;
	const char *escape; /* the first ends the path */
} host_paths[] = { { "base", "" }, { "layer", "" }, { "share", ":\\" }, { "mount", ":\\" },
		   { "path", "" }, { "file", "" },  { "drive", ":\\" } };

static const struct host_path *find_host_path(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(host_paths); i++)
		if (strcmp(host_paths[i].name, name) == 0)
			return &host_paths[i];
	return NULL;
}

static bool is_system_base(const char *name, const char *value)
{
	return strcmp(name, "base") == 0 &&
	       (strcmp(value, "system") == 0 || strncmp(value, "system:", strlen("system:")) == 0);
}

/*
 * Takes leading "." and ".." components off *path, which ends at end or NUL; the latter also off dir
 * (length *len).
 */
static void eat_dots(const char **path, char end, const char *dir, size_t *len)
{
	for (;;) {
		const char *p = *path;
		size_t dots = strspn(p, ".");

		if (dots == 0 || dots > 2 || (p[dots] && p[dots] != '/' && p[dots] != end))
			return;
		if (dots == 2)
			while (*len > 0 && dir[--*len] != '/')
				;
		p += dots;
		*path = p + strspn(p, "/");
	}
}

static int make_absolute(const char *path, const char *escape, struct buf *ret, struct kennel_error **err)
{
	_cleanup_free_ char *dir = getcwd(NULL, 0);
	if (!dir)
		return fail_errno(err, "find the current directory, which \"%s\" is relative to", path);
	if (dir[0] != '/')
		return fail(err, KENNEL_E_NOTFOUND, "\"%s\" is relative to a directory that has no path here",
			    path);

	size_t len = strlen(dir);
	eat_dots(&path, escape[0], dir, &len);
	for (size_t i = 0; i < len; i++) {
		if (strchr(escape, dir[i]))
			buf_puts(ret, "\\");
		buf_add(ret, &dir[i], 1);
	}
	buf_puts(ret, "/");
	buf_puts(ret, path);
	return buf_check(ret, err);
}

static int set_env(struct kennel_spec *spec, const struct opt_setting *setting, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *name = setting->value;

	if (*name && !strchr(name, '=')) {
		const char *value = getenv(name);

		if (!value) /* as with the other tools that have this: nothing to hand on */
			return 0;
		buf_printf(&b, "%s=%s", name, value);
		int r = buf_check(&b, err);
		if (r < 0)
			return r;
	}
	return kennel_spec_set(spec, setting->name, b.len ? b.data : name, err);
}

/* The number in front of a drive, "ubd3=", is no part of the path. */
static size_t prefix_len(const char *name, const char *value)
{
	size_t n = strlen("ubd");

	if (strcmp(name, "drive") != 0 || strncmp(value, "ubd", n) != 0)
		return 0;
	n += strspn(value + n, "0123456789");
	return n > strlen("ubd") && value[n] == '=' ? n + 1 : 0;
}

int spec_opt_set(struct kennel_spec *spec, const struct opt_setting *setting, struct kennel_error **err)
{
	const struct host_path *host = find_host_path(setting->name);
	_cleanup_buf_ struct buf b = { 0 };
	const char *value = setting->value;
	const size_t skip = prefix_len(setting->name, value);

	if (strcmp(setting->name, "env") == 0)
		return set_env(spec, setting, err);
	if (host && value[skip] && value[skip] != '/' && !is_system_base(setting->name, value)) {
		buf_add(&b, value, skip);
		int r = make_absolute(value + skip, host->escape, &b, err);
		if (r < 0)
			return wrap(err, r, "%s", setting->name);
		value = buf_str(&b);
	}
	return kennel_spec_set(spec, setting->name, value, err);
}

int spec_opt_absolute(const char *path, struct buf *ret, struct kennel_error **err)
{
	if (path[0] != '/')
		return make_absolute(path, "", ret, err);
	buf_puts(ret, path);
	return buf_check(ret, err);
}

void spec_opt_warn(void *cli, enum kennel_log_level level, const char *text)
{
	if (level == KENNEL_LOG_WARN)
		cli_say(cli, text, "\n");
}

int spec_opt_store(const char *path, struct buf *b, const char **ret, struct kennel_error **err)
{
	int r = path ? spec_opt_absolute(path, b, err) : 0;

	if (r < 0)
		return wrap(err, r, "path");
	*ret = path ? buf_str(b) : NULL;
	return 0;
}

int spec_opt_fill(struct kennel_spec *spec, const struct opt_input *in, bool tty, bool no_tty,
		  const char *const *command, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < in->n_settings; i++)
		r = spec_opt_set(spec, &in->settings[i], err);
	if (r == 0 && (tty || no_tty))
		r = kennel_spec_set(spec, "tty", tty ? "yes" : "no", err);
	return r == 0 && command ? kennel_spec_set_command(spec, command, err) : r;
}
