/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/program-file.c - see program-file.h. */
#include "run/program-file.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "run/init.h"
#include "sys/sys.h"
#include "vm/blob.h"

static int make_file(const char *name, const unsigned char *data, size_t size, struct kennel_error **err)
{
	/* MFD_CLOEXEC | MFD_ALLOW_SEALING, with MFD_EXEC (Linux 6.3) where that is known */
	_cleanup_close_ int fd = sys_memfd_create(name, 0x1 | 0x2 | 0x10);

	if (fd < 0 && errno == EINVAL)
		fd = sys_memfd_create(name, 0x1 | 0x2);
	if (fd < 0)
		return hint(err, fail_errno(err, "make the memory file of %s", name),
			    errno == EACCES ? "sysctl vm.memfd_noexec=1 (2 forbids programs in memory)" :
					      "raise ulimit -n");
	if (write(fd, data, size) != (ssize_t)size ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return fail_errno(err, "write the memory file of %s", name);
	return take_fd(&fd);
}

int program_file_init(struct kennel_error **err)
{
	return make_file("kennel-init", init_blob, init_blob_size, err);
}

int program_file_vm(struct kennel_error **err)
{
	return make_file("kennel-vm", vm_blob, vm_blob_size, err);
}
