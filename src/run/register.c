/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/register.c - the runtime entry of a start: what others are told of it, and where its changes are found.
 */
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/cleanup.h"
#include "run/interfaces.h"
#include "run/keep.h"
#include "run/report.h"
#include "run/sandbox.h"
#include "run/vm.h"
#include "view/view.h"

static void put_entry(struct launch *l, struct buf *b)
{
	const struct sandbox *sb = l->sb;
	const struct plan *p = sb->plan;
	char text[64];

	const struct keep *k = sb->keep ? sb->keep : sb->held;
	if (k) {
		registry_put(b, "name", k->c.name);
		registry_put(b, "path", k->c.path);
	}
	registry_put(b, "isolate", spec_isolate_name(p->isolate));
	snprintf(text, sizeof(text), "%lld", (long long)time(NULL));
	registry_put(b, "created", text);
	snprintf(text, sizeof(text), "%d", getpid());
	registry_put(b, "pid", text);
	snprintf(text, sizeof(text), "%d", sb->init_pid);
	registry_put(b, "init", text);
	snprintf(text, sizeof(text), "/proc/%d/root", sb->init_pid);
	registry_put(b, "root", text);
	registry_put(b, "base", l->spec->base_path ? l->spec->base_path : "system");
	interfaces_put_entry(l, b);
	if (l->spec->boot)
		registry_put(b, "boot", "yes");
	if (sb->cgroup)
		registry_put(b, "cgroup", "yes");
	if (l->spec->background)
		registry_put(b, "background", "yes");
	if (p->hostname)
		registry_put(b, "hostname", p->hostname);
	if (sb->shifted || (sb->rootless && !sb->deep && idmap_user_has_range(&sb->user_map))) {
		const struct idmap *m = sb->rootless ? &sb->user_map.uids : &sb->map;

		snprintf(text, sizeof(text), "%u:%u", m->base, m->count);
		registry_put(b, "idmap", text);
	} else {
		registry_put(b, "idmap", "no");
	}
	snprintf(text, sizeof(text), "%llu", (unsigned long long)p->room_bytes);
	registry_put(b, "size", text);
	_cleanup_buf_ struct buf command = { 0 };
	report_quote_command(&l->spec->command, &command);
	registry_put(b, "command",
		     command.len	 ? command.data :
		     p->boots		 ? "(init)" :
		     l->spec->background ? "(idle)" :
					   "(shell)");
	for (size_t i = 0; i < l->spec->env.n; i++) /* for who enters it later; only its user reads this */
		registry_put(b, "env", l->spec->env.items[i]);
	for (size_t i = 0; i < p->details.n; i++)
		registry_put(b, "mount", p->details.items[i]);
	for (size_t i = 0; l->unreadable && i < l->unreadable->n; i++)
		registry_put(b, "replaced", l->unreadable->items[i].path);
}

/* What another process needs to read the changes: through a descriptor of ours, for it has no name. */
static int put_delta(struct launch *l, struct buf *b, struct kennel_error **err)
{
	_cleanup_buf_ struct buf manifest = { 0 };
	char text[16];

	snprintf(text, sizeof(text), "%d", l->sb->delta_fd);
	registry_put(b, "delta-fd", text);
	if (l->sb->user_ns_fd < 0)
		l->sb->user_ns_fd = take_fd(&l->user_ns_fd);
	if (l->sb->user_ns_fd >= 0) {
		snprintf(text, sizeof(text), "%d", l->sb->user_ns_fd);
		registry_put(b, "user-ns-fd", text);
	}
	int r = describe_start(l, false, &manifest, err);
	if (r < 0)
		return r;
	registry_put(b, "manifest", buf_str(&manifest));
	return buf_check(b, err);
}

int register_sandbox(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	_cleanup_buf_ struct buf b = { 0 };

	put_entry(l, &b);
	int r = put_delta(l, &b, err);
	if (r < 0)
		return r;
	if (sb->plan->isolate == SPEC_ISOLATE_VM) /* who freezes it needs no group: vm-freeze.h */
		registry_beside(sb->id, REGISTRY_STATE, sb->work.beside[1]);
	keep_say(sb->keep, sb->id, sb->init_pid);
	sb->work.id = sb->id;   /* before it is there: killed in between, the janitor would not know of it */
	sb->entry_fd = registry_add(sb->registry_fd, sb->id, &b, err);
	if (sb->entry_fd < 0) {
		sb->work.id = NULL;
		return sb->entry_fd;
	}
	(void)!flock(sb->registry_fd, LOCK_UN); /* also where a group was wished for and could not be had */
	network_unlock(l);
	return 0;
}
