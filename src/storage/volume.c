/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* storage/volume.c - what the drivers with a file system of their own have in common. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/volume.h"
#include "path/tool.h"
#include "storage/driver.h"

int storage_probe_volume(struct storage_keys *keys, struct kennel_error **err)
{
	if (!keys->fs[0])
		memcpy(keys->fs, "ext4", sizeof("ext4"));
	if (!keys->size_bytes)
		keys->size_bytes = STORAGE_SIZE_DEFAULT;
	if (!volume_has_format(keys->fs))
		return hint(err, fail(err, KENNEL_E_INVALID, "file system \"%s\" is not known", keys->fs),
			    "one of: " VOLUME_FORMATS);
	if (keys->size_bytes > INT64_MAX)
		return fail(err, KENNEL_E_INVALID, "no file system is that large");
	return 0;
}

int storage_open_top(struct storage *s, struct kennel_error **err)
{
	s->data_fd = openat(s->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->data_fd >= 0)
		return 0;
	int r = fail_errno(err, "open the volume of \"%s\"", s->shown);
	replace_fd(&s->mount_fd, -EBADF);
	return r;
}

int storage_mount_volume(struct storage *s, int device_fd, struct kennel_error **err)
{
	s->mount_fd = volume_mount(device_fd, s->shown, err);
	return s->mount_fd < 0 ? s->mount_fd : storage_open_top(s, err);
}

int storage_open_held(struct storage *s, struct kennel_error **err)
{
	int r = storage_hold(s, err);

	if (r < 0)
		return r;
	_cleanup_close_ int fd = open(s->device, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open \"%s\"", s->device);
	return storage_mount_volume(s, fd, err);
}

/* ext4 that the kernel does not grow for us while it is mounted, by its own program when it is not. */
static int fill_unmounted(struct storage *s, struct kennel_error **err)
{
	static const char *const args[] = { "-f", TOOL_FILE, NULL };
	struct tool t = { .name = "resize2fs", .package = "e2fsprogs", .args = args };
	_cleanup_close_ int fd = open(s->device, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return hint(err, fail_errno(err, "open \"%s\" for us alone", s->device),
			    "an ext4 of who lacks CAP_SYS_RESOURCE grows while it is stopped");
	int r = volume_mend(fd, s->shown, s->keys.fs, err);
	t.file_fd = fd;
	return r < 0 ? r : tool_must(&t, "grow the file system", err);
}

int storage_fill_held(struct storage *s, uint64_t size_bytes, struct kennel_error **err)
{
	int r = storage_open_held(s, err);

	if (r == 0)
		r = volume_fill(s->mount_fd, s->keys.fs, size_bytes, err);
	replace_fd(&s->data_fd, -EBADF);
	replace_fd(&s->mount_fd, -EBADF);
	if (r != 0)
		return MIN(r, 0);
	return fill_unmounted(s, err);
}

static bool has_misc(const char *name)
{
	_cleanup_close_ int fd = open("/proc/misc", O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf text = { 0 };

	return fd >= 0 && buf_read_fd(&text, fd, 65536, NULL) == 0 && strstr(buf_str(&text), name);
}

bool storage_has_misc(const char *name, const char *module)
{
	const char *const args[] = { "-q", module, NULL };
	const struct tool t = {
		.name = "modprobe", .package = "kmod", .args = args, .file_fd = -EBADF, .manages = true
	};

	return has_misc(name) || (tool_must(&t, "load a module", NULL) == 0 && has_misc(name));
}
