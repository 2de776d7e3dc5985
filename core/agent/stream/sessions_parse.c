/* What a workspace says of its sessions, taken apart: known members of known types, each within its bounds. */
#include <string.h>

#include "agent/stream/sessions.h"
#include "base/mem.h"

enum { MOST = 64, NAME_MAX_BYTES = 64, COMMAND_MAX = 200, ID_MAX = 31 };
#define NUMBER_MAX (INT64_C(1) << 52)

/* Cut at a character's beginning; control characters as '?'. */
static void take_text(cJSON *out, const cJSON *from, const char *key, size_t max)
{
	const char *s = json_str(from, key);
	cleanup_free char *copy = xstrdup(s ? s : "");
	size_t n = strlen(copy);
	if (n > max)
		for (n = max; n && ((unsigned char)copy[n] & 0xc0) == 0x80; n--)
			;
	copy[n] = 0;
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	json_set_str(out, key, copy);
}

static void take_number(cJSON *out, const cJSON *from, const char *key, int64_t max)
{
	int64_t n = json_int_or(from, key, 0);
	json_set_int(out, key, n < 0 ? 0 : n > max ? max : n);
}

static bool is_id(const char *id)
{
	return id && *id && strlen(id) <= ID_MAX &&
	       !id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

cJSON *sessions_parse(const char *line, size_t n)
{
	static const char *const counts[] = { "created", "input", "output", "bell" };
	static const char *const sizes[] = { "cols", "rows", "attached" };
	cleanup_json cJSON *j = json_parse(line, n, "sessions", NULL);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(j, "sessions"), *one;
	if (!cJSON_IsArray(list))
		return NULL;
	cJSON *out = cJSON_CreateArray();
	cJSON_ArrayForEach(one, list) {
		if (!is_id(json_str(one, "id")) || cJSON_GetArraySize(out) == MOST)
			continue;
		cJSON *row = cJSON_CreateObject();
		json_set_str(row, "id", json_str(one, "id"));
		take_text(row, one, "name", NAME_MAX_BYTES);
		take_text(row, one, "command", COMMAND_MAX);
		take_text(row, one, "program", NAME_MAX_BYTES);
		for (size_t i = 0; i < ARRAY_LEN(counts); i++)
			take_number(row, one, counts[i], NUMBER_MAX);
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
			take_number(row, one, sizes[i], 10000);
		json_set_bool(row, "busy", json_bool_or(one, "busy", false));
		json_push(out, row);
	}
	return out;
}
