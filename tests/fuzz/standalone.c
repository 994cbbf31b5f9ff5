/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/standalone.c - main program of a fuzz target where libFuzzer is not there: runs every input of a
 * corpus once.
 *
 * Arguments are files or directories (one level, as libFuzzer keeps them). An input is copied into a block of
 * just its size, so that the address sanitizer sees a read past its end. A corpus without an input is a
 * failure: a moved folder must not turn a test into nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define INPUT_MAX_BYTES (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(int dir_fd, const char *name)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return -1;
	}
	if (buf_read_fd(&b, fd, INPUT_MAX_BYTES, &err) < 0) {
		fprintf(stderr, "%s: %s\n", name, kennel_error_message(err));
		return -1;
	}
	_cleanup_free_ uint8_t *exact = malloc(b.len ? b.len : 1);
	if (!exact)
		return -1;
	if (b.len)
		memcpy(exact, b.data, b.len);
	LLVMFuzzerTestOneInput(exact, b.len);
	return 0;
}

/* Return: number of inputs that ran, or -1. */
static int run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return run_file(AT_FDCWD, path) < 0 ? -1 : 1;

	_cleanup_closedir_ DIR *dir = opendir(path);
	int count = 0;
	if (!dir)
		return -1;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		if (d->d_name[0] == '.')
			continue;
		if (run_file(dirfd(dir), d->d_name) < 0)
			return -1;
		count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int n = run_path(argv[i]);
		if (n < 0)
			return 1;
		total += n;
	}
	if (total == 0) {
		fprintf(stderr, "no inputs\n");
		return 1;
	}
	printf("%d inputs\n", total);
	return 0;
}
