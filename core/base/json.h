/* JSON on top of cJSON: parsing with a position and a depth limit, typed getters that name the path, a writer that
 * cannot emit invalid UTF-8. */
#ifndef PERRY_BASE_JSON_H
#define PERRY_BASE_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/quote.h"
#include "base/str.h"

#define JSON_MAX_DEPTH 64

static inline void cleanup_json_fn(cJSON **j)
{
	cJSON_Delete(*j);
}
#define cleanup_json __attribute__((cleanup(cleanup_json_fn)))

/* Parses exactly one value; trailing text, invalid UTF-8 and \u0000 in strings are errors ("what:LINE:COLUMN: ..." with
 * what as the name of the source), PERRY_EINPUT; more than JSON_MAX_DEPTH levels is PERRY_ETOOLARGE. Returns the
 * caller's value, or NULL. */
cJSON *json_parse(const char *text, size_t n, const char *what, struct perry_err **err);
/* The line on which the value at a path ("settings[1].type") begins in a text that json_parse takes; of a path that
 * ends in nothing, that of the last value on it. */
int json_line(const char *text, size_t n, const char *path);
/* Compact text; strings are scrubbed to valid UTF-8. Caller frees. */
char *json_print(const cJSON *j);
/* The same with keys of all objects sorted: equal values give equal text. Caller frees. */
char *json_canonical(const cJSON *j);
/* Two spaces of indent, newline at the end; for files that people edit. Caller frees. */
char *json_pretty(const cJSON *j);

/* Borrowed looks; missing or of another type gives the default. key may be a dotted path ("Config.Labels");
 * a member whose name is all of the rest goes first ("Labels.perry.agent" finds the label). */
const cJSON *json_at(const cJSON *j, const char *path);
const char *json_str(const cJSON *j, const char *path); /* or NULL */
const char *json_str_or(const cJSON *j, const char *path, const char *dflt);
double json_num_or(const cJSON *j, const char *path, double dflt);
int64_t json_int_or(const cJSON *j, const char *path,
		    int64_t dflt); /* also from text, as json_set_int leaves big ones */
bool json_bool_or(const cJSON *j, const char *path, bool dflt);
bool json_list_has(const cJSON *list, const char *text); /* is this string one of its members? NULL is in no list */

/* Typed getters for configuration and requests: missing is fine (the default stays, 0), a wrong type is an error "what:
 * path: expected string, got number". */
int json_get_str(const cJSON *j, const char *what, const char *path, const char **out, struct perry_err **err);
int json_get_bool(const cJSON *j, const char *what, const char *path, bool *out, struct perry_err **err);
int json_get_int(const cJSON *j, const char *what, const char *path, int64_t min, int64_t max, int64_t *out,
		 struct perry_err **err);
const char *
json_type_name(const cJSON *j); /* "string", "number", "boolean", "object", "array", "null", "undefined" (NULL) */

/* Builders. Each set replaces a key that exists. */
void json_set(cJSON *obj, const char *key, cJSON *take_value);            /* NULL value: removes the key */
void json_set_str(cJSON *obj, const char *key, const char *s);            /* NULL: removes the key */
void json_set_strn(cJSON *obj, const char *key, const char *s, size_t n); /* scrubs; cut at the first NUL */
void json_set_num(cJSON *obj, const char *key, double v);
void json_set_int(cJSON *obj, const char *key, int64_t v); /* beyond 2^53 it becomes text */
void json_set_bool(cJSON *obj, const char *key, bool v);
cJSON *json_obj(cJSON *obj, const char *key); /* the object under key, made when missing; borrowed */
void json_push(cJSON *arr, cJSON *take_value);
void json_push_str(cJSON *arr, const char *s);
/* Copies every member of src over dst, objects recursively; null in src removes the key. */
void json_merge(cJSON *dst, const cJSON *src);
bool json_equal(const cJSON *a, const cJSON *b); /* order of keys does not matter */

#endif
