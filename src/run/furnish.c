/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/furnish.c - what stands in a sandbox beside the copy: /dev, /tmp, /run, and the few files that must
 * differ from the machine's.
 *
 * All of it lies in one small tree ("scratch", the throwaway's delta itself), so one size limit covers it and
 * no further file system has to be made. Made by the parent with the ids that the sandbox sees, before the
 * tree is idmapped.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "device/device.h"
#include "net/nat.h"
#include "path/path.h"
#include "run/interfaces.h"
#include "run/sandbox.h"
#include "run/sockets.h"
#include "sys/sys.h"

#define SMALL_FILE_MAX (1u << 20)

static int make_dir(int at_fd, const char *name, mode_t mode, struct kennel_error **err)
{
	if (mkdirat(at_fd, name, mode) < 0 || ((mode & 022) && fchmodat(at_fd, name, mode, 0) < 0))
		return fail_errno(err, "make /%s", name);
	return 0;
}

/* Return: 1 made, 0 this process may not make device nodes, or a negative code. */
static int make_node(int dev_fd, const char *name, mode_t type, dev_t rdev, mode_t mode,
		     struct kennel_error **err)
{
	if (mknodat(dev_fd, name, type | mode, rdev) < 0)
		return errno == EPERM ? 0 : fail_errno(err, "make /dev/%s", name);
	if (fchmodat(dev_fd, name, mode, 0) < 0)
		return fail_errno(err, "set the mode of /dev/%s", name);
	return 1;
}

/* What the host's nodes are bound over. */
static int make_node_targets(int dev_fd, struct kennel_error **err)
{
	for (size_t i = 0; i < device_nodes_n; i++)
		if (mknodat(dev_fd, device_nodes[i].name, S_IFREG | 0644, 0) < 0 && errno != EEXIST)
			return fail_errno(err, "make /dev/%s", device_nodes[i].name);
	return 0;
}

static int make_devices(struct launch *l, int dev_fd, struct kennel_error **err)
{
	for (size_t i = 0; i < device_nodes_n; i++) {
		const struct device_node *n = &device_nodes[i];
		int r = make_node(dev_fd, n->name, S_IFCHR, makedev(n->major, n->minor), 0666, err);

		if (r < 0)
			return r;
		if (r == 0) {
			l->shared->bind_devices = true;
			return make_node_targets(dev_fd, err);
		}
	}
	for (size_t i = 0; i < l->spec->n_devices; i++) {
		const struct spec_device *d = &l->spec->devices[i];
		struct stat st;

		if (stat(d->path, &st) < 0)
			return fail_errno(err, "look at the device \"%s\"", d->path);
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
			return fail(err, KENNEL_E_TYPE, "\"%s\" is not a device", d->path);
		if (device_is_default(d->path) && d->read && d->write)
			continue;
		if (device_is_default(d->path))
			return fail(err, KENNEL_E_INVALID, "every sandbox may read and write \"%s\"",
				    d->path);
		if (!path_is_below(d->path, "/dev"))
			return hint(err,
				    fail(err, KENNEL_E_INVALID, "the device \"%s\" is not below /dev",
					 d->path),
				    "use --mount for a device at another place");
		const char *name = d->path + strlen("/dev/");
		const char *slash = strrchr(name, '/');
		if (slash) {
			_cleanup_free_ char *dir = strndup(name, (size_t)(slash - name));
			_cleanup_close_ int fd = dir ? path_make_dirs(dev_fd, dir, 0755, err) :
						       fail(err, KENNEL_E_NOMEM, "out of memory");
			if (fd < 0)
				return fd;
		}
		int r = make_node(dev_fd, name, st.st_mode & S_IFMT, st.st_rdev, st.st_mode & 0777, err);
		if (r <= 0)
			return r < 0 ? r :
				       fail(err, KENNEL_E_PERM, "this user may not make the device \"%s\"",
					    d->path);
	}
	return 0;
}

/* tty1 and so on: so do inittab(5) and people call them. */
static int make_tty_links(const struct launch *l, int dev_fd, struct kennel_error **err)
{
	for (unsigned i = 1; i <= l->sb->plan->n_ttys; i++) {
		char name[16], to[16];

		snprintf(name, sizeof(name), "tty%u", i);
		snprintf(to, sizeof(to), "pts/%u", i);
		if (symlinkat(to, dev_fd, name) < 0)
			return fail_errno(err, "make /dev/%s", name);
	}
	return 0;
}

static int make_dev(struct launch *l, int scratch_fd, struct kennel_error **err)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" },	 { "/proc/self/fd/0", "stdin" },
		{ "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
		{ "pts/ptmx", "ptmx" },
	};

	int r = make_dir(scratch_fd, "dev", 0755, err);
	if (r < 0)
		return r;
	_cleanup_close_ int dev_fd = openat(scratch_fd, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dev_fd < 0)
		return fail_errno(err, "open /dev");
	r = make_dir(dev_fd, "pts", 0755, err);
	if (r == 0)
		r = make_dir(dev_fd, "shm", 01777, err);
	for (size_t i = 0; i < ARRAY_SIZE(links) && r == 0; i++)
		if (symlinkat(links[i][0], dev_fd, links[i][1]) < 0)
			r = fail_errno(err, "make /dev/%s", links[i][1]);
	if (r == 0 && l->sb->plan->tty && mknodat(dev_fd, "console", S_IFREG | 0600, 0) < 0)
		r = fail_errno(err, "make /dev/console");
	if (r == 0)
		r = make_tty_links(l, dev_fd, err);
	return r < 0 ? r : make_devices(l, dev_fd, err);
}

static int write_host_file(int dir_fd, const char *name, mode_t mode, const char *data, size_t size,
			   struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	return fd < 0 || write(fd, data, size) != (ssize_t)size ?
		       fail_errno(err, "write \"" SOCKETS_DIR "/%s\"", name) :
		       0;
}

/* The place of sockets of the caller's session, the keys of its X server, and what else clients need. */
static int make_host_dir(const struct launch *l, int scratch_fd, struct kennel_error **err)
{
	static const char pulse[] = "enable-shm = no\nenable-memfd = no\n";
	const struct strv *sockets = &l->spec->sockets;
	_cleanup_buf_ struct buf keys = { 0 };

	if (!sockets->n)
		return 0;
	int r = make_dir(scratch_fd, SOCKETS_DIR + 1, 0755, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(scratch_fd, SOCKETS_DIR + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open \"" SOCKETS_DIR "\"");
	if (strv_has(sockets, "x11")) {
		r = sockets_read_x_keys(&keys, err);
		if (r == 0)
			r = write_host_file(fd, "xauthority", 0600, buf_str(&keys), keys.len, err);
	}
	if (r == 0 && l->vm && strv_has(sockets, "pulseaudio"))
		r = write_host_file(fd, SOCKETS_PULSE_CONFIG, 0644, pulse, strlen(pulse), err);
	return r;
}

int furnish_scratch(struct launch *l, int scratch_fd, struct kennel_error **err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = { { "tmp", 01777 }, { "run", 0755 }, { "run/lock", 01777 }, { "empty", 0555 } };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && r == 0; i++)
		r = make_dir(scratch_fd, dirs[i].name, dirs[i].mode, err);
	if (r == 0)
		r = make_host_dir(l, scratch_fd, err);
	return r < 0 ? r : make_dev(l, scratch_fd, err);
}

/*
 * A small file of the machine or of the base; one that is not there is empty. A base may be anybody's work,
 * and hold a fifo in that place, which would block, or a device, which its mount does not open (nodev).
 */
static int read_small(int root_fd, const char *path, struct buf *b, struct kennel_error **err)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	_cleanup_close_ int fd = root_fd < 0 ? open(path, flags) : path_open(root_fd, path, flags, NULL);
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ? 0 :
								      buf_read_fd(b, fd, SMALL_FILE_MAX, err);
}

static struct delta_spot root_spot(struct launch *l, const char *rel)
{
	const struct child_overlay *o = &l->child_overlays[0];

	return (struct delta_spot){
		.upper_fd = l->shared->upper_fds[0],
		.lower_fd = l->shared->lower_fds[o->first_lower + o->n_lowers - 1],
		.over_fds = l->shared->lower_fds + o->first_lower,
		.n_over = o->n_frozen,
		.rel = rel,
		.user_xattr = l->shared->user_xattr,
		.planted = &l->sb->planted,
		.before = launch_before(l),
		.known = l->known,
		.n_known = l->n_known,
	};
}

/* A link such as ../run/systemd/resolve/stub-resolv.conf leads into the new /run: the file is made there. */
static int plant_in_run(int scratch_fd, const char *rel, const char *text, struct kennel_error **err)
{
	_cleanup_free_ char *dir = strndup(rel, (size_t)(strrchr(rel, '/') - rel));
	_cleanup_close_ int dir_fd = dir ? path_make_dirs(scratch_fd, dir, 0755, err) :
					   fail(err, KENNEL_E_NOMEM, "out of memory");
	if (dir_fd < 0)
		return dir_fd;
	const char *name = strrchr(rel, '/') + 1;
	_cleanup_close_ int fd = openat(dir_fd, *name ? name : ".",
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && (errno == EEXIST || errno == EISDIR))
		/* the link leads to a directory, "/run/lock": it does so outside too */
		return 0;
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return fail_errno(err, "write \"/%s\"", rel);
	return 0;
}

static int plant_resolv_conf(struct launch *l, int scratch_fd, const char *text, struct kennel_error **err)
{
	struct delta_spot spot = root_spot(l, "etc/resolv.conf");
	char link[256];
	ssize_t n = readlinkat(spot.lower_fd, "etc/resolv.conf", link, sizeof(link) - 1);

	if (n > 0) {
		const char *rest = link;

		link[n] = '\0';
		while (strncmp(rest, "../", 3) == 0)
			rest += 3;
		rest += *rest == '/';
		if (strncmp(rest, "run/", 4) == 0 && !strstr(rest, ".."))
			return plant_in_run(scratch_fd, rest, text, err);
	}
	int r = delta_plant_file(&spot, text, strlen(text), 0644, err);
	return r < 0 ? r : 0;
}

/* What somebody adds to it inside is a change of its content, and of nothing else. */
static mode_t mode_of_base(const struct launch *l, const struct delta_spot *spot)
{
	struct stat st;
	/* the machine's own by name: a view server that is just starting takes long to answer */
	int r = l->spec->base_path ? fstatat(spot->lower_fd, spot->rel, &st, AT_SYMLINK_NOFOLLOW) :
				     fstatat(AT_FDCWD, "/etc/hosts", &st, AT_SYMLINK_NOFOLLOW);

	return r == 0 && S_ISREG(st.st_mode) ? (st.st_mode & 0777) | 0444 : 0644;
}

/* sudo and many others complain of a host name that does not resolve. */
static int plant_hosts(struct launch *l, struct kennel_error **err)
{
	struct delta_spot hosts = root_spot(l, "etc/hosts"), name = root_spot(l, "etc/hostname");
	const char *hostname = l->sb->plan->hostname;
	_cleanup_buf_ struct buf b = { 0 };

	/* Of the machine by name: it may be a file mounted on a file, as in most containers. */
	int r = l->spec->base_path ? read_small(hosts.lower_fd, "etc/hosts", &b, err) :
				     read_small(-1, "/etc/hosts", &b, err);
	if (r < 0)
		return r;
	if (b.len && b.data[b.len - 1] != '\n')
		buf_puts(&b, "\n");
	if (!b.len)
		buf_puts(&b, "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
	buf_printf(&b, "127.0.1.1\t%s\n", hostname);
	r = buf_check(&b, err);
	if (r == 0)
		r = delta_plant_file(&hosts, b.data, b.len, mode_of_base(l, &hosts), err);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf line = { 0 };
	buf_printf(&line, "%s\n", hostname);
	r = buf_check(&line, err);
	if (r == 0)
		r = delta_plant_file(&name, line.data, line.len, 0644, err);
	return r < 0 ? r : 0;
}

int furnish_files(struct launch *l, int scratch_fd, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;
	int r = 0;

	if (p->hostname)
		r = plant_hosts(l, err);
	if (r < 0)
		return wrap(err, r, "set the host name inside");
	if (p->net == SPEC_NET_NONE)
		return 0;

	_cleanup_buf_ struct buf host = { 0 }, first = { 0 };
	_cleanup_free_ char *text = NULL;
	r = read_small(-1, "/etc/resolv.conf", &host, err);
	if (r == 0 && l->has_names)
		r = names_resolv_conf(NAMES_LINE, buf_str(&host), &text, err);
	else if (r == 0 && p->net == SPEC_NET_PRIVATE)
		r = names_resolv_conf("nameserver " NET_SWITCH_RESOLVER_ADDRESS "\n", buf_str(&host), &text,
				      err);
	else if (r == 0 && l->dns.len)
		r = names_resolv_conf(buf_str(&l->dns), buf_str(&host), &text, err);
	else if (r == 0 && (p->net == SPEC_NET_NAT || l->joins_nat))
		r = net_resolv_conf(buf_str(&host), &text, err);
	if (r == 0 && p->net == SPEC_NET_NAT && text && private_network(l)) {
		buf_printf(&first, "nameserver " NET_SWITCH_RESOLVER_ADDRESS "\n%s", text);
		r = buf_check(&first, err);
	}
	if (r == 0)
		r = plant_resolv_conf(l, scratch_fd,
				      first.len ? buf_str(&first) :
				      text	? text :
						  buf_str(&host),
				      err);
	return r < 0 ? wrap(err, r, "set the resolver inside") : 0;
}
