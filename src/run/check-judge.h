/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/check-judge.h - how a line of "kennel check" is written; shared by the files check-judge*.c alone. */
#ifndef KENNEL_RUN_CHECK_JUDGE_H
#define KENNEL_RUN_CHECK_JUDGE_H

#include "run/check.h"

struct judge {
	const struct check_facts *f;
	struct check *c;
	struct check_line *at; /* the line that is being written */
};

/*
 * A new line, in order; then what was found, and where something is lacking its remedy. The last call of each
 * holds.
 */
void judge_begin(struct judge *j, const char *name, const char *needed_for);
void judge_found(struct judge *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
void judge_remedy(struct judge *j, enum check_state state, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* An error as both; weaker: what happens without, for an optional thing. */
void judge_lacks(struct judge *j, enum check_state state, const struct kennel_error *err, const char *weaker);
const char *judge_advice(const struct kennel_error *err);
/* What could not be tried, for want of something above, says nothing: takes the line back. */
void judge_drop(struct judge *j);
/* The remedy that names the AppArmor profile. */
void judge_profile(struct judge *j);

bool judge_worked(const struct check_shared *s, enum check_try what);
/* AppArmor lets the namespace be made, but gives no right in it. */
bool judge_apparmor(const struct check_facts *f);
/* What a lack of something that only level user needs comes to: level ns takes its place for root alone. */
enum check_state judge_without_user(const struct check_facts *f);
extern const char *const judge_level_ns; /* what happens then */

/* check-judge-machine.c */
void judge_ids(struct judge *j);
void judge_map_tools(struct judge *j);
void judge_fuse(struct judge *j);
void judge_view(struct judge *j);
void judge_runtime(struct judge *j);
void judge_cgroups(struct judge *j);
void judge_net(struct judge *j);
void judge_vm(struct judge *j);
void judge_bridge(struct judge *j);
void judge_images(struct judge *j);
void judge_user_images(struct judge *j);
void judge_security(struct judge *j);
void judge_limits(struct judge *j);
void judge_place(struct judge *j);

#endif
