/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* storage/volume.c - what the drivers with a file system of their own have in common. */
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "layer/volume.h"
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
