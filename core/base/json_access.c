/* Looking into JSON and building it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/utf8.h"

#define MAX_EXACT 0x1p53 /* up to here a double holds every whole number */

const cJSON *json_at(const cJSON *j, const char *path)
{
	if (!path || !*path)
		return j;
	while (cJSON_IsObject(j)) {
		/* First: labels have dots in their names. */
		const cJSON *whole = cJSON_GetObjectItemCaseSensitive(j, path);
		const char *dot = strchr(path, '.');
		if (whole || !dot)
			return whole;
		size_t n = (size_t)(dot - path);
		const cJSON *m = j->child;
		while (m && !(m->string && strncmp(m->string, path, n) == 0 && m->string[n] == '\0'))
			m = m->next;
		j = m;
		path = dot + 1;
	}
	return NULL;
}

const char *json_str(const cJSON *j, const char *path)
{
	return cJSON_GetStringValue(json_at(j, path));
}

const char *json_str_or(const cJSON *j, const char *path, const char *dflt)
{
	const char *s = json_str(j, path);
	return s ? s : dflt;
}

double json_num_or(const cJSON *j, const char *path, double dflt)
{
	const cJSON *v = json_at(j, path);
	return cJSON_IsNumber(v) ? v->valuedouble : dflt;
}

static int64_t to_int(double v)
{
	if (v >= 0x1p63)
		return INT64_MAX;
	return v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

int64_t json_int_or(const cJSON *j, const char *path, int64_t dflt)
{
	const cJSON *v = json_at(j, path);
	long long n;
	if (cJSON_IsNumber(v) && !isnan(v->valuedouble))
		return to_int(v->valuedouble);
	/* Beyond 2^53 integers travel as text. */
	if (cJSON_IsString(v) && str_to_int(v->valuestring, INT64_MIN, INT64_MAX, &n) == 0)
		return n;
	return dflt;
}

bool json_bool_or(const cJSON *j, const char *path, bool dflt)
{
	const cJSON *v = json_at(j, path);
	return cJSON_IsBool(v) ? cJSON_IsTrue(v) : dflt;
}

bool json_list_has(const cJSON *list, const char *text)
{
	const cJSON *v;
	cJSON_ArrayForEach(v, list)
		if (cJSON_IsString(v) && str_eq(v->valuestring, text))
			return true;
	return false;
}

const char *json_type_name(const cJSON *j)
{
	switch (j ? j->type & 0xff : cJSON_Invalid) {
	case cJSON_True:
	case cJSON_False:
		return "boolean";
	case cJSON_NULL:
		return "null";
	case cJSON_Number:
		return "number";
	case cJSON_String:
		return "string";
	case cJSON_Array:
		return "array";
	case cJSON_Object:
		return "object";
	default:
		return "undefined";
	}
}

static int wrong_type(const cJSON *v, const char *what, const char *path, const char *expected, struct perry_err **err)
{
	return perry_fail(err, PERRY_EINPUT, "%s: %s: expected %s, got %s", what, path, expected, json_type_name(v));
}

int json_get_str(const cJSON *j, const char *what, const char *path, const char **out, struct perry_err **err)
{
	const cJSON *v = json_at(j, path);
	if (v && !cJSON_IsString(v))
		return wrong_type(v, what, path, "string", err);
	if (v)
		*out = v->valuestring;
	return 0;
}

int json_get_bool(const cJSON *j, const char *what, const char *path, bool *out, struct perry_err **err)
{
	const cJSON *v = json_at(j, path);
	if (v && !cJSON_IsBool(v))
		return wrong_type(v, what, path, "boolean", err);
	if (v)
		*out = cJSON_IsTrue(v);
	return 0;
}

int json_get_int(const cJSON *j, const char *what, const char *path, int64_t min, int64_t max, int64_t *out,
		 struct perry_err **err)
{
	const cJSON *v = json_at(j, path);
	if (!v)
		return 0;
	if (!cJSON_IsNumber(v))
		return wrong_type(v, what, path, "number", err);
	int64_t i = isnan(v->valuedouble) ? 0 : to_int(v->valuedouble);
	if (v->valuedouble != floor(v->valuedouble) || fabs(v->valuedouble) > MAX_EXACT || i < min || i > max) {
		cleanup_free char *got = json_print(v);
		return perry_fail(err, PERRY_EINPUT, "%s: %s: expected a whole number from %lld to %lld, got %s", what,
				  path, (long long)min, (long long)max, got);
	}
	*out = i;
	return 0;
}

void json_set(cJSON *obj, const char *key, cJSON *take_value)
{
	if (!cJSON_IsObject(obj)) {
		cJSON_Delete(take_value);
		return;
	}
	/* A text from outside may have a key twice, and readers differ in which one they take: leave one. */
	cJSON *found = NULL;
	for (cJSON *m = obj->child, *next; m; m = next) {
		next = m->next;
		if (!m->string || strcmp(m->string, key) != 0)
			continue;
		if (!found)
			found = m;
		else if (m != take_value)
			cJSON_Delete(cJSON_DetachItemViaPointer(obj, m));
	}
	if (found && found == take_value)
		return;
	if (!take_value && found)
		cJSON_Delete(cJSON_DetachItemViaPointer(obj, found));
	else if (take_value && found)
		cJSON_ReplaceItemInObjectCaseSensitive(obj, key, take_value);
	else if (take_value)
		cJSON_AddItemToObject(obj, key, take_value);
}

void json_set_str(cJSON *obj, const char *key, const char *s)
{
	json_set(obj, key, s ? cJSON_CreateString(s) : NULL);
}

void json_set_strn(cJSON *obj, const char *key, const char *s, size_t n)
{
	cleanup_buf struct buf clean = { 0 };
	utf8_scrub(&clean, s, strnlen(s, n));
	json_set_str(obj, key, buf_str(&clean));
}

void json_set_num(cJSON *obj, const char *key, double v)
{
	json_set(obj, key, cJSON_CreateNumber(v));
}

void json_set_int(cJSON *obj, const char *key, int64_t v)
{
	if (v >= -INT64_C(9007199254740992) && v <= INT64_C(9007199254740992)) {
		json_set_num(obj, key, (double)v);
		return;
	}
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)v);
	json_set_str(obj, key, text);
}

void json_set_bool(cJSON *obj, const char *key, bool v)
{
	json_set(obj, key, cJSON_CreateBool(v));
}

cJSON *json_obj(cJSON *obj, const char *key)
{
	cJSON *o = cJSON_GetObjectItemCaseSensitive(obj, key);
	if (cJSON_IsObject(o))
		return o;
	json_set(obj, key, cJSON_CreateObject());
	return cJSON_GetObjectItemCaseSensitive(obj, key);
}

void json_push(cJSON *arr, cJSON *take_value)
{
	if (!cJSON_IsArray(arr) || !cJSON_AddItemToArray(arr, take_value))
		cJSON_Delete(take_value);
}

void json_push_str(cJSON *arr, const char *s)
{
	json_push(arr, s ? cJSON_CreateString(s) : cJSON_CreateNull());
}

void json_merge(cJSON *dst, const cJSON *src)
{
	for (const cJSON *m = cJSON_IsObject(src) ? src->child : NULL; m; m = m->next) {
		if (!m->string)
			continue;
		if (cJSON_IsNull(m))
			json_set(dst, m->string, NULL);
		else if (cJSON_IsObject(m))
			json_merge(json_obj(dst, m->string), m);
		else
			json_set(dst, m->string, cJSON_Duplicate(m, 1));
	}
}
