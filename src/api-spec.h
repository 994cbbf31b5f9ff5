/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-spec.h - what a kennel_spec is, for the files of the public API. */
#ifndef KENNEL_API_SPEC_H
#define KENNEL_API_SPEC_H

#include <kennel/sandbox.h>

#include "base/log.h"
#include "conf/spec.h"

struct kennel_spec {
	struct spec *spec;
	void (*write)(void *data, enum kennel_log_level level, const char *text);
	void *data;
};

/* Where remarks of a start go; the spec, which may be a copy, must stay as long. */
struct log_sink spec_sink(const struct kennel_spec *spec);

#endif
