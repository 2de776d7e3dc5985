#include "agent/rpc/schema.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/names.h"
#include "base/mem.h"

/* Where we are in the value: a list from the inside out. */
struct at {
	const struct at *up;
	const char *key; /* NULL: an index */
	int index;
};

static cJSON *apply(const cJSON *schema, const cJSON *value, const struct at *at, cJSON *issues);

static cJSON *path_of(const struct at *at)
{
	cJSON *path = cJSON_CreateArray();
	for (; at; at = at->up)
		cJSON_InsertItemInArray(path, 0, at->key ? cJSON_CreateString(at->key) : cJSON_CreateNumber(at->index));
	return path;
}

/* The tail that all issues share; takes both. */
static void complain(cJSON *issues, cJSON *take_issue, const struct at *at, char *take_message)
{
	json_set(take_issue, "path", path_of(at));
	json_set_str(take_issue, "message", take_message);
	free(take_message);
	json_push(issues, take_issue);
}

static const char *received(const cJSON *v)
{
	return json_type_name(v);
}

static cJSON *wrong_type(cJSON *issues, const struct at *at, const char *expected, const cJSON *value)
{
	cJSON *i = cJSON_CreateObject();
	json_set_str(i, "expected", expected);
	json_set_str(i, "code", "invalid_type");
	complain(issues, i, at, xasprintf("Invalid input: expected %s, received %s", expected, received(value)));
	return NULL;
}

static void number_text(double v, char out[32])
{
	snprintf(out, 32, "%.15g", v);
}

/* Too small and too big: of numbers, and of lengths with their unit. */
static void out_of_range(cJSON *issues, const struct at *at, const char *origin, bool small, double limit,
			 const char *unit)
{
	char text[32];
	number_text(limit, text);
	cJSON *i = cJSON_CreateObject();
	json_set_str(i, "origin", origin);
	json_set_str(i, "code", small ? "too_small" : "too_big");
	json_set_num(i, small ? "minimum" : "maximum", limit);
	json_set_bool(i, "inclusive", true);
	const char *word = small ? "Too small" : "Too big", *sign = small ? ">=" : "<=";
	complain(issues, i, at,
		 unit ? xasprintf("%s: expected %s to have %s%s %s", word, origin, sign, text, unit)
		      : xasprintf("%s: expected %s to be %s%s", word, origin, sign, text));
}

static void check_range(const cJSON *schema, double v, const char *min_key, const char *max_key, const char *origin,
			const char *unit, const struct at *at, cJSON *issues)
{
	const cJSON *min = cJSON_GetObjectItemCaseSensitive(schema, min_key),
		    *max = cJSON_GetObjectItemCaseSensitive(schema, max_key);
	if (min && v < min->valuedouble)
		out_of_range(issues, at, origin, true, min->valuedouble, unit);
	if (max && v > max->valuedouble)
		out_of_range(issues, at, origin, false, max->valuedouble, unit);
}

static void custom(cJSON *issues, const struct at *at, const char *message)
{
	cJSON *i = cJSON_CreateObject();
	json_set_str(i, "code", "custom");
	json_set_str(i, "message", message);
	json_set(i, "path", path_of(at));
	json_push(issues, i);
}

/* A password or token in a URL would stand in the database, in an argument list and in error texts. */
static bool url_has_credentials(const char *url)
{
	if (strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0)
		return false; /* the name before @ of ssh is no secret */
	const char *host = strstr(url, "://") + 3;
	return memchr(host, '@', strcspn(host, "/?#")) != NULL;
}

/* The length as JavaScript counts it: UTF-16 units. */
static double utf16_length(const char *s)
{
	double n = 0;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if ((c & 0xc0) != 0x80)
			n += c >= 0xf0 ? 2 : 1;
	}
	return n;
}

static void check_pattern(const char *pattern, const char *s, const struct at *at, cJSON *issues)
{
	regex_t re;
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		abort();
	int miss = regexec(&re, s, 0, NULL, 0);
	regfree(&re);
	if (!miss)
		return;
	cleanup_free char *shown = xasprintf("/%s/", pattern);
	cJSON *i = cJSON_CreateObject();
	json_set_str(i, "origin", "string");
	json_set_str(i, "code", "invalid_format");
	json_set_str(i, "format", "regex");
	json_set_str(i, "pattern", shown);
	complain(issues, i, at, xasprintf("Invalid string: must match pattern %s", shown));
}

static cJSON *apply_string(const cJSON *schema, const cJSON *value, const struct at *at, cJSON *issues)
{
	if (!cJSON_IsString(value))
		return wrong_type(issues, at, "string", value);
	const char *format = json_str_or(schema, "format", "");
	if (str_starts(format, "workspace-name")) {
		cleanup_free char *copy = xstrdup(value->valuestring);
		const char *name = str_trim(copy), *problem = name_problem(name, str_ends(format, "-or-host"));
		if (problem)
			custom(issues, at, problem);
		return cJSON_CreateString(name);
	}
	if (strcmp(format, "clone-url") == 0 && url_has_credentials(value->valuestring))
		custom(issues, at,
		       "A URL must not hold a name, password or token. For GitHub set agents.github.token, for others "
		       "bring "
		       "~/.netrc in with credentials.files");
	check_range(schema, utf16_length(value->valuestring), "minLength", "maxLength", "string", "characters", at,
		    issues);
	const char *pattern = json_str(schema, "pattern");
	if (pattern)
		check_pattern(pattern, value->valuestring, at, issues);
	return cJSON_CreateString(value->valuestring);
}

static cJSON *apply_number(const cJSON *schema, const cJSON *value, bool integer, const struct at *at, cJSON *issues)
{
	if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble))
		return wrong_type(issues, at, "number", value);
	if (integer &&
	    (floor(value->valuedouble) != value->valuedouble || fabs(value->valuedouble) > 9007199254740991.0)) {
		cJSON *i = cJSON_CreateObject();
		json_set_str(i, "expected", "int");
		json_set_str(i, "format", "safeint");
		json_set_str(i, "code", "invalid_type");
		complain(issues, i, at, xstrdup("Invalid input: expected int, received number"));
		return NULL;
	}
	check_range(schema, value->valuedouble, "minimum", "maximum", "number", NULL, at, issues);
	return cJSON_Duplicate(value, 1);
}

static cJSON *apply_array(const cJSON *schema, const cJSON *value, const struct at *at, cJSON *issues)
{
	if (!cJSON_IsArray(value))
		return wrong_type(issues, at, "array", value);
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(schema, "items"), *item;
	cJSON *out = cJSON_CreateArray();
	int i = 0;
	cJSON_ArrayForEach(item, value) {
		struct at inner = { at, NULL, i++ };
		json_push(out, items ? apply(items, item, &inner, issues) : cJSON_Duplicate(item, 1));
	}
	check_range(schema, i, "minItems", "maxItems", "array", "items", at, issues);
	return out;
}

static bool is_required(const cJSON *schema, const char *key)
{
	return json_list_has(cJSON_GetObjectItemCaseSensitive(schema, "required"), key);
}

/* JSON.parse keeps the last of two equal keys. */
static const cJSON *last_of(const cJSON *obj, const char *key)
{
	const cJSON *item, *found = NULL;
	cJSON_ArrayForEach(item, obj)
		if (strcmp(item->string, key) == 0)
			found = item;
	return found;
}

static void unknown_keys(const cJSON *props, const cJSON *value, const struct at *at, cJSON *issues)
{
	cleanup_buf struct buf names = { 0 };
	cJSON *keys = NULL;
	const cJSON *item;
	cJSON_ArrayForEach(item, value) {
		if (cJSON_GetObjectItemCaseSensitive(props, item->string))
			continue;
		if (!keys)
			keys = cJSON_CreateArray();
		json_push_str(keys, item->string);
		buf_addf(&names, "%s\"%s\"", names.len ? ", " : "", item->string);
	}
	if (!keys)
		return;
	cJSON *i = cJSON_CreateObject();
	json_set_str(i, "code", "unrecognized_keys");
	bool many = cJSON_GetArraySize(keys) > 1;
	json_set(i, "keys", keys);
	complain(issues, i, at, xasprintf("Unrecognized key%s: %s", many ? "s" : "", buf_str(&names)));
}

static cJSON *apply_record(const cJSON *each, const cJSON *value, const struct at *at, cJSON *issues)
{
	if (!cJSON_IsObject(value))
		return wrong_type(issues, at, "record", value);
	cJSON *out = cJSON_CreateObject();
	const cJSON *item;
	cJSON_ArrayForEach(item, value) {
		struct at inner = { at, item->string, 0 };
		cJSON *v = cJSON_IsObject(each) ? apply(each, item, &inner, issues) : cJSON_Duplicate(item, 1);
		if (v)
			json_set(out, item->string, v);
	}
	return out;
}

static cJSON *apply_object(const cJSON *schema, const cJSON *value, const struct at *at, cJSON *issues)
{
	const cJSON *props = cJSON_GetObjectItemCaseSensitive(schema, "properties"), *prop;
	const cJSON *more = cJSON_GetObjectItemCaseSensitive(schema, "additionalProperties");
	if (!props)
		return apply_record(more, value, at, issues);
	if (!cJSON_IsObject(value))
		return wrong_type(issues, at, "object", value);
	cJSON *out = cJSON_CreateObject();
	cJSON_ArrayForEach(prop, props) {
		struct at inner = { at, prop->string, 0 };
		const cJSON *v = last_of(value, prop->string),
			    *dflt = cJSON_GetObjectItemCaseSensitive(prop, "default");
		cJSON *got = NULL;
		if (!v && dflt)
			got = cJSON_Duplicate(dflt, 1);
		else if (v || is_required(schema, prop->string))
			got = apply(prop, v, &inner, issues);
		if (got)
			cJSON_AddItemToObject(out, prop->string, got);
	}
	if (cJSON_IsFalse(more))
		unknown_keys(props, value, at, issues);
	return out;
}

static char *enum_text(const cJSON *values)
{
	struct buf b = { 0 };
	const cJSON *v;
	cJSON_ArrayForEach(v, values) {
		cleanup_free char *text = json_print(v);
		buf_addf(&b, "%s%s", b.len ? "|" : "", text);
	}
	return buf_take(&b);
}

static cJSON *apply_values(const cJSON *values, const cJSON *value, const struct at *at, cJSON *issues)
{
	const cJSON *v;
	cJSON_ArrayForEach(v, values)
		if (value && json_equal(v, value))
			return cJSON_Duplicate(value, 1);
	cleanup_free char *text = enum_text(values);
	cJSON *i = cJSON_CreateObject();
	json_set_str(i, "code", "invalid_value");
	json_set(i, "values", cJSON_Duplicate(values, 1));
	complain(issues, i, at,
		 cJSON_GetArraySize(values) == 1 ? xasprintf("Invalid input: expected %s", text)
						 : xasprintf("Invalid option: expected one of %s", text));
	return NULL;
}

/* Of the wrong kind altogether, as against the right kind with a wrong value. */
static bool is_fatal(const cJSON *issues)
{
	const cJSON *i;
	cJSON_ArrayForEach(i, issues) {
		const char *code = json_str_or(i, "code", "");
		if (!str_eq(code, "too_small") && !str_eq(code, "too_big") && !str_eq(code, "invalid_format") &&
		    !str_eq(code, "custom"))
			return true;
	}
	return false;
}

static void push_at(cJSON *issues, cJSON *take_list, const struct at *at)
{
	cJSON *i;
	while ((i = cJSON_DetachItemFromArray(take_list, 0))) {
		cJSON *rest = cJSON_GetObjectItemCaseSensitive(i, "path"), *whole = path_of(at), *step;
		cJSON_ArrayForEach(step, rest)
			json_push(whole, cJSON_Duplicate(step, 1));
		cJSON_ReplaceItemInObjectCaseSensitive(i, "path", whole);
		json_push(issues, i);
	}
	cJSON_Delete(take_list);
}

/* The first alternative that fits. When none does: the complaints of the only one that is of the right kind, else those
 * of all. */
static cJSON *apply_union(const cJSON *options, const cJSON *value, const struct at *at, cJSON *issues)
{
	cleanup_json cJSON *all = cJSON_CreateArray();
	const cJSON *option;
	int near = -1, n_near = 0, n = 0;
	cJSON_ArrayForEach(option, options) {
		cJSON *own = cJSON_CreateArray(), *got = apply(option, value, NULL, own);
		if (cJSON_GetArraySize(own) == 0) {
			cJSON_Delete(own);
			return got;
		}
		cJSON_Delete(got);
		if (!is_fatal(own)) {
			near = n;
			n_near++;
		}
		json_push(all, own);
		n++;
	}
	if (n_near == 1) {
		push_at(issues, cJSON_DetachItemFromArray(all, near), at);
		return NULL;
	}
	cJSON *i = cJSON_CreateObject();
	json_set_str(i, "code", "invalid_union");
	json_set(i, "errors", take_ptr(all));
	complain(issues, i, at, xstrdup("Invalid input"));
	return NULL;
}

static cJSON *apply(const cJSON *schema, const cJSON *value, const struct at *at, cJSON *issues)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(schema, "anyOf");
	if (list)
		return apply_union(list, value, at, issues);
	list = cJSON_GetObjectItemCaseSensitive(schema, "enum");
	if (list)
		return apply_values(list, value, at, issues);
	const cJSON *one = cJSON_GetObjectItemCaseSensitive(schema, "const");
	if (one) {
		cleanup_json cJSON *values = cJSON_CreateArray();
		json_push(values, cJSON_Duplicate(one, 1));
		return apply_values(values, value, at, issues);
	}
	const char *type = json_str_or(schema, "type", "");
	if (str_eq(type, "string"))
		return apply_string(schema, value, at, issues);
	if (str_eq(type, "number") || str_eq(type, "integer"))
		return apply_number(schema, value, str_eq(type, "integer"), at, issues);
	if (str_eq(type, "boolean"))
		return cJSON_IsBool(value) ? cJSON_Duplicate(value, 1) : wrong_type(issues, at, "boolean", value);
	if (str_eq(type, "array"))
		return apply_array(schema, value, at, issues);
	if (str_eq(type, "object"))
		return apply_object(schema, value, at, issues);
	return value ? cJSON_Duplicate(value, 1) : NULL; /* {}: anything */
}

cJSON *schema_apply(const cJSON *schema, const cJSON *value, cJSON *issues)
{
	const cJSON *dflt = value ? NULL : cJSON_GetObjectItemCaseSensitive(schema, "default");
	return apply(schema, dflt ? dflt : value, NULL, issues);
}
