/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/image.c - an image file or block device as a detached read-only mount.
 *
 * The file is looked up once; the kernel gets it, or the loop device over it, as /proc/self/fd/N, so what
 * was examined is what is mounted and a name that changes meanwhile leads nowhere else. erofs is tried from
 * the file itself (Linux 6.12): no device, five times faster; every other way goes over loop.c. Once the
 * mount descriptor is made it alone keeps the device, and with it the file: nothing is left to clean up,
 * however its owner ends.
 *
 * A new-style file system context keeps a log in words, "squashfs: Unable to read inode table", which we put
 * into the error: errno alone says "Invalid argument" for everything. File systems that still write to the
 * kernel log only (ext4) give no words.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "layer/internal.h"
#include "layer/layer.h"
#include "path/path.h"
#include "sys/sys.h"

#define MOUNT_ATTRS (SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOSUID)

/* One read gives one message, "e squashfs: text"; the letter is its level. ENODATA: no more. */
static void read_log(int fs_fd, struct buf *ret)
{
	char text[1024];

	for (;;) {
		ssize_t n = read(fs_fd, text, sizeof(text) - 1);
		if (n <= 0)
			return;
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		const char *words = n > 2 && text[1] == ' ' ? text + 2 : text;
		if (text[0] != 'e' && text[0] != 'w')
			continue;
		if (ret->len)
			buf_puts(ret, "; ");
		buf_safe(ret, words);
	}
}

static int fail_driver(const struct mount_try *t, struct kennel_error **err)
{
	int errnum = errno;
	int r = fail_errno(err, "mount the %s image \"%s\"", t->format->name, t->name);

	if (errnum == ENODEV) {
		r = fail(err, KENNEL_E_UNSUPPORTED, "mount the %s image \"%s\": this kernel has no %s",
			 t->format->name, t->name, t->format->driver);
		return hint(err, r, "modprobe %s, or take a kernel that has it", t->format->driver);
	}
	if (r == -KENNEL_E_PERM)
		return hint(err, r, "only root may mount images");
	return r;
}

/*
 * What the errno of a refused superblock means for an image; the log's words decide where EINVAL stands for
 * two things.
 */
static int code_of_refusal(int errnum, const char *words)
{
	switch (errnum) {
	case EINVAL:
		/*
		 * "compression. This is not supported", "Please update your kernel": the image is fine, the
		 * kernel too old or too small
		 */
		return strstr(words, "support") || strstr(words, "update your kernel") ?
			       KENNEL_E_UNSUPPORTED :
			       KENNEL_E_CORRUPT;
	case EIO:
	case EUCLEAN:           /* EFSCORRUPTED */
	case EBADMSG:           /* EFSBADCRC */
	case ENOENT:
	case ENODATA:
	case EFBIG:
	case ESTALE:            /* ext4: the root inode can't be read */
	case ERANGE:
	case EOVERFLOW:
		return KENNEL_E_CORRUPT;
	default:
		return code_from_errno(errnum);
	}
}

static int fail_refused(const struct mount_try *t, int fs_fd, int errnum, struct kennel_error **err)
{
	_cleanup_buf_ struct buf log = { 0 };
	read_log(fs_fd, &log);
	int code = code_of_refusal(errnum, buf_str(&log));
	const char *damaged = code == KENNEL_E_CORRUPT ? "it is damaged: " : "";
	int r;

	if (log.len)
		r = error_set(err, code, errnum, "mount the %s image \"%s\": %sthe kernel says: %s",
			      t->format->name, t->name, damaged, buf_str(&log));
	else
		r = error_set(err, code, errnum, "mount the %s image \"%s\"%s", t->format->name, t->name,
			      code == KENNEL_E_CORRUPT ? ": it is damaged" : "");
	if (code == KENNEL_E_BUSY)
		return hint(err, r,
			    "it is mounted already, writable: unmount it, or give the mounted directory");
	if (code == KENNEL_E_PERM)
		return hint(err, r, "only root may mount images");
	if (code == KENNEL_E_EXISTS)
		return hint(err, r,
			    "another copy of this file system is in use, and this kernel sees its id alone");
	if (code == KENNEL_E_UNSUPPORTED)
		return hint(err, r,
			    "make the image with options that this kernel knows, or take a newer kernel");
	if (code == KENNEL_E_CORRUPT && !log.len)
		return hint(err, r, "the kernel log (dmesg) says more");
	return r;
}

static int set_options(int fs_fd, const struct mount_try *t)
{
	char source[64];

	snprintf(source, sizeof(source), "/proc/self/fd/%d", t->source_fd);
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
	    (!t->writable && sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0))
		return -1;
	for (const char *const(*o)[2] = t->writable ? t->format->writing : t->format->options; (*o)[0]; o++) {
		const char *value = (*o)[1];

		if (sys_fsconfig(fs_fd, value ? SYS_FSCONFIG_SET_STRING : SYS_FSCONFIG_SET_FLAG, (*o)[0],
				 value, 0) < 0)
			return -1;
	}
	return 0;
}

int image_mount_from(const struct mount_try *t, int *ret_errnum, struct kennel_error **err)
{
	*ret_errnum = 0;
	_cleanup_close_ int fs_fd = sys_fsopen(t->format->driver);
	if (fs_fd < 0)
		return fail_driver(t, err);
	if (set_options(fs_fd, t) < 0 || sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		*ret_errnum = errno;
		return fail_refused(t, fs_fd, errno, err);
	}
	int fd = sys_fsmount(fs_fd,
			     MOUNT_ATTRS | (t->writable ? SYS_MOUNT_ATTR_NOATIME : SYS_MOUNT_ATTR_RDONLY));
	return fd < 0 ? fail_errno(err, "mount the %s image \"%s\"", t->format->name, t->name) : fd;
}

/*
 * ENOTBLK before 6.12 and without EROFS_FS_BACKED_BY_FILE; the others where the file's own file system can't
 * serve it.
 */
static bool wants_device(int errnum)
{
	return errnum == ENOTBLK || errnum == EINVAL || errnum == EOPNOTSUPP || errnum == ENODEV;
}

static int mount_image(const struct image_format *f, int file_fd, bool is_device, const char *path,
		       const char *name, struct kennel_error **err)
{
	struct mount_try t = { .format = f, .name = name, .source_fd = file_fd };
	int errnum;

	if (is_device)
		return image_mount_from(&t, &errnum, err);
	if (f->from_file) {
		int fd = image_mount_from(&t, &errnum, err);
		if (fd >= 0 || !wants_device(errnum))
			return fd;
		error_clear(err);
	}
	_cleanup_close_ int loop_fd = loop_attach(file_fd, path, false, err);
	if (loop_fd < 0)
		return wrap(err, loop_fd, "mount the %s image \"%s\"", f->name, name);
	t.source_fd = loop_fd;
	return image_mount_from(&t, &errnum, err);
}

int image_open_file(int pin_fd, const char *name, const struct image_format **ret, struct kennel_error **err)
{
	struct stat st;
	if (fstat(pin_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	if (S_ISDIR(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is a directory, not an image", name);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))       /* a fifo would block at open */
		return fail(err, KENNEL_E_TYPE, "\"%s\" is neither a regular file nor a block device", name);
	_cleanup_close_ int file_fd = path_reopen(pin_fd, O_RDONLY, err);
	if (file_fd < 0)
		return wrap(err, file_fd, "open the image \"%s\"", name);
	int r = image_format_find(file_fd, name, ret, err);
	return r < 0 ? r : take_fd(&file_fd);
}

int image_open_pinned(int pin_fd, const char *path, const char *name, char **ret_fstype,
		      struct kennel_error **err)
{
	const struct image_format *f = NULL;
	struct stat st;

	_cleanup_close_ int file_fd = image_open_file(pin_fd, name, &f, err);
	if (file_fd < 0)
		return file_fd;
	if (fstat(file_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	_cleanup_free_ char *fstype = strdup(f->name);
	if (!fstype)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int fd = mount_image(f, file_fd, S_ISBLK(st.st_mode), path, name, err);
	if (fd >= 0)
		*ret_fstype = take_ptr(&fstype);
	return fd;
}

int image_open(const char *path, char **ret_fstype, struct kennel_error **err)
{
	_cleanup_buf_ struct buf name = { 0 };
	buf_safe(&name, path);
	_cleanup_close_ int pin_fd = layer_pin(path, buf_str(&name), err);
	if (pin_fd < 0)
		return pin_fd;
	return image_open_pinned(pin_fd, path, buf_str(&name), ret_fstype, err);
}
