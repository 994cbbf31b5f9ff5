/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/progress.c - see progress.h.
 *
 * The rate is that of the last seconds rather than of the whole, or a long file after many small ones would
 * never be told right: each drawing takes in a part of what was seen since the last one. When everything is
 * read, somebody may still be at work (a mkfs, a compressor, the disk) who doesn't tell how far it is: then
 * there is no bar, but for how long that takes already.
 */
#include "cli/progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "sys/sys.h"

#define QUIET_MS 1000
#define REDRAW_MS 100
#define SMOOTH_MS 3000 /* what happened this long ago hardly counts */
#define BAR_MIN 10
#define BAR_MAX 30

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

void progress_start(struct progress *p, struct cli *cli, const char *what, enum progress_unit unit)
{
	sigset_t set;
	uint64_t now = now_ms();

	*p = (struct progress){
		.cli = cli,
		.what = what,
		.unit = unit,
		.tty = isatty(cli->err_fd),
		.start_ms = now,
		.drawn_ms = now,
	};
	stop_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &p->before);
}

static void add_amount(struct buf *b, enum progress_unit unit, double n)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t i = 0;

	if (unit == PROGRESS_FILES) {
		buf_printf(b, "%.0f files", n);
		return;
	}
	for (; n >= 1024 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1024;
	buf_printf(b, i && n < 100 ? "%.1f %s" : "%.0f %s", n, units[i]);
}

static void add_time(struct buf *b, double seconds)
{
	uint64_t s = seconds > 359999 ? 359999 : (uint64_t)(seconds + 0.5);

	if (s >= 3600)
		buf_printf(b, "%llu:%02llu:%02llu", (unsigned long long)s / 3600,
			   (unsigned long long)s / 60 % 60, (unsigned long long)s % 60);
	else
		buf_printf(b, "%llu:%02llu", (unsigned long long)s / 60, (unsigned long long)s % 60);
}

static void add_bar(struct buf *b, uint64_t done, uint64_t total, size_t width)
{
	size_t full = (size_t)((double)done / (double)total * (double)width);

	buf_puts(b, "[");
	for (size_t i = 0; i < width; i++)
		buf_puts(b, i < full ? "#" : ".");
	buf_puts(b, "] ");
}

static void step_line(struct buf *b, const struct progress *p, uint64_t done, uint64_t total, size_t columns)
{
	_cleanup_buf_ struct buf line = { 0 };

	buf_puts(&line, p->what);
	buf_puts(&line, "  ");
	if (total && columns >= text_width(p->what) + 2 * BAR_MAX)
		add_bar(&line, MIN(done, total), total, BAR_MIN);
	if (total)
		buf_printf(&line, "%llu/%llu  ", (unsigned long long)done, (unsigned long long)total);
	buf_puts(&line, p->step ? p->step : "");
	text_cut(b, buf_str(&line), columns);
}

void progress_line(struct buf *b, const struct progress *p, uint64_t done, uint64_t total, size_t columns)
{
	_cleanup_buf_ struct buf tail = { 0 }, line = { 0 };
	bool looking = p->unit == PROGRESS_SHIPPED && !total;
	enum progress_unit unit = looking ? PROGRESS_FILES : p->unit;

	bool finishing = total && done >= total;

	if (p->unit == PROGRESS_STEPS) {
		step_line(b, p, done, total, columns);
		return;
	}
	done = total ? MIN(done, total) : done;
	if (total && !finishing)
		buf_printf(&tail, "%3.0f%%  ", (double)done / (double)total * 100);
	if (looking)
		buf_puts(&tail, "looking at ");
	add_amount(&tail, unit, (double)done);
	if (finishing) {
		buf_puts(&tail, ", finishing ");
		add_time(&tail, (double)p->finishing_ms / 1000);
	} else if (p->rate > 0) {
		buf_puts(&tail, ", ");
		add_amount(&tail, unit, p->rate);
		buf_puts(&tail, "/s");
	}
	if (p->rate > 0 && total && !finishing) {
		buf_puts(&tail, ", ");
		add_time(&tail, (double)(total - done) / p->rate);
		buf_puts(&tail, " left");
	}
	buf_puts(&line, p->what);
	buf_puts(&line, "  ");
	size_t used = text_width(p->what) + 2 + tail.len + 3;
	if (total && !finishing && columns >= used + BAR_MIN)
		add_bar(&line, done, total, MIN(columns - used, (size_t)BAR_MAX));
	buf_puts(&line, buf_str(&tail));
	text_cut(b, buf_str(&line), columns);
}

static void draw(struct progress *p, uint64_t done, uint64_t total)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct winsize size = { 0 };

	(void)!sys_ioctl(p->cli->err_fd, TIOCGWINSZ, &size);
	buf_puts(&b, "\r");
	progress_line(&b, p, done, total, size.ws_col > 1 ? size.ws_col - 1u : 79);
	buf_puts(&b, "\033[K");
	(void)!write(p->cli->err_fd, buf_str(&b), b.len); /* a bar is not worth a failure */
	p->shown = true;
}

/* Taking back what is half made may last, too. */
static void draw_stopping(struct progress *p)
{
	_cleanup_buf_ struct buf b = { 0 }, line = { 0 };

	if (!p->tty || p->stopping)
		return;
	buf_printf(&line, "%s  stopping", p->what);
	buf_puts(&b, "\r");
	text_cut(&b, buf_str(&line), 79);
	buf_puts(&b, "\033[K");
	(void)!write(p->cli->err_fd, buf_str(&b), b.len);
	p->shown = p->stopping = true;
}

static void take_rate(struct progress *p, uint64_t done, uint64_t now)
{
	uint64_t passed = now - p->drawn_ms;
	double fresh = (double)(done - MIN(done, p->last_done)) * 1000 / (double)(passed ? passed : 1);
	double weight = p->shown ? MIN((double)passed / SMOOTH_MS, 1.0) : 1.0;

	p->rate += (fresh - p->rate) * weight;
	p->drawn_ms = now;
	p->last_done = done;
}

int progress_tick(void *progress, uint64_t done, uint64_t total)
{
	struct progress *p = progress;
	const struct timespec at_once = { 0 };
	uint64_t now = now_ms();
	sigset_t set;

	if (!p->stopped_by) {
		stop_signals(&set);
		int sig = sigtimedwait(&set, NULL, &at_once);
		p->stopped_by = sig > 0 ? sig : 0;
	}
	if (p->stopped_by) {
		draw_stopping(p);
		return 1;
	}
	if (!total || done < total)
		p->full_ms = 0;
	else if (!p->full_ms)
		p->full_ms = now;
	p->finishing_ms = p->full_ms ? now - p->full_ms : 0;
	if (p->tty && now - p->start_ms >= QUIET_MS && now - p->drawn_ms >= REDRAW_MS) {
		take_rate(p, done, now);
		draw(p, done, total);
	}
	return 0;
}

int progress_step(void *progress, const char *text, uint64_t done, uint64_t total)
{
	struct progress *p = progress;

	p->unit = text ? PROGRESS_STEPS : PROGRESS_SHIPPED;
	p->step = text;
	int stop = progress_tick(p, done, total);
	p->step = NULL;
	return stop;
}

void progress_say(struct progress *p, const char *line)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, p->shown ? "\r\033[K| " : "| ");
	buf_safe(&b, line);
	buf_puts(&b, "\n");
	(void)!write(p->cli->err_fd, buf_str(&b), b.len);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		(void)!write(p->cli->err_fd, "\r\033[K", 4);
	p->shown = false;
	sigprocmask(SIG_SETMASK, &p->before, NULL);
}
