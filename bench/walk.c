/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench/walk.c - the floor of "kennel diff": every entry of a tree is looked at once, and nothing is done
 * with it.
 *
 *   walk DIRECTORY
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned long seen;

static int walk(int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;

	if (!d)
		return -1;
	while ((e = readdir(d))) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -1;
		seen++;
		if (!S_ISDIR(st.st_mode))
			continue;
		int child_fd = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child_fd < 0 || walk(child_fd) < 0)
			return -1;
	}
	return closedir(d);
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0 || walk(fd) < 0) {
		perror("walk");
		return 1;
	}
	printf("%lu\n", seen);
	return 0;
}
