/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-layers.c - see vm-layers.h. */
#include "run/vm-layers.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "delta/walk.h"
#include "layer/layer.h"
#include "run/sandbox.h"
#include "run/vm.h"

#define NUMBER_MAX 15u /* of a disk that User Mode Linux has; 0 is the one for changes */
#define SQUASHFS_XATTRS_AT 56 /* in its superblock: where its attributes are; all ones: it has none */

/* As the guest's kernel calls them; the name of the module, too. */
static const struct {
	const char *format, *type;
} types[] = {
	{ "erofs", "erofs" }, { "squashfs", "squashfs" }, { "ext2", "ext4" },
	{ "ext3", "ext4" },   { "ext4", "ext4" },
};

static const char *type_of(const char *format)
{
	for (size_t i = 0; format && i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].format, format) == 0)
			return types[i].type;
	return NULL;
}

static bool is_taken(const struct spec *spec, unsigned number)
{
	for (size_t i = 0; i < spec->n_drives; i++)
		if (spec->drives[i].number == number)
			return true;
	return false;
}

/* Below the one that was chosen last. 0: there is no more. */
static unsigned next_number(const struct spec *spec, const struct vm *vm)
{
	unsigned n = vm->n_images ? vm->images[vm->n_images - 1].number - 1 : NUMBER_MAX;

	while (n && is_taken(spec, n))
		n--;
	return n;
}

/*
 * User Mode Linux's squashfs knows no attributes, so that an opaque directory of one would let through what
 * lies below it. In the tree, which is right already, that does no harm: nothing but the tree may come below
 * then.
 */
static bool lets_through(int fd, const char *type)
{
	uint64_t at = 0;

	return strcmp(type, "squashfs") == 0 &&
	       (pread(fd, &at, sizeof(at), SQUASHFS_XATTRS_AT) != (ssize_t)sizeof(at) || at != UINT64_MAX);
}

/* Return: 1, and more may follow; 0 nothing more can lie over the tree. */
static int choose(struct vm *vm, const struct spec *spec, const char *path)
{
	_cleanup_close_ int fd = -EBADF;
	const char *format = NULL;
	struct stat st;

	if (layer_open_plain(path, &fd, &format, NULL) < 0 || fstat(fd, &st) < 0)
		return 0;
	const char *type = type_of(format);
	const unsigned number = next_number(spec, vm);
	if (!type || !number || !S_ISREG(st.st_mode) || vm->n_images == ARRAY_SIZE(vm->images))
		return 0;
	vm->images[vm->n_images++] = (struct vm_image){ .path = path, .type = type, .number = number };
	return !lets_through(fd, type);
}

int vm_layers_choose(const struct spec *spec, const struct keep *keep, struct vm *vm,
		     struct kennel_error **err)
{
	static const char *const modules[] = { "erofs", "squashfs" }; /* every root has ext4 */
	bool goes_on = true;
	int r = 0;

	for (size_t i = spec->layers.n; i > 0 && goes_on; i--) /* given lowest first */
		goes_on = choose(vm, spec, spec->layers.items[i - 1]);
	if (goes_on && spec->base_kind == SPEC_BASE_PATH) {
		const unsigned before = vm->n_images;

		(void)!choose(vm, spec, keep_base_path(keep, spec));
		vm->images_are_all = vm->n_images > before;
	}
	for (size_t i = 0; i < ARRAY_SIZE(modules) && r == 0; i++)
		for (unsigned k = 0; k < vm->n_images; k++)
			if (strcmp(vm->images[k].type, modules[i]) == 0) {
				r = strv_add(&vm->modules, modules[i], err);
				break;
			}
	return r;
}

int vm_layers_add(struct vm *vm, struct kennel_error **err)
{
	int r = 0;

	for (unsigned i = 0; i < vm->n_images && r == 0; i++) {
		const struct vm_image *m = &vm->images[i];

		r = strv_addf(&vm->names, err, "layers/%u", m->number);
		if (r < 0)
			break;
		vm->places[vm->n_places++] = (struct child_place){
			.name = vm->names.items[vm->names.n - 1],
			.source = m->path,
			.is_layer = true,
		};
		r = strv_addf(&vm->words, err, "KENNEL_VM:layer=%u:%s", m->number, m->type);
	}
	if (r == 0 && vm->images_are_all)
		r = strv_add(&vm->words, "KENNEL_VM:whole=1", err);
	return r;
}

/* --- may they be used? --- */

static bool is_opaque(int fd, bool user_xattr)
{
	char value;

	return fgetxattr(fd, user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque", &value, 1) == 1 &&
	       value == 'y';
}

static bool has_directory(const int *fds, unsigned n, const char *rel)
{
	for (unsigned i = 0; i < n; i++) {
		_cleanup_close_ int fd = dirs_pin(fds[i], rel, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 || (errno != ENOENT && errno != ENOTDIR && errno != ELOOP))
			return true;
	}
	return false;
}

/*
 * Does it have an opaque directory that one of the trees below has as well? Yes, where that can't be known.
 */
static bool hides(int upper_fd, const int *below_fds, unsigned n_below, bool user_xattr)
{
	_cleanup_walk_ struct delta_walk w = { .plain = true };
	struct walk_entry e;
	int fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return true;
	int r = delta_walk_begin(&w, fd, NULL);
	while (r >= 0 && (r = delta_walk_next(&w, &e, NULL)) > 0)
		if (e.type == DT_DIR && is_opaque(delta_walk_own_fd(&w, &e), user_xattr) &&
		    has_directory(below_fds, n_below, e.rel))
			return true;
	return r < 0 || w.lost;
}

/*
 * Is the path, or a directory that it lies in, deleted there? Made anew, as the place of a share, it would be
 * an opaque one.
 */
static bool is_deleted(int upper_fd, const char *path)
{
	_cleanup_close_ int fd = fcntl(upper_fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_free_ char *copy = strdup(path + 1);
	char *rest = copy, *name;
	struct stat st;

	while (fd >= 0 && copy && (name = strsep(&rest, "/"))) {
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return false;
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
			return true;
		if (!S_ISDIR(st.st_mode))
			return false;
		replace_fd(&fd, openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	}
	return fd < 0 || !copy;
}

void vm_layers_judge(struct launch *l)
{
	const struct child_overlay *o = &l->child_overlays[0];
	const struct child_shared *s = l->shared;
	const unsigned n_below = l->vm ? l->vm->n_images : 0;

	/*
	 * Root inside reads all of a disk, hidden or not. And where there is one id only, owners are all told
	 * as that; those of a disk would be lost with the changes.
	 */
	if (!n_below || l->child.n_overlays != 1 || l->sb->plan->n_hidden ||
	    (l->sb->rootless && !l->sb->deep && !idmap_user_has_range(&l->sb->user_map)))
		return;
	for (unsigned i = 0; i <= o->n_frozen; i++) {
		const int fd = i == 0 ? s->upper_fds[0] : s->lower_fds[i - 1];

		if (hides(fd, s->lower_fds + i, o->n_frozen - i + n_below, s->user_xattr))
			return;
		for (size_t k = 0; k < l->spec->n_mounts; k++)
			if (is_deleted(fd, l->spec->mounts[k].target))
				return;
	}
	l->shared->layered = true;
}
