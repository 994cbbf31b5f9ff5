/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/elf.c - see elf.h. */
#include "vm/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

struct image {
	const unsigned char *data;
	size_t size;
	Elf64_Ehdr head;
};

static bool take(const struct image *im, uint64_t at, void *ret, size_t size)
{
	if (at > im->size || size > im->size - at)
		return false;
	memcpy(ret, im->data + at, size);
	return true;
}

/* A string that ends within the file, or NULL. */
static const char *text_at(const struct image *im, uint64_t at)
{
	if (at >= im->size || !memchr(im->data + at, '\0', im->size - at))
		return NULL;
	return (const char *)im->data + at;
}

static bool segment(const struct image *im, unsigned i, Elf64_Phdr *ret)
{
	return take(im, im->head.e_phoff + (uint64_t)i * sizeof(*ret), ret, sizeof(*ret));
}

/* Where in the file an address of the loaded program is; beyond the end: nowhere. */
static uint64_t offset_of(const struct image *im, uint64_t address)
{
	for (unsigned i = 0; i < im->head.e_phnum; i++) {
		Elf64_Phdr p;

		if (!segment(im, i, &p))
			break;
		if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz)
			return p.p_offset + (address - p.p_vaddr);
	}
	return UINT64_MAX;
}

static int read_dynamic(const struct image *im, const Elf64_Phdr *p, struct elf_needs *ret)
{
	uint64_t strings = UINT64_MAX;
	Elf64_Dyn d = { .d_tag = DT_NULL };

	for (uint64_t i = 0; take(im, p->p_offset + i, &d, sizeof(d)) && d.d_tag != DT_NULL; i += sizeof(d))
		if (d.d_tag == DT_STRTAB)
			strings = offset_of(im, d.d_un.d_ptr);
	if (strings >= im->size)
		return -1;
	for (uint64_t i = 0; take(im, p->p_offset + i, &d, sizeof(d)) && d.d_tag != DT_NULL; i += sizeof(d)) {
		if (d.d_tag != DT_NEEDED)
			continue;
		if (ret->n == ELF_NEEDS_MAX || d.d_un.d_val >= im->size)
			return -1;
		const char *name = text_at(im, strings + d.d_un.d_val);
		if (!name || !*name || strchr(name, '/'))
			return -1;
		ret->names[ret->n++] = name;
	}
	return 0;
}

int elf_read_needs(const void *data, size_t size, struct elf_needs *ret)
{
	struct image im = { data, size, { { 0 } } };

	*ret = (struct elf_needs){ 0 };
	if (!take(&im, 0, &im.head, sizeof(im.head)) || memcmp(im.head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    im.head.e_ident[EI_CLASS] != ELFCLASS64 || im.head.e_phentsize != sizeof(Elf64_Phdr) ||
	    (im.head.e_type != ET_EXEC && im.head.e_type != ET_DYN))
		return -1;
	for (unsigned i = 0; i < im.head.e_phnum; i++) {
		Elf64_Phdr p;

		if (!segment(&im, i, &p))
			return -1;
		if (p.p_type == PT_INTERP) {
			ret->interpreter = text_at(&im, p.p_offset);
			if (!ret->interpreter || ret->interpreter[0] != '/')
				return -1;
		}
		if (p.p_type == PT_DYNAMIC && read_dynamic(&im, &p, ret) < 0)
			return -1;
	}
	return 0;
}

/* ld.so(8): its own directories; distributions with several architectures have one more level. */
static int find_library(const char *name, char **ret, struct kennel_error **err)
{
	static const char *const dirs[] = {
#if defined(__x86_64__)
		"/lib/x86_64-linux-gnu",
		"/usr/lib/x86_64-linux-gnu",
#endif
		"/lib64",
		"/usr/lib64",
		"/lib",
		"/usr/lib",
	};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", dirs[i], name) < 0) {
			path = NULL;
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		}
		if (access(path, R_OK) == 0) {
			*ret = take_ptr(&path);
			return 0;
		}
	}
	return fail(err, KENNEL_E_MISSING, "the library %s is not installed", name);
}

static bool has_library(const struct strv *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(strrchr(list->items[i], '/') + 1, name) == 0)
			return true;
	return false;
}

/* But for the loader, which libraries name too. */
static int add_all(const struct elf_needs *needs, const char *interpreter, struct strv *ret,
		   struct kennel_error **err)
{
	const char *loader = interpreter ? strrchr(interpreter, '/') + 1 : "";

	for (unsigned i = 0; i < needs->n; i++) {
		_cleanup_free_ char *path = NULL;

		if (strcmp(needs->names[i], loader) == 0 || has_library(ret, needs->names[i]))
			continue;
		int r = find_library(needs->names[i], &path, err);
		if (r == 0)
			r = strv_add(ret, path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What one library needs in turn. */
static int add_of(const char *path, const char *interpreter, struct strv *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_needs needs;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open the library \"%s\"", path);
	void *data = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	if (data == MAP_FAILED)
		return fail_errno(err, "read the library \"%s\"", path);
	int r = elf_read_needs(data, (size_t)st.st_size, &needs) < 0 ?
			fail(err, KENNEL_E_CORRUPT, "\"%s\" is no library", path) :
			add_all(&needs, interpreter, ret, err);
	munmap(data, (size_t)st.st_size);
	return r;
}

int elf_find_libraries(const struct elf_needs *needs, char **ret_interpreter, struct strv *ret,
		       struct kennel_error **err)
{
	_cleanup_free_ char *interpreter = needs->interpreter ? strdup(needs->interpreter) : NULL;

	if (needs->interpreter && !interpreter)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = add_all(needs, interpreter, ret, err);
	for (size_t i = 0; i < ret->n && r == 0; i++) /* it grows meanwhile */
		r = add_of(ret->items[i], interpreter, ret, err);
	if (r == 0)
		*ret_interpreter = take_ptr(&interpreter);
	return r;
}
