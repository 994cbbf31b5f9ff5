/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/loop.c - loop devices that vanish by themselves.
 *
 * LOOP_CTL_GET_FREE only names a device that was free at that moment; whoever configures it first has it,
 * and the others get EBUSY and ask again. There is no lock that all programs respect (losetup takes none),
 * so we try often and wait a little, differently long, between tries. LOOP_CONFIGURE (Linux 5.8) sets file,
 * read-only and autoclear in one call, so there is no instant at which being killed would leave a device
 * behind: it is cleared at the last close, which the kernel does for us.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "layer/internal.h"
#include "sys/sys.h"

#define LOOP_TRIES 2000                 /* with the waits below some seconds: hundreds may start at once */
#define LOOP_WAIT_MAX_US 2000

static int open_control(struct kennel_error **err)
{
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	int errnum = errno;
	int r = fail_errno(err, "open \"/dev/loop-control\"");
	if (errnum == ENOENT || errnum == ENODEV)
		return hint(err, -KENNEL_E_UNSUPPORTED, "modprobe loop; inside of a sandbox there are none");
	if (r == -KENNEL_E_PERM)
		return hint(err, r, "only root may use loop devices");
	return r;
}

/*
 * Return: descriptor, 0 where the device was taken or removed meanwhile, or a code. A descriptor is 3
 * or higher here, so that 0 is free to mean that.
 */
static int open_device(long number, bool writable, struct kennel_error **err)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/loop%ld", number);
	/* The device is read-only if this descriptor is. */
	_cleanup_close_ int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && (errno == ENXIO || errno == ENODEV || errno == EBUSY || errno == EINTR))
		return 0;
	if (fd < 0) {
		int errnum = errno;
		int r = fail_errno(err, "open \"%s\"", path);

		if (errnum == ENOENT)
			r = hint(err, r,
				 "the kernel has this device, but /dev lacks its file: mknod %s b 7 %ld",
				 path, number);
		return r;
	}
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", path);
	if (!S_ISBLK(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is not a block device", path);
	if (fd >= 3)
		return take_fd(&fd);
	int high_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return high_fd < 0 ? fail_errno(err, "duplicate a descriptor") : high_fd;
}

/*
 * Longer with every try, and different in each process and thread, so that many who start together drift
 * apart.
 */
static void wait_a_little(unsigned attempt)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	unsigned long limit_us = MIN(20ul * (attempt + 1), (unsigned long)LOOP_WAIT_MAX_US);
	unsigned long us = ((unsigned long)now.tv_nsec >> 4) % limit_us;
	nanosleep(&(struct timespec){ .tv_nsec = (long)us * 1000 }, NULL);
}

int loop_attach(int file_fd, const char *label, bool writable, struct kennel_error **err)
{
	_cleanup_close_ int control_fd = open_control(err);
	if (control_fd < 0)
		return control_fd;
	struct loop_config config = {
		.fd = (uint32_t)file_fd,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | (writable ? 0 : LO_FLAGS_READ_ONLY),
	};
	memcpy(config.info.lo_file_name, label, strnlen(label, LO_NAME_SIZE - 1));
	for (unsigned i = 0; i < LOOP_TRIES; i++) {
		int number = sys_ioctl_int(control_fd, LOOP_CTL_GET_FREE, 0);
		if (number < 0 && errno != EINTR && errno != EBUSY && errno != EEXIST)
			return fail_errno(err, "get a free loop device");
		if (number < 0)
			continue;
		_cleanup_close_ int fd = -EBADF;
		int r = open_device(number, writable, err);
		if (r < 0)
			return r;
		if (r > 0)
			fd = r;
		if (fd >= 0 && sys_ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return take_fd(&fd);
		if (fd >= 0 && errno != EBUSY && errno != EAGAIN && errno != EINTR && errno != ENXIO)
			return fail_errno(err, "set up \"/dev/loop%d\"", number);
		wait_a_little(i);
	}
	return fail(err, KENNEL_E_BUSY, "no loop device could be had: others took each free one first");
}
