/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/guest.c - /init of the guest: its line, its root, then the agent.
 *
 * The initramfs stays below the root, out of sight: it is this program and the modules that the root needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/macro.h"
#include "sys/sys.h"
#include "vm/program/program.h"

#define CONFIG_TIME_MS 60000

_Noreturn void guest_fail(struct guest *g, int errnum, const char *what)
{
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		dprintf(fd, "kennel: can't %s: %s\n", what, strerror(errnum));
	if (g->line.fd >= 0) {
		channel_send_text(&g->line, VM_FAILED, 0, errnum, what);
		channel_flush(&g->line, 5000);
		(void)!tcdrain(g->line.fd);
	}
	for (;;)
		(void)!reboot(RB_POWER_OFF);
}

/* Raw before anything is said, for the other end says nothing before it hears us. */
static void open_line(struct guest *g)
{
	struct termios t;

	g->line.fd = open(GUEST_LINE, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (g->line.fd < 0 || tcgetattr(g->line.fd, &t) < 0)
		guest_fail(g, errno, "open " GUEST_LINE);
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL;
	if (tcsetattr(g->line.fd, TCSANOW, &t) < 0)
		guest_fail(g, errno, "set " GUEST_LINE " to raw mode");
	channel_send_number(&g->line, VM_HELLO, 0, 0, VM_VERSION);
	channel_write(&g->line);
}

void guest_read_line(struct channel *line)
{
	const size_t before = line->in.end - line->in.start;

	(void)!channel_read(line);
	channel_send_number(line, VM_TAKEN, 0, 0, (uint32_t)(line->in.end - line->in.start - before));
}

/* What the supervisor answers. Other frames come after we are ready. */
static void read_config(struct guest *g, struct queue *config)
{
	struct vm_frame f;

	for (;;) {
		struct pollfd p = channel_poll(&g->line, true);

		if (poll(&p, 1, CONFIG_TIME_MS) <= 0)
			guest_fail(g, ETIMEDOUT, "hear from the supervisor");
		channel_write(&g->line);
		guest_read_line(&g->line);
		while (vm_decoder_next(&g->line.in, &f)) {
			if (f.type == VM_CONFIG_END)
				return;
			if (f.type == VM_CONFIG &&
			    (!queue_add(config, f.data, f.len) || queue_used(config) > VM_CONFIG_MAX))
				guest_fail(g, ENOMEM, "hear from the supervisor");
		}
	}
}

static void make_init(struct guest *g)
{
	g->init_fd = sys_memfd_create("kennel-init", 0x1);
	if (g->init_fd < 0 || write(g->init_fd, init_blob, init_blob_size) != (ssize_t)init_blob_size)
		guest_fail(g, errno, "make kennel-init");
	/* A file that is open for writing can't be executed. */
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", g->init_fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		guest_fail(g, errno, "open kennel-init again");
	close(g->init_fd);
	g->init_fd = fd;
}

_Noreturn void guest_main(char **argv)
{
	static struct guest g = { .line = { .fd = -EBADF }, .changes_fd = -EBADF };
	struct queue config = { 0 };

	g.name = argv[0];
	umask(022);
	(void)!mkdir("/dev", 0755);
	if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") < 0)
		guest_fail(&g, errno, "mount /dev");
	open_line(&g);
	guest_prepare(&g);
	make_init(&g);
	read_config(&g, &config);
	guest_make_root(&g, (char *)config.data + config.start, queue_used(&config));
	queue_free(&config);
	channel_send(&g.line, &(struct vm_frame){ .type = VM_READY });
	agent_main(&g);
}
