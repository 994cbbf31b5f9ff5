/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/bus.c - see bus.h. The socket has a name only while the sandbox is being made; what is mounted stays
 * without one, so whoever is killed later leaves nothing.
 */
#include "run/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/bus.h"
#include "path/path.h"
#include "sys/sys.h"

#define TOOL "xdg-dbus-proxy"

/* As the variable has it: what is in an address, or a list of them, the proxy knows. */
static int find_address(struct buf *ret, struct kennel_error **err)
{
	const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (address && *address) {
		buf_puts(ret, address);
		return buf_check(ret, err);
	}
	buf_printf(ret, "%s/bus", dir && dir[0] == '/' ? dir : "");
	int r = buf_check(ret, err);
	if (r < 0)
		return r;
	if (!dir || dir[0] != '/' || stat(buf_str(ret), &st) < 0 || !S_ISSOCK(st.st_mode))
		return hint(
			err,
			fail(err, KENNEL_E_NOTFOUND,
			     "DBUS_SESSION_BUS_ADDRESS is not set, and there is no bus in XDG_RUNTIME_DIR"),
			"start kennel from a terminal of the desktop, and with sudo keep the variable: "
			"sudo --preserve-env=DBUS_SESSION_BUS_ADDRESS");
	_cleanup_free_ char *path = strdup(buf_str(ret));
	if (!path)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	ret->len = 0;
	buf_printf(ret, "unix:path=%s", path);
	return buf_check(ret, err);
}

static int add_names(struct strv *argv, const char *option, const struct strv *names,
		     struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < names->n && r == 0; i++)
		r = strv_addf(argv, err, "--%s=%s", option, names->items[i]);
	return r;
}

static int make_argv(const struct spec *spec, const char *tool, const char *socket, struct strv *argv,
		     struct kennel_error **err)
{
	_cleanup_buf_ struct buf address = { 0 };

	int r = find_address(&address, err);
	if (r == 0)
		r = strv_add(argv, tool, err);
	if (r == 0)
		r = strv_addf(argv, err, "--fd=%d", NET_BUS_PROXY_FD);
	if (r == 0)
		r = strv_add(argv, buf_str(&address), err);
	if (r == 0)
		r = strv_add(argv, socket, err);
	if (r == 0)
		r = strv_add(argv, "--filter", err);
	if (r == 0)
		r = add_names(argv, "talk", &spec->dbus_talk, err);
	return r == 0 ? add_names(argv, "own", &spec->dbus_own, err) : r;
}

int bus_start(const struct spec *spec, struct bus *ret, struct buf *path, struct kennel_error **err)
{
	_cleanup_free_ char *tool = NULL;
	_cleanup_strv_ struct strv argv = { 0 };
	struct bus b = { .dir_fd = -EBADF };

	int r = registry_brief("bus", b.socket, err);
	if (r == 0)
		r = registry_brief("proxy", b.proxy_socket, err);
	if (r < 0)
		return r;
	r = path_find_tool(TOOL, &tool, err);
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_MISSING, TOOL " is not installed"),
			    "install the package " TOOL);
	if (r > 0)
		r = make_argv(spec, tool, b.proxy_socket, &argv, err);
	if (r < 0)
		return r;
	_cleanup_close_ int dir_fd = registry_open(err), monitor_pidfd = sys_pidfd_open(getpid(), 0);
	if (dir_fd < 0)
		return dir_fd;
	if (monitor_pidfd < 0)
		return fail_errno(err, "open a descriptor of this process");
	buf_printf(path, "%s/kennel/%s", registry_parent(), b.socket);
	const struct net_bus_spec how = { .dir_fd = dir_fd,
					  .monitor_pidfd = monitor_pidfd,
					  .socket = b.socket,
					  .proxy_socket = b.proxy_socket,
					  .tool = tool,
					  .no_fds = spec->isolate == SPEC_ISOLATE_VM,
					  .argv = argv.items };
	r = net_bus_start(&how, &b.pidfd, err);
	if (r < 0)
		return r;
	b.dir_fd = take_fd(&dir_fd);
	b.runs = true;
	*ret = b;
	return 0;
}

int bus_settle(struct bus *b)
{
	if (!b->runs)
		return -EBADF;
	(void)!unlinkat(b->dir_fd, b->socket, 0);
	close_fd(b->dir_fd);
	b->runs = false;
	return b->pidfd;
}
