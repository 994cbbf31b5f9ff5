/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm.c - see vm.h. */
#include "run/vm.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/program.h"
#include "run/sandbox.h"
#include "run/vm-disk.h"
#include "run/vm-layers.h"
#include "sys/sys.h"
#include "vm/blob.h"
#include "vm/initrd.h"

/* What the guest's kernel takes beside its memory: page tables of its processes, our own programs. */
#define ROOM_AROUND (UINT64_C(96) << 20)
#define REMEDY "kennel-remedy.so"

/* The names of src/vm/program. */
#define NAME_KERNEL "linux"
#define NAME_INITRD "initrd"
#define NAME_REMEDY "remedy.so"
#define NAME_MODULES "modules"
#define NAME_DISK "disk"
#define NAME_LIBRARIES "lib"
#define NAME_DRIVES "drives"

void vm_done(struct vm *vm)
{
	vm_kernel_done(&vm->kernel);
	free(vm->initrd);
	free(vm->remedy);
	free(vm->disk);
	strv_done(&vm->modules);
	strv_done(&vm->names);
	strv_done(&vm->words);
	*vm = (struct vm){ 0 };
}

/*
 * Files of other owners are read for the guest, whose root may do that; a socket reads and writes the frames
 * of its network, and published ports may be any.
 */
uint64_t vm_caps(void)
{
#define BIT(cap) (UINT64_C(1) << (cap))
	return BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_NET_RAW) | BIT(CAP_NET_ADMIN) |
	       BIT(CAP_NET_BIND_SERVICE);
#undef BIT
}

static int add_place(struct vm *vm, const char *name, const char *source, bool is_dir, bool writable,
		     struct kennel_error **err)
{
	if (vm->n_places == CHILD_MAX_PLACES - vm->n_images) /* there is room for those in any case */
		return fail(err, KENNEL_E_LIMIT, "the kernel \"%s\" needs too many libraries",
			    vm->kernel.path);
	vm->places[vm->n_places++] = (struct child_place){
		.name = name,
		.source = source,
		.is_dir = is_dir,
		.writable = writable,
	};
	return 0;
}

static int add_library(struct vm *vm, const char *path, struct kennel_error **err)
{
	int r = strv_addf(&vm->names, err, NAME_LIBRARIES "/%s", strrchr(path, '/') + 1);

	return r < 0 ? r : add_place(vm, vm->names.items[vm->names.n - 1], path, false, false, err);
}

/* Opened by their names in there, as the guest's kernel is told. */
static int add_drives(struct vm *vm, const struct spec *spec, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < spec->n_drives && r == 0; i++) {
		const struct spec_drive *d = &spec->drives[i];
		struct stat st;

		if (stat(d->path, &st) < 0)
			return hint(err, fail_errno(err, "use the drive \"%s\"", d->path),
				    "it names a file of the machine");
		if (!S_ISREG(st.st_mode))
			return hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" is not a file", d->path),
				    "a drive is an image; use --share for directories");
		if (access(d->path, d->read_only ? R_OK : R_OK | W_OK) < 0)
			return hint(err, fail_errno(err, "use the drive \"%s\"", d->path),
				    "for one that is not to be written add :ro");
		r = strv_addf(&vm->names, err, NAME_DRIVES "/%u", d->number);
		if (r == 0)
			r = add_place(vm, vm->names.items[vm->names.n - 1], d->path, false, !d->read_only,
				      err);
		if (r == 0)
			r = strv_addf(&vm->words, err, "KENNEL_VM:drive=%u%s", d->number,
				      d->read_only ? "r" : "");
	}
	return r;
}

static int find_places(struct vm *vm, struct kennel_error **err)
{
	const struct vm_kernel *k = &vm->kernel;

	int r = add_place(vm, NAME_KERNEL, k->path, false, false, err);
	if (r == 0)
		r = add_place(vm, NAME_INITRD, vm->initrd, false, false, err);
	if (r == 0 && k->interpreter)
		r = add_place(vm, k->interpreter + 1, k->interpreter, false, false, err);
	for (size_t i = 0; i < k->libraries.n && r == 0; i++)
		r = add_library(vm, k->libraries.items[i], err);
	if (r == 0 && vm->remedy)
		r = add_place(vm, NAME_REMEDY, vm->remedy, false, false, err);
	if (r == 0)
		r = add_place(vm, NAME_MODULES, VM_MODULES_DIR, true, false, err);
	if (r == 0 && vm->disk)
		r = add_place(vm, NAME_DISK, vm->disk, false, true, err);
	return r;
}

int vm_find(struct vm_kernel *ret, char **ret_remedy, struct kennel_error **err)
{
	if (!vm_blob_size)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "kennel was built without isolation \"vm\" for this processor"),
			    "it is there for x86-64; --isolate user needs no kernel of its own");
	int r = vm_kernel_find(NULL, ret, err);
	if (r < 0)
		return r;
	*ret_remedy = NULL;
	if (!ret->modules_dir)
		r = hint(err,
			 fail(err, KENNEL_E_MISSING, "the kernel \"%s\" (%s) has no modules here", ret->path,
			      ret->release),
			 "they come with it, in " VM_MODULES_DIR "/%s", ret->release);
	else if (ret->needs_remedy)
		r = hint_default(
			err, program_find(REMEDY, "vm", ret_remedy, err),
			"it comes with kennel; without it kernels before 6.13 ruin the registers of this "
			"processor, and programs compute wrongly");
	if (r < 0)
		vm_kernel_done(ret);
	return r;
}

static int find_files(struct vm *vm, struct kennel_error **err)
{
	int r = vm_find(&vm->kernel, &vm->remedy, err);

	if (r < 0)
		return r;
	int fd = vm_initrd_open(vm->kernel.release, vm->kernel.modules_dir, &vm->modules, &vm->initrd, err);
	close_fd(fd);
	return MIN(fd, 0);
}

/* A socket is no file to another kernel: what listens there is connected to in another way. */
static int add_share(struct vm *vm, const struct spec_mount *m, struct kennel_error **err)
{
	struct stat st;

	if (stat(m->source, &st) == 0 && S_ISSOCK(st.st_mode))
		return strv_addf(&vm->words, err, "KENNEL_VM:socket=%o%s:%s", st.st_mode & 0777,
				 m->lent ? "l" : "", m->target);
	return strv_addf(&vm->words, err, "KENNEL_VM:share=%s", m->target);
}

static int add_words(struct vm *vm, const struct spec *spec, uint64_t memory, struct kennel_error **err)
{
	int r = strv_addf(&vm->words, err, "KENNEL_VM:memory=%" PRIu64, memory);

	if (r == 0 && vm->disk)
		r = strv_add(&vm->words, "KENNEL_VM:disk=1", err);
	if (r == 0 && spec->size_bytes && !vm->disk)
		r = strv_addf(&vm->words, err, "KENNEL_VM:size=%" PRIu64, spec->size_bytes);
	if (r == 0 && spec->pids)
		r = strv_addf(&vm->words, err, "KENNEL_VM:pids=%" PRIu64, spec->pids);
	if (r == 0 && spec->boot)
		r = strv_add(&vm->words, "KENNEL_VM:boot=1", err);
	for (size_t i = 0; i < spec->n_mounts && r == 0; i++)
		r = add_share(vm, &spec->mounts[i], err);
	return r;
}

int vm_equip(const struct spec *spec, struct keep *keep, struct vm *ret, struct kennel_error **err)
{
	const uint64_t memory = spec->memory_bytes ? spec->memory_bytes : VM_MEMORY_DEFAULT;

	*ret = (struct vm){ .spec = *spec };
	if (memory < VM_MEMORY_MIN)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "a kernel of its own needs 64M of memory at least"),
			    "leave out --memory for 256M");
	if (memory > VM_MEMORY_MAX)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "a kernel of its own takes 512G of memory at most"),
			    "leave out --memory for 256M");
	int r = vm_layers_choose(spec, keep, ret, err);
	if (r == 0)
		r = find_files(ret, err);
	if (r == 0)
		r = keep ? vm_disk_find(keep, spec->size_bytes, &ret->disk, err) : 0;
	if (r == 0)
		r = find_places(ret, err);
	if (r == 0)
		r = add_words(ret, spec, memory, err);
	if (r == 0)
		r = add_drives(ret, spec, err);
	if (r == 0)
		r = vm_layers_add(ret, err);
	if (r < 0) {
		vm_done(ret);
		return r;
	}
	/* These are the guest's, which its kernel keeps to; around it there is room for all of its memory. */
	ret->boots = spec->boot;
	ret->room_bytes = spec->size_bytes ? spec->size_bytes : ret->disk ? VM_DISK_SIZE_DEFAULT : memory / 2;
	ret->spec.memory_bytes = ret->spec.pids = 0;
	ret->spec.size_bytes = memory + ROOM_AROUND;
	ret->spec.boot = ret->spec.nest = false;
	return 0;
}

int vm_tell(const struct vm *vm, struct plan *p, struct kennel_error **err)
{
	int r = p->hostname ? strv_addf(&p->env, err, "KENNEL_VM:hostname=%s", p->hostname) : 0;

	/* the start around the guest has neither */
	p->room_bytes = vm->room_bytes;
	p->boots = vm->boots;
	if (r == 0 && p->new_net)
		r = strv_add(&p->env, "KENNEL_VM:net=1", err);
	/* what it changed is in its memory: somebody may be asked what becomes of that */
	const struct spec *s = &vm->spec;
	p->lingers = p->tty && !s->keep && !s->file && !s->quiet && !s->background && !vm->boots;
	if (r == 0 && p->lingers)
		r = strv_add(&p->env, "KENNEL_VM:linger=1", err);

	/* what the machine sends itself comes over the loopback */
	for (size_t i = 0; p->net == SPEC_NET_NAT && i < vm->spec.n_ports && r == 0; i++)
		r = strv_addf(&p->env, err, "KENNEL_VM:%s=%u", vm->spec.ports[i].udp ? "udp" : "port",
			      vm->spec.ports[i].inside);
	for (size_t i = 0; i < vm->words.n && r == 0; i++)
		r = strv_add(&p->env, vm->words.items[i], err);
	return r;
}

int vm_open_places(struct launch *l, struct kennel_error **err)
{
	const unsigned flags = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV;
	const struct vm *vm = l->vm;

	for (unsigned i = 0; i < vm->n_places; i++) {
		const struct child_place *p = &vm->places[i];
		bool plain;

		if (p->is_layer && !l->shared->layered)
			continue;
		int fd = stage_clone(p->source, flags | (p->writable ? 0 : SYS_MOUNT_ATTR_RDONLY),
				     l->sb->shifted ? l->user_ns_fd : -EBADF, &plain, err);

		if (fd < 0)
			return fd;
		l->shared->place_fds[i] = fd;
		if (plain && p->writable)
			return hint(
				err,
				fail(err, KENNEL_E_UNSUPPORTED,
				     "the disk \"%s\" lies on a file system that can't show shifted ids",
				     p->source),
				"move the container to ext4, xfs or btrfs, or run kennel as an ordinary user");
	}
	return 0;
}
