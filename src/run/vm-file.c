/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-file.c - see vm-file.h. */
#include "run/vm-file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "delta/arrange.h"
#include "run/errand.h"
#include "run/keep.h"

/* What stays in it: where something is mounted there may be an empty directory, which is no change. */
static bool has_planted(const struct manifest *m)
{
	for (size_t i = 0; i < m->planted.n; i++)
		if (m->planted.items[i].kind != MANIFEST_PLACE)
			return true;
	return false;
}

static bool is_arranged(const struct manifest *m)
{
	return m->n_mounts == 1 && m->view && !m->shifted && m->user_xattr && !has_planted(m);
}

static bool is_at_vm(const struct spec *asked, const struct config *c)
{
	bool configured = false;

	if (asked->isolate != SPEC_ISOLATE_AUTO)
		return asked->isolate == SPEC_ISOLATE_VM;
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->items[i].key, "isolate") == 0)
			configured = strcmp(c->items[i].value, spec_isolate_name(SPEC_ISOLATE_VM)) == 0;
	return configured;
}

enum file_guest vm_file_judge(void *data, const struct buf *config, const struct buf *manifest)
{
	const struct keep_filling *f = data;
	_cleanup_config_ struct config c = { 0 };
	_cleanup_manifest_ struct manifest m = { 0 };

	(void)!config_parse("the configuration", buf_str(config), config->len, &c, NULL); /* told later */
	if (!is_at_vm(f->asked, &c))
		return FILE_NO_GUEST;
	return manifest_parse(buf_str(manifest), &m, NULL) == 0 && is_arranged(&m) ? FILE_AS_IT_IS :
										     FILE_TO_ARRANGE;
}

/* As root of the ids that are in the delta. */
static int arrange(void *data, struct buf *out, struct kennel_error **err)
{
	const struct keep *k = data;
	const struct manifest *m = &k->manifest;
	const struct manifest_plants none = { .sorted = true };
	_cleanup_close_ int lower_fd = open(keep_base_path(k, k->spec) ? keep_base_path(k, k->spec) : "/",
					    O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	(void)out;
	umask(0);
	for (size_t i = 0; i < m->n_mounts && r == 0; i++) {
		_cleanup_close_ int upper_fd =
			delta_open_place(k->delta_fd, m->mounts[i].index, "upper", O_PATH);

		if (upper_fd >= 0)
			r = delta_unplant(upper_fd, m->mounts[i].index, m->user_xattr, &m->planted, &none,
					  DELTA_SHOW_BELOW, err);
	}
	return r < 0 ? r : delta_join_all(k->delta_fd, m, lower_fd, err);
}

static int start_manifest(const struct keep *k, struct manifest *m, struct kennel_error **err)
{
	const struct spec *s = k->spec;
	int r = 0;

	if (s->base_layers.n)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "a new file can't begin at vm over layers of the system"),
			    "run it once at --isolate user");
	m->base = strdup(s->base_path ? s->base_path : "system");
	if (!m->base)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < s->layers.n && r == 0; i++)
		r = strv_add(&m->layers, s->layers.items[i], err);
	m->user_xattr = true;
	m->squash = k->box->work_fd >= 0 && !idmap_user_has_range(&k->box->map);
	return r < 0 ? r : manifest_add_mount(m, 0, "/", "view", NULL, err);
}

/* Of several mounts the first stays; of what was planted, places. */
static int reduce(struct manifest *m, struct kennel_error **err)
{
	struct manifest_plants places = { 0 };
	int r = 0;

	for (size_t i = 0; i < m->planted.n && r == 0; i++)
		if (m->planted.items[i].kind == MANIFEST_PLACE && m->planted.items[i].mount == 0)
			r = manifest_plants_add(&places, 0, m->planted.items[i].rel, MANIFEST_PLACE, NULL,
						err);
	manifest_plants_done(&m->planted);
	m->planted = places;
	manifest_plants_sort(&m->planted);
	for (; m->n_mounts > 1; m->n_mounts--) {
		struct manifest_mount *last = &m->mounts[m->n_mounts - 1];

		free(last->target);
		free(last->fstype);
		free(last->uuid);
	}
	return r;
}

static int new_text(const struct keep *k, struct buf *ret, struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };

	int r = k->manifest_text.len ? manifest_parse(buf_str(&k->manifest_text), &m, err) :
				       start_manifest(k, &m, err);
	if (r == 0)
		r = reduce(&m, err);
	if (r < 0)
		return r;
	m.view = true;
	m.begun_ns = m.begun_ns || k->manifest_text.len ? m.begun_ns : manifest_now();
	free(m.base_id);
	m.base_id = k->base_id ? strdup(k->base_id) : NULL;
	manifest_format(&m, ret);
	return buf_check(ret, err);
}

static int write_manifest(const struct keep *k, bool *ret_changed, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	int r = new_text(k, &text, err);
	if (r < 0 || (text.len == k->manifest_text.len &&
		      memcmp(buf_str(&text), buf_str(&k->manifest_text), text.len) == 0))
		return r;
	*ret_changed = true;
	return container_write(&k->c, CONTAINER_MANIFEST, &text, err);
}

int vm_file_prepare(struct keep *k, char **ret, struct kennel_error **err)
{
	bool changed = false;
	int r = 0;

	if (!k->box->for_guest && !is_arranged(&k->manifest)) {
		changed = k->manifest_text.len;
		if (changed)
			r = k->box->work_fd >= 0 ? errand_run(k->box->user_ns_fd, arrange, k, NULL, err) :
						   arrange(k, NULL, err);
	}
	if (r == 0 && !k->box->for_guest)
		r = write_manifest(k, &changed, err);
	replace_fd(&k->delta_fd, -EBADF);
	replace_fd(&k->c.dir_fd, -EBADF);
	if (r == 0)
		r = file_give(k->box, changed, ret, err);
	return r < 0 ? wrap(err, r, "make \"%s\" the disk of a guest", k->c.path) : 0;
}
