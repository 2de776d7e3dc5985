#include "policy/child/chain.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/child/limits.h"
#include "policy/child/run.h"
#include "policy/contract/access.h"
#include "policy/contract/result.h"

#define MAX_HOOKS 128

struct ask {
	struct hook *hooks[MAX_HOOKS];
	size_t n;
};

/* Highest layer first. */
static void collect(struct host *h, const struct point *point, struct ask *a)
{
	a->n = 0;
	for (size_t i = 0; i < h->nlayers; i++)
		for (size_t j = 0; j < h->layers[i].nhooks; j++)
			if (h->layers[i].hooks[j].point == point && a->n < MAX_HOOKS)
				a->hooks[a->n++] = &h->layers[i].hooks[j];
}

static cJSON *add_row(struct host *h, const struct hook *k, int64_t began_us)
{
	cJSON *row = cJSON_CreateObject();
	json_set_str(row, "point", k->point->name);
	json_set_str(row, "kind", point_kind_name(k->point->kind));
	json_set_str(row, "layer", k->layer->name);
	json_set_str(row, "file", k->file);
	if (k->line > 0)
		json_set_int(row, "line", k->line);
	json_set_int(row, "us", clock_mono_us() - began_us);
	json_push(h->rows, row);
	return row;
}

static void row_failed(cJSON *row, const cJSON *record)
{
	json_set_str(row, "error", json_str_or(record, "message", ""));
	if (json_at(record, "line"))
		json_set_int(row, "line", json_int_or(record, "line", 0));
	if (json_bool_or(record, "refused", false))
		json_set_bool(row, "refused", true);
}

/* Some answers make the agent read or send something: a pack names only what it declared. */
static int pack_may_answer(struct host *h, const struct hook *k, const cJSON *answer, const cJSON *base, cJSON **record)
{
	struct access_layer about = { .name = k->layer->name,
				      .needs = k->layer->needs,
				      .settings = k->layer->settings };
	cleanup_err struct perry_err *why = NULL;
	if (access_answer(&about, k->point, answer, base, &why) == 0)
		return 0;
	*record = record_new(h, k, NULL, k->line, perry_msg(why));
	json_set_str(*record, "cause", "type");
	return -1;
}

static int base_compute(struct host *h, struct base *b, cJSON **record);

static int answer_from(struct host *h, struct hook **hooks, size_t n, size_t level, const cJSON *extra, cJSON **out,
		       cJSON **record)
{
	struct hook *k = hooks[level];
	struct base base = { .compute = base_compute, .hooks = hooks, .n = n, .level = level + 1, .extra = extra };
	struct run run = { .hook = k, .extra = extra, .base = k->point->kind == POINT_DECISION ? &base : NULL };
	struct buf why = { 0 };
	int64_t began = clock_mono_us();
	int r = run_hook(h, &run, record);
	if (r == 0 && result_check(k->point->result, &run.answer, &why) < 0) {
		*record = record_new(h, k, NULL, k->line, buf_str(&why));
		json_set_str(*record, "cause", "type");
		r = -1;
	}
	if (r == 0 && k->layer->needs)
		r = pack_may_answer(h, k, run.answer, base.answer, record);
	cJSON *row = add_row(h, k, began);
	if (r == 0)
		json_set(row, "answer", run.answer ? cJSON_Duplicate(run.answer, 1) : cJSON_CreateNull());
	else
		row_failed(row, *record);
	if (r == 0 && k->point->kind == POINT_CONSENT && !cJSON_IsTrue(run.answer)) {
		*record = record_new(h, k, NULL, k->line, run.reason ? run.reason : "refused without a reason");
		json_set_bool(*record, "refused", true);
		json_set_str(row, "reason", run.reason);
		r = -1;
	}
	if (r == 0)
		*out = take_ptr(run.answer);
	cJSON_Delete(run.answer);
	free(run.reason);
	cJSON_Delete(base.answer);
	buf_free(&why);
	return r;
}

static int base_compute(struct host *h, struct base *b, cJSON **record)
{
	if (b->level < b->n)
		return answer_from(h, b->hooks, b->n, b->level, b->extra, &b->answer, record);
	const struct hook *k = b->hooks[b->n - 1];
	*record = record_new(h, k, NULL, 0, "base(): there is no layer below that answers");
	return -1;
}

/* The last row is that of the hook that was asked; those before it were asked by base(). */
static void mark(const struct host *h, const char *how)
{
	cJSON *last = NULL;
	for (cJSON *row = h->rows->child; row; row = row->next)
		last = row;
	if (last)
		json_set_bool(last, how, true);
}

static void mark_answered(const struct host *h)
{
	mark(h, "answered");
}

static void begin(struct host *h, const struct point *point)
{
	h->point = point;
	cJSON_Delete(take_ptr(h->raised));
	free(take_ptr(h->raised_text));
	limits_begin(h, point);
}

static int decide(struct host *h, struct ask *a, const cJSON *extra, cJSON **answer, cJSON **record)
{
	const struct point *point = a->hooks[0]->point;
	begin(h, point);
	int r = answer_from(h, a->hooks, a->n, 0, extra, answer, record);
	if (r < 0 && point->rule == RULE_BUILTIN && a->n > 1 && !json_bool_or(*record, "refused", false)) {
		/* The error is in the rows; the decision still falls. */
		cJSON_Delete(take_ptr(*record));
		begin(h, point);
		r = answer_from(h, a->hooks, a->n, a->n - 1, extra, answer, record);
	}
	limits_end();
	if (r == 0)
		mark_answered(h);
	return r;
}

/* Every layer is asked; the first refusal or error ends it. */
static int consent(struct host *h, struct ask *a, const cJSON *extra, cJSON **answer, cJSON **record)
{
	for (size_t i = 0; i < a->n; i++) {
		cJSON_Delete(take_ptr(*answer));
		begin(h, a->hooks[i]->point);
		int r = answer_from(h, a->hooks, a->n, i, extra, answer, record);
		limits_end();
		if (r < 0)
			return -1;
		mark_answered(h);
	}
	return 0;
}

/* Built-in first; one that fails does not keep the others from running. The first error is the record. */
static int act(struct host *h, struct ask *a, const cJSON *extra, cJSON **record)
{
	int result = 0;
	for (size_t layer = h->nlayers; layer-- > 0;) {
		for (size_t i = 0; i < a->n; i++) {
			cJSON *answer = NULL, *error = NULL;
			if (a->hooks[i]->layer != &h->layers[layer])
				continue;
			begin(h, a->hooks[i]->point);
			int r = answer_from(h, a->hooks, a->n, i, extra, &answer, &error);
			limits_end();
			cJSON_Delete(answer);
			if (r < 0 && result == 0)
				*record = take_ptr(error);
			cJSON_Delete(error);
			result = r < 0 ? -1 : result;
		}
	}
	return result;
}

static void every_layer(struct host *h, struct ask *a, const cJSON *extra)
{
	for (size_t i = 0; i < a->n; i++) {
		cJSON *answer = NULL, *error = NULL;
		begin(h, a->hooks[i]->point);
		if (answer_from(h, a->hooks, a->n, i, extra, &answer, &error) == 0)
			mark_answered(h);
		limits_end();
		mark(h, "own");
		cJSON_Delete(answer);
		cJSON_Delete(error);
	}
}

int chain_ask(struct host *h, const struct point *point, const cJSON *extra, bool each, cJSON **answer, cJSON **record)
{
	struct ask a;
	collect(h, point, &a);
	*answer = *record = NULL;
	if (a.n == 0)
		return 0;
	if (each) {
		every_layer(h, &a, extra);
		return 0;
	}
	switch (point->kind) {
	case POINT_CONSENT:
		return consent(h, &a, extra, answer, record);
	case POINT_ACTION:
		return act(h, &a, extra, record);
	default:
		return decide(h, &a, extra, answer, record);
	}
}

int chain_load(struct host *h, const char *layer, const struct point *point, cJSON **record)
{
	struct ask a;
	collect(h, point, &a);
	for (size_t i = 0; i < a.n; i++) {
		struct run run = { .hook = a.hooks[i], .load_only = true };
		if (strcmp(a.hooks[i]->layer->name, layer) != 0)
			continue;
		begin(h, point);
		int r = run_hook(h, &run, record);
		limits_end();
		if (r < 0)
			return -1;
	}
	return 0;
}

/* What the first file of a layer returns, no function: the cases of a test file. */
int chain_table(struct host *h, const char *layer, cJSON **answer, cJSON **record)
{
	for (size_t i = 0; i < h->nlayers; i++) {
		if (strcmp(h->layers[i].name, layer) != 0 || h->layers[i].nhooks == 0)
			continue;
		struct run run = { .hook = &h->layers[i].hooks[0], .table = true };
		begin(h, point_find("on_failed")); /* an action's time */
		int r = run_hook(h, &run, record);
		limits_end();
		*answer = run.answer;
		free(run.reason);
		return r;
	}
	return -1;
}

/* -- the plan -- */

/* What hooks see of the plan so far: whether and by which kind of key the workspace joins, but never where the key is.
 */
static void show_join(cJSON *seen, const cJSON *join)
{
	const char *kind = json_str(cJSON_GetObjectItemCaseSensitive(join, "$key"), "kind");
	json_set_bool(seen, "joins", kind != NULL);
	json_set_str(seen, "key", kind);
}

static int plan_one(struct host *h, const char *name, cJSON *plan, cJSON *seen, cJSON **record)
{
	const struct point *point = point_find(name);
	cleanup_json cJSON *extra = cJSON_CreateObject();
	cJSON *answer = NULL;
	json_set(extra, "plan", cJSON_Duplicate(seen, 1));
	if (chain_ask(h, point, extra, false, &answer, record) < 0) {
		cJSON_Delete(answer);
		if (point->rule != RULE_DEGRADE || json_bool_or(*record, "refused", false))
			return -1;
		json_set(json_obj(plan, "errors"), name, take_ptr(*record));
		return 0;
	}
	if (point->kind == POINT_CONSENT) {
		cJSON_Delete(answer);
		return 0;
	}
	if (strcmp(name, "auth_key") == 0) {
		show_join(seen, answer);
		json_set(plan, "join", answer);
	} else {
		json_set(seen, name, cJSON_Duplicate(answer, 1));
		json_set(plan, name, answer);
	}
	return 0;
}

int chain_plan(struct host *h, cJSON **out, cJSON **record)
{
	static const char *const order[] = { "admit", "image",     "auth_key", "hostname", "tailscale_up",
					     "env",   "container", "review",   NULL };
	cleanup_json cJSON *plan = cJSON_CreateObject(), *seen = cJSON_CreateObject();
	json_set_bool(seen, "joins", false);
	json_set_bool(plan, "join", false);
	json_obj(plan, "errors");
	for (const char *const *name = order; *name; name++)
		if ((json_bool_or(seen, "joins", false) || strcmp(*name, "tailscale_up") != 0) &&
		    plan_one(h, *name, plan, seen, record) < 0)
			return -1;
	*out = take_ptr(plan);
	return 0;
}
