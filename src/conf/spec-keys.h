/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/spec-keys.h - the table of keys: what its setters are, for the files of this folder alone. */
#ifndef KENNEL_CONF_SPEC_KEYS_H
#define KENNEL_CONF_SPEC_KEYS_H

#include <stddef.h>

#include "base/error.h"
#include "base/strv.h"
#include "conf/spec.h"

struct spec_word {
	const char *name;
	unsigned value;
};

/* A setter changes the spec only where it returns 0; else it has filled err. */
struct spec_key {
	const char *name;
	int (*set)(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err);
	size_t offset; /* of the field, for setters that serve several keys */
	const struct spec_word *words; /* set_word(): ends with a NULL name */
	const char *hint; /* a right value, for a person who gave a wrong one */
};

int spec_add_bus_name(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_set_workdir(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_path(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_target(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_set_base(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_mount(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_share(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_drive(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_device(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_set_idmap(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_caps(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_set_hostname(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_set_user(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_set_ttys(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err);
int spec_set_time(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_name(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;
int spec_add_hook(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
	MUST_CHECK;

/* Cuts value at bare separators and undoes the escapes; empty fields are kept. */
int spec_split_fields(const char *value, char sep, struct strv *ret, struct kennel_error **err) MUST_CHECK;
/* As path_clean(), with the hint that people need. */
int spec_clean_path(const char *path, char **ret, struct kennel_error **err) MUST_CHECK;
void spec_replace_string(char **where, char *s); /* takes s */

#endif
