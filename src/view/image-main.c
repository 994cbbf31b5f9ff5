/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-main.c - kennel-image: see image.h. People don't run this by hand.
 *
 * The order: rights and ids are given up, the image is opened and its backend's library loaded, the jail
 * shuts, and only then the word goes out that requests are served.
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
	int fuse_fd, image_fd, death_fd, report_fd, shifted_fd;
	uint32_t user, ids_base, ids_count;
	const char *format;
	bool squash;
};

/* BASE:COUNT */
static int parse_ids(const char *text, struct args *a)
{
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *base = colon ? strndup(text, (size_t)(colon - text)) : NULL;

	return base && parse_u32(base, &a->ids_base) == 0 && parse_u32(colon + 1, &a->ids_count) == 0 ? 0 :
													-1;
}

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "fuse", required_argument, NULL, 'f' },   { "image", required_argument, NULL, 'i' },
		{ "death", required_argument, NULL, 'd' },  { "report", required_argument, NULL, 'R' },
		{ "format", required_argument, NULL, 'F' }, { "squash", no_argument, NULL, 's' },
		{ "user", required_argument, NULL, 'u' },   { "shifted", required_argument, NULL, 'S' },
		{ "ids", required_argument, NULL, 'I' },    { 0 },
	};
	uint32_t n = 0;
	int c;

	*a = (struct args){ -1, -1, -1, -1, -1 };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?' || (!strchr("sFuI", c) && (parse_u32(optarg, &n) < 0 || n > INT32_MAX)) ||
		    (c == 'u' && (parse_u32(optarg, &a->user) < 0 || !a->user)) ||
		    (c == 'I' && parse_ids(optarg, a) < 0))
			return -1;
		if (c == 's')
			a->squash = true;
		else if (c == 'F')
			a->format = optarg;
		else if (c != 'u' && c != 'I')
			*(c == 'f' ? &a->fuse_fd :
			  c == 'i' ? &a->image_fd :
			  c == 'd' ? &a->death_fd :
			  c == 'S' ? &a->shifted_fd :
				     &a->report_fd) = (int)n;
	}
	return optind == argc && a->format && a->fuse_fd >= 0 && a->image_fd >= 0 && a->death_fd >= 0 &&
			       a->report_fd >= 0 && (a->shifted_fd >= 0) == (a->ids_count > 0) ?
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

/*
 * With the ids go all rights. A namespace that does not have the id, or forbids other groups, is not the
 * machine's: nor is its root, which then just gives up its rights.
 */
static int become(uint32_t user)
{
	struct sys_cap_data none[2] = { 0 };

	(void)!sys_setgroups(0, NULL);
	if ((sys_setresgid(user, user, user) < 0 || sys_setresuid(user, user, user) < 0) && errno != EINVAL)
		return -1;
	/* a change of ids has made it dumpable */
	return sys_capset(none) < 0 ? -1 : sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
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
	const int ours[] = { a.fuse_fd, a.image_fd, a.death_fd, a.report_fd, a.shifted_fd };
	const size_t n = a.shifted_fd >= 0 ? ARRAY_SIZE(ours) : ARRAY_SIZE(ours) - 1;
	int r = view_harden(ours, n, VIEW_IMAGE_PROGRAM) < 0 || (a.user && become(a.user) < 0) ? errno : 0;
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
	const struct image_serve_args how = {
		.image = &im,
		.fuse_fd = a.fuse_fd,
		.death_fd = a.death_fd,
		.shifted_fd = a.shifted_fd,
		.ids_base = a.ids_base,
		.ids_count = a.ids_count,
		.squash = a.squash,
		.ready = get_ready,
		.data = &a,
	};
	r = image_serve(&how, &step);
	if (r)
		report(&a, step, r); /* no reader any more once it served */
	return r ? 1 : 0;
}
