/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-zfs.c - a dataset "ROOT/kennel-ID", with a mount point that only mount(2) knows.
 *
 * A snapshot is a clone of "ROOT/kennel-ID@kennel-NEW", which keeps the origin there; promoting the clone
 * turns that round. Overlays can be written over a dataset from OpenZFS 2.2 on, which is tried, not guessed.
 * script/test-zfs runs all of it.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "path/path.h"
#include "path/tool.h"
#include "storage/driver.h"
#include "sys/sys.h"

#define PREFIX "kennel-"
#define ZFS_MAGIC 0x2fc12fc1

static int run(const char *what, const char *const *args, struct kennel_error **err)
{
	const struct tool t = {
		.name = "zfs", .package = "zfsutils-linux", .args = args, .file_fd = -EBADF, .manages = true
	};

	return tool_must(&t, what, err);
}

static int ask(const char *const *args, struct buf *ret, struct kennel_error **err)
{
	const struct tool t = {
		.name = "zfs", .package = "zfsutils-linux", .args = args, .file_fd = -EBADF, .manages = true
	};
	int r = tool_run(&t, ret, err);

	if (r > 0)
		return fail(err, KENNEL_E_NOTFOUND, "zfs %s: %.200s", args[0], buf_str(ret));
	if (r == 0 && ret->len && ret->data[ret->len - 1] == '\n')
		ret->data[--ret->len] = '\0';
	return r;
}

static void dataset(const struct storage_keys *k, char *ret, size_t size)
{
	snprintf(ret, size, "%s/" PREFIX "%s", k->zfs_root, k->volume);
}

static bool is_set_up(const struct storage_keys *keys)
{
	return keys->zfs_root[0] != '\0';
}

/* The dataset that the store's own directory is on: new ones are made below it. */
static int detect(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	struct mount_table t = { 0 };
	struct stat st;
	long magic;
	int found = 0;

	if (sys_fgetfsmagic(store_fd, &magic) < 0 || fstat(store_fd, &st) < 0)
		return fail_errno(err, "look at the file system of the store");
	if (magic != ZFS_MAGIC || geteuid() != 0) /* mounting takes root */
		return 0;
	int r = mount_table_read(&t, err);
	for (size_t i = 0; i < t.n && r == 0 && !found; i++) {
		const struct mount_entry *m = &t.entries[i];

		found = makedev(m->dev_major, m->dev_minor) == st.st_dev &&
			strlen(m->source) < sizeof(keys->zfs_root);
		if (found && !keys->zfs_root[0])
			snprintf(keys->zfs_root, sizeof(keys->zfs_root), "%s", m->source);
	}
	mount_table_done(&t);
	return r < 0 ? r : found;
}

static int probe(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };
	_cleanup_free_ char *path = NULL;
	int r = path_find_tool("zfs", &path, err);

	if (r < 0)
		return r;
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_MISSING, "zfs is not installed"),
			    "install the package zfsutils-linux, and the kernel's module");
	r = keys->zfs_root[0] ? 0 : MIN(detect(store_fd, keys, err), 0);
	if (r < 0)
		return r;
	if (!keys->zfs_root[0])
		return hint(err, fail(err, KENNEL_E_INVALID, "zfs needs a dataset to make new ones in"),
			    "name it with --zfs-root, or put the store on zfs");
	keys->fs[0] = '\0';
	r = ask((const char *const[]){ "list", "-H", "-o", "type", keys->zfs_root, NULL }, &said, err);
	if (r == 0 && strcmp(buf_str(&said), "filesystem") != 0)
		r = fail(err, KENNEL_E_INVALID, "\"%s\" is no file system of zfs", keys->zfs_root);
	return r < 0 ? hint_default(err, r, "\"zfs list\" shows what there is") : 0;
}

static int open_dataset(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int fs_fd = sys_fsopen("zfs");
	char name[400];

	dataset(&s->keys, name, sizeof(name));
	if (fs_fd < 0)
		return hint(err, fail_errno(err, "mount \"%s\"", name), "modprobe zfs");
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", name, 0) < 0 ||
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_errno(err, "mount \"%s\"", name);
	s->mount_fd =
		sys_fsmount(fs_fd, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOATIME);
	if (s->mount_fd < 0)
		return fail_errno(err, "mount \"%s\"", name);
	return storage_open_top(s, err);
}

/* What an overlay does to its upper layer. */
static int check_overlay(const struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(s->data_fd, ".try", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int r = fd < 0 ? -1 : sys_renameat2(s->data_fd, ".try", s->data_fd, ".tried", RENAME_WHITEOUT);
	int errnum = errno;

	(void)!unlinkat(s->data_fd, ".try", 0);
	(void)!unlinkat(s->data_fd, ".tried", 0);
	errno = errnum;
	if (r == 0)
		return 0;
	return hint(err, fail_errno(err, "make what stands for a deleted file in the dataset"),
		    "zfs can hold the changes of a copy from version 2.2 on; \"zfs version\" shows yours");
}

static int create(struct storage *s, struct kennel_error **err)
{
	char name[400], quota[64];

	dataset(&s->keys, name, sizeof(name));
	snprintf(quota, sizeof(quota), "refquota=%llu", (unsigned long long)s->keys.size_bytes);
	if (!s->keys.size_bytes)
		snprintf(quota, sizeof(quota), "refquota=none");
	int r = run("make the dataset",
		    (const char *const[]){ "create", "-o", "mountpoint=legacy", "-o", "canmount=noauto", "-o",
					   "xattr=sa", "-o", "acltype=posixacl", "-o", quota, name, NULL },
		    err);
	if (r == 0)
		r = open_dataset(s, err);
	if (r == 0)
		r = check_overlay(s, err);
	return r < 0 ? r : storage_make_dir(s->data_fd, "delta", err);
}

static int snapshot(const struct storage *from, struct storage *to, const struct storage_at *at,
		    struct kennel_error **err)
{
	char old[400], point[500], new[400];

	(void)at;
	dataset(&from->keys, old, sizeof(old));
	dataset(&to->keys, new, sizeof(new));
	snprintf(point, sizeof(point), "%s@" PREFIX "%s", old, to->keys.volume);
	int r = run("make a snapshot", (const char *const[]){ "snapshot", point, NULL }, err);
	if (r == 0)
		r = run("make a clone of the snapshot",
			(const char *const[]){ "clone", "-o", "mountpoint=legacy", "-o", "canmount=noauto",
					       point, new, NULL },
			err);
	return r;
}

static int get(const char *property, const char *name, struct buf *ret, struct kennel_error **err)
{
	return ask((const char *const[]){ "get", "-Hp", "-o", "value", property, name, NULL }, ret, err);
}

static int clones_of(const struct storage *s, struct strv *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };
	char name[400];

	dataset(&s->keys, name, sizeof(name));
	int r = ask((const char *const[]){ "list", "-H", "-t", "snapshot", "-d", "1", "-o", "clones", name,
					   NULL },
		    &said, err);
	for (char *c = said.data; r == 0 && c && *c; c++)
		*c = *c == '\n' ? ',' : *c;
	return r < 0 ? r : strv_split(ret, buf_str(&said), ',', err);
}

static int dependants(const struct storage *s, struct strv *volumes, struct kennel_error **err)
{
	_cleanup_strv_ struct strv clones = { 0 };
	int r = clones_of(s, &clones, err);

	for (size_t i = 0; i < clones.n && r == 0; i++) {
		const char *last = strrchr(clones.items[i], '/');

		if (last && strncmp(last + 1, PREFIX, strlen(PREFIX)) == 0)
			r = strv_add(volumes, last + 1 + strlen(PREFIX), err);
	}
	return r;
}

/* Each takes over the snapshot that it came from, and those before it. */
static int promote(const struct storage *s, const struct strv *volumes, struct kennel_error **err)
{
	struct storage_keys k = s->keys;
	int r = 0;

	for (size_t i = 0; i < volumes->n && r == 0; i++) {
		char name[400];

		snprintf(k.volume, sizeof(k.volume), "%s", volumes->items[i]);
		dataset(&k, name, sizeof(name));
		r = run("promote a clone", (const char *const[]){ "promote", name, NULL }, err);
	}
	return r;
}

/*
 * What was cloned from it takes over what both share, and is the origin then. Its own snapshots go along, and
 * that which it was cloned from, by now or before.
 */
static int destroy(const struct storage *s, struct kennel_error **err)
{
	_cleanup_buf_ struct buf origin = { 0 };
	_cleanup_strv_ struct strv clones = { 0 };
	char name[400];

	dataset(&s->keys, name, sizeof(name));
	if (get("type", name, &origin, NULL) < 0)
		return 0; /* it was never made, or is gone */
	int r = dependants(s, &clones, err);
	if (r == 0)
		r = promote(s, &clones, err);
	buf_done(&origin);
	if (r == 0)
		r = get("origin", name, &origin, err);
	if (r == 0)
		r = run("remove the dataset", (const char *const[]){ "destroy", "-r", name, NULL }, err);
	if (r == 0 && strstr(buf_str(&origin), "@" PREFIX))
		(void)!run("", (const char *const[]){ "destroy", "-d", buf_str(&origin), NULL }, NULL);
	return r;
}

static int measure(const struct storage *s, uint64_t *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };
	unsigned long long n;
	char name[400];

	dataset(&s->keys, name, sizeof(name));
	int r = get("used", name, &said, err);
	if (r == 0 && sscanf(buf_str(&said), "%llu", &n) == 1)
		*ret = n;
	return r;
}

static int resize(struct storage *s, uint64_t size_bytes, struct kennel_error **err)
{
	char name[400], quota[64];

	dataset(&s->keys, name, sizeof(name));
	snprintf(quota, sizeof(quota), "refquota=%llu", (unsigned long long)size_bytes);
	return run("set the quota", (const char *const[]){ "set", quota, name, NULL }, err);
}

const struct storage_driver storage_zfs = {
	.name = "zfs",
	.caps = STORAGE_SHARES | STORAGE_VOLUME | STORAGE_ROOT | STORAGE_PINS | STORAGE_TURNS,
	.detect = detect,
	.is_set_up = is_set_up,
	.probe = probe,
	.create = create,
	.open = open_dataset,
	.snapshot = snapshot,
	.destroy = destroy,
	.dependants = dependants,
	.promote = promote,
	.measure = measure,
	.resize = resize,
};
