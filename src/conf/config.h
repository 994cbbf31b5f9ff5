/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/config.h - the configuration of a container: an INI file that people read and edit; pure.
 *
 *   # a comment begins its line, with "#" or ";"
 *   [container]
 *   net = none
 *   share = /srv/data:ro
 *   share = /home/me/src
 *   env = "GREETING=two\nlines"
 *
 * Keys are those of spec_set(); those of lists may stand many times, others once. A value goes to the end of
 * its line without the blanks around it. One that begins with a double quote ends with another and may have
 * \\ \" \n \t \r \e and \xNN in between; anything with control characters is written like that, so that no
 * value can bring a line of its own. The section may be left out, others are refused.
 */
#ifndef KENNEL_CONF_CONFIG_H
#define KENNEL_CONF_CONFIG_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "conf/spec.h"

#define CONFIG_SIZE_MAX (1u << 20)

struct config_setting {
	unsigned line;
	char *key, *value;
};

struct config {
	struct config_setting *items;
	size_t n, room;
};

/*
 * Text to settings; says nothing of keys and values. file names it in errors: "FILE:LINE: ...".
 * Return: 0, -KENNEL_E_INVALID with the line, or -KENNEL_E_NOMEM. *ret is to be ended also after a failure.
 */
int config_parse(const char *file, const char *text, size_t len, struct config *ret,
		 struct kennel_error **err) MUST_CHECK;
/* Sets all of them in a spec. Return: 0, or what spec_set() says with file and line in front. */
int config_apply(const char *file, const struct config *c, struct spec *s, struct kennel_error **err)
	MUST_CHECK;
/* Both, with a spec of its own: is this a configuration? */
int config_check(const char *file, const char *text, size_t len, struct kennel_error **err) MUST_CHECK;
/* The value of a key that stands once, or NULL. */
const char *config_get(const struct config *c, const char *key);
void config_done(struct config *c);

/* Appends "KEY = VALUE" and a newline. */
void config_put(struct buf *b, const char *key, const char *value);

enum config_action {
	CONFIG_SET, /* a key that stands once: in its line, else at the end */
	CONFIG_ADD, /* of a list: behind the last one, unless it is there already */
	CONFIG_UNSET, /* all lines of the key, or only those with the value where there is one */
};

struct config_change {
	enum config_action action;
	const char *key;
	const char *value; /* NULL only for UNSET */
};

/*
 * Changes the text of a configuration. Only the lines of that key are touched: comments, order and blanks of
 * all others stay. *ret_lines: how many lines are now gone, new or different; may be NULL.
 */
int config_edit(const char *file, struct buf *text, const struct config_change *change, size_t *ret_lines,
		struct kennel_error **err) MUST_CHECK;

static inline void cleanup_configp(struct config *c)
{
	config_done(c);
}
#define _cleanup_config_ __attribute__((cleanup(cleanup_configp)))

#endif
