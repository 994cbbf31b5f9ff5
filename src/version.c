/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* version.c - which library this is. */
#include <kennel/kennel.h>

const char *kennel_version(void)
{
	return KENNEL_VERSION;
}
