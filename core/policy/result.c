#include "policy/result.h"

#include <ctype.h>
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

/* An empty Lua table is a list or a map, as the place wants it. */
static void as_list(cJSON *j)
{
	if (cJSON_IsObject(j) && !j->child)
		j->type = (j->type & ~0xff) | cJSON_Array;
}

static void as_map(cJSON *j)
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
		as_list(v);
		return cJSON_IsArray(v) ? 0 : result_wrong(why, path, "list", v);
	}
	if (strcmp(type, "map") == 0) {
		as_map(v);
		return cJSON_IsObject(v) ? 0 : result_wrong(why, path, "table of names", v);
	}
	return 0;
}

int result_fields(cJSON *obj, const char *path, const struct field *fields, struct buf *why)
{
	as_map(obj);
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

/* -- one function a type -- */

static int check_image(cJSON **a, struct buf *why)
{
	static const char expected[] = "an image reference such as \"debian:12\"";
	if (!cJSON_IsString(*a))
		return result_wrong(why, "answer", expected, *a);
	const char *s = (*a)->valuestring;
	size_t n = strlen(s);
	bool fine = n > 0 && n <= 255 && isalnum((unsigned char)s[0]);
	for (size_t i = 0; i < n && fine; i++)
		fine = isalnum((unsigned char)s[i]) || strchr("._-/:@", s[i]);
	return fine ? 0 : result_wrong(why, "answer", expected, *a);
}

static int check_hostname(cJSON **a, struct buf *why)
{
	static const char expected[] =
		"a DNS label (a-z, 0-9, hyphens within, at most 63; perry.label(text) makes one)";
	if (!cJSON_IsString(*a))
		return result_wrong(why, "answer", expected, *a);
	const char *s = (*a)->valuestring;
	size_t n = strlen(s);
	bool fine = n > 0 && n <= 63 && s[0] != '-' && s[n - 1] != '-';
	for (size_t i = 0; i < n && fine; i++)
		fine = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-';
	return fine ? 0 : result_wrong(why, "answer", expected, *a);
}

static bool is_text(const cJSON *v, int depth)
{
	if (cJSON_IsString(v))
		return true;
	const cJSON *only = cJSON_IsObject(v) && v->child && !v->child->next ? v->child : NULL;
	if (!only || depth > 8)
		return false;
	if (strcmp(only->string, "$secret") == 0)
		return cJSON_IsString(only);
	if (strcmp(only->string, "$concat") != 0 || !cJSON_IsArray(only))
		return false;
	for (const cJSON *c = only->child; c; c = c->next)
		if (!is_text(c, depth + 1))
			return false;
	return true;
}

static int check_env(cJSON **a, struct buf *why)
{
	as_map(*a);
	if (!cJSON_IsObject(*a))
		return result_wrong(why, "answer", "a table of variables", *a);
	for (const cJSON *v = (*a)->child; v; v = v->next) {
		cleanup_free char *path = xasprintf("answer.%s", v->string);
		const char *s = v->string;
		bool fine = *s && !isdigit((unsigned char)*s);
		for (; *s && fine; s++)
			fine = isalnum((unsigned char)*s) || *s == '_';
		if (!fine) {
			buf_addf(why, "%s: not a name of a variable (letters, digits and _, no digit first)", path);
			return -1;
		}
		if (!is_text(v, 0))
			return result_wrong(why, path, "a text or perry.secret \"name\"", v);
	}
	return 0;
}

static int check_join(cJSON **a, struct buf *why)
{
	static const char expected[] = "false, perry.key.config(), perry.key.file(PATH), perry.key.env(NAME), "
				       "perry.key.mint{...} or perry.key.http{...}";
	if (cJSON_IsFalse(*a))
		return 0;
	const cJSON *key = cJSON_IsObject(*a) ? cJSON_GetObjectItemCaseSensitive(*a, "$key") : NULL;
	if (cJSON_IsString(*a)) { /* whatever it is, it may be a key: it is not repeated */
		buf_addf(why, "answer: expected %s, got string: a hook never holds the key itself", expected);
		return -1;
	}
	if (!key || (*a)->child->next)
		return result_wrong(why, "answer", expected, *a);
	static const char *const kinds[] = { "config", "file", "env", "mint", "http", NULL };
	const char *kind = json_str_or(key, "kind", "");
	for (const char *const *k = kinds; *k; k++)
		if (strcmp(*k, kind) == 0)
			return 0;
	return result_wrong(why, "answer", expected, *a);
}

static int check_one_of(cJSON **a, const char *const *words, const char *expected, struct buf *why)
{
	for (; cJSON_IsString(*a) && *words; words++)
		if (strcmp((*a)->valuestring, *words) == 0)
			return 0;
	return result_wrong(why, "answer", expected, *a);
}

static int check_collision(cJSON **a, struct buf *why)
{
	static const char *const words[] = { "keep", "replace_offline", "refuse", NULL };
	return check_one_of(a, words, "\"keep\", \"replace_offline\" or \"refuse\"", why);
}

static int check_deregister(cJSON **a, struct buf *why)
{
	static const char expected[] = "\"keep\" or a list of \"logout\" and \"api\"";
	if (cJSON_IsString(*a) && strcmp((*a)->valuestring, "keep") == 0)
		return 0;
	as_list(*a);
	if (!cJSON_IsArray(*a))
		return result_wrong(why, "answer", expected, *a);
	for (const cJSON *v = (*a)->child; v; v = v->next)
		if (!cJSON_IsString(v) || (strcmp(v->valuestring, "logout") != 0 && strcmp(v->valuestring, "api") != 0))
			return result_wrong(why, "answer", expected, v);
	return 0;
}

static int check_up(cJSON **a, struct buf *why)
{
	static const struct field fields[] = {
		{ "accept_dns", "boolean" },  { "accept_routes", "boolean" }, { "ssh", "boolean" },
		{ "login_server", "string" }, { "userspace", "boolean" },     { 0 },
	};
	return result_fields(*a, "answer", fields, why);
}

static int check_ports(cJSON **a, struct buf *why)
{
	static const struct field fields[] = {
		{ "announce", "boolean" }, { "label", "string" }, { "expose", "boolean" }, { 0 }
	};
	return result_fields(*a, "answer", fields, why);
}

static int check_idle(cJSON **a, struct buf *why)
{
	static const struct field fields[] = {
		{ "action", "string" }, { "reason", "string" }, { "next", "number" }, { 0 }
	};
	static const char expected[] = "\"keep\", \"stop\" or {action=, reason=, next=}";
	if (cJSON_IsString(*a)) {
		cJSON *obj = cJSON_CreateObject();
		json_set_str(obj, "action", (*a)->valuestring);
		cJSON_Delete(*a);
		*a = obj;
	}
	if (!cJSON_IsObject(*a))
		return result_wrong(why, "answer", expected, *a);
	const char *action = json_str_or(*a, "action", "");
	if (strcmp(action, "keep") != 0 && strcmp(action, "stop") != 0)
		return result_wrong(why, "answer.action", "\"keep\" or \"stop\"",
				    cJSON_GetObjectItemCaseSensitive(*a, "action"));
	return result_fields(*a, "answer", fields, why);
}

static int check_container(cJSON **a, struct buf *why)
{
	as_map(*a);
	if (!cJSON_IsObject(*a))
		return result_wrong(why, "answer", "a container spec", *a);
	return result_container(*a, why);
}

static int check_consent(cJSON **a, struct buf *why)
{
	if (cJSON_IsBool(*a))
		return 0;
	return result_wrong(why, "answer", "true, or false and a reason", *a);
}

static int check_none(cJSON **a, struct buf *why)
{
	cJSON_Delete(*a);
	*a = NULL;
	return 0;
}

int result_check(const char *type, cJSON **answer, struct buf *why)
{
	static const struct {
		const char *type;
		int (*check)(cJSON **, struct buf *);
	} types[] = {
		{ "image", check_image },
		{ "hostname", check_hostname },
		{ "env", check_env },
		{ "join", check_join },
		{ "container", check_container },
		{ "consent", check_consent },
		{ "collision", check_collision },
		{ "deregister", check_deregister },
		{ "up", check_up },
		{ "ports", check_ports },
		{ "idle", check_idle },
		{ "none", check_none },
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].type, type) == 0)
			return types[i].check(answer, why);
	buf_addf(why, "answer: unknown type %s", type);
	return -1;
}
