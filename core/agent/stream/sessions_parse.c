/* What a workspace says of its sessions, taken apart: known members of known types, each within its bounds. */
#include <string.h>

#include "agent/stream/sessions.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { MOST = 64, NAME_MAX_BYTES = 64, COMMAND_MAX = 200, ID_MAX = 31 };
#define NUMBER_MAX (INT64_C(1) << 52)

/* Cut at a character's beginning; '?' for each that does not show itself. */
static void take_text(cJSON *out, const cJSON *from, const char *key, size_t max)
{
	cleanup_buf struct buf clean = { 0 };
	const char *s = json_str_or(from, key, "");
	for (size_t n; *s; s += n) {
		n = utf8_unshown(s);
		if (n)
			buf_addc(&clean, '?');
		else
			for (n = 1, buf_addc(&clean, *s); ((unsigned char)s[n] & 0xc0) == 0x80; n++)
				buf_addc(&clean, s[n]);
		if (clean.len > max)
			break;
	}
	size_t end = clean.len > max ? max : clean.len;
	while (end < clean.len && end && ((unsigned char)clean.data[end] & 0xc0) == 0x80)
		end--;
	json_set_strn(out, key, buf_str(&clean), end);
}

static void take_number(cJSON *out, const cJSON *from, const char *key, int64_t max)
{
	int64_t n = json_int_or(from, key, 0);
	json_set_int(out, key, n < 0 ? 0 : n > max ? max : n);
}

bool sessions_id_ok(const char *id)
{
	return id && *id && strlen(id) <= ID_MAX &&
	       !id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

static bool known(const cJSON *rows, const char *id)
{
	const cJSON *row;
	cJSON_ArrayForEach(row, rows)
		if (strcmp(json_str_or(row, "id", ""), id) == 0)
			return true;
	return false;
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
		const char *id = json_str(one, "id");
		if (!sessions_id_ok(id) || known(out, id) || cJSON_GetArraySize(out) == MOST)
			continue;
		cJSON *row = cJSON_CreateObject();
		json_set_str(row, "id", id);
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
