/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-reader.c - the task that reads a delta as root of a user namespace, and names of xattrs. */
#include "unit.h"

#include <string.h>

#include "delta/reader.h"
#include "delta/xattr.h"
#include "user-ns.h"

static int crash(void *data, struct kennel_error **err)
{
	return fail(err, KENNEL_E_IO, "told by the reader, as %d", (int)geteuid());
}

static void test_delta_reader_error_comes_back(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct delta_reader *reader = NULL;
	int fd = new_user_ns();

	if (fd < 0)
		skip_test("no user namespaces here");
	assert_int_equal(delta_reader_new(fd, &reader, NULL), 0);
	assert_int_equal(delta_reader_call(reader, crash, NULL, &err), -KENNEL_E_IO);
	assert_string_equal(kennel_error_message(err), "told by the reader, as 0");
	assert_null(delta_reader_free(reader));
	assert_null(delta_reader_free(NULL));
	close(fd);
}

static void test_delta_reader_no_namespace_is_an_error(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct delta_reader *reader = NULL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(delta_reader_new(fd, &reader, &err) < 0);
	assert_string_equal(kennel_error_message(err), "join the sandbox's user namespace: Invalid argument");
	assert_null(reader);
	close(fd);
}

static void test_delta_xattr_name(void **state)
{
	static const struct {
		const char *disk;
		unsigned rules;
		const char *inside;
	} cases[] = {
		{ "user.a", DELTA_XATTR_USER, "user.a" },
		{ "user.overlay.opaque", DELTA_XATTR_USER, NULL },
		{ "user.overlay.opaque", 0, "user.overlay.opaque" },
		{ "user.overlay.overlay.opaque", DELTA_XATTR_USER, "user.overlay.opaque" },
		{ "user.overlay.overlay.overlay.x", DELTA_XATTR_USER, "user.overlay.overlay.x" },
		{ "trusted.overlay.opaque", DELTA_XATTR_TRUSTED, NULL },
		{ "trusted.a", DELTA_XATTR_TRUSTED, "trusted.a" },
		{ "trusted.a", DELTA_XATTR_USER, NULL },
		{ "security.selinux", 3, NULL },
		{ "security.capability", 0, "security.capability" },
		{ "system.posix_acl_default", 0, "system.posix_acl_default" },
		{ "system.nfs4_acl", 3, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *name = strdup(cases[i].disk);
		const char *inside = delta_xattr_name(name, cases[i].rules);

		assert_string_equal(inside ? inside : "(none)", cases[i].inside ? cases[i].inside : "(none)");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delta_reader_error_comes_back),
		cmocka_unit_test(test_delta_reader_no_namespace_is_an_error),
		cmocka_unit_test(test_delta_xattr_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
