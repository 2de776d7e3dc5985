#include "policy/contract/result.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "policy/contract/result_container.h"
#include "policy/contract/result_fields.h"

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
	result_as_map(*a);
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
	result_as_list(*a);
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
	result_as_map(*a);
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
