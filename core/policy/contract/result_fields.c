#include "policy/contract/result_fields.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"

#define MAX_EXACT 9007199254740992.0

static const char *lua_type_name(const cJSON *j)
{
	if (!j || cJSON_IsNull(j))
		return "nil";
	if (cJSON_IsObject(j) && j->child && j->child->string && j->child->string[0] == '$')
		return "a reference";
	return cJSON_IsObject(j) || cJSON_IsArray(j) ? "table" : json_type_name(j);
}

int result_wrong(struct buf *why, const char *path, const char *expected, const cJSON *got)
{
	buf_addf(why, "%s: expected %s, got %s", path, expected, lua_type_name(got));
	if (cJSON_IsString(got) && strlen(got->valuestring) <= 80) {
		buf_addc(why, ' ');
		json_quote(why, got->valuestring, strlen(got->valuestring));
	} else if (cJSON_IsNumber(got)) {
		buf_addf(why, " %.15g", got->valuedouble);
	}
	return -1;
}

void result_as_list(cJSON *j)
{
	if (cJSON_IsObject(j) && !j->child)
		j->type = (j->type & ~0xff) | cJSON_Array;
}

void result_as_map(cJSON *j)
{
	if (cJSON_IsArray(j) && !j->child)
		j->type = (j->type & ~0xff) | cJSON_Object;
}

static int to_bytes(cJSON *j)
{
	long long n;
	if (cJSON_IsNumber(j))
		return j->valuedouble >= 0 && j->valuedouble <= MAX_EXACT && j->valuedouble == floor(j->valuedouble)
			       ? 0
			       : -1;
	if (!cJSON_IsString(j) || str_to_bytes(j->valuestring, &n) < 0 || n < 0 || (double)n > MAX_EXACT)
		return -1;
	free(j->valuestring);
	j->valuestring = NULL;
	j->type = (j->type & ~0xff) | cJSON_Number;
	cJSON_SetNumberHelper(j, (double)n);
	return 0;
}

static int check_field(cJSON *v, const char *path, const char *type, struct buf *why)
{
	if (strcmp(type, "string") == 0)
		return cJSON_IsString(v) ? 0 : result_wrong(why, path, "string", v);
	if (strcmp(type, "boolean") == 0)
		return cJSON_IsBool(v) ? 0 : result_wrong(why, path, "boolean", v);
	if (strcmp(type, "number") == 0)
		return cJSON_IsNumber(v) && v->valuedouble > 0 ? 0 : result_wrong(why, path, "number above 0", v);
	if (strcmp(type, "count") == 0)
		return cJSON_IsNumber(v) && v->valuedouble >= 1 && v->valuedouble <= 4194304 &&
				       v->valuedouble == floor(v->valuedouble)
			       ? 0
			       : result_wrong(why, path, "whole number above 0", v);
	if (strcmp(type, "size") == 0)
		return to_bytes(v) == 0 ? 0 : result_wrong(why, path, "size", v);
	if (strcmp(type, "list") == 0) {
		result_as_list(v);
		return cJSON_IsArray(v) ? 0 : result_wrong(why, path, "list", v);
	}
	if (strcmp(type, "map") == 0) {
		result_as_map(v);
		return cJSON_IsObject(v) ? 0 : result_wrong(why, path, "table of names", v);
	}
	return 0;
}

int result_fields(cJSON *obj, const char *path, const struct field *fields, struct buf *why)
{
	result_as_map(obj);
	if (!cJSON_IsObject(obj))
		return result_wrong(why, path, "table", obj);
	const char *names[40];
	size_t n = 0;
	for (const struct field *f = fields; f->name && n < ARRAY_LEN(names) - 1; f++)
		names[n++] = f->name;
	names[n] = NULL;
	for (cJSON *v = obj->child; v; v = v->next) {
		const struct field *f = fields;
		while (f->name && strcmp(f->name, v->string) != 0)
			f++;
		cleanup_free char *below = xasprintf("%s.%s", path, v->string);
		if (!f->name) {
			const char *near = str_nearest(v->string, names);
			buf_addf(why, "%s: no such field%s%s%s", below, near ? " (did you mean '" : "",
				 near ? near : "", near ? "'?)" : "");
			return -1;
		}
		if (check_field(v, below, f->type, why) < 0)
			return -1;
	}
	return 0;
}
