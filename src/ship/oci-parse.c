/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/oci-parse.c - an index and a manifest as text; see oci.h. Docker's own media types are the same
 * things.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "ship/json.h"
#include "ship/oci.h"

const char *oci_arch(void)
{
	static const char *const names[][2] = {
		{ "x86_64", "amd64" },	  { "aarch64", "arm64" }, { "riscv64", "riscv64" }, { "i686", "386" },
		{ "ppc64le", "ppc64le" }, { "s390x", "s390x" },	  { "armv7l", "arm" },
	};
	struct utsname u;

	if (uname(&u) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (strcmp(u.machine, names[i][0]) == 0)
				return names[i][1];
	return "amd64";
}

/* "sha256:" and 64 lower-case hexadecimal digits: it becomes the name of a file. */
static int take_descriptor(const struct json *j, struct oci_descriptor *ret, struct kennel_error **err)
{
	const char *digest = json_text(json_get(j, "digest"));

	*ret = (struct oci_descriptor){ 0 };
	if (!digest || strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != OCI_DIGEST_SIZE - 1 ||
	    strspn(digest + 7, "0123456789abcdef") != 64)
		return fail(err, KENNEL_E_CORRUPT, "the image has a blob without a sha256 digest");
	if (!json_u64(json_get(j, "size"), &ret->size))
		return fail(err, KENNEL_E_CORRUPT, "the image has a blob without a size");
	memcpy(ret->digest, digest, OCI_DIGEST_SIZE);
	return 0;
}

int oci_index_parse(const char *text, size_t len, const char *arch, struct oci_descriptor *ret,
		    bool *ret_is_index, struct kennel_error **err)
{
	_cleanup_json_ struct json j = { 0 };
	const struct json *best = NULL, *m;
	int r = json_parse(text, len, &j, err);
	if (r < 0)
		return wrap(err, r, "the index of the image");
	const struct json *list = json_get(&j, "manifests");
	for (size_t i = 0; (m = json_at(list, i)); i++) {
		const char *a = json_text(json_get(json_get(m, "platform"), "architecture"));

		if (!best || (a && strcmp(a, arch) == 0))
			best = m;
		if (a && strcmp(a, arch) == 0)
			break;
	}
	if (!best)
		return fail(err, KENNEL_E_CORRUPT, "the image has no manifest");
	const char *type = json_text(json_get(best, "mediaType"));
	*ret_is_index = type &&
			(strcmp(type, OCI_INDEX) == 0 ||
			 strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0);
	return take_descriptor(best, ret, err);
}

void oci_manifest_done(struct oci_manifest *m)
{
	free(m->layers);
	free(m->mark);
	*m = (struct oci_manifest){ 0 };
}

int oci_manifest_parse(const char *text, size_t len, struct oci_manifest *ret, struct kennel_error **err)
{
	_cleanup_json_ struct json j = { 0 };
	int r = json_parse(text, len, &j, err);

	*ret = (struct oci_manifest){ 0 };
	if (r < 0)
		return wrap(err, r, "the manifest of the image");
	const struct json *layers = json_get(&j, "layers");
	const char *mark = json_text(json_get(json_get(&j, "annotations"), OCI_MARK));
	if (!layers || layers->type != JSON_ARRAY || layers->n == 0)
		return fail(err, KENNEL_E_CORRUPT, "the image has no layers");
	ret->layers = calloc(layers->n, sizeof(*ret->layers));
	if (!ret->layers || (mark && !(ret->mark = strdup(mark))))
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	ret->has_config = json_get(&j, "config") != NULL;
	if (r == 0 && ret->has_config)
		r = take_descriptor(json_get(&j, "config"), &ret->config, err);
	for (; r == 0 && ret->n_layers < layers->n; ret->n_layers++)
		r = take_descriptor(json_at(layers, ret->n_layers), &ret->layers[ret->n_layers], err);
	if (r < 0)
		oci_manifest_done(ret);
	return r;
}

static int put(struct strv *v, const char *key, const char *value, struct kennel_error **err)
{
	int r = strv_add(v, key, err);

	return r < 0 ? r : strv_add(v, value, err);
}

/* Entrypoint and what it gets, as one value with the words quoted. */
static void put_words(struct buf *b, const struct json *list)
{
	const char *word;

	for (size_t i = 0; (word = json_text(json_at(list, i))); i++) {
		buf_puts(b, b->len ? " " : "");
		strv_quote_word(b, word);
	}
}

int oci_config_parse(const char *text, size_t len, struct strv *ret, struct kennel_error **err)
{
	_cleanup_json_ struct json j = { 0 };
	_cleanup_buf_ struct buf command = { 0 };
	const char *value;
	int r = json_parse(text, len, &j, err);

	if (r < 0)
		return wrap(err, r, "the configuration of the image");
	const struct json *c = json_get(&j, "config"), *env = json_get(c, "Env");
	put_words(&command, json_get(c, "Entrypoint"));
	put_words(&command, json_get(c, "Cmd"));
	r = buf_check(&command, err);
	if (r == 0 && command.len)
		r = put(ret, "command", buf_str(&command), err);
	for (size_t i = 0; r == 0 && (value = json_text(json_at(env, i))); i++)
		r = put(ret, "env", value, err);
	value = json_text(json_get(c, "WorkingDir"));
	if (r == 0 && value && *value)
		r = put(ret, "workdir", value, err);
	value = json_text(json_get(c, "User"));
	return r == 0 && value && *value ? put(ret, "user", value, err) : r;
}
