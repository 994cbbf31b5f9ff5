/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/no-blob.c - where kennel-vm can't be made: isolation "vm" is refused. */
#include "vm/blob.h"

const unsigned char vm_blob[1] = { 0 };
const size_t vm_blob_size = 0;
