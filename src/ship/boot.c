/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/boot.c - see boot.h.
 *
 * The file systems of the machine that it comes from are not those of the one that it goes to, so
 * /etc/fstab is empty; and two machines must not have one identity, so /etc/machine-id is empty too, which
 * its readers take for "make one".
 */
#include "ship/boot.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

static const char init_script[] =
	"#!/bin/sh\n"
	"# Starts a system whose whole root is this initramfs. Made by kennel export --as bootable-initrd.\n"
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
	"export PATH\n"
	"mount -t proc -o nosuid,nodev,noexec proc /proc\n"
	"mount -t sysfs -o nosuid,nodev,noexec sysfs /sys\n"
	"mount -t devtmpfs -o nosuid,mode=0755 devtmpfs /dev\n"
	"mkdir -p /dev/pts /dev/shm\n"
	"mount -t devpts -o nosuid,noexec,gid=5,mode=620 devpts /dev/pts\n"
	"mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs /run\n"
	"[ ! -c /dev/console ] || exec </dev/console >/dev/console 2>&1\n"
	"for init in /sbin/init /lib/systemd/systemd /etc/init /bin/init; do\n"
	"\t[ ! -x \"$init\" ] || exec \"$init\" \"$@\"\n"
	"done\n"
	"echo 'no init in this root: here is a shell'\n"
	"exec /bin/sh\n";

static const char fstab[] = "# Emptied by kennel export: the file systems of another machine stood here.\n";

static int next_text(void *data, const void **ret, size_t *ret_size, uint64_t *ret_offset,
		     struct kennel_error **err)
{
	struct ship_boot_text *t = data;

	if (t->done || !*t->text)
		return 0;
	t->done = true;
	*ret = t->text;
	*ret_size = strlen(t->text);
	*ret_offset = 0;
	return 1;
}

static struct ship_entry *add(struct ship_boot *b, const char *path, mode_t mode)
{
	struct ship_entry *e = &b->entries[b->n++];

	*e = (struct ship_entry){
		.path = path,
		.fd = -EBADF,
		.st = { .st_mode = mode, .st_nlink = 1, .st_mtim.tv_sec = time(NULL) },
	};
	return e;
}

static void add_text(struct ship_boot *b, const char *path, mode_t mode, const char *text)
{
	struct ship_boot_text *t = &b->texts[b->n];
	struct ship_entry *e = add(b, path, S_IFREG | mode);

	t->text = text;
	e->st.st_size = (off_t)strlen(text);
	e->content = next_text;
	e->content_data = t;
}

void ship_boot_fill(struct ship_boot *b, enum ship_boot_kind kind)
{
	*b = (struct ship_boot){ 0 };
	if (kind == SHIP_BOOT_INITRD)
		add_text(b, "init", 0755, init_script);
	add(b, "dev/console", S_IFCHR | 0600)->st.st_rdev = makedev(5, 1);
	add(b, "dev/null", S_IFCHR | 0666)->st.st_rdev = makedev(1, 3);
	add_text(b, "etc/fstab", 0644, fstab);
	add_text(b, "etc/machine-id", 0444, "");
}

bool ship_boot_replaces(const struct ship_boot *b, const char *path)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->entries[i].path, path) == 0)
			return true;
	return false;
}
