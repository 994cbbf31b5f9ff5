/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * archive/library.h - libarchive, loaded when an archive is to be read or written; its header is needed when
 * kennel is built, its library never linked.
 *
 * One list of the functions that we use makes the table and fills it, so none can be forgotten.
 */
#ifndef KENNEL_ARCHIVE_LIBRARY_H
#define KENNEL_ARCHIVE_LIBRARY_H

#include "base/error.h"
#include "archive/archive-config.h"

#if KENNEL_HAVE_ARCHIVE
#include <archive.h>
#include <archive_entry.h>

/* clang-format off */
#define ARCHIVE_LIB_FUNCTIONS(F) \
	F(archive_entry_clear) F(archive_entry_copy_hardlink) F(archive_entry_copy_pathname) \
	F(archive_entry_copy_stat) F(archive_entry_copy_symlink) F(archive_entry_free) \
	F(archive_entry_gid) F(archive_entry_hardlink) F(archive_entry_hardlink_utf8) \
	F(archive_entry_is_encrypted) F(archive_entry_mode) F(archive_entry_mtime) \
	F(archive_entry_mtime_nsec) F(archive_entry_new) F(archive_entry_pathname) \
	F(archive_entry_pathname_utf8) F(archive_entry_rdevmajor) F(archive_entry_rdevminor) \
	F(archive_entry_set_dev) F(archive_entry_set_ino64) F(archive_entry_set_mode) \
	F(archive_entry_set_nlink) F(archive_entry_set_size) F(archive_entry_size) \
	F(archive_entry_size_is_set) F(archive_entry_sparse_add_entry) F(archive_entry_symlink) \
	F(archive_entry_symlink_utf8) F(archive_entry_uid) F(archive_entry_unset_atime) \
	F(archive_entry_unset_ctime) F(archive_entry_unset_size) \
	F(archive_entry_xattr_add_entry) F(archive_entry_xattr_next) F(archive_entry_xattr_reset) \
	F(archive_errno) F(archive_error_string) F(archive_read_data) F(archive_read_data_block) \
	F(archive_read_free) F(archive_read_open_fd) F(archive_read_support_format_raw) \
	F(archive_read_new) F(archive_read_next_header) F(archive_read_open2) \
	F(archive_read_support_filter_bzip2) F(archive_read_support_filter_gzip) \
	F(archive_read_support_filter_lzma) F(archive_read_support_filter_xz) \
	F(archive_read_support_filter_zstd) F(archive_read_support_format_cpio) \
	F(archive_read_support_format_empty) F(archive_read_support_format_tar) \
	F(archive_write_add_filter_gzip) F(archive_write_add_filter_xz) \
	F(archive_write_add_filter_zstd) F(archive_write_close) F(archive_write_data) \
	F(archive_write_finish_entry) F(archive_write_free) F(archive_write_header) \
	F(archive_write_new) F(archive_write_open2) F(archive_write_set_bytes_in_last_block) \
	F(archive_write_set_bytes_per_block) F(archive_write_set_filter_option) \
	F(archive_write_set_format_cpio_newc) F(archive_write_set_format_gnutar) \
	F(archive_write_set_format_pax) F(archive_write_set_format_raw) F(archive_write_set_option)
/* clang-format on */

struct archive_lib {
	void *handle;
#define LIB_MEMBER(name) __typeof__(&name) name;
	ARCHIVE_LIB_FUNCTIONS(LIB_MEMBER)
#undef LIB_MEMBER
};

/* Loads it. What it was loaded into is borrowed by all sinks and sources made with it. */
int archive_lib_load(struct archive_lib *ret, struct kennel_error **err) MUST_CHECK;
void archive_lib_unload(struct archive_lib *l);
#define _cleanup_archive_lib_ __attribute__((cleanup(archive_lib_unload)))

/* Turns the state of an archive into an error: what it says, and the code of its errno. */
int archive_lib_fail(const struct archive_lib *l, struct archive *a, const char *what,
		     struct kennel_error **err);
#endif
#endif
