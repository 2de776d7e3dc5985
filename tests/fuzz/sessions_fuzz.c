/* What a workspace tells of its sessions: whatever the bytes, the list is bounded, and of the types that it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stream/sessions.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void clean(const cJSON *row, const char *key, size_t max)
{
	const char *s = json_str(row, key);
	if (!s || strlen(s) > max || !utf8_valid(s, strlen(s)))
		abort();
	for (; *s; s++)
		if (utf8_unshown(s))
			abort();
}

static void bounded(const cJSON *row, const char *key, double max)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, key);
	double d = json_num_or(row, key, json_int_or(row, key, -1));
	if (!v || d < 0 || d > max)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_json cJSON *list = sessions_parse((const char *)data, n);
	const cJSON *row;
	if (!list)
		return 0;
	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > 64)
		abort();
	cJSON_ArrayForEach(row, list) {
		if (!sessions_id_ok(json_str(row, "id")) || cJSON_GetArraySize(row) != 12)
			abort();
		clean(row, "name", 64);
		clean(row, "command", 200);
		clean(row, "program", 64);
		bounded(row, "created", 0x1p52);
		bounded(row, "input", 0x1p52);
		bounded(row, "output", 0x1p52);
		bounded(row, "bell", 0x1p52);
		bounded(row, "cols", 10000);
		bounded(row, "rows", 10000);
		bounded(row, "attached", 10000);
	}
	return 0;
}
