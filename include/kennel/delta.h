/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/delta.h - what a sandbox changed.
 *
 * A delta is everything that was written in a sandbox, over the base that it saw. Comparing the two gives the
 * changes, exactly: what was only touched is none. Objects are opaque; use each from one thread at a time.
 */
#ifndef KENNEL_DELTA_H
#define KENNEL_DELTA_H

#include <stddef.h>
#include <sys/stat.h>

#include <kennel/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kennel_delta;

/**
 * enum kennel_change_kind - what became of a file
 * @KENNEL_ADDED:   the base does not have it
 * @KENNEL_CHANGED: both have it, and it differs
 * @KENNEL_DELETED: it is gone
 * @KENNEL_RETYPED: it is something else now (a link instead of a directory)
 */
enum kennel_change_kind { KENNEL_ADDED = 0, KENNEL_CHANGED = 1, KENNEL_DELETED = 2, KENNEL_RETYPED = 3 };

/**
 * enum kennel_change_bits - in what a file differs
 * @KENNEL_CHANGE_CONTENT:  its content
 * @KENNEL_CHANGE_MODE:     its permissions
 * @KENNEL_CHANGE_OWNER:    its user or group
 * @KENNEL_CHANGE_XATTR:    its extended attributes, access control lists and capabilities among them
 * @KENNEL_CHANGE_LINK:     where it leads, of a symbolic link; its number, of a device
 * @KENNEL_CHANGE_TIME:     its time of change; never alone
 * @KENNEL_CHANGE_OPAQUE:   a directory that was removed and made anew; never alone
 * @KENNEL_CHANGE_HARDLINK: it is one file with another path now, see @link_to of struct kennel_change
 */
enum kennel_change_bits {
	KENNEL_CHANGE_CONTENT = 1 << 0,
	KENNEL_CHANGE_MODE = 1 << 1,
	KENNEL_CHANGE_OWNER = 1 << 2,
	KENNEL_CHANGE_XATTR = 1 << 3,
	KENNEL_CHANGE_LINK = 1 << 4,
	KENNEL_CHANGE_TIME = 1 << 5,
	KENNEL_CHANGE_OPAQUE = 1 << 6,
	KENNEL_CHANGE_HARDLINK = 1 << 7,
};

/**
 * struct kennel_change - one change
 * @size:    of this struct, as the library knows it
 * @path:    as seen inside: absolute
 * @kind:    what became of it
 * @bits:    in what it differs: set of enum kennel_change_bits
 * @before:  attributes in the base, or NULL where it was added; ids are those seen inside
 * @after:   attributes now, or NULL where it was deleted
 * @link_to: a path that is the same file now and came before, or NULL
 *
 * All is the library's and good until the callback returns.
 */
struct kennel_change {
	size_t size;
	const char *path;
	enum kennel_change_kind kind;
	unsigned bits;
	const struct stat *before, *after;
	const char *link_to;
};

/**
 * enum kennel_delta_flags - how to compare
 * @KENNEL_DELTA_ALL: everything in a deleted directory too, not only the directory
 */
enum kennel_delta_flags { KENNEL_DELTA_ALL = 1 << 0 };

/**
 * kennel_delta_open() - the changes of a sandbox
 * @what: name of a container in the own store; path of a container in one file; id of a running sandbox, or
 *        an unambiguous beginning of one
 * @ret:  the changes, the caller's; end them with kennel_delta_free()
 * @err:  error out, owned by the caller, or NULL
 *
 * Return: 0, -KENNEL_E_NOTFOUND, or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_open(const char *what, struct kennel_delta **ret, struct kennel_error **err);

/**
 * kennel_delta_open_in() - the same of a container in a store that is named
 * @store: absolute path of the store, or NULL for all that kennel_delta_open() opens; root may name the store
 *         of another user
 * @what:  name of a container in it
 * @ret:   the changes, the caller's
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0, -KENNEL_E_NOTFOUND, or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_open_in(const char *store, const char *what, struct kennel_delta **ret,
				       struct kennel_error **err);

/**
 * kennel_delta_open_since() - what a container changed since a snapshot of it was taken
 * @store:    as for kennel_delta_open_in()
 * @what:     name of a container in it
 * @snapshot: name of a snapshot; NULL: the same as kennel_delta_open_in()
 * @ret:      the changes, the caller's
 * @err:      error out, owned by the caller, or NULL
 *
 * "Before" is what it was then.
 * Return: 0, -KENNEL_E_NOTFOUND, -KENNEL_E_UNSUPPORTED it does not stand on that snapshot, or another
 * negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_open_since(const char *store, const char *what, const char *snapshot,
					  struct kennel_delta **ret, struct kennel_error **err);

/**
 * kennel_delta_free() - end it
 * @delta: what kennel_delta_open() gave; NULL is fine
 *
 * Return: NULL. Since 0.1.
 */
KENNEL_PUBLIC struct kennel_delta *kennel_delta_free(struct kennel_delta *delta);

/**
 * kennel_delta_diff() - compare with the base
 * @delta: borrowed
 * @below: absolute path as seen inside: only changes of it and in it; NULL for all
 * @flags: set of enum kennel_delta_flags; unknown ones are refused
 * @visit: called for each change, parents before children, siblings by the bytes of their names; a value
 *         other than 0 ends it
 * @data:  handed to @visit
 * @err:   error out, owned by the caller, or NULL
 *
 * Only the changes are walked, so it does not matter how large the base is. A sandbox that runs is read as it
 * happens to be.
 * Return: 0, what @visit returned, or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_diff(struct kennel_delta *delta, const char *below, unsigned flags,
				    int (*visit)(void *data, const struct kennel_change *change), void *data,
				    struct kennel_error **err);

/**
 * kennel_delta_read_file() - open a regular file as it was, or as it is now
 * @delta: borrowed
 * @path:  absolute path as seen inside; no symbolic link in it is followed
 * @after: 0 for the base's, 1 for what is there now
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: a descriptor for reading, the caller's; -KENNEL_E_NOTFOUND; -KENNEL_E_TYPE it is no regular file;
 * or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_read_file(struct kennel_delta *delta, const char *path, int after,
					 struct kennel_error **err);

/**
 * kennel_delta_read_link() - where a symbolic link led, or leads now
 * @delta: borrowed
 * @path:  absolute path as seen inside
 * @after: 0 for the base's, 1 for what is there now
 * @ret:   text of malloc, the caller's
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0, -KENNEL_E_NOTFOUND, or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_read_link(struct kennel_delta *delta, const char *path, int after, char **ret,
					 struct kennel_error **err);

/**
 * kennel_delta_text() - the changes of one text file, as diff -u shows them
 * @delta:    borrowed
 * @path:     absolute path as seen inside; a file that is only on one side is empty on the other
 * @ret:      the hunks, raw bytes of malloc, the caller's; empty where both are equal
 * @ret_size: their number
 * @err:      error out, owned by the caller, or NULL
 *
 * Return: 1; 0 it is no text, or more than 4 MiB (nothing is set); or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_text(struct kennel_delta *delta, const char *path, char **ret,
				    size_t *ret_size, struct kennel_error **err);

/**
 * struct kennel_package - a package that was added, removed or replaced by another version
 * @size:    of this struct, as the library knows it
 * @manager: "dpkg", "apk", "pacman" or "rpm"
 * @name:    its name, with its architecture where it is there for several; NULL: the database of this manager
 *           was changed, but kennel can't read it
 * @before:  version in the base, or NULL
 * @after:   version now, or NULL
 */
struct kennel_package {
	size_t size;
	const char *manager, *name, *before, *after;
};

/**
 * kennel_delta_packages() - which packages were installed, removed or upgraded
 * @delta: borrowed
 * @visit: called for each, by manager and name; a value other than 0 ends it
 * @data:  handed to @visit
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0, what @visit returned, or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_delta_packages(struct kennel_delta *delta,
					int (*visit)(void *data, const struct kennel_package *package),
					void *data, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
