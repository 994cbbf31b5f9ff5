/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/template.c - see template.h. */
#include "conf/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define SUMMARY_MAX 200

bool template_name_is_plain(const char *name)
{
	return strspn(name, LETTERS_AND_DIGITS) > 0 && !name[strspn(name, LETTERS_AND_DIGITS "._-")];
}

static const struct {
	const char *prefix;
	enum template_kind kind;
} kinds[] = {
	{ "dir:", TEMPLATE_DIR },
	{ "image:", TEMPLATE_IMAGE },
	{ "oci:", TEMPLATE_OCI },
};

int template_word_parse(const char *word, enum template_kind *ret, const char **ret_rest,
			struct kennel_error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(word, kinds[i].prefix, n) != 0)
			continue;
		if (!word[n])
			return fail(err, KENNEL_E_INVALID, "template: nothing stands behind \"%s\"", word);
		*ret = kinds[i].kind;
		*ret_rest = word + n;
		if (*ret == TEMPLATE_OCI && strncmp(word + n, "docker://", 9) == 0)
			*ret = TEMPLATE_OCI_REMOTE;
		return 0;
	}
	if (word[0] != '/' && !template_name_is_plain(word))
		return hint(err, fail(err, KENNEL_E_INVALID, "template: \"%s\" is no name", word),
			    "it is a name of \"kennel create --list-templates\", the full path of a program, "
			    "or begins with dir:, image: or oci:");
	*ret = TEMPLATE_PROGRAM;
	*ret_rest = word;
	return 0;
}

void template_header_done(struct template_header *h)
{
	free(h->summary);
	*h = (struct template_header){ 0 };
}

static int take_summary(struct template_header *h, const char *value, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_safe(&b, value);
	int r = buf_check(&b, err);
	if (r < 0)
		return r;
	free(h->summary);
	h->summary = strndup(buf_str(&b), SUMMARY_MAX);
	return h->summary ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int take_choice(const char *key, const char *value, const char *no, const char *yes, bool *ret,
		       struct kennel_error **err)
{
	*ret = strcmp(value, yes) == 0;
	if (*ret || strcmp(value, no) == 0)
		return 0;
	return fail(err, KENNEL_E_INVALID, "its \"%s\" is neither %s nor %s", key, no, yes);
}

static int take_version(const char *value, bool *ret_known, struct kennel_error **err)
{
	uint32_t version;

	if (parse_u32(value, &version) < 0 || version == 0)
		return fail(err, KENNEL_E_INVALID, "its \"kennel-template\" is no version");
	if (version > TEMPLATE_VERSION)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "it is written for version %u of templates",
				 version),
			    "this kennel knows version %d: take a newer one", TEMPLATE_VERSION);
	*ret_known = true;
	return 0;
}

/* What stands behind "# " in a line. */
static int take_line(struct template_header *h, char *line, bool *known, struct kennel_error **err)
{
	char *colon = strchr(line, ':');

	if (strncmp(line, "kennel-", 7) != 0 || !colon)
		return 0;
	*colon = '\0';
	const char *value = colon + 1 + strspn(colon + 1, " \t");
	if (strcmp(line, "kennel-template") == 0)
		return take_version(value, known, err);
	if (strcmp(line, "kennel-summary") == 0)
		return take_summary(h, value, err);
	if (strcmp(line, "kennel-network") == 0)
		return take_choice(line, value, "none", "host", &h->network, err);
	if (strcmp(line, "kennel-leaves") == 0)
		return take_choice(line, value, "root", "oci", &h->leaves_oci, err);
	_cleanup_buf_ struct buf b = { 0 };
	buf_safe(&b, line);
	return fail(err, KENNEL_E_UNSUPPORTED, "it has a \"%s\", which this kennel does not know",
		    buf_str(&b));
}

static void cut_end(char *line)
{
	size_t n = strlen(line);

	while (n && strchr(" \t\r", line[n - 1]))
		line[--n] = '\0';
}

int template_header_parse(const char *text, size_t len, struct template_header *ret,
			  struct kennel_error **err)
{
	_cleanup_free_ char *copy = strndup(text, len); /* up to the first NUL */
	char *rest = copy, *line;
	bool known = false;
	int r = 0;

	*ret = (struct template_header){ 0 };
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	while (r == 0 && (line = strsep(&rest, "\n")) && line[0] == '#') {
		cut_end(line);
		r = take_line(ret, line + 1 + strspn(line + 1, " \t"), &known, err);
	}
	if (r == 0 && !known)
		r = hint(err,
			 fail(err, KENNEL_E_TYPE,
			      "it does not say \"# kennel-template: %d\" at its beginning", TEMPLATE_VERSION),
			 "kennel-template(7) says how one is written");
	if (r < 0)
		template_header_done(ret);
	return r;
}

static const char *take_number(const char *s, uint64_t *ret)
{
	char digits[21];
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n >= sizeof(digits))
		return NULL;
	memcpy(digits, s, n);
	digits[n] = '\0';
	return parse_u64(digits, ret) == 0 ? s + n : NULL;
}

int template_step_parse(const char *line, struct template_step *ret)
{
	struct template_step s = { 0 };

	if (strncmp(line, "progress ", 9) != 0)
		return 0;
	const char *p = take_number(line + 9, &s.done);
	if (!p || *p != '/' || !(p = take_number(p + 1, &s.total)) || !s.total || (*p && *p != ' '))
		return 0;
	s.done = MIN(s.done, s.total);
	s.text = p + strspn(p, " ");
	*ret = s;
	return 1;
}
