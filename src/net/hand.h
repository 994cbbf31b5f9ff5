/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/hand.h - gives pasta a tap device that is ours, for an ordinary user. See hand.c. */
#ifndef KENNEL_NET_HAND_H
#define KENNEL_NET_HAND_H

/*
 * In the child that becomes pasta: from here on its TUNSETIFF waits for us, who get the listener over
 * socket_fd. System calls only. -1 and errno.
 */
int hand_listen(int socket_fd);
/* The listener out of the socket; -1 and errno, EPIPE where the child ended before. */
int hand_receive(int socket_fd);
/* Answers the one request: the descriptor that pasta opened becomes tap_fd. -1 and errno. */
int hand_answer(int listener_fd, int tap_fd);

#endif
