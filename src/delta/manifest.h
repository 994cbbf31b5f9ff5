/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/manifest.h - what has to be known to read a delta: over which base it lies, what of it kennel itself
 * put in. Pure: text to struct and back.
 *
 * A kept delta has it as the file "manifest", a running sandbox as one value of its runtime entry. Lines of
 * fields with tabs between (base/line.h), in this order, the first one always "format<tab>1":
 *
 *   base     system | ABSOLUTE-PATH
 *   base-id  TEXT                           tells that base from another one; none: unknown
 *   root-layer PATH                         of --base system:LAYER, uppermost first
 *   layer    PATH                           of --layer, lowest first
 *   below    LAYER                          frozen changes that it stands on, lowest first: an id in its own
 *                                           store (container/layers.h), or the absolute path of one
 *   mount    INDEX TARGET FSTYPE UUID       DELTA/INDEX/upper has the changes of TARGET; UUID "-": unknown
 *   view     yes | no                       mount 0 is a view of all mounts, as an ordinary user's copy has
 *   absent   PATH                           an empty directory in that view, whatever the base has there
 *   squash   yes | no                       the view tells 0 as owner of everything
 *   idmap    no | UIDBASE:COUNT:GIDBASE:COUNT:OWNUID:OWNGID   how ids on disk differ from those inside
 *   begun    NS COPIED_NS                   the first start; births up to the second are those of copies
 *   xattr    user | trusted                 where the overlay keeps its xattrs
 *   planted  INDEX REL KIND SIZE MTIME_NS
 *
 * A planted entry that is still what it was when kennel made it is no change.
 */
#ifndef KENNEL_DELTA_MANIFEST_H
#define KENNEL_DELTA_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"
#include "idmap/user.h"

enum manifest_kind {
	MANIFEST_FILE, /* a regular file of this size and mtime */
	MANIFEST_WHITEOUT,
	MANIFEST_OPAQUE, /* an empty directory in place of what the base has */
	MANIFEST_PLACE, /* what was made to mount something on: a directory or an empty file */
};

struct manifest_planted {
	unsigned mount;
	char *rel; /* below the upper, clean, without a leading slash */
	enum manifest_kind kind;
	uint64_t size; /* of a file; else 0 */
	int64_t mtime_ns;
};

struct manifest_plants {
	struct manifest_planted *items;
	size_t n, room;
	bool sorted; /* by mount and rel: see manifest_plants_sort() */
};

struct manifest_mount {
	unsigned index;
	char *target, *fstype;
	char *uuid; /* NULL: unknown */
};

struct manifest {
	char *base;
	char *base_id; /* NULL: unknown */
	struct strv root_layers, layers, below;
	struct manifest_mount *mounts; /* by rising index; the first is 0, "/" */
	size_t n_mounts;
	bool view, squash;
	struct strv absent;
	bool shifted;
	struct idmap_user ids; /* iff shifted */
	int64_t begun_ns; /* nobody saw the base through this delta before; 0: unknown */
	int64_t copied_ns; /* files of the delta that were born until then are copies; or 0 */
	bool user_xattr;
	struct manifest_plants planted;
};

/* Takes the place of *ret, which is empty (all zero) before. CORRUPT names the line. */
int manifest_parse(const char *text, struct manifest *ret, struct kennel_error **err) MUST_CHECK;
void manifest_format(const struct manifest *m, struct buf *b);
void manifest_done(struct manifest *m);

/* Is it the id of a frozen layer, as "below" has them? */
#define MANIFEST_LAYER_ID_LEN 16
bool manifest_is_layer_id(const char *s);

/* A file system's identity as text. */
#define MANIFEST_UUID_SIZE 37
void manifest_uuid_text(const uint8_t uuid[16], char ret[static MANIFEST_UUID_SIZE]);

/* The time of day as file systems write it down: what is made or changed from now on has none earlier. */
int64_t manifest_now(void);
/* And one that no file has which was made or changed until now: Linux 6.13 gives some of them finer times. */
int64_t manifest_made_until_now(void);

/* The parts of it, for a start, which writes one without making one. */
void manifest_put(struct buf *b, const char *key, const char *const *fields, size_t n);
void manifest_put_planted(struct buf *b, const struct manifest_planted *p);

/* Adds a mount behind the others; uuid may be NULL. */
int manifest_add_mount(struct manifest *m, unsigned index, const char *target, const char *fstype,
		       const char *uuid, struct kennel_error **err) MUST_CHECK;

/* Remembers what was planted, as st shows it; of st only size and mtime count, and only for a file. */
int manifest_plants_add(struct manifest_plants *p, unsigned mount, const char *rel, enum manifest_kind kind,
			const struct stat *st, struct kennel_error **err) MUST_CHECK;
/* One line's worth: "planted" lines alone, as an errand sends them. Appends. */
int manifest_plants_parse(const char *text, struct manifest_plants *ret, struct kennel_error **err)
	MUST_CHECK;
void manifest_plants_sort(struct manifest_plants *p);
void manifest_plants_done(struct manifest_plants *p);

/* Of sorted ones: the entry at rel, or NULL. */
const struct manifest_planted *manifest_plants_find(const struct manifest_plants *p, unsigned mount,
						    const char *rel);
/* Is anything planted at or below directory dir ("": anywhere in the mount)? */
bool manifest_plants_below(const struct manifest_plants *p, unsigned mount, const char *dir);

/*
 * Is what is there now (its attributes; opaque: of a directory that hides what is below) still what was
 * planted?
 */
bool manifest_planted_is_same(const struct manifest_planted *p, const struct stat *now, bool opaque);

static inline void cleanup_manifestp(struct manifest *m)
{
	manifest_done(m);
}
#define _cleanup_manifest_ __attribute__((cleanup(cleanup_manifestp)))

#endif
