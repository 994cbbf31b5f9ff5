/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/session.c - see session.h. */
#include "conf/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/suggest.h"

const char session_default[] =
	"# A session with a kernel of its own: kennel run --isolate vm --session THIS-DIRECTORY\n"
	"#\n"
	"# A line is NAME=VALUE; nothing in here is executed. The same words may stand on the command line\n"
	"# behind --session, where they hold for that time; options of kennel's own overrule both.\n"
	"\n"
	"# Memory of the guest: 64M or more.\n"
	"MEM=256M\n"
	"\n"
	"# The file \"savefile\" in this directory has all changes. It is made with this size: for\n"
	"# another one, delete it, and lose what is in it. Empty: nothing is saved.\n"
	"SAVE_SIZE=128M\n"
	"\n"
	"# What runs, as you would type it. Empty: a shell.\n"
	"START_CMD=\n"
	"\n"
	"# The network: nat, none, private, bridge, ... (see --net in kennel-run(1)).\n"
	"NET=nat\n"
	"\n"
	"# The host name inside. Empty: kennel makes one.\n"
	"HOST=\n"
	"\n"
	"# Further disks, files of this machine: ubd1 is /dev/ubdb inside, ubd2 is /dev/ubdc, up to ubd15.\n"
	"# With an r behind the number it is read-only, as images are; with a c others may use it meanwhile.\n"
	"#ubd1rc=/path/to/your.sfs\n"
	"#ubd2=/path/to/your/disk.img\n";

void session_done(struct session *s)
{
	free(s->memory);
	free(s->save_size);
	free(s->command);
	free(s->net);
	free(s->hostname);
	strv_done(&s->drives);
	*s = (struct session){ 0 };
}

/* "ubd1rc": which one, and how. Return: whether it is one. */
static bool parse_disk(const char *name, size_t len, unsigned *ret_number, bool *ret_read_only)
{
	char digits[4] = "";
	uint32_t number;
	size_t n = 0;

	if (len < 4 || strncmp(name, "ubd", 3) != 0)
		return false;
	for (name += 3, len -= 3; n < len && n < sizeof(digits) - 1 && name[n] >= '0' && name[n] <= '9'; n++)
		digits[n] = name[n];
	if (!n || parse_u32(digits, &number) < 0)
		return false;
	*ret_read_only = false;
	for (; n < len; n++) {
		if (!strchr("rscdt", name[n]))
			return false;
		*ret_read_only |= name[n] == 'r';
	}
	*ret_number = number;
	return true;
}

static int take_disk(struct session *s, unsigned number, bool read_only, const char *path,
		     struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_buf_ struct buf start = { 0 };

	if (number == 0)
		return hint(err, fail(err, KENNEL_E_INVALID, "ubd0 has the changes of the session"),
			    "further disks are ubd1 to ubd15");
	if (path[0] != '/')
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is not the full path of a file", path),
			    "ubd%u=/FULL/PATH", number);
	buf_printf(&start, "ubd%u=", number);
	buf_puts(&b, buf_str(&start));
	for (const char *p = path; *p; p++) {
		if (*p == ':' || *p == '\\')
			buf_puts(&b, "\\");
		buf_add(&b, p, 1);
	}
	if (read_only)
		buf_puts(&b, ":ro");
	int r = buf_check(&b, err);
	if (r == 0)
		r = buf_check(&start, err);
	if (r < 0)
		return r;
	/* said again, it takes the place of the earlier one */
	for (size_t i = 0; i < s->drives.n; i++)
		if (strncmp(s->drives.items[i], buf_str(&start), start.len) == 0) {
			char *copy = strdup(buf_str(&b));
			if (!copy)
				return fail(err, KENNEL_E_NOMEM, "out of memory");
			free(s->drives.items[i]);
			s->drives.items[i] = copy;
			return 0;
		}
	return strv_add(&s->drives, buf_str(&b), err);
}

static char **place_of(struct session *s, const char *name, size_t len)
{
	const struct {
		const char *name;
		char **where;
	} all[] = { { "MEM", &s->memory },
		    { "SAVE_SIZE", &s->save_size },
		    { "START_CMD", &s->command },
		    { "NET", &s->net },
		    { "HOST", &s->hostname } };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strlen(all[i].name) == len && strncmp(all[i].name, name, len) == 0)
			return all[i].where;
	return NULL;
}

int session_take(const char *word, struct session *s, struct kennel_error **err)
{
	const char *equals = strchr(word, '=');
	const size_t len = equals ? (size_t)(equals - word) : 0;
	unsigned number;
	bool read_only;

	if (!equals)
		return 0;
	if (parse_disk(word, len, &number, &read_only)) {
		int r = take_disk(s, number, read_only, equals + 1, err);
		return r < 0 ? r : 1;
	}
	char **where = place_of(s, word, len);
	if (!where)
		return 0;
	char *value = strdup(equals + 1);
	if (!value)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	free(*where);
	*where = value;
	return 1;
}

/* NAME="VALUE" and NAME='VALUE' without the quotes; the word is len bytes at line. */
static char *unquote(const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);
	size_t n = equals ? (size_t)(equals - line) + 1 : len;
	char *word = strndup(line, len);

	if (word && len >= n + 2 && (word[n] == '"' || word[n] == '\'') && word[len - 1] == word[n]) {
		memmove(word + n, word + n + 1, len - n - 2);
		word[len - 2] = '\0';
	}
	return word;
}

static int fail_line(const char *word, unsigned number, struct kennel_error **err)
{
	static const char *const names[] = { "MEM", "SAVE_SIZE", "START_CMD", "NET", "HOST", "ubd1" };
	_cleanup_free_ char *name = strndup(word, strcspn(word, "="));
	struct suggestion near = { 0 };

	int code = fail(err, KENNEL_E_CORRUPT, "line %u: \"%s\" is nothing that a session has", number,
			name ? name : word);
	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++)
		suggest_offer(&near, name, names[i]);
	return near.best ? hint(err, code, "did you mean \"%s\"?", near.best) :
			   hint(err, code, "it has MEM, SAVE_SIZE, START_CMD, NET, HOST and ubd1 to ubd15");
}

int session_parse(const char *text, struct session *s, struct kennel_error **err)
{
	unsigned number = 1;

	for (const char *line = text; *line; number++) {
		size_t len = strcspn(line, "\n"), skip = strspn(line, " \t");
		const char *next = line + len + (line[len] == '\n');

		while (len > skip && strchr(" \t\r", line[len - 1]))
			len--;
		if (len > skip && line[skip] != '#') {
			_cleanup_free_ char *word = unquote(line + skip, len - skip);
			int r = word ? session_take(word, s, err) :
				       fail(err, KENNEL_E_NOMEM, "out of memory");

			if (r == 0)
				return fail_line(word, number, err);
			if (r < 0)
				return wrap(err, r, "line %u", number);
		}
		line = next;
	}
	return 0;
}
