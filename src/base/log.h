/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/log.h - where the library's remarks go. The library itself prints nothing: the program gives a sink.
 *
 * A WARN is one line that a person must see ("no network: pasta is not installed"); INFO and DEBUG are for
 * -v, -vv.
 */
#ifndef KENNEL_BASE_LOG_H
#define KENNEL_BASE_LOG_H

#include "base/macro.h"

enum log_level { LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_sink {
	void (*write)(void *data, enum log_level level, const char *text);      /* NULL: nobody listens */
	void *data;
};

void log_to(const struct log_sink *sink, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_warn(sink, ...) log_to((sink), LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(sink, ...) log_to((sink), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(sink, ...) log_to((sink), LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
