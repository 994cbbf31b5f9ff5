/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-config.c - the configuration file of a container, and edits of it.
 *
 * Besides memory errors it looks for broken promises: a refusal names the file and a line; what was parsed
 * and written again is the same; an edit is found afterwards, takes no other setting along and never makes a
 * file that can't be parsed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_NAME "store/x/config"

static void parse_again(const struct buf *text, struct config *ret)
{
	if (config_parse(FILE_NAME, buf_str(text), text->len, ret, NULL) < 0)
		abort();
}

static void check_round_trip(const struct config *c)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_config_ struct config again = { 0 };

	for (size_t i = 0; i < c->n; i++)
		config_put(&text, c->items[i].key, c->items[i].value);
	parse_again(&text, &again);
	if (again.n != c->n)
		abort();
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(again.items[i].key, c->items[i].key) ||
		    strcmp(again.items[i].value, c->items[i].value))
			abort();
}

static size_t count_key(const struct config *c, const char *key)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += strcmp(c->items[i].key, key) == 0;
	return n;
}

static void check_edit(const char *text, size_t len, const struct config *c, enum config_action action,
		       const char *key, const char *value)
{
	const struct config_change change = { action, key, value };
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_config_ struct config after = { 0 };

	buf_add(&b, text, len);
	if (config_edit(FILE_NAME, &b, &change, NULL, NULL) < 0)
		abort();
	parse_again(&b, &after);
	if (after.n - count_key(&after, key) != c->n - count_key(c, key))
		abort();
	if (action == CONFIG_UNSET && count_key(&after, key))
		abort();
	if (action == CONFIG_SET && (count_key(&after, key) != 1 || strcmp(config_get(&after, key), value)))
		abort();
	if (action == CONFIG_ADD && !count_key(&after, key))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char hostile[] = "x\n[container]\nisolate = fs\x1b\x7f \"";
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_config_ struct config c = { 0 };
	const char *text = size ? (const char *)data : "";

	int r = config_parse(FILE_NAME, text, size, &c, &err);
	if (r < 0) {
		if (r != -KENNEL_E_INVALID ||
		    strncmp(kennel_error_message(err), FILE_NAME ":", sizeof(FILE_NAME)))
			abort();
		return 0;
	}
	check_round_trip(&c);
	check_edit(text, size, &c, CONFIG_UNSET, "share", NULL);
	check_edit(text, size, &c, CONFIG_SET, "net", "none");
	check_edit(text, size, &c, CONFIG_SET, "hostname", hostile);
	check_edit(text, size, &c, CONFIG_ADD, "share", hostile);
	(void)!config_check(FILE_NAME, text, size, NULL);
	return 0;
}
