/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/program.h - the parts of kennel-vm (vm/blob.h says what it is) and what they share. */
#ifndef KENNEL_VM_PROGRAM_PROGRAM_H
#define KENNEL_VM_PROGRAM_PROGRAM_H

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "run/init.h"
#include "vm/blob.h"
#include "vm/program/channel.h"
#include "vm/program/net.h"

#define GUEST_LINE "/dev/tty15"
#define AGENT_SOCKET "/run/agent"
#define CARRY_SOCKET "/run/carry" /* the same, for what carries connections */
#define SLOTS_NAME "slots"
#define SLOTS_PATH "/run/" SLOTS_NAME
#define EXIT_FAILED 125
#define DRIVES_MAX 15
#define LAYERS_MAX 15
#define SOCKETS_MAX 32
#define LOWERS_MAX 1200 /* bytes of the list of what lies over the tree */

/* How it was called (run/init.h). */
struct call {
	int report_fd; /* close-on-exec; -1: nobody waits for a report */
	int tty_fd;
	uint32_t flags;
	char **args; /* user, directory, command... */
	char **env; /* without settings */
	/*
	 * Or NULL. Once it runs, makes the connection that is input and output; until then nothing is read.
	 * An end goes by in each direction alone. -1: there is none, and that was all.
	 */
	int (*connect)(void);
};

struct settings {
	uint64_t memory_bytes;
	bool disk, shares, boot, linger;
	bool net;
	const char *drives[DRIVES_MAX];
	unsigned n_drives;
	const char *layers[LAYERS_MAX];
	unsigned n_layers;
	struct port {
		uint16_t number;
		bool udp;
	} * ports;
	unsigned n_ports;
	const char *sockets[SOCKETS_MAX];
	unsigned n_sockets;
	struct net_cards cards;
	struct queue config; /* "key=value\0..." for the guest */
};

/* settings.c. Takes settings out of env. False: ret_text says what is wrong. */
bool settings_take(char **env, struct settings *ret, char *ret_text, size_t text_size);

/* report.c */
void report_send(int report_fd, int step, int errnum, const char *text);
int report_exit_code(int step, int errnum);
_Noreturn void report_die(const struct call *call, int step, int errnum, const char *text);

/* signals.c: all are blocked and come from the descriptor that is returned, or -1 */
int signals_take(void);
/* In a child, before it executes something else. */
void signals_give_back(void);

/* client.c: has the command run by who answers on fd (taken). Return: exit code. */
int client_run(int fd, const struct call *call, unsigned open_flags);
int client_main(const struct call *call);

/* place.c: the processor that a guest runs on. */
struct place {
	pid_t kernel;
	int cpu; /* negative: not ours to say */
	bool seen; /* waited is that of a second ago */
	unsigned long long waited; /* nanoseconds */
	unsigned long long idle[CPU_SETSIZE]; /* ticks */
};
/* From now on the caller, and what it becomes, runs where it runs. Return: there, or -1. */
int place_here(void);
/* Once a second. */
void place_look(struct place *p);
/* How long a kernel and its address spaces have waited for a processor, all together; in nanoseconds. */
unsigned long long place_waited(pid_t kernel);
/* Of a file of /proc what has room, or "". */
void place_read(const char *path, char *ret, size_t size);

/* silence.c: of a line on which something is under way. All zero at first, and where something was taken. */
struct silence {
	bool begun; /* waited is that of a second ago */
	unsigned ms; /* for so long nothing was taken that could have been */
	unsigned long long waited;
};
/* Once a second. Return: nobody is there any more who would take it. */
bool silence_lasts(struct silence *s, pid_t kernel);
/* Has the guest's kernel write back what it has, since nobody else does any more. It takes a moment. */
void silence_write_back(void);

/* kernel.c: starts linux.uml. *ret_cpu: where it stays, or -1. Return: its pid, or -errno. */
pid_t kernel_start(const struct settings *set, int line_fd, int console_fd, int *ret_cpu);

/* forward.c: beside the guest, somebody who listens at those of TCP; -1 and errno. */
int forward_start(const struct port *ports, unsigned n);
/* An errand in the guest whose input and output are fd (taken); words as those of a call. */
_Noreturn void forward_serve(int fd, char **words);
/* In a process of its own: fds become FORWARD_FD and so on, nothing else is open. -1 and errno. */
#define FORWARD_FD 3 /* the first behind input, output and errors */
int forward_keep(int *fds, unsigned n);

/* datagrams.c: the same for UDP; and who asks the resolver of names for the guest. -1 and errno. */
struct datagram_port {
	int fd;
	uint16_t port;
	bool v6;
};
int datagrams_start(const struct port *ports, unsigned n);
int datagrams_resolve(void);
/* In the guest: where names are asked for; -1 and errno. */
int guest_listen_for_names(void);

/* sockets.c: beside the guest, who makes connections to the machine's sockets; -1 and errno. */
int sockets_start(const struct settings *set);

/* supervisor.c */
int supervisor_main(const struct call *call, struct settings *set);

/* guest.c */
_Noreturn void guest_main(char **argv);

/* guest-root.c: puts the guest's root together from what was told. Fails by guest_fail(). */
struct guest {
	struct channel line;
	int init_fd; /* kennel-init */
	int slots_fd;
	int changes_fd; /* the root of the file system that the changes are on */
	bool disk; /* that is a disk */
	bool boot; /* the first command becomes pid 1 */
	struct guest_socket {
		int listen_fd;
		int tree_fd; /* a mount of it alone, until it is in its place */
	} sockets[SOCKETS_MAX]; /* as the supervisor numbers them */
	unsigned n_sockets;
	int names_fd; /* where names of neighbours are asked for, or -1 */
	char *name; /* argv[0] */
};
/* Reads from the line, and says what room there is again. */
void guest_read_line(struct channel *line);
_Noreturn void guest_fail(struct guest *g, int errnum, const char *what);
void guest_prepare(struct guest *g);
void guest_make_root(struct guest *g, char *config, size_t len);
void guest_make_mount_point(const char *path, bool is_dir);
_Noreturn void guest_power_off(struct guest *g);

/*
 * guest-layers.c: mounts what lies over the tree, images and the changes above them. Return: what goes into a
 * lowerdir before the tree, with a colon behind each, or ""; *ret_images: how many images there are in it;
 * *ret_whole: the tree has nothing else.
 */
const char *guest_mount_layers(const char *config, size_t len, unsigned *ret_images, bool *ret_whole);

/*
 * sockets.c: those that stand for the machine's, before the root is entered; then, in it, each in its place.
 */
void guest_make_sockets(struct guest *g, const char *config, size_t len, const char *root);
void guest_place_sockets(struct guest *g, const char *config, size_t len);
/* Where that one listens, or -1. */
int guest_socket_fd(const struct guest *g, const char *number);

/*
 * init-trace.c: what becomes of an init of the guest's own, for whom the agent traces it. waitpid() tells
 * when it stops; false: it goes on; true: it is about to end, with *status, and is held there.
 */
void init_seize(void);
bool init_ends(int *status);

/* agent.c */
_Noreturn void agent_main(struct guest *g);

#endif
