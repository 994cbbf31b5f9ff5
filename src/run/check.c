/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/check.c - see check.h: who asks and where, then the two kinds of probes. */
#include "run/check.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "layer/layer.h"

#define FILE_MAX (4u << 20)
/* Where useradd gives ranges: SUB_UID_MIN of login.defs, up to where those for containers begin. */
#define USER_RANGES_START 100000u
#define USER_RANGES_END 524288u

static int probe_who(struct check_facts *f, struct kennel_error **err)
{
	const struct passwd *pw = getpwuid(geteuid());

	f->root = geteuid() == 0;
	if (pw)
		f->user = strdup(pw->pw_name);
	else if (asprintf(&f->user, "%u", geteuid()) < 0)
		f->user = NULL;
	if (!f->user)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return idmap_is_initial(&f->initial_user_ns, err);
}

static bool first_process_is(const char *name)
{
	_cleanup_close_ int fd = open("/proc/1/comm", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

static int probe_where(struct check_facts *f, struct kennel_error **err)
{
	struct mount_table mounts = { 0 };
	int r = mount_table_read(&mounts, err);

	if (r < 0)
		return r;
	const struct mount_entry *root = mount_table_find(&mounts, "/");
	f->n_mounts = mounts.n;
	f->chrooted = !root;
	if (root) {
		f->root_fstype = strdup(root->fstype);
		if (!f->root_fstype)
			r = fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	mount_table_done(&mounts);
	if (first_process_is("kennel-init"))
		f->container = "a sandbox of kennel";
	else if (access("/run/.containerenv", F_OK) == 0)
		f->container = "a container of Podman";
	else if (access("/.dockerenv", F_OK) == 0)
		f->container = "a container of Docker";
	else if (getenv("container"))
		f->container = "a container";
	return r;
}

static void read_etc(struct buf *b, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!buf_read_fd(b, fd, FILE_MAX, NULL); /* what is not there has nobody's ids in it */
}

/* A range that nobody has, for the command that gives it to this user. */
static void find_free_range(struct check_facts *f)
{
	_cleanup_buf_ struct buf subuid = { 0 }, subgid = { 0 }, passwd = { 0 }, group = { 0 };

	read_etc(&subuid, "/etc/subuid");
	read_etc(&subgid, "/etc/subgid");
	read_etc(&passwd, "/etc/passwd");
	read_etc(&group, "/etc/group");
	const struct idmap_files files = { buf_str(&subuid), buf_str(&subgid), buf_str(&passwd),
					   buf_str(&group) };
	if (idmap_find_free_in(&files, USER_RANGES_START, USER_RANGES_END, &f->free_range, NULL) <= 0)
		(void)!idmap_find_free(&files, &f->free_range, NULL);
}

static void probe_ids(struct check_facts *f)
{
	f->map = (struct idmap_user){ .uid = geteuid(), .gid = getegid() };
	f->shifts = f->root && f->initial_user_ns;
	if (!f->root)
		(void)!idmap_pick_user(&f->map, &f->range_err);
	else if (f->shifts)
		(void)!idmap_pick_root(&f->root_range, &f->range_err);
	else
		(void)!idmap_identity(&f->root_range, &f->range_err);
	if (!f->root && !idmap_user_has_range(&f->map))
		find_free_range(f);
}

int check_probe(struct check_facts *ret, struct kennel_error **err)
{
	struct check_facts *f = ret;

	*f = (struct check_facts){ 0 };
	int r = probe_who(f, err);
	if (r == 0)
		r = probe_where(f, err);
	if (r < 0)
		return r;
	probe_ids(f);
	r = check_probe_namespaces(f, err);
	return r < 0 ? r : check_probe_machine(f, err);
}

void check_facts_done(struct check_facts *f)
{
	struct kennel_error **const errors[] = {
		&f->clone_err, &f->map_err,	&f->stage_err, &f->ns_clone_err, &f->range_err, &f->view_err,
		&f->image_err, &f->runtime_err, &f->pasta_err, &f->loop_err,	 &f->vm_err,
	};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		error_clear(errors[i]);
	for (unsigned i = 0; i < CHECK_CGROUP_CTLS; i++)
		error_clear(&f->cgroup_err[i]);
	free(f->user);
	free(f->root_fstype);
	free(f->newuidmap.path);
	free(f->newgidmap.path);
	free(f->view_path);
	free(f->runtime_dir);
	free(f->vm_release);
	free(f->pasta_version);
	free(f->label);
	*f = (struct check_facts){ 0 };
}
