/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/template.c - finding templates; see template.h. */
#include "ship/template.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/suggest.h"

#define TEMPLATE_MAX (1u << 20)
#define HEADER_MAX 4096

/* The administrator's own come first, then those that came with kennel, installed or in a build tree. */
static int find_dirs(struct strv *ret, struct kennel_error **err)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[MAX(n, (ssize_t)0)] = '\0';
	char *slash = strrchr(self, '/');
	int r = strv_add(ret, "/etc/kennel/templates", err);

	if (r == 0)
		r = strv_add(ret, KENNEL_LIBEXECDIR "/templates", err);
	if (r < 0 || !slash)
		return r;
	*slash = '\0';
	r = strv_addf(ret, err, "%s/../templates", self);
	return r < 0 ? r : strv_addf(ret, err, "%s/../libexec/kennel/templates", self);
}

static int read_template(struct template *t, int fd, struct kennel_error **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at the template \"%s\"", t->path);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return hint(err, fail(err, KENNEL_E_TYPE, "the template \"%s\" is no program", t->path),
			    "it is a file that may be executed");
	int r = buf_read_fd(&t->text, fd, TEMPLATE_MAX, err);
	if (r == 0)
		r = template_header_parse(buf_str(&t->text), MIN(t->text.len, (size_t)HEADER_MAX), &t->header,
					  err);
	return r < 0 ? wrap(err, r, "the template \"%s\"", t->path) : 0;
}

/* Return: 1 opened, 0 it is not there, or a code. */
static int open_at(const char *dir, const char *name, struct template *ret, struct kennel_error **err)
{
	struct template t = { .name = strdup(name) };

	if (asprintf(&t.path, "%s%s%s", dir ? dir : "", dir ? "/" : "", name) < 0)
		t.path = NULL;
	if (!t.name || !t.path) {
		template_done(&t);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	_cleanup_close_ int fd = open(t.path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int r = fd >= 0 ? read_template(&t, fd, err) : errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	if (fd < 0 && r < 0)
		r = fail_errno(err, "open the template \"%s\"", t.path);
	if (fd < 0 || r < 0) {
		template_done(&t);
		return r;
	}
	*ret = t;
	return 1;
}

static int fail_unknown(const char *name, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };
	struct suggestion near = { 0 };

	if (template_names(&names, NULL) == 0)
		for (size_t i = 0; i < names.n; i++)
			suggest_offer(&near, name, names.items[i]);
	int r = fail(err, KENNEL_E_NOTFOUND, "there is no template \"%s\"", name);
	return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) :
			   hint(err, r,
				"\"kennel create --list-templates\" shows those that are there; others are "
				"named by their full path");
}

int template_open(const char *word, struct template *ret, struct kennel_error **err)
{
	_cleanup_strv_ struct strv dirs = { 0 };

	if (word[0] == '/') {
		int r = open_at(NULL, word, ret, err);

		return r != 0 ? MIN(r, 0) : fail(err, KENNEL_E_NOTFOUND, "there is no \"%s\"", word);
	}
	if (!template_name_is_plain(word)) /* nothing that leads out of the directory */
		return fail(err, KENNEL_E_INVALID, "\"%s\" is no name of a template", word);
	int r = find_dirs(&dirs, err);
	for (size_t i = 0; i < dirs.n && r == 0; i++)
		r = open_at(dirs.items[i], word, ret, err);
	return r != 0 ? MIN(r, 0) : fail_unknown(word, err);
}

void template_done(struct template *t)
{
	free(t->name);
	free(t->path);
	buf_done(&t->text);
	template_header_done(&t->header);
	*t = (struct template){ 0 };
}

static int add_names(const char *dir, struct strv *ret, struct kennel_error **err)
{
	DIR *d = opendir(dir);
	int r = 0;

	if (!d)
		return 0;
	for (const struct dirent *e; r == 0 && (e = readdir(d));)
		if (template_name_is_plain(e->d_name) && !strv_has(ret, e->d_name))
			r = strv_add(ret, e->d_name, err);
	closedir(d);
	return r;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int template_names(struct strv *ret, struct kennel_error **err)
{
	_cleanup_strv_ struct strv dirs = { 0 };

	int r = find_dirs(&dirs, err);
	for (size_t i = 0; i < dirs.n && r == 0; i++)
		r = add_names(dirs.items[i], ret, err);
	if (r == 0 && ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), compare_names);
	return r;
}
