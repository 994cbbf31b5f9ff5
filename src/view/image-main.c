/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-main.c - kennel-image: see image.h. People don't run this by hand.
 *
 * The order: rights are given up, the image is opened and its backend's library loaded, the jail shuts, and
 * only then the word goes out that requests are served.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "sys/sys.h"
#include "view/harden.h"
#include "view/image.h"
#include "view/view.h"

struct args {
	int fuse_fd, image_fd, death_fd, report_fd;
	const char *format;
	bool squash;
};

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "fuse", required_argument, NULL, 'f' },
		{ "image", required_argument, NULL, 'i' },
		{ "death", required_argument, NULL, 'd' },
		{ "report", required_argument, NULL, 'R' },
		{ "format", required_argument, NULL, 'F' },
		{ "squash", no_argument, NULL, 's' },
		{ 0 },
	};
	uint32_t n = 0;
	int c;

	*a = (struct args){ -1, -1, -1, -1 };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?' || (c != 's' && c != 'F' && (parse_u32(optarg, &n) < 0 || n > INT32_MAX)))
			return -1;
		if (c == 's')
			a->squash = true;
		else if (c == 'F')
			a->format = optarg;
		else
			*(c == 'f' ? &a->fuse_fd :
			  c == 'i' ? &a->image_fd :
			  c == 'd' ? &a->death_fd :
				     &a->report_fd) = (int)n;
	}
	return optind == argc && a->format && a->fuse_fd >= 0 && a->image_fd >= 0 && a->death_fd >= 0 &&
			       a->report_fd >= 0 ?
		       0 :
		       -1;
}

static void report(const struct args *a, int step, int errnum)
{
	const struct view_report r = { .step = step, .errnum = errnum };

	(void)!write(a->report_fd, &r, sizeof(r)); /* nobody there: nobody to tell */
}

static const struct image_backend *backend_of(const char *format)
{
	return strcmp(format, "squashfs") == 0 ? &image_squashfs :
	       strcmp(format, "erofs") == 0    ? &image_erofs :
	       strncmp(format, "ext", 3) == 0  ? &image_ext :
						 NULL;
}

static int get_ready(void *data)
{
	struct args *a = data;

	int r = image_jail();
	if (r < 0)
		return -r;
	report(a, VIEW_READY, 0);
	close_fd(a->report_fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct image im = { .fd = -EBADF };
	struct args a;
	int step;

	if (parse_args(argc, argv, &a) < 0) {
		fprintf(stderr, "%s: started by kennel only\n", VIEW_IMAGE_PROGRAM);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	const int ours[] = { a.fuse_fd, a.image_fd, a.death_fd, a.report_fd };
	int r = view_harden(ours, ARRAY_SIZE(ours), VIEW_IMAGE_PROGRAM) < 0 ? errno : 0;
	if (r) {
		report(&a, VIEW_STEP_HARDEN, r);
		return 1;
	}
	im.backend = backend_of(a.format);
	im.fd = a.image_fd;
	off_t size = lseek(im.fd, 0, SEEK_END);
	im.size = size < 0 ? 0 : (uint64_t)size;
	r = im.backend ? im.backend->open(&im) : -EOPNOTSUPP;
	if (r < 0) {
		report(&a, VIEW_STEP_IMAGE, -r);
		return 1;
	}
	r = image_serve(&(struct image_serve_args){ &im, a.fuse_fd, a.death_fd, a.squash, get_ready, &a },
			&step);
	if (r)
		report(&a, step, r); /* no reader any more once it served */
	return r ? 1 : 0;
}
