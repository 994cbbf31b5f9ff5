/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench/stamp.c - a payload that says when it ended: writes CLOCK_MONOTONIC, eight bytes of nanoseconds,
 * and is gone.
 *
 *   stamp         at once
 *   stamp hold    writes one byte, waits for the end of its input, then ends: a crowd of these is
 *                 counted and released together
 */
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec t;
	char byte = '+';

	if (argc == 2 && strcmp(argv[1], "hold") == 0) {
		if (write(STDOUT_FILENO, &byte, 1) != 1)
			_exit(1);
		_exit(read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1);
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	const int64_t ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	_exit(write(STDOUT_FILENO, &ns, sizeof(ns)) == sizeof(ns) ? 0 : 1);
}
