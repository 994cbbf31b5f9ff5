/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-ship.c - what an import reads as text: JSON of an OCI image, our own mark, names out of archives. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ship/archive.h"
#include "ship/json.h"
#include "ship/mark.h"
#include "ship/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_manifest manifest = { 0 };
	struct oci_descriptor descriptor;
	struct ship_mark mark = { 0 };
	struct strv words = { 0 };
	struct json json = { 0 };
	bool is_index;
	char clean[512], name[512];

	if (json_parse((const char *)data, size, &json, NULL) == 0)
		json_done(&json);
	(void)!oci_index_parse((const char *)data, size, "amd64", &descriptor, &is_index, NULL);
	if (oci_manifest_parse((const char *)data, size, &manifest, NULL) == 0)
		oci_manifest_done(&manifest);
	if (oci_config_parse((const char *)data, size, &words, NULL) == 0 && words.n % 2)
		abort();
	strv_done(&words);
	if (ship_mark_parse((const char *)data, size, &mark, NULL) == 0)
		ship_mark_done(&mark);
	size_t n = size < sizeof(name) ? size : sizeof(name) - 1;
	memcpy(name, data, n);
	name[n] = '\0';
	if (ship_clean_name(name, clean, sizeof(clean))) {
		char again[sizeof(clean)];

		/* what is clean stays as it is, and leads nowhere else */
		if (!ship_clean_name(clean, again, sizeof(again)) || strcmp(clean, again) != 0 ||
		    clean[0] == '/' || strcmp(clean, "..") == 0)
			abort();
	}
	return 0;
}
