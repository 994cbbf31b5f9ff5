/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tree copy FROM TO | tree wipe DIRECTORY - what a full clone and a removal do to files, and nothing else.
 * TO must not be there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/error.h>

#include "base/cleanup.h"
#include "container/container.h"
#include "delta/merge.h"

static int open_dir(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct replica_hooks none = { 0 };
	int r = -1;

	if (argc == 4 && strcmp(argv[1], "copy") == 0 && mkdir(argv[3], 0700) == 0) {
		_cleanup_close_ int from_fd = open_dir(argv[2]);
		_cleanup_close_ int to_fd = open_dir(argv[3]);

		r = delta_copy_tree(from_fd, to_fd, &none, &err);
	} else if (argc == 3 && strcmp(argv[1], "wipe") == 0) {
		_cleanup_close_ int fd = open_dir(argv[2]);

		r = container_wipe(fd, argv[2], &err);
		if (r == 0)
			r = rmdir(argv[2]);
	}
	if (r < 0)
		fprintf(stderr, "tree: %s\n", err ? kennel_error_message(err) : "it does not work");
	return r < 0;
}
