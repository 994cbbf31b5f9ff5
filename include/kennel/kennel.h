/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kennel/kennel.h - everything. Link with -lkennel; see kennel(1) for the words. */
#ifndef KENNEL_KENNEL_H
#define KENNEL_KENNEL_H

#include <kennel/cg.h>
#include <kennel/clone.h>
#include <kennel/commit.h>
#include <kennel/container.h>
#include <kennel/convert.h>
#include <kennel/delta.h>
#include <kennel/error.h>
#include <kennel/live.h>
#include <kennel/ns.h>
#include <kennel/sandbox.h>
#include <kennel/ship.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kennel_version() - version of the library that is linked
 *
 * Return: "MAJOR.MINOR.PATCH", static. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_version(void);

#ifdef __cplusplus
}
#endif
#endif
