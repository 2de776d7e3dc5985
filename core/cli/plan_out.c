#include "cli/plan_out.h"

#include <string.h>

#include "base/mem.h"
#include "cli/out.h"

static bool is_size(const char *field)
{
	return strcmp(field, "container.memory") == 0 || strcmp(field, "container.shm") == 0;
}

/* The largest unit that leaves a whole number. */
static void add_size(struct buf *b, double bytes)
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB", "TiB" };
	long long n = (long long)bytes;
	size_t u = 0;
	for (; u + 1 < ARRAY_LEN(units) && n && n % 1024 == 0; u++)
		n /= 1024;
	buf_addf(b, "%lld%s", n, units[u]);
}

static void add_value(struct buf *b, const char *field, const cJSON *v);

/* What lists hold has a short form of its own. */
static void add_object(struct buf *b, const cJSON *v)
{
	const cJSON *key = json_at(v, "$key");
	if (json_str(v, "$secret"))
		buf_addf(b, "the secret %s", json_str(v, "$secret"));
	else if (key)
		buf_addf(b, "a key (%s)", json_str_or(key, "kind", "?"));
	else if (json_str(v, "target"))
		buf_addf(b, "%s%s%s%s", json_str_or(v, "source", "tmpfs"), ":", json_str(v, "target"),
			 json_bool_or(v, "readonly", false) ? ":ro" : "");
	else if (json_str(v, "host"))
		buf_adds(b, json_str(v, "host"));
	else {
		cleanup_free char *text = json_print(v);
		buf_adds(b, text);
	}
}

static void add_value(struct buf *b, const char *field, const cJSON *v)
{
	const cJSON *item;
	if (cJSON_IsString(v))
		buf_adds(b, v->valuestring);
	else if (cJSON_IsNumber(v) && is_size(field))
		add_size(b, v->valuedouble);
	else if (cJSON_IsArray(v)) {
		cJSON_ArrayForEach(item, v) {
			buf_adds(b, item == v->child ? "" : ", ");
			add_value(b, field, item);
		}
	} else if (cJSON_IsObject(v))
		add_object(b, v);
	else if (cJSON_IsFalse(v) && strcmp(field, "join") == 0)
		buf_adds(b, "no");
	else if (!v || cJSON_IsNull(v))
		buf_adds(b, "(none)");
	else {
		cleanup_free char *text = json_print(v);
		buf_adds(b, text);
	}
}

char *plan_value(const char *field, const cJSON *value)
{
	struct buf b = { 0 };
	add_value(&b, field, value);
	return buf_take(&b);
}

char *plan_place(const cJSON *row)
{
	const char *file = json_str_or(row, "file", json_str_or(row, "layer", ""));
	int line = (int)json_int_or(row, "line", 0);
	return line ? xasprintf("%s:%d", file, line) : xstrdup(file);
}

static bool is_empty(const cJSON *f)
{
	const cJSON *v = json_at(f, "value");
	return ((cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child) || cJSON_IsNull(v) ||
	       (cJSON_IsFalse(v) && !str_eq(json_str(f, "field"), "join"));
}

static void add_field(struct table *t, const cJSON *f)
{
	const char *name = json_str_or(f, "field", "?");
	const cJSON *over = json_at(f, "over");
	cleanup_free char *value = plan_value(name, json_at(f, "value")), *place = plan_place(f);
	cleanup_free char *below = over ? plan_value(name, json_at(over, "value")) : NULL;
	table_add(t, name);
	table_add(t, value);
	table_add(t, place);
	table_addf(t, below ? "%s: %s" : "%s%s", below ? json_str_or(over, "layer", "?") : "", below ? below : "");
}

static void add_decision(struct table *t, const cJSON *d)
{
	const char *error = json_str(d, "error");
	bool consent = str_eq(json_str(d, "kind"), "consent");
	if (!consent && !error)
		return;
	cleanup_free char *place = plan_place(d);
	table_add(t, json_str_or(d, "point", "?"));
	table_addf(t, "%s%s",
		   !error && consent && cJSON_IsTrue(json_at(d, "answer")) ? "allowed"
		   : error                                                 ? "error: "
									   : "refused: ",
		   error                                           ? error
		   : consent && cJSON_IsTrue(json_at(d, "answer")) ? ""
								   : json_str_or(d, "reason", ""));
	table_add(t, place);
	table_add(t, "");
}

void plan_print(const cJSON *fields, const cJSON *decisions)
{
	static const char *const heads[] = { "FIELD", "VALUE", "DECIDED BY", "OVER" };
	struct table t = { heads, 4, NULL, 0 };
	const cJSON *row;
	cJSON_ArrayForEach(row, fields)
		if (!is_empty(row))
			add_field(&t, row);
	cJSON_ArrayForEach(row, decisions)
		add_decision(&t, row);
	table_print(&t);
}
