/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/log.c - see log.h. A line that does not fit the buffer is cut: a remark is not worth an allocation. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_to(const struct log_sink *sink, enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!sink || !sink->write)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sink->write(sink->data, level, text);
}
