/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test-vm-kernel.c - vm/kernel.c and vm/elf.c: what a kernel that runs as a program needs. */
#include "unit.h"

#include <elf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "vm/elf.h"
#include "vm/kernel.h"

static void releases(void **state)
{
	(void)state;
	assert_false(vm_release_knows_registers("6.1.176"));
	assert_false(vm_release_knows_registers("5.19.0-rc3"));
	assert_false(vm_release_knows_registers("6.12.9"));
	assert_true(vm_release_knows_registers("6.13.0"));
	assert_true(vm_release_knows_registers("6.13.0-rc1"));
	assert_true(vm_release_knows_registers("7.0"));
	assert_false(vm_release_knows_registers("rubbish"));
	assert_false(vm_release_knows_registers(""));
}

#define NAME_AT 0x200
#define STRINGS_AT 0x220
#define DYNAMIC_AT 0x240

/* A program with a loader and one library, or as much of it as size has. */
static size_t make_program(unsigned char *to, size_t size)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)to;
	Elf64_Phdr *p = (Elf64_Phdr *)(to + sizeof(*h));
	Elf64_Dyn *d = (Elf64_Dyn *)(to + DYNAMIC_AT);

	memset(to, 0, size);
	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_type = ET_DYN;
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = 3;
	p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = 0x400 };
	p[1] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = NAME_AT };
	p[2] = (Elf64_Phdr){ .p_type = PT_DYNAMIC, .p_offset = DYNAMIC_AT };
	memcpy(to + NAME_AT, "/lib/ld.so", sizeof("/lib/ld.so"));
	memcpy(to + STRINGS_AT + 1, "libx.so.1", sizeof("libx.so.1"));
	d[0] = (Elf64_Dyn){ .d_tag = DT_NEEDED, .d_un.d_val = 1 };
	d[1] = (Elf64_Dyn){ .d_tag = DT_STRTAB, .d_un.d_ptr = 0x1000 + STRINGS_AT };
	return 0x400;
}

static void reads_needs(void **state)
{
	_Alignas(8) unsigned char program[0x400];
	size_t size = make_program(program, sizeof(program));
	struct elf_needs needs;

	(void)state;
	assert_int_equal(elf_read_needs(program, size, &needs), 0);
	assert_string_equal(needs.interpreter, "/lib/ld.so");
	assert_int_equal(needs.n, 1);
	assert_string_equal(needs.names[0], "libx.so.1");
	memcpy(program + STRINGS_AT + 1, "a/b", sizeof("a/b"));
	assert_int_equal(elf_read_needs(program, size, &needs), -1);
	assert_int_equal(elf_read_needs("#!/bin/sh\n", 10, &needs), -1);
	assert_int_equal(elf_read_needs("", 0, &needs), -1);
}

/* Cut off anywhere, and with any byte of it another one, it is read within its bounds. */
static void reads_rubbish(void **state)
{
	_Alignas(8) unsigned char program[0x400];
	size_t size = make_program(program, sizeof(program));
	struct elf_needs needs;

	(void)state;
	for (size_t n = 0; n < size; n++) {
		_cleanup_free_ void *cut = malloc(n ? n : 1);
		assert_non_null(cut);
		memcpy(cut, program, n);
		(void)!elf_read_needs(cut, n, &needs);
	}
	for (size_t i = 0; i < size; i++) {
		program[i] ^= 0xff;
		(void)!elf_read_needs(program, size, &needs);
		program[i] ^= 0xff;
	}
}

static void finds_libraries(void **state)
{
	const struct elf_needs needs = { .interpreter = "/lib64/ld-linux-x86-64.so.2",
					 .names = { "libc.so.6" },
					 .n = 1 };
	const struct elf_needs missing = { .names = { "libkennel-none.so" }, .n = 1 };
	_cleanup_strv_ struct strv found = { 0 }, none = { 0 };
	_cleanup_free_ char *loader = NULL, *no_loader = NULL;
	struct kennel_error *err = NULL;

	(void)state;
	assert_int_equal(elf_find_libraries(&needs, &loader, &found, &err), 0);
	assert_string_equal(loader, needs.interpreter);
	assert_int_equal(found.n, 1); /* what it needs in turn is the loader, which is told by itself */
	assert_string_equal(strrchr(found.items[0], '/'), "/libc.so.6");
	assert_int_equal(elf_find_libraries(&missing, &no_loader, &none, &err), -KENNEL_E_MISSING);
	kennel_error_free(err);
}

static void refuses_others(void **state)
{
	struct vm_kernel k;
	struct kennel_error *err = NULL;

	(void)state;
	assert_int_equal(vm_kernel_find("/no/such/kernel", &k, &err), -KENNEL_E_NOTFOUND);
	err = kennel_error_free(err);
	assert_int_equal(vm_kernel_find("/etc/passwd", &k, &err), -KENNEL_E_TYPE);
	err = kennel_error_free(err);
	/* a program, but no kernel */
	assert_int_equal(vm_kernel_find("/bin/sh", &k, &err), -KENNEL_E_TYPE);
	err = kennel_error_free(err);
	assert_int_equal(vm_kernel_find("/", &k, &err), -KENNEL_E_TYPE);
	kennel_error_free(err);
}

static void finds_the_kernel(void **state)
{
	struct vm_kernel k;
	struct kennel_error *err = NULL;

	(void)state;
	if (access("/usr/bin/linux.uml", X_OK) < 0)
		skip();
	assert_int_equal(vm_kernel_find(NULL, &k, &err), 0);
	assert_string_equal(k.path, "/usr/bin/linux.uml");
	assert_true(k.release[0] >= '1' && k.release[0] <= '9');
	assert_int_equal(k.needs_remedy, vm_register_bytes() > 832 && !vm_release_knows_registers(k.release));
	vm_kernel_done(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases),	  cmocka_unit_test(reads_needs),
		cmocka_unit_test(reads_rubbish),  cmocka_unit_test(finds_libraries),
		cmocka_unit_test(refuses_others), cmocka_unit_test(finds_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
