/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cli.c - see cli.h.
 *
 * No stdio: a command builds its whole text first, so a failure never leaves half a table, and one place
 * sees whether it could be written. SIGPIPE is ignored only around a write, because a program started by
 * "run" would inherit that.
 */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#define RED "\033[1;31m"
#define BLUE "\033[1;34m"
#define PLAIN "\033[0m"

void cli_init(struct cli *cli)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool wanted = !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0;

	*cli = (struct cli){
		.out_fd = STDOUT_FILENO,
		.err_fd = STDERR_FILENO,
		.colour = wanted && isatty(STDERR_FILENO),
		.out_colour = wanted && isatty(STDOUT_FILENO),
	};
}

static int write_bytes(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EAGAIN) {          /* somebody else's program made our terminal non-blocking */
			struct pollfd wait = { .fd = fd, .events = POLLOUT };
			(void)!poll(&wait, 1, -1);
			continue;
		}
		if (errno != EINTR)
			return -1;
	}
	return 0;
}

static int write_all(int fd, const struct buf *text)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction before;

	sigaction(SIGPIPE, &ignore, &before);
	int r = write_bytes(fd, buf_str(text), text->len);
	int saved = errno;
	sigaction(SIGPIPE, &before, NULL);
	errno = saved;
	return r;
}

int cli_out(struct cli *cli, const struct buf *text)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	int r = buf_check(text, &err);

	if (r == 0 && write_all(cli->out_fd, text) < 0) {
		if (cli->paged && errno == EPIPE) /* seen enough */
			return CLI_EXIT_FAILED;
		r = fail_errno(&err, "write to standard output");
	}
	if (r < 0)
		(void)cli_error(cli, err);
	return r < 0 ? CLI_EXIT_FAILED : 0;
}

static void add_label(const struct cli *cli, struct buf *b, const char *label, const char *colour)
{
	buf_printf(b, "%s%s:%s ", cli->colour ? colour : "", label, cli->colour ? PLAIN : "");
}

int cli_error(struct cli *cli, const struct kennel_error *err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *advice = kennel_error_hint(err);

	add_label(cli, &b, "kennel", RED);
	buf_safe(&b, kennel_error_message(err));
	buf_puts(&b, "\n");
	if (advice) {
		add_label(cli, &b, "hint", BLUE);
		buf_safe(&b, advice);
		buf_puts(&b, "\n");
	}
	(void)!write_all(cli->err_fd, &b);      /* nobody is left to be told */
	return CLI_EXIT_FAILED;
}

void cli_say(struct cli *cli, const char *text, const char *end)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, "kennel: ");
	buf_safe(&b, text);
	buf_puts(&b, end);
	(void)!write_all(cli->err_fd, &b);      /* a remark is not worth a failure */
}

size_t cli_width(const struct cli *cli)
{
	struct winsize size = { 0 };

	if (sys_ioctl(cli->out_fd, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col ? size.ws_col : 80;  /* a serial line has no size */
}

bool cli_is_terminal(const struct cli *cli)
{
	return cli->paged || cli_width(cli) > 0;
}

/* buf_safe() lets only whole UTF-8 characters through, so those that do not continue one can be counted. */
static size_t safe_width(const char *safe)
{
	size_t n = 0;

	for (; *safe; safe++)
		n += ((unsigned char)*safe & 0xc0) != 0x80;
	return n;
}

size_t text_width(const char *text)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_safe(&b, text);
	return safe_width(buf_str(&b));
}

void text_pad(struct buf *b, const char *text, size_t width)
{
	size_t start = b->len;

	buf_safe(b, text);
	for (size_t n = safe_width(buf_str(b) + MIN(start, b->len)); n < width; n++)
		buf_puts(b, " ");
}

void text_cut(struct buf *b, const char *text, size_t width)
{
	_cleanup_buf_ struct buf safe = { 0 };
	const char *p;
	size_t keep = width < 3 ? 0 : width - 3;

	buf_safe(&safe, text);
	if (safe_width(buf_str(&safe)) <= width) {
		buf_puts(b, buf_str(&safe));
		return;
	}
	for (p = buf_str(&safe); *p; p++) {
		if (((unsigned char)*p & 0xc0) == 0x80)
			continue;
		if (keep-- == 0)
			break;
	}
	buf_add(b, buf_str(&safe), (size_t)(p - buf_str(&safe)));
	buf_add(b, "...", MIN(width, (size_t)3));
}

void text_age(struct buf *b, uint64_t seconds)
{
	static const struct {
		uint64_t from, unit;
		char letter;
	} steps[] = { { 172800, 86400, 'd' }, { 7200, 3600, 'h' }, { 120, 60, 'm' }, { 0, 1, 's' } };
	size_t i = 0;

	while (seconds < steps[i].from)
		i++;
	buf_printf(b, "%llu%c", (unsigned long long)(seconds / steps[i].unit), steps[i].letter);
}

void text_size(struct buf *b, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	unsigned unit = 0;
	uint64_t rest = 0;

	for (; bytes >= 1024; bytes /= 1024, unit++)
		rest = bytes % 1024 * 10 / 1024;
	if (rest)
		buf_printf(b, "%llu.%llu%c", (unsigned long long)bytes, (unsigned long long)rest,
			   units[unit]);
	else
		buf_printf(b, "%llu%c", (unsigned long long)bytes, units[unit]);
}
