/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/ship.h - take a container's changes, or the whole of what it sees, elsewhere; and bring them
 * back.
 *
 * What is written appears under its name only when it is whole; what is imported appears as a container
 * only then.
 */
#ifndef KENNEL_SHIP_H
#define KENNEL_SHIP_H

#include <stddef.h>
#include <stdint.h>

#include <kennel/container.h>
#include <kennel/error.h>
#include <kennel/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Called a few times a second while something takes long: so many bytes so far, of so many. While that
 * is not known it is 0, and what is told is how many files were looked at to find out. Return: 0 go on,
 * anything else: stop and take back what is half made.
 */
typedef int (*kennel_tick_fn)(void *data, uint64_t done, uint64_t total);

/*
 * struct kennel_export_options - what and how kennel_export() writes
 * @size:        sizeof of this struct
 * @store:       directory that the container is in; NULL: the user's own
 * @what:        "delta" (the changes) or "root" (base and changes as the sandbox sees them); NULL:
 *               "delta", or what @as needs
 * @format:      name of a format as in kennel-export(1), or NULL: by the suffix of the output
 * @as:          NULL, "deb", "tar-package", "bootable-initrd" or "base-image"
 * @package:     name of a package; NULL: from the output's name
 * @version:     of the package; NULL: "1.0"
 * @depends:     of the package, as its format has them, or NULL
 * @description: of the package, one line, or NULL
 * @maintainer:  of the package, or NULL
 * @force:       not 0: replace an output that is there
 * @tick:        or NULL
 * @data:        handed to @tick
 *
 * Zeros are the defaults. Since 0.1.
 */
struct kennel_export_options {
	size_t size;
	const char *store, *what, *format, *as;
	const char *package, *version, *depends, *description, *maintainer;
	int force;
	kennel_tick_fn tick;
	void *data;
};

/**
 * kennel_export() - write a delta or a whole root into a file or directory
 * @source:       name of a container, id of a running sandbox, or path of an image file
 * @output:       path; nothing with this name may be there, unless the options say so
 * @options:      or NULL for the defaults
 * @ret_left_out: how many files or attributes the format could not hold; may be NULL
 * @err:          error out, owned by the caller, or NULL
 *
 * Return: 0; -KENNEL_E_EXISTS; -KENNEL_E_MISSING a library or program that the format needs is not
 * installed; -KENNEL_E_INTERRUPTED @tick said stop; or another negative code. Then there is nothing
 * new. Since 0.1.
 */
KENNEL_PUBLIC int kennel_export(const char *source, const char *output,
				const struct kennel_export_options *options, uint64_t *ret_left_out,
				struct kennel_error **err);

/**
 * struct kennel_import_options - how kennel_import() reads
 * @size:  sizeof of this struct
 * @store: directory that the container is made in; NULL: the user's own
 * @what:  "delta", "root", or NULL: as the input says, "root" where it says nothing
 * @base:  of a delta: what it lies over, as the key "base" of a spec has it; NULL: as the input says
 * @tick:  or NULL
 * @data:  handed to @tick
 * @copy:  of a container of LXC or systemd-nspawn: its tree is copied; else it is the base where it is
 * @drop_unknown: the same: settings that have no counterpart are left out, not refused
 * @dropped:      called for each of those, with its name and place; or NULL
 * @dropped_data: handed to @dropped
 *
 * Zeros are the defaults. Since 0.1.
 */
struct kennel_import_options {
	size_t size;
	const char *store, *what, *base;
	kennel_tick_fn tick;
	void *data;
	int copy, drop_unknown;
	void (*dropped)(void *data, const char *what);
	void *dropped_data;
};

/**
 * kennel_import() - make a container of an archive, image or directory
 * @input:        path of what kennel_export() can write, or of what others make in these formats;
 *                "lxc:NAME" or "lxc:PATH", "nspawn:NAME" or "nspawn:PATH": a container of theirs
 * @name:         of the new container
 * @options:      or NULL for the defaults
 * @ret_left_out: how many files or attributes could not be kept, or were not wanted; may be NULL
 * @err:          error out, owned by the caller, or NULL
 *
 * The input may be hostile: no name in it leads out of the container.
 * Return: 0; -KENNEL_E_EXISTS there is such a container; -KENNEL_E_CORRUPT; -KENNEL_E_NOSPACE;
 * -KENNEL_E_INTERRUPTED; or another negative code. Then there is nothing new. Since 0.1.
 */
KENNEL_PUBLIC int kennel_import(const char *input, const char *name,
				const struct kennel_import_options *options, uint64_t *ret_left_out,
				struct kennel_error **err);

/**
 * struct kennel_template_options - how kennel_template_create() works
 * @size:    sizeof of this struct
 * @store:   directory that the container is made in; NULL: the user's own
 * @options: NULL-terminated words for the template, or NULL
 * @step:    as a kennel_tick_fn; @text says what a template is at, with steps done and in all, and is
 *           NULL where bytes are counted or it has not told anything yet; or NULL
 * @said:    called with each of the last lines that a template has written, where it failed; control
 *           characters are made visible; or NULL
 * @verbose: not 0: @said is called with each line as it comes
 * @data:    handed to @step and @said
 * @storage: on which backing store it is made (kennel/container.h), or NULL for what is usual there
 * Zeros are the defaults. Since 0.1.
 */
struct kennel_template_options {
	size_t size;
	const char *store;
	const char *const *options;
	int (*step)(void *data, const char *text, uint64_t done, uint64_t total);
	void (*said)(void *data, const char *line);
	int verbose;
	void *data;
	const struct kennel_storage_options *storage;
};

/**
 * kennel_template_create() - make a container with a base of its own
 * @template_word: name of a template, or the full path of one; or "dir:PATH", "image:PATH", "oci:PATH",
 *                 "oci:docker://REFERENCE"
 * @name:          of the new container
 * @spec:          its configuration, but for the key "base"; borrowed
 * @options:       or NULL for the defaults
 * @ret_left_out:  how many files or attributes could not be kept; may be NULL
 * @err:           error out, owned by the caller, or NULL
 * A template runs in a sandbox and can write to nothing of the machine but its part of the new container.
 * Return: 0; -KENNEL_E_EXISTS there is such a container; -KENNEL_E_NOTFOUND no such template;
 * -KENNEL_E_INVALID it does not take these options; -KENNEL_E_MISSING it needs what is not installed;
 * -KENNEL_E_INTERRUPTED; or another negative code. Then there is nothing new. Since 0.1.
 */
KENNEL_PUBLIC int kennel_template_create(const char *template_word, const char *name,
					 const struct kennel_spec *spec,
					 const struct kennel_template_options *options,
					 uint64_t *ret_left_out, struct kennel_error **err);

/**
 * kennel_template_list() - the templates that are there
 * @ret: one entry each, sorted by name, the caller's; end it with kennel_list_free().
 *       kennel_list_value() has "name", "summary", "path", "network" ("none" or "host"), or "damage"
 *       where it is none
 * @err: error out, owned by the caller, or NULL
 * Only looks at them: nothing is run. Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_template_list(struct kennel_list **ret, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
