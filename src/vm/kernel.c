/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/kernel.c - see kernel.h. */
#include "vm/kernel.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vm/elf.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define HINT_INSTALL "install the package user-mode-linux (\"kennel check\" says more)"
/* What kernels before 6.13 have room for: x87, SSE and AVX (arch/x86/um, struct user_xstateregs). */
#define REGISTERS_OLD 832

static const char *const places[] = { "/usr/bin/linux.uml", "/usr/local/bin/linux.uml", "/usr/bin/linux",
				      "/usr/local/bin/linux" };

unsigned vm_register_bytes(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;

	/* Intel's manual, CPUID leaf 0DH: EBX has the size of what the system has enabled. */
	if (__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		return b;
#endif
	return 0;
}

/* "um: switch to regset API and depend on XSTATE" came with 6.13. */
bool vm_release_knows_registers(const char *release)
{
	unsigned major = 0, minor = 0;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 13);
}

void vm_kernel_done(struct vm_kernel *k)
{
	free(k->path);
	free(k->release);
	free(k->modules_dir);
	free(k->interpreter);
	strv_done(&k->libraries);
	*k = (struct vm_kernel){ 0 };
}

static int find_program(const char *given, char **ret, struct kennel_error **err)
{
	const char *path = given;

	for (size_t i = 0; !path && i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			path = places[i];
	if (!path)
		return hint(err,
			    fail(err, KENNEL_E_MISSING, "isolation \"vm\" needs User Mode Linux (linux.uml)"),
			    HINT_INSTALL);
	*ret = strdup(path);
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* Every kernel has its banner in it: "Linux version 6.1.176 (...". */
static int find_release(const void *data, size_t size, char **ret)
{
	static const char banner[] = "Linux version ";
	const char *at = data, *end = at + size;

	while ((at = memmem(at, (size_t)(end - at), banner, sizeof(banner) - 1))) {
		at += sizeof(banner) - 1;
		size_t n = 0;
		while (at + n < end && n < 64 && at[n] > ' ' && at[n] != '%')
			n++;
		if (n && at[0] >= '0' && at[0] <= '9') {
			*ret = strndup(at, n);
			return 0;
		}
	}
	return -1;
}

static int find_modules(struct vm_kernel *k, struct kennel_error **err)
{
	_cleanup_free_ char *dir = NULL;

	if (asprintf(&dir, VM_MODULES_DIR "/%s", k->release) < 0) {
		dir = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	if (access(dir, R_OK | X_OK) == 0)
		k->modules_dir = take_ptr(&dir);
	return 0;
}

static int look_into(struct vm_kernel *k, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(k->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open the kernel \"%s\"", k->path);
	if (!S_ISREG(st.st_mode) || st.st_size < 4096)
		return fail(err, KENNEL_E_TYPE, "\"%s\" is no kernel of User Mode Linux", k->path);
	size_t size = (size_t)st.st_size;
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return fail_errno(err, "read the kernel \"%s\"", k->path);
	struct elf_needs needs;
	int r = elf_read_needs(data, size, &needs);
	if (r == 0)
		r = find_release(data, size, &k->release);
	if (r < 0)
		r = hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" is no kernel of User Mode Linux", k->path),
			 "it has to be a program of this processor, as linux.uml is");
	else if (!k->release)
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	else
		r = elf_find_libraries(&needs, &k->interpreter, &k->libraries, err);
	munmap(data, size);
	return r;
}

int vm_kernel_find(const char *given, struct vm_kernel *ret, struct kennel_error **err)
{
	struct vm_kernel k = { 0 };

	int r = find_program(given, &k.path, err);
	if (r == 0)
		r = look_into(&k, err);
	if (r == 0)
		r = find_modules(&k, err);
	if (r == 0) {
		k.needs_remedy = vm_register_bytes() > REGISTERS_OLD &&
				 !vm_release_knows_registers(k.release);
		if (k.needs_remedy && !k.interpreter)
			r = hint(err,
				 fail(err, KENNEL_E_UNSUPPORTED,
				      "the kernel \"%s\" is too old for this processor's registers, and "
				      "static, so it can't be helped",
				      k.path),
				 "take one of Linux 6.13 or later, or one that is linked dynamically");
	}
	if (r < 0) {
		vm_kernel_done(&k);
		return r;
	}
	*ret = k;
	return 0;
}
