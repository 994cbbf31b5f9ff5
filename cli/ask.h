/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/ask.h - "kennel run --ask": the main choices of a start, asked for on the terminal. */
#ifndef KENNEL_CLI_ASK_H
#define KENNEL_CLI_ASK_H

#include "cli/opt.h"

/* The settings of a command line as the person changed them. */
struct ask {
	struct opt_setting *settings;
	size_t n;
	char **strings;                 /* those that the settings have beside the command line's */
	size_t n_strings;
};

/*
 * Shows mounts and layers of this machine and the main choices, as the options in in have set them already.
 * Return: 1 with *ret, which ask_done() ends; 0 the person does not want to start; or a negative code.
 */
int ask_run(const struct opt_input *in, struct ask *ret, struct kennel_error **err) MUST_CHECK;
void ask_done(struct ask *a);

static inline void cleanup_askp(struct ask *a)
{
	ask_done(a);
}
#define _cleanup_ask_ __attribute__((cleanup(cleanup_askp)))

/*
 * What is behind the form; apart, for its test. model_read() fills it from the options and from what
 * kennel_base_read() tells of the machine; the form's ticks and choices are then changed by the person;
 * model_settings() turns it into settings.
 */
struct kennel_list;
struct ask_model;
int ask_model_new(const struct opt_input *in, const struct kennel_list *base, struct ask_model **ret,
		  struct kennel_error **err) MUST_CHECK;
struct ask_model *ask_model_free(struct ask_model *m);
struct dialog_form *ask_model_form(struct ask_model *m);
/* Return: NULL, or what the person has to be told before it can be used. */
const char *ask_model_check(const struct ask_model *m);
int ask_model_settings(const struct ask_model *m, const struct opt_input *in, struct ask *ret,
		       struct kennel_error **err) MUST_CHECK;

#endif
