/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/program-file.c - see program-file.h. */
#include "run/program-file.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "run/init.h"
#include "sys/sys.h"

int program_file_init(struct kennel_error **err)
{
	/* MFD_CLOEXEC | MFD_ALLOW_SEALING, with MFD_EXEC (Linux 6.3) where that is known */
	_cleanup_close_ int fd = sys_memfd_create("kennel-init", 0x1 | 0x2 | 0x10);

	if (fd < 0 && errno == EINVAL)
		fd = sys_memfd_create("kennel-init", 0x1 | 0x2);
	if (fd < 0)
		return hint(err, fail_errno(err, "make the memory file of init"),
			    errno == EACCES ? "sysctl vm.memfd_noexec=1 (2 forbids programs in memory)" :
					      "raise ulimit -n");
	if (write(fd, init_blob, init_blob_size) != (ssize_t)init_blob_size ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return fail_errno(err, "write the memory file of init");
	return take_fd(&fd);
}
