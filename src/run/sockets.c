/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/sockets.c - see sockets.h. */
#include "run/sockets.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/helper.h"
#include "run/registry.h"
#include "sys/sys.h"

#define X_DIR "/tmp/.X11-unix"
#define X_FILE_MAX (256u << 10)
#define X_FAMILY_LOCAL 256u /* X11/Xauth.h */
#define X_FAMILY_WILD 65535u

typedef int (*find_fn)(struct buf *path, struct kennel_error **err);

static int missing(const char *variable, struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_NOTFOUND, "%s is not set", variable),
		    "start kennel from a terminal of the desktop, and with sudo keep the variable: "
		    "sudo --preserve-env=%s",
		    variable);
}

/* A name in the session's runtime directory, or a full path. */
static int find_in_session(const char *name, const char *dir_variable, struct buf *path,
			   struct kennel_error **err)
{
	const char *dir = getenv(dir_variable);

	if (!dir || !*dir)
		dir = getenv("XDG_RUNTIME_DIR");
	if (name[0] != '/' && (!dir || dir[0] != '/'))
		return missing("XDG_RUNTIME_DIR", err);
	if (name[0] != '/')
		buf_printf(path, "%s/", dir);
	buf_puts(path, name);
	return 0;
}

static int find_wayland(struct buf *path, struct kennel_error **err)
{
	const char *name = getenv("WAYLAND_DISPLAY");

	return !name || !*name ? missing("WAYLAND_DISPLAY", err) :
				 find_in_session(name, "XDG_RUNTIME_DIR", path, err);
}

static int find_pipewire(struct buf *path, struct kennel_error **err)
{
	const char *name = getenv("PIPEWIRE_REMOTE");

	return find_in_session(name && *name ? name : "pipewire-0", "PIPEWIRE_RUNTIME_DIR", path, err);
}

static int find_pulse(struct buf *path, struct kennel_error **err)
{
	const char *server = getenv("PULSE_SERVER");

	if (!server || !*server)
		return find_in_session("pulse/native", "XDG_RUNTIME_DIR", path, err);
	if (strncmp(server, "unix:", 5) == 0)
		server += 5;
	if (server[0] != '/')
		return fail(err, KENNEL_E_UNSUPPORTED, "PULSE_SERVER names no socket of this machine: \"%s\"",
			    server);
	buf_puts(path, server);
	return 0;
}

static int find_ssh(struct buf *path, struct kennel_error **err)
{
	const char *name = getenv("SSH_AUTH_SOCK");

	if (!name || !*name)
		return missing("SSH_AUTH_SOCK", err);
	buf_puts(path, name);
	return 0;
}

/* The number in ":1", ":1.0" or "unix:1"; empty where it is another machine's. */
static void display_number(char number[static 12])
{
	const char *display = getenv("DISPLAY");

	number[0] = '\0';
	if (display && strncmp(display, "unix:", 5) == 0)
		display += 4;
	if (!display || display[0] != ':' || strspn(display + 1, "0123456789") > 9)
		return;
	snprintf(number, 12, "%.*s", (int)strspn(display + 1, "0123456789"), display + 1);
}

static int find_x(struct buf *path, struct kennel_error **err)
{
	const char *display = getenv("DISPLAY");
	char number[12];

	display_number(number);
	if (!display || !*display)
		return missing("DISPLAY", err);
	if (!*number)
		return fail(err, KENNEL_E_UNSUPPORTED, "DISPLAY names no server of this machine: \"%s\"",
			    display);
	buf_printf(path, X_DIR "/X%s", number);
	return 0;
}

static const struct {
	const char *name;
	find_fn find;
	const char *target; /* NULL: as outside */
	const char *variable; /* with what stands before the target in its value */
} kinds[] = {
	{ "wayland", find_wayland, SOCKETS_DIR "/wayland-0", "WAYLAND_DISPLAY=" },
	{ "x11", find_x, NULL, NULL },
	{ "pipewire", find_pipewire, SOCKETS_DIR "/pipewire-0", "PIPEWIRE_REMOTE=" },
	{ "pulseaudio", find_pulse, SOCKETS_DIR "/pulse", "PULSE_SERVER=unix:" },
	/* not the bus itself, but what leads to a part of it */
	{ "session-bus", NULL, SOCKETS_DIR "/session-bus", "DBUS_SESSION_BUS_ADDRESS=unix:path=" },
	{ "ssh-auth", find_ssh, SOCKETS_DIR "/ssh-auth", "SSH_AUTH_SOCK=" },
};

static int add_env(struct sockets *s, size_t kind, struct kennel_error **err)
{
	char number[12];

	const bool guest = s->spec.isolate == SPEC_ISOLATE_VM;

	if (kinds[kind].variable) {
		int r = strv_addf(&s->env, err, "%s%s", kinds[kind].variable, kinds[kind].target);

		if (r < 0 || !guest || strcmp(kinds[kind].name, "pulseaudio") != 0)
			return r;
		return strv_add(&s->env, "PULSE_CLIENTCONFIG=" SOCKETS_DIR "/" SOCKETS_PULSE_CONFIG, err);
	}
	display_number(number);
	int r = strv_addf(&s->env, err, "DISPLAY=:%s", number);
	return r < 0 ? r : strv_add(&s->env, "XAUTHORITY=" SOCKETS_DIR "/xauthority", err);
}

static int add_one(struct sockets *s, size_t kind, struct kennel_error **err)
{
	_cleanup_buf_ struct buf path = { 0 };
	struct stat st;

	int r = kinds[kind].find ? kinds[kind].find(&path, err) : bus_start(&s->spec, &s->bus, &path, err);
	if (r == 0)
		r = buf_check(&path, err);
	if (r < 0)
		return r;
	if (stat(buf_str(&path), &st) < 0)
		return fail_errno(err, "\"%s\"", buf_str(&path));
	if (!S_ISSOCK(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is not a socket", buf_str(&path));
	struct spec_mount *m = &s->mounts[s->spec.n_mounts];
	*m = (struct spec_mount){ .source = strdup(buf_str(&path)),
				  .target =
					  strdup(kinds[kind].target ? kinds[kind].target : buf_str(&path)) };
	s->spec.n_mounts++;
	s->n_own++;
	if (!m->source || !m->target)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return add_env(s, kind, err);
}

static int add_named(struct sockets *s, const char *name, struct kennel_error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return add_one(s, i, err);
	return fail(err, KENNEL_E_INVALID, "there is no such socket"); /* the spec knows better */
}

static int name_lent(struct sockets *s, struct spec_mount *m, unsigned i, struct net_lend_spec *how,
		     struct kennel_error **err)
{
	int r = registry_brief("socket", s->lender.names[i], err);

	if (r < 0)
		return r;
	how->names[i] = s->lender.names[i];
	how->target_fds[i] = open(m->source, O_PATH | O_CLOEXEC);
	how->n++;
	if (how->target_fds[i] < 0)
		return fail_errno(err, "\"%s\"", m->source);
	_cleanup_free_ char *old = take_ptr(&m->source);
	if (asprintf(&m->source, "%s/kennel/%s", registry_parent(), s->lender.names[i]) < 0)
		m->source = NULL;
	m->lent = true;
	return m->source ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* Ours take the place of those that were found. */
static int lend(struct sockets *s, struct kennel_error **err)
{
	struct spec_mount *own = s->mounts + s->spec.n_mounts - s->n_own;
	_cleanup_close_ int dir_fd = registry_open(err);
	_cleanup_close_ int monitor_pidfd = sys_pidfd_open(getpid(), 0);
	struct net_lend_spec how = { .dir_fd = dir_fd, .monitor_pidfd = monitor_pidfd };
	int r = MIN(dir_fd, 0);

	if (r == 0 && monitor_pidfd < 0)
		r = fail_errno(err, "open a descriptor of this process");
	for (unsigned i = 0; i < s->n_own && r == 0; i++)
		r = name_lent(s, &own[i], i, &how, err);
	if (r == 0)
		r = net_lend_start(&how, &s->lender.pidfd, err);
	for (unsigned i = 0; i < how.n; i++)
		close_fd(how.target_fds[i]);
	if (r == 0) {
		s->lender.n = how.n;
		s->lender.dir_fd = take_fd(&dir_fd);
	}
	return r;
}

int sockets_find(const struct spec *spec, struct sockets *ret, struct kennel_error **err)
{
	*ret = (struct sockets){ .spec = *spec };
	ret->mounts = calloc(spec->n_mounts + spec->sockets.n + 1, sizeof(*ret->mounts));
	if (!ret->mounts)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < spec->n_mounts; i++)
		ret->mounts[i] = spec->mounts[i]; /* borrowed, see sockets_done() */
	int r = 0;
	for (size_t i = 0; i < spec->sockets.n && r == 0; i++) {
		r = add_named(ret, spec->sockets.items[i], err);
		if (r < 0)
			r = wrap(err, r, "socket %s", spec->sockets.items[i]);
	}
	if (r == 0 && ret->n_own && spec->isolate == SPEC_ISOLATE_VM)
		r = lend(ret, err);
	for (size_t i = 0; i < spec->env.n && r == 0; i++)
		r = strv_add(&ret->env, spec->env.items[i], err);
	ret->spec.mounts = ret->mounts;
	ret->spec.env = ret->env;
	if (r < 0)
		sockets_done(ret);
	return r;
}

/* The sockets are mounted: their names go. */
static int settle_lender(struct sockets_lender *l)
{
	if (!l->n)
		return -EBADF;
	for (unsigned i = 0; i < l->n; i++)
		(void)!unlinkat(l->dir_fd, l->names[i], 0);
	close_fd(l->dir_fd);
	l->n = 0;
	return l->pidfd;
}

void sockets_settle(struct sockets *s, int *ret_bus_pidfd, int *ret_lender_pidfd)
{
	*ret_bus_pidfd = bus_settle(&s->bus);
	*ret_lender_pidfd = settle_lender(&s->lender);
}

void sockets_done(struct sockets *s)
{
	net_helper_end(settle_lender(&s->lender));
	net_helper_end(bus_settle(&s->bus));
	for (size_t i = 0; i < s->n_own; i++) {
		free(s->mounts[s->spec.n_mounts - 1 - i].source);
		free(s->mounts[s->spec.n_mounts - 1 - i].target);
	}
	free(s->mounts);
	strv_done(&s->env);
	*s = (struct sockets){ 0 };
}

/* --- the keys of X --- */

struct field {
	const unsigned char *data;
	size_t size;
};

static bool take_number(struct field *rest, unsigned *ret)
{
	if (rest->size < 2)
		return false;
	*ret = (unsigned)rest->data[0] << 8 | rest->data[1];
	rest->data += 2;
	rest->size -= 2;
	return true;
}

static bool take_field(struct field *rest, struct field *ret)
{
	unsigned size;

	if (!take_number(rest, &size) || rest->size < size)
		return false;
	*ret = (struct field){ rest->data, size };
	rest->data += size;
	rest->size -= size;
	return true;
}

static void put_number(struct buf *b, size_t n)
{
	const unsigned char bytes[2] = { (unsigned char)(n >> 8), (unsigned char)n };

	buf_add(b, bytes, sizeof(bytes));
}

static void put_field(struct buf *b, struct field f)
{
	put_number(b, f.size);
	buf_add(b, f.data, f.size);
}

/* An entry: family, then address, number of the display, name and data, each with its size before it. */
unsigned sockets_x_keys(const void *file, size_t size, const char *number, struct buf *ret)
{
	struct field rest = { file, size }, address, display, name, data;
	const struct field any = { (const unsigned char *)"", 0 };
	unsigned family, n = 0;

	while (take_number(&rest, &family) && take_field(&rest, &address) && take_field(&rest, &display) &&
	       take_field(&rest, &name) && take_field(&rest, &data)) {
		if (family != X_FAMILY_LOCAL && family != X_FAMILY_WILD)
			continue;
		if (display.size &&
		    (display.size != strlen(number) || memcmp(display.data, number, display.size)))
			continue;
		put_number(ret, X_FAMILY_WILD);
		put_field(ret, any);
		put_field(ret, display);
		put_field(ret, name);
		put_field(ret, data);
		n++;
	}
	return n;
}

int sockets_read_x_keys(struct buf *ret, struct kennel_error **err)
{
	const char *path = getenv("XAUTHORITY"), *home = getenv("HOME");
	_cleanup_buf_ struct buf b = { 0 }, name = { 0 };
	char number[12];

	if (!path || !*path) {
		buf_printf(&name, "%s/.Xauthority", home ? home : "");
		path = buf_str(&name);
	}
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* a server may do without */
	int r = buf_read_fd(&b, fd, X_FILE_MAX, err);
	if (r < 0)
		return wrap(err, r, "read \"%s\"", path);
	display_number(number);
	(void)sockets_x_keys(b.data, b.len, number, ret);
	return buf_check(ret, err);
}
