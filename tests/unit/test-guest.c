/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-guest.c - vm/protocol.c and vm/initrd.c. */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "vm/blob.h"
#include "vm/initrd.h"
#include "vm/protocol.h"
#include "vm/vm-config.h"

static void add(struct vm_decoder *d, const void *data, size_t n)
{
	size_t room;
	unsigned char *to = vm_decoder_room(d, &room);

	assert_true(n <= room);
	memcpy(to, data, n);
	vm_decoder_added(d, n);
}

static void add_frame(struct vm_decoder *d, struct vm_frame f)
{
	unsigned char header[VM_HEADER];

	vm_frame_put(&f, header);
	add(d, header, sizeof(header));
	if (f.len)
		add(d, f.data, f.len);
}

static void test_decoder_next_noise_and_pieces_give_the_frames(void **state)
{
	struct vm_decoder d = { 0 };
	struct vm_frame f;

	add(&d, "\xb7\xb7random: crng init done\n", 25);
	assert_false(vm_decoder_next(&d, &f));
	add_frame(&d, (struct vm_frame){ .type = VM_DATA,
					 .session = 3,
					 .stream = VM_STDERR,
					 .data = (const unsigned char *)"a\0b",
					 .len = 3 });
	add_frame(&d, (struct vm_frame){ .type = VM_READY });
	assert_true(vm_decoder_next(&d, &f));
	assert_int_equal(f.type, VM_DATA);
	assert_int_equal(f.session, 3);
	assert_int_equal(f.stream, VM_STDERR);
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.data, "a\0b", 3);
	assert_true(vm_decoder_next(&d, &f));
	assert_int_equal(f.type, VM_READY);
	assert_false(vm_decoder_next(&d, &f));
	assert_int_equal(d.skipped, 25);
}

static void test_decoder_next_impossible_headers_are_skipped(void **state)
{
	static const struct vm_frame bad[] = {
		{ .type = 0 },
		{ .type = VM_TYPES },
		{ .type = VM_DATA, .session = VM_SESSIONS },
		{ .type = VM_DATA, .stream = VM_STREAMS },
		{ .type = VM_DATA, .len = VM_PAYLOAD + 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vm_decoder d = { 0 };
		unsigned char header[VM_HEADER];
		struct vm_frame f;

		vm_frame_put(&bad[i], header);
		add(&d, header, sizeof(header));
		assert_false(vm_decoder_next(&d, &f));
		add_frame(&d, (struct vm_frame){ .type = VM_HELLO });
		assert_true(vm_decoder_next(&d, &f));
		assert_int_equal(f.type, VM_HELLO);
	}
}

static void test_decoder_room_a_whole_frame_always_fits(void **state)
{
	static unsigned char data[VM_PAYLOAD];
	struct vm_decoder d = { 0 };
	struct vm_frame f;
	unsigned found = 0;

	for (unsigned i = 0; i < 50; i++) {
		add_frame(&d, (struct vm_frame){ .type = VM_DATA, .data = data, .len = sizeof(data) - i });
		add(&d, "x", 1);
		while (vm_decoder_next(&d, &f))
			found++;
	}
	assert_int_equal(found, 50);
}

static void test_open_get_reads_what_was_put(void **state)
{
	const struct vm_open open = {
		.flags = VM_OPEN_TTY,
		.init_flags = 9,
		.n_args = 3,
		.n_env = 2,
		.words_len = 40,
		.size = { 24, 80, 1, 2 },
		.modes = { 1, 2, 3 },
	};
	unsigned char data[VM_OPEN_SIZE];
	struct vm_frame f = { .type = VM_OPEN, .data = data, .len = sizeof(data) };
	struct vm_open back;

	vm_open_put(&open, data);
	assert_true(vm_open_get(&f, &back));
	assert_memory_equal(&back, &open, sizeof(open));
	f.len--;
	assert_false(vm_open_get(&f, &back));
}

static void test_open_get_more_words_than_bytes_is_refused(void **state)
{
	static const struct vm_open bad[] = {
		{ .n_args = 2, .words_len = 10 },
		{ .n_args = 11, .words_len = 10 },
		{ .n_args = 5, .n_env = 6, .words_len = 10 },
		{ .n_args = 5, .n_env = UINT32_MAX, .words_len = 10 },
		{ .n_args = 5, .words_len = VM_WORDS_MAX + 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned char data[VM_OPEN_SIZE];
		struct vm_open back;

		vm_open_put(&bad[i], data);
		assert_false(vm_open_get(&(struct vm_frame){ .data = data, .len = sizeof(data) }, &back));
	}
}

static void test_words_split_counts_and_ends(void **state)
{
	char good[] = "a\0\0bc";
	char *words[4];

	assert_true(vm_words_split(good, sizeof(good), 3, words));
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "");
	assert_string_equal(words[2], "bc");
	assert_null(words[3]);
	assert_false(vm_words_split(good, sizeof(good), 2, words));
	assert_false(vm_words_split(good, sizeof(good) - 1, 3, words));
	assert_true(vm_words_split(good, 0, 0, words));
	assert_false(vm_words_split(good, 0, 1, words));
}

static void test_credit_what_oversteps_it_is_told(void **state)
{
	struct vm_credit sender, receiver;
	uint32_t n;

	vm_credit_init(&sender);
	vm_credit_init(&receiver);
	assert_false(vm_credit_take(&receiver, VM_WINDOW + 1));
	assert_true(vm_credit_take(&receiver, VM_WINDOW));
	assert_false(vm_credit_take(&receiver, 1));
	sender.left = 0;
	assert_int_equal(vm_credit_consume(&receiver, VM_GRANT - 1), 0);
	n = vm_credit_consume(&receiver, 1);
	assert_int_equal(n, VM_GRANT);
	assert_true(vm_credit_give(&sender, n));
	assert_int_equal(sender.left, receiver.left);
	assert_false(vm_credit_give(&sender, VM_WINDOW));
	assert_true(vm_credit_take(&receiver, VM_GRANT));
}

#if KENNEL_HAVE_VM
static const char dep[] = "kernel/fs/overlayfs/overlay.ko.xz: kernel/b.ko.xz kernel/a.ko\n"
			  "kernel/fs/my-overlay.ko: kernel/c.ko\nkernel/alone.ko:\n";

static void test_initrd_find_what_a_module_needs_comes_first(void **state)
{
	_cleanup_strv_ struct strv found = { 0 };

	assert_int_equal(vm_initrd_find("overlay", dep, "", &found, NULL), 1);
	assert_int_equal(found.n, 3);
	assert_string_equal(found.items[0], "kernel/a.ko");
	assert_string_equal(found.items[1], "kernel/b.ko.xz");
	assert_string_equal(found.items[2], "kernel/fs/overlayfs/overlay.ko.xz");
	assert_int_equal(vm_initrd_find("alone", dep, "", &found, NULL), 1);
	assert_int_equal(found.n, 4);
	assert_int_equal(vm_initrd_find("overlay", dep, "", &found, NULL), 1);
	assert_int_equal(found.n, 4);
}

static void test_initrd_find_built_in_and_missing(void **state)
{
	_cleanup_strv_ struct strv found = { 0 };

	assert_int_equal(vm_initrd_find("ext4", dep, "kernel/fs/ext4/ext4.ko\n", &found, NULL), 1);
	assert_int_equal(found.n, 0);
	assert_int_equal(vm_initrd_find("ext2", dep, "kernel/fs/ext4/ext4.ko\n", &found, NULL), 0);
	assert_int_equal(vm_initrd_find("lone", dep, "", &found, NULL), 0);
}

static void test_initrd_find_paths_out_of_the_directory_are_refused(void **state)
{
	_cleanup_strv_ struct strv found = { 0 };
	_cleanup_error_ struct kennel_error *err = NULL;

	assert_int_equal(vm_initrd_find("a", "/etc/a.ko:\n", "", &found, &err), -KENNEL_E_CORRUPT);
	error_clear(&err);
	assert_int_equal(vm_initrd_find("a", "a.ko: ../../b.ko\n", "", &found, &err), -KENNEL_E_CORRUPT);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* The archive begins with /init, which is the program, and has the modules by number. */
static void check_archive(int fd)
{
	_cleanup_buf_ struct buf all = { 0 };

	assert_int_equal(buf_read_fd(&all, fd, 64 << 20, NULL), 0);
	assert_true(all.len > vm_blob_size);
	assert_memory_equal(all.data, "070701", 6);
	assert_string_equal(all.data + 110, "init");
	assert_non_null(memmem(all.data, all.len, vm_blob, vm_blob_size));
	assert_non_null(memmem(all.data, all.len, "modules/0.ko", 13));
	assert_non_null(memmem(all.data, all.len, "a module", 8));
}

static void test_initrd_open_is_made_once_and_again_for_other_modules(void **state)
{
	const struct timespec yesterday[2] = { { .tv_sec = time(NULL) - 86400 },
					       { .tv_sec = time(NULL) - 86400 } };
	char dir[] = "/tmp/test-guest-XXXXXX";
	_cleanup_free_ char *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;

	assert_non_null(mkdtemp(dir));
	setenv("XDG_CACHE_HOME", dir, 1);
	write_file(dir, "modules.dep", "overlay.ko:\n");
	write_file(dir, "modules.builtin", "kernel/ext4.ko\n");
	write_file(dir, "overlay.ko", "a module");
	int fd = vm_initrd_open("1.2", dir, NULL, &first, NULL);
	assert_true(fd >= 0);
	check_archive(fd);
	close(fd);
	fd = vm_initrd_open("1.2", dir, NULL, &second, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_string_equal(first, second);
	write_file(dir, "overlay.ko", "a module, a new one");
	fd = vm_initrd_open("1.2", dir, NULL, &third, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_string_not_equal(first, third);
	/* young as it is it may be in use */
	assert_int_equal(access(first, F_OK), 0);
	assert_int_equal(utimensat(AT_FDCWD, first, yesterday, 0), 0);
	write_file(dir, "overlay.ko", "a module, and one more");
	fd = vm_initrd_open("1.2", dir, NULL, &fourth, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(access(first, F_OK), -1);

	assert_int_equal(unlink(third), 0);
	assert_int_equal(unlink(fourth), 0);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "modules.dep", "modules.builtin", "overlay.ko" };
		_cleanup_free_ char *path = NULL;

		assert_true(asprintf(&path, "%s/%s", dir, names[i]) > 0);
		unlink(path);
	}
	_cleanup_free_ char *cache = NULL;
	assert_true(asprintf(&cache, "%s/kennel", dir) > 0);
	assert_int_equal(rmdir(cache), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* One of each set stays, so that two kinds of guests don't make theirs again and again. */
static void test_initrd_open_sets_of_modules_are_kept_beside_each_other(void **state)
{
	char dir[] = "/tmp/test-guest-XXXXXX", *more_items[] = { (char *)"erofs", (char *)"none" };
	const struct strv more = { .items = more_items, .n = 2 };
	_cleanup_free_ char *plain = NULL, *with = NULL, *again = NULL, *cache = NULL;
	_cleanup_buf_ struct buf all = { 0 };

	assert_non_null(mkdtemp(dir));
	setenv("XDG_CACHE_HOME", dir, 1);
	write_file(dir, "modules.dep", "overlay.ko:\nerofs.ko: crc.ko\n");
	write_file(dir, "modules.builtin", "kernel/ext4.ko\n");
	write_file(dir, "overlay.ko", "a module");
	write_file(dir, "erofs.ko", "the file system");
	write_file(dir, "crc.ko", "what it needs");
	int fd = vm_initrd_open("1.2", dir, NULL, &plain, NULL);
	assert_true(fd >= 0);
	close(fd);
	fd = vm_initrd_open("1.2", dir, &more, &with, NULL);
	assert_true(fd >= 0);
	check_archive(fd);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(buf_read_fd(&all, fd, 64 << 20, NULL), 0);
	close(fd);
	assert_non_null(memmem(all.data, all.len, "modules/2.ko", 13));
	assert_non_null(memmem(all.data, all.len, "the file system", 15));
	assert_non_null(memmem(all.data, all.len, "what it needs", 13));
	assert_non_null(strstr(with, "initrd-1.2+erofs+none-"));
	fd = vm_initrd_open("1.2", dir, NULL, &again, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_string_equal(plain, again);
	assert_int_equal(access(with, F_OK), 0);

	assert_int_equal(unlink(plain), 0);
	assert_int_equal(unlink(with), 0);
	static const char *const names[] = { "modules.dep", "modules.builtin", "overlay.ko", "erofs.ko",
					     "crc.ko" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = NULL;

		assert_true(asprintf(&path, "%s/%s", dir, names[i]) > 0);
		unlink(path);
	}
	assert_true(asprintf(&cache, "%s/kennel", dir) > 0);
	assert_int_equal(rmdir(cache), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_initrd_open_a_kernel_without_overlay_is_refused(void **state)
{
	char dir[] = "/tmp/test-guest-XXXXXX";
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *path = NULL, *dep_path = NULL, *builtin_path = NULL;

	assert_non_null(mkdtemp(dir));
	write_file(dir, "modules.dep", "a.ko:\n");
	write_file(dir, "modules.builtin", "");
	assert_int_equal(vm_initrd_open("1.2", dir, NULL, &path, &err), -KENNEL_E_UNSUPPORTED);
	assert_true(asprintf(&dep_path, "%s/modules.dep", dir) > 0);
	assert_true(asprintf(&builtin_path, "%s/modules.builtin", dir) > 0);
	unlink(dep_path);
	unlink(builtin_path);
	rmdir(dir);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoder_next_noise_and_pieces_give_the_frames),
		cmocka_unit_test(test_decoder_next_impossible_headers_are_skipped),
		cmocka_unit_test(test_decoder_room_a_whole_frame_always_fits),
		cmocka_unit_test(test_open_get_reads_what_was_put),
		cmocka_unit_test(test_open_get_more_words_than_bytes_is_refused),
		cmocka_unit_test(test_words_split_counts_and_ends),
		cmocka_unit_test(test_credit_what_oversteps_it_is_told),
#if KENNEL_HAVE_VM
		cmocka_unit_test(test_initrd_find_what_a_module_needs_comes_first),
		cmocka_unit_test(test_initrd_find_built_in_and_missing),
		cmocka_unit_test(test_initrd_find_paths_out_of_the_directory_are_refused),
		cmocka_unit_test(test_initrd_open_is_made_once_and_again_for_other_modules),
		cmocka_unit_test(test_initrd_open_sets_of_modules_are_kept_beside_each_other),
		cmocka_unit_test(test_initrd_open_a_kernel_without_overlay_is_refused),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
