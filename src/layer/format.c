/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/format.c - what an image file holds.
 *
 * Our five formats are told by their superblocks, two reads away. libblkid knows everything else, but to
 * load it and let it probe takes longer than mounting the image does, so it is asked only where our
 * look finds none of the five, or more than one (a disk that was formatted anew without wiping). Without
 * libblkid a small list of magics still gives unknown files a name.
 *
 * A superblock tells how long the image must be. erofs and squashfs would mount a file that was cut short
 * and fail later, in the middle of somebody's work; so a short file is refused here, the same way for all.
 * The kernel remains the judge of the rest.
 *
 * Options keep a mount from writing and from hurting: a journal is never replayed, and an ext4 superblock
 * may ask for a kernel panic at the first damaged block.
 */
#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/blkid-config.h"
#include "layer/internal.h"

#if KENNEL_HAVE_BLKID
#include <blkid/blkid.h>
#endif

#define HEAD_BYTES 4096
#define BTRFS_SUPER 65536
#define ISO9660_MAGIC 32769

static const char *const no_options[][2] = { { NULL } };
static const char *const ext_options[][2] = { { "noload" }, { "errors", "continue" }, { NULL } };
static const char *const xfs_options[][2] = { { "norecovery" }, { "nouuid" }, { NULL } };
static const char *const btrfs_options[][2] = { { "rescue", "nologreplay" }, { NULL } };

/* discard gives the room of removed files back to the file system that a sparse image lies on. */
static const char *const ext_writing[][2] = { { "errors", "remount-ro" }, { "discard" }, { NULL } };
/* A copy of a volume has the same number. */
static const char *const xfs_writing[][2] = { { "nouuid" }, { "discard" }, { NULL } };
static const char *const btrfs_writing[][2] = { { "discard", "async" }, { NULL } };

static const struct image_format formats[] = {
	{ "squashfs", "squashfs", false, no_options, NULL },
	{ "erofs", "erofs", true, no_options, NULL },
	{ "ext2", "ext4", false, ext_options, NULL },
	{ "ext3", "ext4", false, ext_options, NULL },
	{ "ext4", "ext4", false, ext_options, ext_writing },
	{ "xfs", "xfs", false, xfs_options, xfs_writing },
	{ "btrfs", "btrfs", false, btrfs_options, btrfs_writing },
};

struct head {
	unsigned char start[HEAD_BYTES];        /* zeros where the file ends earlier */
	unsigned char btrfs[512];               /* at BTRFS_SUPER */
	unsigned char iso[8];                   /* at ISO9660_MAGIC */
	uint64_t size_bytes;
};

static uint16_t get_le16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t get_le32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get_le64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static uint64_t get_be(const unsigned char *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

/* Bytes behind the end stay as they are. */
static int read_at(int fd, void *data, size_t len, off_t offset, struct kennel_error **err)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = pread(fd, (char *)data + have, len - have, offset + (off_t)have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read");
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return 0;
}

static int read_head(int fd, struct head *h, struct kennel_error **err)
{
	off_t size = lseek(fd, 0, SEEK_END);    /* block devices too, where fstat says 0 */

	if (size < 0)
		return fail(err, KENNEL_E_TYPE, "it has no size, as files of /proc have none");
	h->size_bytes = (uint64_t)size;
	int r = read_at(fd, h->start, sizeof(h->start), 0, err);
	if (r >= 0)
		r = read_at(fd, h->btrfs, sizeof(h->btrfs), BTRFS_SUPER, err);
	if (r >= 0)
		r = read_at(fd, h->iso, sizeof(h->iso), ISO9660_MAGIC, err);
	return r;
}

/* The size that a superblock claims, saturating: a damaged one may claim anything. */
static uint64_t claim(uint64_t blocks, unsigned block_bits)
{
	return block_bits > 24 || blocks > UINT64_MAX >> block_bits ? UINT64_MAX : blocks << block_bits;
}

static bool is_squashfs(const struct head *h, uint64_t *ret_bytes)
{
	if (memcmp(h->start, "hsqs", 4) != 0)
		return false;
	*ret_bytes = get_le64(h->start + 40);
	return true;
}

static bool is_erofs(const struct head *h, uint64_t *ret_bytes)
{
	const unsigned char *s = h->start + 1024;

	if (get_le32(s) != 0xe0f5e1e2)
		return false;
	/* Writers need not pad the last block. */
	uint64_t bytes = claim(get_le32(s + 36), s[12]);
	*ret_bytes = s[12] <= 24 && bytes >= 1u << s[12] ? bytes - (1u << s[12]) + 1 : bytes;
	return true;
}

#define EXT_HAS_JOURNAL 0x4u
#define EXT_INCOMPAT_64BIT 0x80u
/* Features that ext3's driver did not have: with any of them blkid says ext4, and so do we. */
#define EXT3_INCOMPAT 0x16u
#define EXT3_RO_COMPAT 0x7u

static bool is_ext(const struct head *h, uint64_t *ret_bytes)
{
	const unsigned char *s = h->start + 1024;
	uint32_t block_bits = get_le32(s + 24);

	/* Two bytes of magic are little; the rest must make some sense. */
	if (get_le16(s + 56) != 0xef53 || block_bits > 6 || get_le32(s + 76) > 1 || !get_le32(s))
		return false;
	uint64_t blocks = get_le32(s + 4);
	if (get_le32(s + 96) & EXT_INCOMPAT_64BIT)
		blocks |= (uint64_t)get_le32(s + 336) << 32;
	*ret_bytes = claim(blocks, 10 + block_bits);
	return true;
}

static const char *ext_name(const struct head *h)
{
	const unsigned char *s = h->start + 1024;

	if ((get_le32(s + 96) & ~EXT3_INCOMPAT) || (get_le32(s + 100) & ~EXT3_RO_COMPAT))
		return "ext4";
	return get_le32(s + 92) & EXT_HAS_JOURNAL ? "ext3" : "ext2";
}

static bool is_xfs(const struct head *h, uint64_t *ret_bytes)
{
	if (memcmp(h->start, "XFSB", 4) != 0)
		return false;
	uint64_t block = get_be(h->start + 4, 4), blocks = get_be(h->start + 8, 8);
	*ret_bytes = block && blocks > UINT64_MAX / block ? UINT64_MAX : blocks * block;
	return true;
}

static bool is_btrfs(const struct head *h, uint64_t *ret_bytes)
{
	if (memcmp(h->btrfs + 64, "_BHRfS_M", 8) != 0)
		return false;
	/* Of several devices, the total says nothing about this one. */
	*ret_bytes = get_le64(h->btrfs + 136) > 1 ? 0 : get_le64(h->btrfs + 112);
	return true;
}

static const struct image_format *format_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

/* Return: how many of our formats have a superblock here; the last of them is *ret_name. */
static unsigned look_for_ours(const struct head *h, const char **ret_name, uint64_t *ret_bytes)
{
	static const struct {
		const char *name;
		bool (*is)(const struct head *h, uint64_t *ret_bytes);
	} looks[] = {
		{ "squashfs", is_squashfs },
		{ "erofs", is_erofs },
		{ "ext4", is_ext },
		{ "xfs", is_xfs },
		{ "btrfs", is_btrfs },
	};
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (looks[i].is(h, ret_bytes)) {
			*ret_name = looks[i].is == is_ext ? ext_name(h) : looks[i].name;
			found++;
		}
	return found;
}

static const struct {
	unsigned offset;
	unsigned char len;
	const char *magic;
	const char *what;
	const char *advice;
} strangers[] = {
	{ 0, 2, "\x1f\x8b", "a gzip archive", "unpack it first: gzip -d" },
	{ 0, 6, "\xfd" "7zXZ\0", "an xz archive", "unpack it first: xz -d" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first: zstd -d" },
	{ 0, 3, "BZh", "a bzip2 archive", "unpack it first: bzip2 -d" },
	{ 0, 4, "\x04\x22\x4d\x18", "an lz4 archive", "unpack it first: lz4 -d" },
	{ 0, 4, "PK\3\4", "a zip archive", "unpack it into a directory and give that" },
	{ 257, 5, "ustar", "a tar archive", "unpack it into a directory and give that" },
	{ 0, 6, "070701", "a cpio archive", "unpack it into a directory and give that" },
	{ 0, 7, "!<arch>", "an ar archive or a Debian package", "unpack it into a directory and give that" },
	{ 0, 4, "sqsh", "a big-endian squashfs image of an old version", "make it anew with mksquashfs" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image", "convert it: qemu-img convert -O raw" },
	{ 0, 4, "KDMV", "a VMware disk image", "convert it: qemu-img convert -O raw" },
	{ 0, 8, "vhdxfile", "a VHDX disk image", "convert it: qemu-img convert -O raw" },
	{ 0, 6, "LUKS\xba\xbe", "an encrypted (LUKS) volume",
	  "open it with cryptsetup and give the /dev/mapper device" },
	{ 512, 8, "LABELONE", "an LVM physical volume", "give the logical volume's device" },
	{ 512, 8, "EFI PART", "a whole disk with partitions",
	  "give one partition: losetup -P, then /dev/loopNpM" },
	{ 0, 4, "\x7f" "ELF", "a program", NULL },
	{ 0, 2, "#!", "a script", NULL },
	{ 510, 2, "\x55\xaa", "a whole disk with partitions, or a boot sector",
	  "give one partition: losetup -P, then /dev/loopNpM" },
};

#define FORMATS_HINT "kennel reads images of squashfs, erofs, ext2, ext3, ext4, btrfs and xfs"

static int fail_stranger(const struct head *h, const char *name, struct kennel_error **err)
{
	if (h->size_bytes == 0)
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" is empty", name);
	if (memcmp(h->iso, "CD001", 5) == 0)    /* before the boot sector that most of them also have */
		return hint(err,
			    fail(err, KENNEL_E_CORRUPT,
				 "\"%s\" is not an image that kennel knows: it looks like a CD or DVD image",
				 name),
			    "mount it and give the directory, or the squashfs file in it");
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		if (memcmp(h->start + strangers[i].offset, strangers[i].magic, strangers[i].len) != 0)
			continue;
		int r = fail(err, KENNEL_E_CORRUPT,
			     "\"%s\" is not an image that kennel knows: it looks like %s", name,
			     strangers[i].what);
		return hint(err, r, "%s", strangers[i].advice ? strangers[i].advice : FORMATS_HINT);
	}
	return hint(err, fail(err, KENNEL_E_CORRUPT, "\"%s\" holds no file system that kennel knows", name),
		    FORMATS_HINT);
}

#if KENNEL_HAVE_BLKID
#define BLKID_AMBIVALENT (-2)           /* blkid_do_safeprobe(); 1 is "nothing found" */

struct blkid {
	void *library;
	__typeof__(&blkid_new_probe) new_probe;
	__typeof__(&blkid_free_probe) free_probe;
	__typeof__(&blkid_probe_set_device) set_device;
	__typeof__(&blkid_probe_enable_superblocks) enable_superblocks;
	__typeof__(&blkid_probe_set_superblocks_flags) set_flags;
	__typeof__(&blkid_do_safeprobe) safeprobe;
	__typeof__(&blkid_probe_lookup_value) lookup;
};

static void cleanup_blkid(struct blkid *b)
{
	if (b->library)
		dlclose(b->library);
}

static bool load_blkid(struct blkid *b)
{
	b->library = dlopen("libblkid.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!b->library)
		return false;
	b->new_probe = dlsym(b->library, "blkid_new_probe");
	b->free_probe = dlsym(b->library, "blkid_free_probe");
	b->set_device = dlsym(b->library, "blkid_probe_set_device");
	b->enable_superblocks = dlsym(b->library, "blkid_probe_enable_superblocks");
	b->set_flags = dlsym(b->library, "blkid_probe_set_superblocks_flags");
	b->safeprobe = dlsym(b->library, "blkid_do_safeprobe");
	b->lookup = dlsym(b->library, "blkid_probe_lookup_value");
	return b->new_probe && b->free_probe && b->set_device && b->enable_superblocks && b->set_flags &&
	       b->safeprobe && b->lookup;
}

/*
 * Return: 1 and *ret set (caller frees), 0 nothing known or no libblkid, BLKID_AMBIVALENT, or -1 for any
 * other failure.
 */
static int ask_blkid(int fd, char **ret)
{
	__attribute__((cleanup(cleanup_blkid))) struct blkid b = { 0 };
	const char *type;

	if (!load_blkid(&b))
		return 0;
	blkid_probe probe = b.new_probe();
	if (!probe)
		return -1;
	int r = -1;
	if (b.set_device(probe, fd, 0, 0) == 0 && b.enable_superblocks(probe, 1) == 0 &&
	    b.set_flags(probe, BLKID_SUBLKS_TYPE) == 0)
		r = b.safeprobe(probe);
	if (r == 0 && b.lookup(probe, "TYPE", &type, NULL) == 0)
		r = (*ret = strdup(type)) ? 1 : -1;
	else if (r == 1 || r == 0)
		r = 0;
	b.free_probe(probe);
	return r;
}
#else
#define BLKID_AMBIVALENT (-2)

static int ask_blkid(int fd, char **ret)
{
	return 0;
}
#endif

/* None of ours, or several of them: libblkid may know better. */
static int find_by_blkid(int fd, const struct head *h, unsigned found, const char *name,
			 const struct image_format **ret, struct kennel_error **err)
{
	_cleanup_free_ char *type = NULL;
	int r = ask_blkid(fd, &type);

	if (r == BLKID_AMBIVALENT || (r <= 0 && found > 1))
		return hint(err,
			    fail(err, KENNEL_E_CORRUPT, "\"%s\" has the marks of several file systems", name),
			    "wipefs \"%s\" lists them, wipefs --offset removes the old ones", name);
	if (r <= 0)
		return fail_stranger(h, name, err);
	*ret = format_by_name(type);
	if (*ret)
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_CORRUPT, "\"%s\" is not an image that kennel knows: it holds %s", name,
			 type),
		    FORMATS_HINT);
}

int image_format_find(int fd, const char *name, const struct image_format **ret, struct kennel_error **err)
{
	struct head h = { 0 };
	const char *type = NULL;
	uint64_t bytes = 0;
	int r = read_head(fd, &h, err);
	if (r < 0)
		return wrap(err, r, "look into \"%s\"", name);
	unsigned found = look_for_ours(&h, &type, &bytes);
	if (found != 1)
		return find_by_blkid(fd, &h, found, name, ret, err);
	if (bytes > h.size_bytes)
		return fail(err, KENNEL_E_CORRUPT,
			    "the %s image \"%s\" is damaged: it is cut short, or claims a wrong size "
			    "(%llu of %llu bytes)",
			    type, name, (unsigned long long)h.size_bytes, (unsigned long long)bytes);
	if (strcmp(type, "btrfs") == 0 && get_le64(h.btrfs + 136) > 1)
		return fail(err, KENNEL_E_UNSUPPORTED,
			    "the btrfs image \"%s\" is one of %llu devices of its file system", name,
			    (unsigned long long)get_le64(h.btrfs + 136));
	*ret = format_by_name(type);
	return 0;
}

int image_size(int fd, const char *name, uint64_t *ret, struct kennel_error **err)
{
	struct head h = { 0 };
	const char *type = NULL;

	int r = read_head(fd, &h, err);
	if (r < 0)
		return wrap(err, r, "look into \"%s\"", name);
	*ret = h.size_bytes;
	(void)!look_for_ours(&h, &type, ret);
	return 0;
}
