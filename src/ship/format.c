/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/format.c - see format.h. */
#include "ship/format.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/suggest.h"

static const struct ship_format formats[] = {
	{ "directory", SHIP_FORM_DIRECTORY, SHIP_PLAIN, NULL },
	{ "tar", SHIP_FORM_TAR, SHIP_PLAIN, NULL },
	{ "tar.zst", SHIP_FORM_TAR, SHIP_ZSTD, "tzst" },
	{ "tar.xz", SHIP_FORM_TAR, SHIP_XZ, "txz" },
	{ "tar.gz", SHIP_FORM_TAR, SHIP_GZIP, "tgz" },
	{ "squashfs", SHIP_FORM_IMAGE, SHIP_PLAIN, "sqfs sqsh sfs" },
	{ "erofs", SHIP_FORM_IMAGE, SHIP_PLAIN, NULL },
	{ "ext4", SHIP_FORM_IMAGE, SHIP_PLAIN, NULL },
	{ "btrfs", SHIP_FORM_IMAGE, SHIP_PLAIN, NULL },
	{ "cpio", SHIP_FORM_CPIO, SHIP_PLAIN, NULL },
	{ "cpio.zst", SHIP_FORM_CPIO, SHIP_ZSTD, NULL },
	{ "cpio.xz", SHIP_FORM_CPIO, SHIP_XZ, NULL },
	{ "cpio.gz", SHIP_FORM_CPIO, SHIP_GZIP, NULL },
	{ "oci", SHIP_FORM_OCI, SHIP_GZIP, NULL },
	{ "oci.tar", SHIP_FORM_OCI_TAR, SHIP_GZIP, NULL },
};

const struct ship_format *ship_format_at(size_t i)
{
	return i < ARRAY_SIZE(formats) ? &formats[i] : NULL;
}

int ship_format_find(const char *name, const struct ship_format **ret, struct kennel_error **err)
{
	struct suggestion near = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strcmp(formats[i].name, name) == 0) {
			*ret = &formats[i];
			return 0;
		}
		suggest_offer(&near, name, formats[i].name);
	}
	int r = fail(err, KENNEL_E_INVALID, "unknown format \"%s\"", name);
	return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) :
			   hint(err, r, "\"kennel export --help\" lists them");
}

static bool ends_with(const char *name, const char *suffix, size_t suffix_len)
{
	size_t len = strlen(name);

	return len > suffix_len + 1 && name[len - suffix_len - 1] == '.' &&
	       memcmp(name + len - suffix_len, suffix, suffix_len) == 0;
}

static bool has_suffix(const struct ship_format *f, const char *name)
{
	if (ends_with(name, f->name, strlen(f->name)))
		return true;
	for (const char *p = f->more_suffixes; p && *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (ends_with(name, p, n))
			return true;
		p += n;
	}
	return false;
}

int ship_format_of_path(const char *path, const struct ship_format **ret, struct kennel_error **err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const struct ship_format *best = NULL;

	for (size_t i = 1; i < ARRAY_SIZE(formats); i++)
		if (has_suffix(&formats[i], name) && (!best || strlen(formats[i].name) > strlen(best->name)))
			best = &formats[i];
	size_t len = strlen(name);
	if (!best && len > 4 && strcmp(name + len - 4, ".deb") == 0)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "\"%s\" has the name of a package, and would be none",
				 path),
			    "--as deb makes one");
	if (!best && strcmp(name, "-") == 0 && !slash)
		return hint(err, fail(err, KENNEL_E_INVALID, "it is not written to standard output"),
			    "an output gets its name when it is whole; a directory of that name is ./-");
	if (!best && strchr(name, '.'))
		return hint(
			err, fail(err, KENNEL_E_INVALID, "the name \"%s\" does not tell the format", path),
			"end it in .tar.zst, .squashfs, ..., or say --format; a directory is --format directory");
	*ret = best ? best : &formats[0];
	return 0;
}

static bool is_image(const unsigned char *b, size_t n)
{
	return n >= 1124 && (memcmp(b, "hsqs", 4) == 0 || memcmp(b + 1024, "\xe2\xe1\xf5\xe0", 4) == 0 ||
			     (b[1080] == 0x53 && b[1081] == 0xef) || memcmp(b, "XFSB", 4) == 0);
}

int ship_input_find(int fd, const char *name, enum ship_input *ret, struct kennel_error **err)
{
	unsigned char head[2048], magic[8];
	struct stat st, layout;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	if (S_ISDIR(st.st_mode)) {
		*ret = fstatat(fd, "oci-layout", &layout, AT_SYMLINK_NOFOLLOW) == 0 &&
				       fstatat(fd, "index.json", &layout, AT_SYMLINK_NOFOLLOW) == 0 ?
			       SHIP_INPUT_OCI :
			       SHIP_INPUT_TREE;
		return 0;
	}
	if (S_ISBLK(st.st_mode)) {
		*ret = SHIP_INPUT_IMAGE;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is neither a file nor a directory", name);
	ssize_t n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return fail_errno(err, "read \"%s\"", name);
	if (n == 0)
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" is empty", name);
	bool btrfs = pread(fd, magic, sizeof(magic), 65536 + 64) == sizeof(magic) &&
		     memcmp(magic, "_BHRfS_M", sizeof(magic)) == 0;
	*ret = btrfs || is_image(head, (size_t)n) ? SHIP_INPUT_IMAGE : SHIP_INPUT_ARCHIVE;
	return 0;
}
