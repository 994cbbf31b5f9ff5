/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-storage.c - the file "storage" of a container, and the configuration of a store.
 *
 * What was read comes back the same once it is written again, a refusal has a sentence, and no name that was
 * taken could be an option or a path of somebody else's to a program that gets it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "storage/storage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
	if (*name == '-' || *name == '/' || *name == '.' || strpbrk(name, " \t\n\"'\\$@"))
		abort();
}

static void check_keys(const struct storage_keys *k)
{
	check_name(k->volume);
	check_name(k->fs);
	check_name(k->vg);
	check_name(k->thin_pool);
	check_name(k->zfs_root);
}

static void check_same_again(const struct storage *s)
{
	_cleanup_storage_ struct storage again = STORAGE_NONE;
	_cleanup_buf_ struct buf first = { 0 }, second = { 0 };

	storage_format(s, &first);
	if (storage_parse(buf_str(&first), &again, NULL) < 0)
		abort();
	storage_format(&again, &second);
	if (strcmp(buf_str(&first), buf_str(&second)) != 0)
		abort();
}

static void read_conf(const char *text)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *store = NULL;
	struct storage_keys keys = { 0 };
	int r = storage_conf_parse("the file", text, &store, &keys, &err);

	if (r < 0 && r != -KENNEL_E_NOMEM && (!strstr(kennel_error_message(err), "the file") || keys.vg[0]))
		abort();
	check_keys(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	_cleanup_free_ char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	read_conf(text);
	int r = storage_parse(text, &s, &err);
	if (r == 0) {
		check_keys(&s.keys);
		check_same_again(&s);
	} else if (r != -KENNEL_E_NOMEM && !kennel_error_message(err)[0]) {
		abort();
	}
	return 0;
}
