/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-cg.c - the public face of cgroup/own.h. */
#include <stdlib.h>
#include <string.h>

#include <kennel/cg.h>

#include "api-list.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "cgroup/own.h"

static int chown_group(const char *path, const char *word, struct kennel_error **err)
{
	_cleanup_free_ char *uid_text = strndup(word, strcspn(word, ":"));
	const char *colon = strchr(word, ':');
	uint32_t uid, gid;

	if (!uid_text)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (!colon || parse_u32(uid_text, &uid) < 0 || parse_u32(colon + 1, &gid) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not UID:GID", word);
	return cgroup_own_chown(path, uid, gid, err);
}

static int move_process(const char *path, const char *word, struct kennel_error **err)
{
	uint32_t pid;

	if (parse_u32(word, &pid) < 0 || !pid || pid > INT32_MAX)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is no number of a process", word);
	return cgroup_own_move(path, (pid_t)pid, err);
}

static int set_key(const char *path, const char *word, struct kennel_error **err)
{
	const char *equals = strchr(word, '=');
	_cleanup_free_ char *key = strndup(word, strcspn(word, "="));

	if (!key)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (!equals)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" has no value", word),
			    "it is KEY=VALUE, such as pids.max=100");
	return cgroup_own_set(path, key, equals + 1, err);
}

int kennel_cg_change(enum kennel_cg what, const char *path, const char *word, struct kennel_error **err)
{
	bool wants = what == KENNEL_CG_CHOWN || what == KENNEL_CG_MOVE || what == KENNEL_CG_SET;

	if (wants != (word != NULL))
		return fail(err, KENNEL_E_INVALID, "a word too %s", word ? "many" : "few");
	switch (what) {
	case KENNEL_CG_CREATE:
		return cgroup_own_create(path, err);
	case KENNEL_CG_REMOVE:
		return cgroup_own_remove(path, err);
	case KENNEL_CG_CHOWN:
		return chown_group(path, word, err);
	case KENNEL_CG_MOVE:
		return move_process(path, word, err);
	case KENNEL_CG_SET:
		return set_key(path, word, err);
	case KENNEL_CG_FREEZE:
	case KENNEL_CG_THAW:
		return cgroup_own_freeze(path, what == KENNEL_CG_FREEZE, err);
	case KENNEL_CG_KILL:
		return cgroup_own_kill(path, err);
	default:
		return fail(err, KENNEL_E_INVALID, "%d changes nothing", (int)what);
	}
}

static int put(void *data, const char *key, const char *value)
{
	return list_put(data, key, value, NULL);
}

static int put_all(struct registry_entry *e, const char *key, const struct strv *lines,
		   struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < lines->n && r == 0; i++)
		r = put(e, key, lines->items[i]);
	return r < 0 ? fail(err, KENNEL_E_NOMEM, "out of memory") : 0;
}

static int read_key(const char *path, const char *key, struct strv *lines, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r = cgroup_own_get(path, key ? key : "", &text, err);

	if (r == 0 && text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	return r < 0 || !text.len ? r : strv_split(lines, buf_str(&text), '\n', err);
}

static int fill(enum kennel_cg what, const char *path, const char *key, struct registry_entry *e,
		struct kennel_error **err)
{
	_cleanup_strv_ struct strv lines = { 0 };
	const char *name = what == KENNEL_CG_GET ? "value" : what == KENNEL_CG_TASKS ? "pid" : "group";
	int r;

	if (what == KENNEL_CG_LIMITS)
		return cgroup_own_limits(path, put, e, err);
	r = what == KENNEL_CG_GET   ? read_key(path, key, &lines, err) :
	    what == KENNEL_CG_TASKS ? cgroup_own_tasks(path, &lines, err) :
				      cgroup_own_list(path, &lines, err);
	return r < 0 ? r : put_all(e, name, &lines, err);
}

int kennel_cg_read(enum kennel_cg what, const char *path, const char *key, struct kennel_list **ret,
		   struct kennel_error **err)
{
	struct kennel_list *list;

	if (what < KENNEL_CG_GET || what > KENNEL_CG_LIMITS)
		return fail(err, KENNEL_E_INVALID, "%d can't be asked", (int)what);
	list = calloc(1, sizeof(*list));
	if (list)
		list->entries = calloc(1, sizeof(*list->entries));
	if (!list || !list->entries || !(list->entries[0].id = strdup(path))) {
		if (list)
			free(list->entries);
		free(list);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	list->n = 1;
	int r = fill(what, path, key, &list->entries[0], err);
	if (r < 0)
		kennel_list_free(list);
	else
		*ret = list;
	return r;
}
