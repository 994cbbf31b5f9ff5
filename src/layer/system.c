/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/system.c - which mounts of the running machine hold its files.
 *
 * Pure: it sees the parsed table and says COPY, NEW or SKIP of each mount; nobody is asked and nothing is
 * opened. The rules stand in the order in which they win: what no path leads to, what the user left out,
 * what is made new inside, kernel interfaces, mounts that belong to one user or to a container engine, and
 * at last the kinds of file systems that hold files. An unknown kind is taken when its source is a path, as
 * a disk's is: a file system that we never heard of must not lose a person's files, while one without a
 * source is nearly always a window into the kernel.
 *
 * A single file mounted on a file looks like any other bind mount here, so it is COPY too.
 */
#include <string.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "path/path.h"

static const char reason_hidden[] = "mounted over";
static const char reason_without[] = "left out by --without";
static const char reason_new[] = "made new inside";
static const char reason_kernel[] = "a kernel interface";
static const char reason_desktop[] = "a window into a desktop session";
static const char reason_private[] = "a FUSE mount that only its own user may enter";
static const char reason_engine[] = "belongs to a running container";
static const char reason_own[] = "kennel's own";
static const char reason_unknown[] = "an unknown kind of file system that lies on no device";

/* Made new in every copy, with all that is mounted below them. */
static const char *const new_places[] = { "/proc", "/sys", "/dev", "/run", "/tmp" };

/* Windows into the kernel, wherever they are mounted. */
static const char *const kernel_types[] = {
	"anon_inodefs", "autofs", "bdev", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs",
	"cpuset", "dax", "debugfs", "devpts", "devtmpfs", "efivarfs", "functionfs", "fusectl", "gadgetfs",
	"hugetlbfs", "ibmasmfs", "mqueue", "nfsd", "nsfs", "ocfs2_dlmfs", "openpromfs", "oprofilefs",
	"pidfs", "pipefs", "proc", "pstore", "qibfs", "resctrl", "rpc_pipefs", "secretmem", "securityfs",
	"selinuxfs", "smackfs", "sockfs", "spufs", "sysfs", "tracefs", "usbdevfs", "usbfs", "xenfs",
	"fuse.lxcfs",           /* a rewritten /proc, for containers */
};

/*
 * FUSE mounts that show a desktop's own handles, not files of the machine. Root can't even enter most of
 * them.
 */
static const char *const desktop_types[] = {
	"fuse.gvfs-fuse-daemon", "fuse.gvfsd-fuse", "fuse.kio-fuse", "fuse.portal", "fuse.revokefs-fuse",
	"fuse.vmware-vmblock", "vboxsf-dnd",
};

/* Hold files although their source need not be a path: in memory, stacked, or over a network. */
static const char *const file_types[] = {
	"9p", "afs", "aufs", "bcachefs", "btrfs", "ceph", "cifs", "coda", "drvfs", "ecryptfs", "gfs2",
	"glusterfs", "gpfs", "hostfs", "jffs2", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs",
	"overlay", "prl_fs", "pvfs2", "ramfs", "rootfs", "shiftfs", "smb3", "smbfs", "tmpfs", "ubifs",
	"unionfs", "vboxsf", "virtiofs", "vmhgfs", "yaffs2", "zfs",
	/* On block devices; the source is a path, or on some live systems a bare name such as "root". */
	"befs", "cramfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfs", "hfsplus",
	"iso9660", "jfs", "minix", "msdos", "nilfs2", "ntfs", "ntfs3", "omfs", "reiserfs", "romfs",
	"squashfs", "sysv", "udf", "ufs", "vfat", "xfs", "zonefs",
};

/*
 * Stacks and shared memory of running containers: to copy them costs an overlay each, and nobody looks
 * there.
 */
static const char *const engine_places[] = {
	"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/lxd",
	"/var/lib/incus", "/var/lib/rancher",
};
static const char *const engine_types[] = { "aufs", "fuse.fuse-overlayfs", "overlay", "tmpfs" };

static bool is_one_of(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, list[i]) == 0)
			return true;
	return false;
}
#define IS_ONE_OF(s, list) is_one_of((s), (list), ARRAY_SIZE(list))

static bool is_below_one_of(const char *path, const char *const *dirs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path_is_below(path, dirs[i]))
			return true;
	return false;
}
#define IS_BELOW_ONE_OF(path, dirs) is_below_one_of((path), (dirs), ARRAY_SIZE(dirs))

/* Is the word one of the comma-separated options? Its value, if any, is *ret_value. */
static bool has_option(const char *options, const char *word, const char **ret_value)
{
	size_t len = strlen(word);

	for (const char *o = options; *o; o = *o ? o + 1 : o) {
		if (strncmp(o, word, len) == 0 &&
		    strchr(",=", o[len])) { /* or the end, which strchr finds too */
			*ret_value = o[len] == '=' ? o + len + 1 : o + len;
			return true;
		}
		o = strchrnul(o, ',');
	}
	return false;
}

/* Without allow_other the kernel refuses a FUSE mount to everybody but its mounter, root included. */
static bool is_private_fuse(const struct mount_entry *e)
{
	const char *user;

	if (strncmp(e->fstype, "fuse", 4) != 0 || !has_option(e->super_options, "user_id", &user))
		return false;
	if (has_option(e->super_options, "allow_other", &(const char *){ NULL }))
		return false;
	return user[strspn(user, "0")] != ',' && user[strspn(user, "0")] != '\0';
}

static bool belongs_to_engine(const struct mount_entry *e)
{
	/* The place itself may well be a file system of its own; only what lies deeper is a container's. */
	return IS_BELOW_ONE_OF(e->target, engine_places) && !IS_ONE_OF(e->target, engine_places) &&
	       IS_ONE_OF(e->fstype, engine_types);
}

static enum system_verdict judge_type(const struct mount_entry *e, const char **ret_reason)
{
	if (IS_ONE_OF(e->fstype, kernel_types)) {
		*ret_reason = reason_kernel;
		return SYSTEM_SKIP;
	}
	if (IS_ONE_OF(e->fstype, desktop_types)) {
		*ret_reason = reason_desktop;
		return SYSTEM_SKIP;
	}
	if (is_private_fuse(e)) {
		*ret_reason = reason_private;
		return SYSTEM_SKIP;
	}
	if (belongs_to_engine(e)) {
		*ret_reason = reason_engine;
		return SYSTEM_SKIP;
	}
	if (IS_ONE_OF(e->fstype, file_types) || strncmp(e->fstype, "fuse.", 5) == 0 ||
	    strcmp(e->fstype, "fuse") == 0 || e->source[0] == '/')
		return SYSTEM_COPY;
	*ret_reason = reason_unknown;
	return SYSTEM_SKIP;
}

static enum system_verdict judge(const struct mount_entry *e, const struct strv *without,
				 const char **ret_reason)
{
	if (e->hidden) {
		*ret_reason = reason_hidden;
		return SYSTEM_SKIP;
	}
	if (strcmp(e->target, "/") == 0)        /* whatever it is: without a root there is no copy */
		return SYSTEM_COPY;
	for (size_t i = 0; without && i < without->n; i++)
		if (path_is_below(e->target, without->items[i])) {
			*ret_reason = reason_without;
			return SYSTEM_SKIP;
		}
	if (IS_BELOW_ONE_OF(e->target, new_places)) {
		*ret_reason = reason_new;
		return SYSTEM_NEW;
	}
	if (path_is_below(e->target, "/var/lib/kennel") && strcmp(e->target, "/var/lib/kennel") != 0) {
		*ret_reason = reason_own;
		return SYSTEM_SKIP;
	}
	return judge_type(e, ret_reason);
}

/*
 * A parent's target is a prefix of its children's, so plain string order puts it first; hidden ones keep the
 * kernel's order.
 */
static int compare_mounts(const void *a, const void *b)
{
	const struct mount_entry *x = ((const struct system_mount *)a)->entry;
	const struct mount_entry *y = ((const struct system_mount *)b)->entry;
	int r = strcmp(x->target, y->target);

	if (r)
		return r;
	return x < y ? -1 : x > y;
}

int system_classify(const struct mount_table *t, const struct strv *without, struct system_mount **ret,
		    struct kennel_error **err)
{
	if (without && strv_has(without, "/"))
		return fail(err, KENNEL_E_INVALID, "leaving out \"/\" would leave nothing");
	_cleanup_free_ struct system_mount *mounts = calloc(t->n ? t->n : 1, sizeof(*mounts));
	if (!mounts)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < t->n; i++) {
		mounts[i].entry = &t->entries[i];
		mounts[i].reason = "";
		mounts[i].verdict = judge(&t->entries[i], without, &mounts[i].reason);
	}
	qsort(mounts, t->n, sizeof(*mounts), compare_mounts);
	*ret = take_ptr(&mounts);
	return 0;
}
