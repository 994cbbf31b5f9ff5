/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/answer.c - see answer.h. */
#include "base/answer.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct answer {
	int32_t result, errnum;
	uint32_t message_len, hint_len; /* texts follow in this order, then the bytes */
};

static bool write_all(int fd, const void *data, size_t size)
{
	for (const char *p = data; size;) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

bool answer_write(int fd, int result, const struct kennel_error *err, const struct buf *bytes)
{
	const char *message = result < 0 ? kennel_error_message(err) : "", *text = kennel_error_hint(err);
	const struct answer a = {
		.result = result,
		.errnum = kennel_error_errno(err),
		.message_len = (uint32_t)strlen(message),
		.hint_len = text ? (uint32_t)strlen(text) : 0,
	};

	return write_all(fd, &a, sizeof(a)) && write_all(fd, message, a.message_len) &&
	       write_all(fd, text, a.hint_len) && write_all(fd, buf_str(bytes), bytes->len);
}

int answer_take(const struct buf *in, const char *who, struct buf *out, struct kennel_error **err)
{
	struct answer a;

	if (in->len < sizeof(a))
		return fail(err, KENNEL_E_IO, "%s ended without a word", who);
	memcpy(&a, in->data, sizeof(a));
	if ((uint64_t)sizeof(a) + a.message_len + a.hint_len > in->len)
		return fail(err, KENNEL_E_IO, "%s sent half an answer", who);
	const char *text = in->data + sizeof(a);
	const char *bytes = text + a.message_len + a.hint_len;
	if (out)
		buf_add(out, bytes, in->len - (size_t)(bytes - in->data));
	if (a.result < 0) {
		error_set(err, -a.result, 0, "%.*s", (int)a.message_len, text);
		if (err)
			error_set_errno(*err, a.errnum);
		if (a.hint_len)
			return hint(err, a.result, "%.*s", (int)a.hint_len, text + a.message_len);
		return a.result;
	}
	return out && buf_check(out, err) < 0 ? -KENNEL_E_NOMEM : a.result;
}
