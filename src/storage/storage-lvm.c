/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-lvm.c - a logical volume "kennel-ID" with a file system, thin where there is a pool.
 *
 * A snapshot of a thin volume is a thin volume, and stands on nobody. A classic one is a list of
 * differences to its origin: LVM takes no snapshot of one, and the origin can't go before those on it were
 * made whole (promote), by a copy that takes the name when all of it is there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/volume.h"
#include "path/tool.h"
#include "storage/driver.h"

#define PREFIX "kennel-"
#define WHOLE ".whole" /* a copy that has everything and not yet its name */
#define COPY ".copy"
#define BLOCK (1u << 20)

#define ARGS_MAX 16

/* Where no udev makes the files in /dev, lvm has to, and does not find that out by itself. */
static struct tool lvm(const char *const *args, const char *ret_args[ARGS_MAX])
{
	size_t n = 0;

	ret_args[n++] = args[0];
	if (access("/run/udev/control", F_OK) < 0) {
		ret_args[n++] = "--config";
		ret_args[n++] = "activation{udev_sync=0 udev_rules=0}";
	}
	for (size_t i = 1; args[i] && n + 1 < ARGS_MAX; i++)
		ret_args[n++] = args[i];
	ret_args[n] = NULL;
	return (struct tool){
		.name = "lvm", .package = "lvm2", .args = ret_args, .file_fd = -EBADF, .manages = true
	};
}

static int run(const char *what, const char *const *args, struct kennel_error **err)
{
	const char *all[ARGS_MAX];
	const struct tool t = lvm(args, all);

	return tool_must(&t, what, err);
}

/* One word that it prints, "" for none. */
static int ask(const char *const *args, struct buf *ret, struct kennel_error **err)
{
	const char *all[ARGS_MAX];
	const struct tool t = lvm(args, all);
	int r = tool_run(&t, ret, err);

	return r > 0 ? fail(err, KENNEL_E_NOTFOUND, "lvm %s: %.200s", args[0], buf_str(ret)) : r;
}

/* "VG/kennel-ID" and the like. */
static void full_name(const struct storage_keys *k, const char *suffix, char *ret, size_t size)
{
	snprintf(ret, size, "%s/" PREFIX "%s%s", k->vg, k->volume, suffix);
}

static bool is_thin(const struct storage_keys *k)
{
	return k->thin_pool[0] != '\0';
}

static bool is_set_up(const struct storage_keys *keys)
{
	return keys->vg[0] && is_thin(keys);
}

static int check_pool(const struct storage_keys *k, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };
	char pool[300];

	snprintf(pool, sizeof(pool), "%s/%s", k->vg, k->thin_pool);
	int r = ask((const char *const[]){ "lvs", "--noheadings", "-o", "segtype", pool, NULL }, &said, err);
	if (r < 0)
		return r;
	if (strstr(buf_str(&said), "thin-pool"))
		return 0;
	return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is no thin pool", pool),
		    "lvcreate --type thin-pool -L SIZE -n NAME %s makes one", k->vg);
}

static int probe(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };

	(void)store_fd;
	int r = storage_probe_volume(keys, err);
	if (r < 0)
		return r;
	if (!keys->vg[0])
		return hint(err, fail(err, KENNEL_E_INVALID, "lvm needs a volume group"),
			    "name it with --vg, or as vg in the store's " STORAGE_CONF);
	if (!storage_has_misc("device-mapper", "dm-mod"))
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "this kernel has no device mapper"),
			    "modprobe dm-mod; in a container of others' there is none");
	r = ask((const char *const[]){ "vgs", "--noheadings", "-o", "vg_name", keys->vg, NULL }, &said, err);
	if (r == 0 && is_thin(keys))
		r = check_pool(keys, err);
	return r < 0 ? hint_default(err, r, "\"vgs\" and \"lvs\" show what there is") : 0;
}

/* device mapper writes a dash of a name twice. */
static void device_path(const struct storage_keys *k, const char *suffix, char *ret, size_t size)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, "/dev/mapper/");
	for (const char *s = k->vg; *s; s++)
		buf_printf(&b, *s == '-' ? "--" : "%c", *s);
	buf_printf(&b, "-kennel--%s%s", k->volume, suffix);
	snprintf(ret, size, "%s", buf_str(&b));
}

static int open_device(const char *path, struct kennel_error **err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open \"%s\"", path) : fd;
}

static bool is_attached(const struct storage *s)
{
	return access(s->device, F_OK) == 0;
}

/* A promotion that was killed when its copy was whole is ended here. */
static int take_whole(const struct storage_keys *k, struct kennel_error **err)
{
	char whole[400], name[400];

	full_name(k, WHOLE, whole, sizeof(whole));
	full_name(k, "", name, sizeof(name));
	if (run("look for a copy", (const char *const[]){ "lvs", whole, NULL }, NULL) < 0)
		return 0;
	(void)!run("", (const char *const[]){ "lvremove", "-qq", "-f", "-y", name, NULL }, NULL);
	return run("name the copy", (const char *const[]){ "lvrename", "-qq", whole, name, NULL }, err);
}

static int find_origin(const struct storage_keys *k, struct buf *ret, struct kennel_error **err)
{
	char name[400];

	full_name(k, "", name, sizeof(name));
	return ask((const char *const[]){ "lvs", "--noheadings", "-o", "origin", name, NULL }, ret, err);
}

static bool is_blank(const char *s)
{
	return s[strspn(s, " \t\n")] == '\0';
}

/* A classic snapshot comes and goes with its origin, and can't by itself. */
static int change(const struct storage_keys *k, const char *suffix, const char *how,
		  struct kennel_error **err)
{
	_cleanup_buf_ struct buf origin = { 0 };
	char name[400], *word;

	full_name(k, suffix, name, sizeof(name));
	int r = is_thin(k) || *suffix ? 0 : find_origin(k, &origin, err);
	word = r == 0 && origin.len ? origin.data + strspn(origin.data, " \t\n") : NULL;
	if (word)
		word[strcspn(word, " \t\n")] = '\0';
	if (word && *word)
		snprintf(name, sizeof(name), "%s/%s", k->vg, word);
	return r < 0 ? r :
		       run("change the volume",
			   (const char *const[]){ "lvchange", "-qq", how, "-K", name, NULL }, err);
}

static int activate(struct storage *s, const char *suffix, struct kennel_error **err)
{
	int r = change(&s->keys, suffix, "-ay", err);

	return r < 0 ? wrap(err, r, "activate the volume") : 0;
}

static int attach(struct storage *s, struct kennel_error **err)
{
	device_path(&s->keys, "", s->device, sizeof(s->device));
	if (is_attached(s)) /* lvcreate did it, or somebody who did not ask us */
		return 0;
	int r = activate(s, "", NULL);
	if (r < 0)
		r = take_whole(&s->keys, err);
	if (r == 0 && !is_attached(s))
		r = activate(s, "", err);
	if (r < 0)
		s->device[0] = '\0';
	return r;
}

/* Where others of its family are in use, the last of them takes all along. */
static bool detach(struct storage *s)
{
	_cleanup_close_ int fd = open(s->device, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0 && errno == EBUSY)
		return false;
	replace_fd(&fd, -EBADF);
	return change(&s->keys, "", "-an", NULL) == 0 || !is_thin(&s->keys);
}

static int make(const struct storage_keys *k, const char *suffix, struct kennel_error **err)
{
	char name[100], size[40], pool[300];

	snprintf(name, sizeof(name), PREFIX "%s%s", k->volume, suffix);
	snprintf(size, sizeof(size), "%llub", (unsigned long long)k->size_bytes);
	snprintf(pool, sizeof(pool), "%s/%s", k->vg, k->thin_pool);
	const char *const thin[] = {
		"lvcreate", "-qq", "-y", "-kn", "-n", name, "-V", size, "-T", pool, NULL
	};
	const char *const classic[] = { "lvcreate", "-qq", "-y", "-Wy", "-n", name, "-L", size, k->vg, NULL };
	return run("make the volume", is_thin(k) ? thin : classic, err);
}

static int create(struct storage *s, struct kennel_error **err)
{
	int r = make(&s->keys, "", err);

	if (r == 0)
		r = storage_hold(s, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open_device(s->device, err);
	r = fd < 0 ? fd : volume_make(fd, s->keys.fs, err);
	if (r == 0)
		r = storage_mount_volume(s, fd, err);
	return r < 0 ? r : storage_make_dir(s->data_fd, "delta", err);
}

static int renumber(struct storage *to, struct kennel_error **err)
{
	if (strcmp(to->keys.fs, "btrfs") != 0)
		return 0;
	int r = storage_hold(to, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open_device(to->device, err);
	return fd < 0 ? fd : volume_renumber(fd, to->keys.fs, err);
}

/* The kernel stops writes for the instant, and makes the file system write what it has first. */
static int snapshot(const struct storage *from, struct storage *to, const struct storage_at *at,
		    struct kennel_error **err)
{
	_cleanup_buf_ struct buf origin = { 0 };
	char old[400], name[100];

	(void)at;
	full_name(&from->keys, "", old, sizeof(old));
	snprintf(name, sizeof(name), PREFIX "%s", to->keys.volume);
	int r = is_thin(&from->keys) ? 0 : find_origin(&from->keys, &origin, err);
	if (r == 0 && !is_blank(buf_str(&origin)))
		r = hint(err,
			 fail(err, KENNEL_E_UNSUPPORTED,
			      "\"%s\" is a snapshot itself, of which classic LVM takes none", from->shown),
			 "a thin pool can; or clone it without --snapshot, which copies what is in it");
	if (r < 0)
		return r;
	const char *const thin[] = { "lvcreate", "-qq", "-y", "-kn", "-s", "-n", name, old, NULL };
	const char *const classic[] = { "lvcreate",   "-qq", "-y", "-s", "-l",
					"100%ORIGIN", "-n",  name, old,	 NULL };
	r = run("make a snapshot of the volume", is_thin(&from->keys) ? thin : classic, err);
	if (r == 0)
		r = renumber(to, err);
	if (r == 0 && to->hold_fd < 0 && is_thin(&to->keys)) /* lvcreate activates it */
		(void)!change(&to->keys, "", "-an", NULL);
	return r;
}

static int remove_volume(const struct storage_keys *k, const char *suffix, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	char name[400];

	full_name(k, suffix, name, sizeof(name));
	int r = run("remove the volume", (const char *const[]){ "lvremove", "-qq", "-f", "-y", name, NULL },
		    &why);
	if (r == 0 || run("", (const char *const[]){ "lvs", name, NULL }, NULL) < 0)
		return 0; /* it is gone */
	if (err)
		*err = take_ptr(&why);
	return r;
}

/* The pool knows who shares which blocks. */
static bool stands_alone(const struct storage *s)
{
	return is_thin(&s->keys);
}

static int dependants(const struct storage *s, struct strv *volumes, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };
	_cleanup_strv_ struct strv words = { 0 };
	char select[100];

	if (is_thin(&s->keys))
		return 0;
	snprintf(select, sizeof(select), "origin=" PREFIX "%s", s->keys.volume);
	int r = ask((const char *const[]){ "lvs", "--noheadings", "-o", "lv_name", "-S", select, s->keys.vg,
					   NULL },
		    &said, err);
	for (char *c = said.data; r == 0 && c && *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	if (r == 0)
		r = strv_split(&words, buf_str(&said), ' ', err);
	for (size_t i = 0; i < words.n && r == 0; i++)
		if (strncmp(words.items[i], PREFIX, strlen(PREFIX)) == 0)
			r = strv_add(volumes, words.items[i] + strlen(PREFIX), err);
	return r;
}

static int destroy(const struct storage *s, struct kennel_error **err)
{
	_cleanup_strv_ struct strv others = { 0 };
	int r = storage_release(s, err);

	/* lvremove would take them along. */
	if (r == 0 && dependants(s, &others, NULL) < 0)
		strv_done(&others); /* the volume group is gone, too */
	if (r == 0 && others.n)
		r = fail(err, KENNEL_E_BUSY, "%zu snapshots stand on the volume of \"%s\"", others.n,
			 s->shown);
	if (r == 0)
		r = remove_volume(&s->keys, WHOLE, err);
	if (r == 0)
		r = remove_volume(&s->keys, COPY, err);
	return r < 0 ? r : remove_volume(&s->keys, "", err);
}

static int copy_all(int from_fd, int to_fd, struct kennel_error **err)
{
	_cleanup_free_ char *block = malloc(BLOCK);

	if (!block)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (off_t at = 0;;) {
		ssize_t n = pread(from_fd, block, BLOCK, at);

		if (n < 0 || (n > 0 && pwrite(to_fd, block, (size_t)n, at) != n))
			return fail_errno(err, "copy the volume");
		if (n == 0)
			return fsync(to_fd) < 0 ? fail_errno(err, "write the copy") : 0;
		at += n;
	}
}

/* One that stands on us becomes whole: a copy is made aside, and named when all is in it. */
static int make_whole(const struct storage *s, const char *volume, struct kennel_error **err)
{
	struct storage one = *s;
	char path[300], copy[400], whole[400];

	snprintf(one.keys.volume, sizeof(one.keys.volume), "%s", volume);
	one.hold_fd = -EBADF;
	full_name(&one.keys, COPY, copy, sizeof(copy));
	full_name(&one.keys, WHOLE, whole, sizeof(whole));
	int r = storage_release(&one, err);
	if (r == 0)
		r = remove_volume(&one.keys, COPY, err);
	if (r == 0)
		r = make(&one.keys, COPY, err);
	if (r == 0)
		r = activate(&one, "", err);
	if (r < 0)
		return r;
	device_path(&one.keys, "", path, sizeof(path));
	_cleanup_close_ int from_fd = open_device(path, err);
	device_path(&one.keys, COPY, path, sizeof(path));
	_cleanup_close_ int to_fd = from_fd < 0 ? from_fd : open_device(path, err);
	r = to_fd < 0 ? to_fd : copy_all(from_fd, to_fd, err);
	replace_fd(&from_fd, -EBADF);
	replace_fd(&to_fd, -EBADF);
	if (r == 0)
		r = run("name the copy", (const char *const[]){ "lvrename", "-qq", copy, whole, NULL }, err);
	return r < 0 ? r : take_whole(&one.keys, err);
}

static int promote(const struct storage *s, const struct strv *volumes, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < volumes->n && r == 0; i++)
		r = make_whole(s, volumes->items[i], err);
	return r;
}

static int measure(const struct storage *s, uint64_t *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };
	char name[400];
	double percent;

	*ret = s->keys.size_bytes;
	if (!is_thin(&s->keys))
		return 0;
	full_name(&s->keys, "", name, sizeof(name));
	int r = ask((const char *const[]){ "lvs", "--noheadings", "-o", "data_percent", name, NULL }, &said,
		    err);
	if (r == 0 && sscanf(buf_str(&said), "%lf", &percent) == 1)
		*ret = (uint64_t)((double)s->keys.size_bytes * percent / 100);
	return r;
}

static int resize(struct storage *s, uint64_t size_bytes, struct kennel_error **err)
{
	char name[400], size[40];

	full_name(&s->keys, "", name, sizeof(name));
	snprintf(size, sizeof(size), "%llub", (unsigned long long)size_bytes);
	int r = run("grow the volume", (const char *const[]){ "lvextend", "-qq", "-L", size, name, NULL },
		    err);
	return r < 0 ? r : storage_fill_held(s, size_bytes, err);
}

const struct storage_driver storage_lvm = {
	.name = "lvm",
	.caps = STORAGE_SHARES | STORAGE_VOLUME | STORAGE_ROOT | STORAGE_PINS,
	.is_set_up = is_set_up,
	.probe = probe,
	.create = create,
	.open = storage_open_held,
	.let_go = storage_unhold,
	.is_attached = is_attached,
	.attach = attach,
	.detach = detach,
	.snapshot = snapshot,
	.destroy = destroy,
	.stands_alone = stands_alone,
	.dependants = dependants,
	.promote = promote,
	.measure = measure,
	.resize = resize,
};
