/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view/device.h - the FUSE device of a session, for both servers. */
#ifndef KENNEL_VIEW_DEVICE_H
#define KENNEL_VIEW_DEVICE_H

struct fuse_session;

/*
 * The session serves the device from then on. An answer that the kernel doesn't take is given again, and if
 * that fails, too, the process ends: then the mount is dead, and whoever asked gets an error. Without that he
 * would wait for ever, and can't even be killed before he has the answer. 0 or -1.
 */
int device_attach(struct fuse_session *session, int fuse_fd);

#endif
