/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-sandbox.h - what a kennel_sandbox is, for the files of the public API. */
#ifndef KENNEL_API_SANDBOX_H
#define KENNEL_API_SANDBOX_H

struct sandbox;

struct kennel_sandbox {
	struct sandbox *sb;
};

#endif
