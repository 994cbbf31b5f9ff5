/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/label.c - see label.h.
 *
 * AppArmor has files of its own from Linux 5.8 on; what is in attr/ itself belongs to the first module that
 * there is, which is told by what it says. Only the next exec is asked for: to change at once, some policies
 * don't allow at all, and until then the process still has things to do that the label may forbid. Whether
 * the change is allowed is the module's to say; where it is not, nobody enters.
 */
#include "run/label.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LABEL_MAX 4096

static bool ends_with(const char *text, size_t n, const char *end)
{
	return n >= strlen(end) && memcmp(text + n - strlen(end), end, strlen(end)) == 0;
}

bool label_parse(const char *text, size_t n, struct buf *ret)
{
	static const char *const modes[] = { " (enforce)", " (complain)", " (kill)", " (unconfined)",
					     " (mixed)",   " (prompt)",	  " (user)" };
	bool apparmor = false;

	while (n && (text[n - 1] == '\n' || text[n - 1] == '\0'))
		n--;
	for (size_t i = 0; i < ARRAY_SIZE(modes) && !apparmor; i++)
		if (ends_with(text, n, modes[i])) {
			n -= strlen(modes[i]);
			apparmor = true;
		}
	buf_add(ret, text, n);
	return apparmor || (n == strlen("unconfined") && memcmp(text, "unconfined", n) == 0);
}

/* Return: 1, 0 there is no such module, or a code. */
static int read_one(int proc_fd, const char *file, struct buf *ret, bool *ret_apparmor,
		    struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(proc_fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[LABEL_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (n < 0 && (errno == ENOENT || errno == EINVAL || errno == EOPNOTSUPP))
		return 0;
	if (n < 0)
		return fail_errno(err, "read the security label");
	if ((size_t)n == sizeof(text))
		return fail(err, KENNEL_E_UNSUPPORTED, "a security label is too long");
	*ret_apparmor = label_parse(text, (size_t)n, ret);
	int r = buf_check(ret, err);
	return r < 0 ? r : ret->len > 0;
}

static int add_one(int theirs_fd, int ours_fd, const char *file, bool only_apparmor, struct labels *l,
		   bool *ret_apparmor, struct kennel_error **err)
{
	_cleanup_buf_ struct buf theirs = { 0 }, ours = { 0 };
	bool apparmor = false;

	int r = read_one(theirs_fd, file, &theirs, ret_apparmor, err);
	if (r <= 0)
		return r;
	r = read_one(ours_fd, file, &ours, &apparmor, err);
	if (r < 0)
		return r;
	if (theirs.len == ours.len && memcmp(buf_str(&theirs), buf_str(&ours), ours.len) == 0)
		return 1;
	struct label *to = &l->items[l->n++];
	to->file = only_apparmor ? "thread-self/attr/apparmor/exec" : "thread-self/attr/exec";
	if (only_apparmor || *ret_apparmor)
		buf_puts(&to->text, "exec ");
	buf_add(&to->text, theirs.data, theirs.len);
	r = buf_check(&to->text, err);
	return r < 0 ? r : 1;
}

int labels_read(int theirs_fd, int ours_fd, struct labels *ret, struct kennel_error **err)
{
	struct labels l = { 0 };
	bool apparmor = false;

	int r = add_one(theirs_fd, ours_fd, "attr/apparmor/current", true, &l, &apparmor, err);
	const bool has_own = r > 0;
	/* the first module's: AppArmor's again, or another one's */
	_cleanup_buf_ struct buf text = { 0 };
	int any = r < 0 ? r : read_one(theirs_fd, "attr/current", &text, &apparmor, err);
	if (any > 0 && !(has_own && apparmor))
		any = add_one(theirs_fd, ours_fd, "attr/current", false, &l, &apparmor, err);
	if (any < 0) {
		labels_done(&l);
		return any;
	}
	*ret = l;
	return 0;
}

void labels_done(struct labels *l)
{
	for (unsigned i = 0; i < l->n; i++)
		buf_done(&l->items[i].text);
	*l = (struct labels){ 0 };
}

int labels_write(const struct labels *l, int proc_fd)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct label *one = &l->items[i];
		int fd = openat(proc_fd, one->file, O_WRONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : write(fd, one->text.data, one->text.len);

		if (fd >= 0)
			close_fd(fd);
		if (n < 0)
			return -1;
		if ((size_t)n != one->text.len) {
			errno = EIO;
			return -1;
		}
	}
	return 0;
}
