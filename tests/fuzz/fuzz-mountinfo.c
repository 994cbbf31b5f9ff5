/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-mountinfo.c - the mount table, its verdicts and the layers of a stacked root.
 *
 * Besides memory errors it looks for broken promises: visible targets are unique and found again under their
 * own name, the verdicts cover each mount once, and a parent comes before its children.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "path/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_table(const struct mount_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct mount_entry *e = &t->entries[i];

		if (e->target[0] != '/' || !e->root || !e->fstype || !e->source || !e->options ||
		    !e->super_options)
			abort();
		for (size_t k = 0; k < i && !e->hidden; k++)
			if (!t->entries[k].hidden && strcmp(t->entries[k].target, e->target) == 0)
				abort();
		if (!e->hidden && mount_table_find(t, e->target) != e)
			abort();
	}
}

static void check_verdicts(const struct mount_table *t)
{
	_cleanup_free_ struct system_mount *m = NULL;

	if (system_classify(t, NULL, &m, NULL) < 0)
		abort();
	for (size_t i = 0; i < t->n; i++) {
		if (!m[i].entry || !m[i].reason || (m[i].verdict != SYSTEM_COPY && !*m[i].reason))
			abort();
		if (i && m[i].entry == m[i - 1].entry)
			abort();
		if (m[i].entry->hidden && m[i].verdict != SYSTEM_SKIP)
			abort();
		if (i && strcmp(m[i - 1].entry->target, m[i].entry->target) > 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mount_table t = { 0 };
	_cleanup_strv_ struct strv layers = { 0 };

	if (size > 1 << 16 || mount_table_parse((const char *)data, size, &t, NULL) < 0)
		return 0;
	check_table(&t);
	check_verdicts(&t);
	const struct mount_entry *root = mount_table_find(&t, "/");
	/* aufs without "br:" would open files of this machine */
	if (root && strcmp(root->fstype, "aufs") != 0 && system_root_layers(&t, &layers, NULL) < 0 &&
	    layers.n)
		abort();
	mount_table_done(&t);
	return 0;
}
