#include "policy/tool/fields.h"

#include <string.h>

#include "base/mem.h"

/* The answer of one decision, from the lowest layer that was asked to the one whose answer counts. */
struct ladder {
	const cJSON *rows[64];
	size_t n;
};

static void climb(const cJSON *rows, const char *point, struct ladder *l)
{
	const cJSON *row;
	l->n = 0;
	cJSON_ArrayForEach(row, rows)
		if (str_eq(json_str(row, "point"), point) && cJSON_GetObjectItemCaseSensitive(row, "answer") &&
		    l->n < 64)
			l->rows[l->n++] = row;
}

static const cJSON *answer_of(const cJSON *row, const char *member)
{
	const cJSON *answer = cJSON_GetObjectItemCaseSensitive(row, "answer");
	return member ? cJSON_GetObjectItemCaseSensitive(answer, member) : answer;
}

static bool same(const cJSON *a, const cJSON *b)
{
	return a && b ? json_equal(a, b) : a == b;
}

static void add_field(cJSON *out, const char *name, const cJSON *value, const struct ladder *l, const char *member)
{
	cJSON *field = cJSON_CreateObject();
	size_t k = l->n;
	json_push(out, field);
	json_set_str(field, "field", name);
	json_set(field, "value", value ? cJSON_Duplicate(value, 1) : cJSON_CreateNull());
	if (!k)
		return;
	for (k--; k > 0 && same(answer_of(l->rows[k], member), answer_of(l->rows[k - 1], member)); k--)
		;
	json_set_str(field, "layer", json_str(l->rows[k], "layer"));
	json_set_str(field, "file", json_str(l->rows[k], "file"));
	if (json_at(l->rows[k], "line"))
		json_set_int(field, "line", json_int_or(l->rows[k], "line", 0));
	if (!k)
		return;
	const cJSON *below = answer_of(l->rows[k - 1], member);
	cJSON *over = json_obj(field, "over");
	json_set(over, "value", below ? cJSON_Duplicate(below, 1) : cJSON_CreateNull());
	json_set_str(over, "layer", json_str(l->rows[k - 1], "layer"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void add_members(cJSON *out, const char *point, const cJSON *plan, const cJSON *rows)
{
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(plan, point), *v;
	size_t n = 0;
	cleanup_free const cJSON **sorted = xcalloc((size_t)cJSON_GetArraySize(all) + 1, sizeof *sorted);
	struct ladder l;
	climb(rows, point, &l);
	cJSON_ArrayForEach(v, all)
		sorted[n++] = v;
	qsort(sorted, n, sizeof *sorted, by_name);
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *name = xasprintf("%s.%s", point, sorted[i]->string);
		add_field(out, name, sorted[i], &l, sorted[i]->string);
	}
}

static void add_whole(cJSON *out, const char *name, const char *point, const cJSON *plan, const cJSON *rows)
{
	struct ladder l;
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(plan, name);
	climb(rows, point, &l);
	if (value)
		add_field(out, name, value, &l, NULL);
}

cJSON *policy_fields(const cJSON *plan, const cJSON *rows)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *error;
	add_whole(out, "image", "image", plan, rows);
	add_whole(out, "join", "auth_key", plan, rows);
	add_whole(out, "hostname", "hostname", plan, rows);
	add_members(out, "env", plan, rows);
	add_members(out, "container", plan, rows);
	/* What the workspace runs without. */
	cJSON_ArrayForEach(error, cJSON_GetObjectItemCaseSensitive(plan, "errors")) {
		cJSON *field = cJSON_CreateObject();
		cleanup_free char *name = xasprintf("errors.%s", error->string);
		json_push(out, field);
		json_set_str(field, "field", name);
		json_set_str(field, "value", json_str_or(error, "message", "?"));
		json_set_str(field, "layer", json_str(error, "layer"));
		json_set_str(field, "file", json_str(error, "file"));
		if (json_at(error, "line"))
			json_set_int(field, "line", json_int_or(error, "line", 0));
	}
	return out;
}
