/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/banned.h - included in front of every file: calls that have hurt others can't be written here at all.
 *
 * The headers that declare them come first, for a poisoned word may not stand in a header either.
 */
#ifndef KENNEL_BASE_BANNED_H
#define KENNEL_BASE_BANNED_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef alloca

#pragma GCC poison strcpy strcat sprintf strtok atoi atol system alloca readdir_r

#endif
