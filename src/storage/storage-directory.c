/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-directory.c - trees in plain directories: "dir" and "overlay".
 *
 * The two differ in what lies in them, not in how: a container over a base has its changes alone there, one
 * with a base of its own all of it. What stands on it does so by layers (delta/manifest.h), which no file
 * system has to know of, so a snapshot is not the store's work.
 */
#include "storage/driver.h"

const struct storage_driver storage_dir = { .name = "dir" };
const struct storage_driver storage_overlay = { .name = "overlay" };
