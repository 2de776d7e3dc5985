#include "policy/tool/tool_test.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/str.h"
#include "policy/ask.h"
#include "policy/contract/points.h"
#include "policy/layers.h"
#include "policy/opening.h"
#include "policy/pack/pack.h"
#include "policy/session.h"
#include "policy/tool/fixture.h"
#include "policy/tool/tooling.h"

#define UNDER_TEST "tested"

struct suite {
	struct policy *policy;
	struct layer_files hooks;
	cJSON *lib;
	struct pack *pack; /* when the folder is one */
	cJSON *out, *tests;
	cJSON *lines;  /* file -> one character for each line: ' ' no code, '-' not run, '+' run */
	cJSON *points; /* name -> whether a test asked for it */
	int passed, failed;
};

/* What the hook asked for in this case, and what it gets. */
struct world {
	const cJSON *replies;
	cJSON *calls;
};

static int reply(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out, struct perry_err **err)
{
	struct world *w = ctx;
	const cJSON *r = cJSON_GetObjectItemCaseSensitive(w->replies, name);
	cJSON *call = cJSON_CreateObject();
	json_set_str(call, "name", name);
	json_set(call, "args", cJSON_Duplicate(args, 1));
	json_push(w->calls, call);
	if (json_str(r, "error"))
		return perry_fail(err, PERRY_EUNAVAILABLE, "%s", json_str(r, "error"));
	*out = r ? cJSON_Duplicate(r, 1) : cJSON_CreateNull();
	return 0;
}

/* Everything that is expected is there and equal; lists match as a whole; "4GiB" equals its number of bytes. */
static bool matches(const cJSON *want, const cJSON *got, const char *path, struct buf *why)
{
	long long n;
	if (cJSON_IsObject(want) && cJSON_IsObject(got)) {
		for (const cJSON *w = want->child; w; w = w->next) {
			cleanup_free char *below = xasprintf("%s.%s", path, w->string);
			if (!matches(w, cJSON_GetObjectItemCaseSensitive(got, w->string), below, why))
				return false;
		}
		return true;
	}
	if (cJSON_IsArray(want) && cJSON_IsArray(got) && cJSON_GetArraySize(want) == cJSON_GetArraySize(got)) {
		int i = 0;
		for (const cJSON *w = want->child, *g = got->child; w; w = w->next, g = g->next) {
			cleanup_free char *below = xasprintf("%s[%d]", path, ++i);
			if (!matches(w, g, below, why))
				return false;
		}
		return true;
	}
	bool empty = (cJSON_IsObject(want) || cJSON_IsArray(want)) && !want->child &&
		     (cJSON_IsObject(got) || cJSON_IsArray(got)) && !got->child;
	bool size = cJSON_IsString(want) && cJSON_IsNumber(got) && str_to_bytes(want->valuestring, &n) == 0 &&
		    (double)n == got->valuedouble;
	if (empty || size || (want && got && json_equal(want, got)))
		return true;
	cleanup_free char *a = want ? json_print(want) : xstrdup("nothing"),
			  *b = got ? json_print(got) : xstrdup("nothing");
	buf_addf(why, "%s: expected %s, got %s", path, a, b);
	return false;
}

static const struct layer_file *file_of(const struct suite *s, const struct point *point)
{
	for (size_t i = 0; i < s->hooks.n; i++)
		if (s->hooks.files[i].point == point && !s->hooks.files[i].off)
			return &s->hooks.files[i];
	return NULL;
}

static cJSON *opening_of(const struct suite *s, const struct point *point, const cJSON *test, struct perry_err **err)
{
	cJSON *opening = tool_opening(json_at(test, "config")), *layer = NULL;
	json_set_str(opening, "coverage", UNDER_TEST);
	json_set_num(opening, "time", json_num_or(test, "time", 1700000000));
	const cJSON *base = cJSON_GetObjectItemCaseSensitive(test, "base");
	for (size_t i = 0; i < s->hooks.n; i++) {
		const struct layer_file *f = &s->hooks.files[i];
		if (f->point != point || f->off || f->error)
			continue;
		if (!layer)
			layer = tool_add_layer(opening, UNDER_TEST, point->name, f->shown, f->text, s->lib);
		else
			tool_add_file(layer, point->name, f->shown, f->text);
	}
	if (layer && s->pack && tool_grant(s->pack, json_at(test, "settings"), layer, err) < 0) {
		cJSON_Delete(opening);
		return NULL;
	}
	if (layer && !s->pack && json_at(test, "settings"))
		json_set(layer, "settings", cJSON_Duplicate(json_at(test, "settings"), 1));
	if (base) {
		cJSON *below = tool_add_layer(opening, "base", point->name, "base of the test", "", NULL);
		json_set(cJSON_GetObjectItemCaseSensitive(below, "files")->child, "answer", cJSON_Duplicate(base, 1));
	}
	return opening;
}

static cJSON *facts_of(const cJSON *test)
{
	static const char *const subjects[] = { "ws", "req", NULL };
	cJSON *facts = policy_fixture_facts();
	for (const char *const *name = subjects; *name; name++)
		if (cJSON_IsObject(json_at(test, *name)))
			json_merge(json_obj(facts, *name), json_at(test, *name));
	return facts;
}

static cJSON *extra_of(const struct point *point, const cJSON *test)
{
	cJSON *extra = policy_fixture_extra(point->name);
	if (*point->extra && cJSON_IsObject(json_at(test, point->extra)))
		json_merge(json_obj(extra, point->extra), json_at(test, point->extra));
	return extra;
}

/* One text is within the other; plain, no pattern. */
static bool says(const char *want, const char *got, const char *what, struct buf *why)
{
	if (got && strstr(got, want))
		return true;
	buf_addf(why, "expected %s with \"%s\", got %s%s%s", what, want, got ? "\"" : "an answer", got ? got : "",
		 got ? "\"" : "");
	return false;
}

static bool judge(const cJSON *test, const cJSON *rows, const struct perry_err *err, const struct world *w,
		  struct buf *why)
{
	const cJSON *row, *mine = NULL;
	cJSON_ArrayForEach(row, rows)
		if (!mine && str_eq(json_str(row, "layer"), UNDER_TEST))
			mine = row;
	const char *error = err ? perry_msg(err) : json_str(mine, "error");
	const cJSON *answer = cJSON_GetObjectItemCaseSensitive(mine, "answer"),
		    *want = cJSON_GetObjectItemCaseSensitive(test, "expect");
	const char *refused = cJSON_IsFalse(answer) ? json_str_or(mine, "reason", "refused without a reason")
			      : json_bool_or(mine, "refused", false) ? error
								     : NULL;
	if (json_str(test, "error"))
		return says(json_str(test, "error"), error, "an error", why);
	if (json_str(test, "refused") && !says(json_str(test, "refused"), refused, "a refusal", why))
		return false;
	if (!json_str(test, "refused") && (error || !mine)) {
		buf_adds(why, error ? error : "the hook was not asked");
		return false;
	}
	if (want && !matches(want, answer, "answer", why))
		return false;
	const cJSON *calls = cJSON_GetObjectItemCaseSensitive(test, "calls");
	return !calls || matches(calls, w->calls, "calls", why);
}

/* Adds what one session saw to what is known. */
static void add_lines(struct suite *s, const cJSON *reply)
{
	const cJSON *seen;
	cJSON_ArrayForEach(seen, cJSON_GetObjectItemCaseSensitive(reply, "lines")) {
		const cJSON *known = cJSON_GetObjectItemCaseSensitive(s->lines, seen->string);
		size_t n = strlen(seen->valuestring);
		if (!known || strlen(known->valuestring) != n) {
			json_set(s->lines, seen->string, cJSON_CreateString(seen->valuestring));
			continue;
		}
		for (size_t i = 0; i < n; i++)
			if (seen->valuestring[i] == '+')
				known->valuestring[i] = '+';
	}
}

static void run_case(struct suite *s, const struct point *point, const cJSON *test, struct buf *why, bool *ok)
{
	struct world w = { json_at(test, "replies"), cJSON_CreateArray() };
	struct policy_session *session = NULL;
	struct perry_err *err = NULL;
	cleanup_json cJSON *facts = facts_of(test), *extra = extra_of(point, test), *answer = NULL;
	const struct layer_file *f = file_of(s, point);
	cJSON *opening = NULL;
	*ok = false;
	if (!f || f->error) {
		buf_addf(why, "%s", f ? perry_msg(f->error) : "there is no hook file for this point");
	} else if ((opening = opening_of(s, point, test, &err)) &&
		   session_begin(s->policy, opening, &session, &err) == 0) {
		tool_restrict(session, cJSON_GetArrayItem(json_at(opening, "layers"), 0));
		session->call = reply;
		session->ctx = &w;
		bool each = point->kind == POINT_CONSENT;
		session_ask(session, point, facts, extra, each, &answer, &err);
		*ok = judge(test, json_at(answer, "rows"), err, &w, why);
		add_lines(s, answer);
		json_set_bool(s->points, point->name, true);
	} else {
		buf_adds(why, perry_msg(err));
	}
	policy_close(session);
	perry_err_free(err);
	cJSON_Delete(w.calls);
}

static void add_result(struct suite *s, const char *file, const char *name, bool ok, const char *why)
{
	cJSON *row = cJSON_CreateObject();
	json_set_str(row, "file", file);
	json_set_str(row, "name", name);
	json_set_bool(row, "ok", ok);
	if (!ok)
		json_set_str(row, "message", why);
	json_push(s->tests, row);
	*(ok ? &s->passed : &s->failed) += 1;
}

/* The list that a test file returns; it is a hook as far as the policy process is concerned. */
static cJSON *read_cases(struct suite *s, const char *shown, const char *text, struct buf *why)
{
	cJSON *opening = tool_opening(NULL), *cases = NULL;
	struct policy_session *session = NULL;
	struct perry_err *err = NULL;
	cleanup_json cJSON *msg = cJSON_CreateObject(), *got = NULL;
	tool_add_layer(opening, UNDER_TEST, "idle", shown, text, s->lib);
	json_set_str(msg, "table", UNDER_TEST);
	if (session_begin(s->policy, opening, &session, &err) == 0) {
		session->point = point_find("on_failed");
		session_exchange(session, msg, session_wall_ms(session, point_find("on_failed")), &got, &err);
	}
	cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(got, "error");
	if (record) {
		json_set_str(record, "cause", "table");
		record_fail(session, record, &err);
	}
	if (!err)
		cases = cJSON_DetachItemFromObjectCaseSensitive(got, "answer");
	buf_adds(why, err ? perry_msg(err) : "");
	if (!err && !cJSON_IsArray(cases))
		buf_addf(why, "%s: a test file returns a list of cases", shown);
	policy_close(session);
	perry_err_free(err);
	return cases;
}

static void run_file(struct suite *s, const char *dir, const char *name)
{
	static const char *const known[] = { "name",    "point",    "ws",     "req",      "plan",    "ev",
					     "port",    "activity", "config", "settings", "time",    "base",
					     "replies", "calls",    "expect", "error",    "refused", NULL };
	cleanup_free char *path = path_join(dir, name), *shown = path_shown(path),
			  *stem = xstrndup(name, strlen(name) - strlen("_test.lua"));
	cleanup_buf struct buf text = { 0 }, why = { 0 };
	struct perry_err *err = NULL;
	if (file_read(path, LAYER_MAX_FILE, &text, &err) < 0) {
		add_result(s, shown, "", false, perry_msg(err));
		perry_err_free(err);
		return;
	}
	cleanup_json cJSON *cases = read_cases(s, shown, buf_str(&text), &why);
	if (why.len)
		add_result(s, shown, "", false, buf_str(&why));
	int n = 0;
	const cJSON *test, *field;
	cJSON_ArrayForEach(test, cases) {
		cleanup_free char *label =
			json_str(test, "name") ? xstrdup(json_str(test, "name")) : xasprintf("case %d", n + 1);
		const struct point *point = point_find(json_str_or(test, "point", stem));
		cleanup_buf struct buf bad = { 0 };
		bool ok = false;
		n++;
		cJSON_ArrayForEach(field, test) {
			const char *const *k = known;
			while (*k && !str_eq(*k, field->string))
				k++;
			if (!*k)
				buf_addf(&bad, "no such field: %s", field->string ? field->string : "(a list)");
		}
		if (!point)
			buf_addf(&bad, "there is no hook point '%s'", json_str_or(test, "point", stem));
		if (!bad.len)
			run_case(s, point, test, &bad, &ok);
		add_result(s, shown, label, ok, buf_str(&bad));
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_test(const struct dirent *e)
{
	return str_ends(e->d_name, "_test.lua");
}

static void run_folder(struct suite *s, const char *dir)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_test, by_name);
	for (int i = 0; i < n; i++) {
		run_file(s, dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

/* -- coverage -- */

/* Hooks that no test asks for count too: they are compiled only. */
static void add_untested(struct suite *s)
{
	for (size_t i = 0; i < s->hooks.n; i++) {
		const struct layer_file *f = &s->hooks.files[i];
		if (f->off || f->error || !f->point || cJSON_GetObjectItemCaseSensitive(s->points, f->point->name))
			continue;
		struct policy_session *session = NULL;
		cleanup_json cJSON *msg = cJSON_CreateObject(), *reply = NULL;
		json_set_bool(s->points, f->point->name, false);
		json_set_str(msg, "load", f->point->name);
		json_set_str(msg, "layer", UNDER_TEST);
		cJSON *opening = opening_of(s, f->point, NULL, NULL);
		if (opening && session_begin(s->policy, opening, &session, NULL) == 0 &&
		    session_exchange(session, msg, session_wall_ms(session, f->point), &reply, NULL) == 0)
			add_lines(s, reply);
		policy_close(session);
	}
}

static void add_file_row(cJSON *files, const cJSON *lines, int *hit, int *all)
{
	cJSON *row = cJSON_CreateObject(), *missed = cJSON_CreateArray();
	int ran = 0, code = 0;
	for (size_t i = 1; lines->valuestring[0] && lines->valuestring[i]; i++) {
		char c = lines->valuestring[i];
		code += c != ' ';
		ran += c == '+';
		if (c == '-')
			json_push(missed, cJSON_CreateNumber((double)i));
	}
	json_set_str(row, "file", lines->string);
	json_set_int(row, "run", ran);
	json_set_int(row, "lines", code);
	json_set(row, "missed", missed);
	json_push(files, row);
	*hit += ran;
	*all += code;
}

/* {"points", "tested", "lines", "run", "files": [{"file","lines","run","missed": [line]}]} */
static cJSON *coverage(struct suite *s)
{
	cJSON *out = cJSON_CreateObject(), *files = cJSON_CreateArray();
	int hit = 0, all = 0, tested = 0;
	const cJSON *row;
	add_untested(s);
	cJSON_ArrayForEach(row, s->lines)
		add_file_row(files, row, &hit, &all);
	cJSON_ArrayForEach(row, s->points)
		tested += cJSON_IsTrue(row);
	json_set_int(out, "points", cJSON_GetArraySize(s->points));
	json_set_int(out, "tested", tested);
	json_set_int(out, "lines", all);
	json_set_int(out, "run", hit);
	json_set(out, "files", files);
	return out;
}

int policy_test(struct policy *p, const char *dir, cJSON **out, struct perry_err **err)
{
	struct suite s = {
		.policy = p, .tests = cJSON_CreateArray(), .lines = cJSON_CreateObject(), .points = cJSON_CreateObject()
	};
	cleanup_free char *hooks = NULL, *lib = NULL, *below = path_join(dir, "tests");
	tool_folders(dir, &hooks, &lib);
	struct policy_layer layer = {
		.name = UNDER_TEST, .dir = hooks, .lib_dir = lib, .owner = geteuid(), .follow_links = true
	};
	if (!tool_is_dir(hooks) || layer_lib(&layer, &s.lib, err) < 0 || tool_pack(dir, &s.pack, err) < 0) {
		cJSON_Delete(s.tests);
		cJSON_Delete(s.lib);
		cJSON_Delete(s.lines);
		cJSON_Delete(s.points);
		return tool_is_dir(hooks) ? -1 : perry_fail(err, PERRY_ENOTFOUND, "%s: no such folder", dir);
	}
	layer_scan(&layer, &s.hooks);
	run_folder(&s, hooks);
	if (strcmp(hooks, dir) != 0)
		run_folder(&s, dir);
	run_folder(&s, below);
	*out = cJSON_CreateObject();
	json_set_bool(*out, "ok", s.failed == 0);
	json_set_int(*out, "passed", s.passed);
	json_set_int(*out, "failed", s.failed);
	json_set(*out, "tests", s.tests);
	json_set(*out, "coverage", coverage(&s));
	cJSON_Delete(s.lines);
	cJSON_Delete(s.points);
	layer_files_free(&s.hooks);
	cJSON_Delete(s.lib);
	pack_free(s.pack);
	return 0;
}
