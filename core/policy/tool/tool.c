#include "policy/tool/tool.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "policy/ask.h"
#include "policy/contract/points.h"
#include "policy/layers.h"
#include "policy/opening.h"
#include "policy/pack/pack.h"
#include "policy/session.h"
#include "policy/tool/fixture.h"
#include "policy/tool/tooling.h"

/* -- check -- */

static void file_failed(cJSON *row, struct perry_err *take_err)
{
	json_set_bool(row, "ok", false);
	json_set_str(row, "error", perry_msg(take_err));
	if (json_at(take_err->data, "line"))
		json_set_int(row, "line", json_int_or(take_err->data, "line", 0));
	perry_err_free(take_err);
}

/* An error because there is no agent to ask says nothing about the hook. */
static bool needs_agent(const struct perry_err *e)
{
	return strstr(perry_msg(e), "not available here: no agent") || json_bool_or(e->data, "refused", false);
}

static void ask_strictly(struct policy_session *s, const struct point *point, cJSON *row)
{
	cleanup_json cJSON *facts = policy_fixture_facts(), *extra = policy_fixture_extra(point->name);
	cJSON *answer = NULL;
	struct perry_err *err = NULL;
	if (policy_ask(s, point->name, facts, extra, &answer, NULL, &err) < 0) {
		if (needs_agent(err))
			perry_err_free(err);
		else
			file_failed(row, err);
	}
	cJSON_Delete(answer);
}

static void check_file(struct policy *p, const struct layer_file *f, const cJSON *lib, const struct pack *pack,
		       bool strict, cJSON *row)
{
	cJSON *opening = tool_opening(NULL), *notes = cJSON_CreateArray(), *layer;
	struct policy_session *s = NULL;
	struct perry_err *err = NULL;
	int api;
	bool stated;
	const char *why;
	json_set_str(row, "file", f->shown);
	json_set_str(row, "point", f->point->name);
	json_set_bool(row, "ok", true);
	json_set(row, "notes", notes);
	layer = tool_add_layer(opening, "checked", f->point->name, f->shown, f->text, lib);
	hook_header(f->text, f->len, &api, &stated, &why);
	if (!stated) {
		json_push_str(notes, "line 1 does not say which API it is written for: -- perry: api=1");
		if (strict)
			json_set_bool(row, "ok", false);
	}
	if ((pack && tool_grant(pack, NULL, layer, &err) < 0) || session_begin(p, take_ptr(opening), &s, &err) < 0 ||
	    session_load(s, "checked", f->point, &err) < 0)
		file_failed(row, err);
	else if (strict)
		ask_strictly(s, f->point, row);
	policy_close(s);
	cJSON_Delete(opening);
}

static void problem(cJSON *out, const char *file, const char *nearest, const char *message)
{
	cJSON *row = cJSON_CreateObject();
	json_set_str(row, "file", file);
	json_set_str(row, "nearest", nearest);
	json_set_str(row, "message", message);
	json_push(cJSON_GetObjectItemCaseSensitive(out, "problems"), row);
}

static void check_folder(struct policy *p, const char *dir, bool strict, cJSON *out)
{
	cleanup_free char *hooks = NULL, *lib_dir = NULL;
	cleanup_json cJSON *lib = NULL;
	struct layer_files files;
	struct perry_err *err = NULL;
	tool_folders(dir, &hooks, &lib_dir);
	struct policy_layer layer = {
		.name = "checked", .dir = hooks, .lib_dir = lib_dir, .owner = geteuid(), .follow_links = true
	};
	if (!tool_is_dir(hooks)) {
		cleanup_free char *text = xasprintf("%s: no such folder", dir);
		problem(out, dir, NULL, text);
		return;
	}
	layer_scan(&layer, &files);
	if (files.error)
		problem(out, hooks, NULL, perry_msg(files.error));
	if (layer_lib(&layer, &lib, &err) < 0)
		problem(out, lib_dir, NULL, perry_msg(err));
	perry_err_free(take_ptr(err));
	cleanup_pack struct pack *pack = NULL;
	if (tool_pack(dir, &pack, &err) < 0)
		problem(out, dir, NULL, perry_msg(err));
	perry_err_free(err);
	for (size_t i = 0; i < files.n; i++) {
		const struct layer_file *f = &files.files[i];
		if (f->off)
			continue;
		if (!f->point || f->error) {
			const char *near = f->point ? NULL : point_nearest(f->stem);
			cleanup_free char *text =
				f->error ? xstrdup(perry_msg(f->error))
				: near   ? xasprintf("%s: no hook point has this name (did you mean %s.lua?)", f->shown,
						     near)
					 : xasprintf("%s: no hook point has this name", f->shown);
			problem(out, f->shown, near, text);
			continue;
		}
		cJSON *row = cJSON_CreateObject();
		check_file(p, f, lib, pack, strict, row);
		json_push(cJSON_GetObjectItemCaseSensitive(out, "files"), row);
	}
	layer_files_free(&files);
}

int policy_check(struct policy *p, const char *const *dirs, bool strict, cJSON **result, struct perry_err **err)
{
	cJSON *out = cJSON_CreateObject();
	json_set(out, "files", cJSON_CreateArray());
	json_set(out, "problems", cJSON_CreateArray());
	for (; *dirs; dirs++)
		check_folder(p, *dirs, strict, out);
	bool ok = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(out, "problems")) == 0;
	const cJSON *row;
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(out, "files"))
		ok = ok && json_bool_or(row, "ok", false);
	json_set_bool(out, "ok", ok);
	*result = out;
	return 0;
}

/* -- run -- */

/* Each layer's own row, highest first; those of layers that were asked through base() come again by themselves. */
static cJSON *layer_rows(const cJSON *rows)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *row;
	cJSON_ArrayForEach(row, rows)
		if (json_at(row, "own"))
			json_push(out, cJSON_Duplicate(row, 1));
	return out;
}

int policy_run(struct policy *p, const struct policy_setup *setup, const char *name, const cJSON *facts,
	       const cJSON *extra, cJSON **out, struct perry_err **err)
{
	const struct point *point = point_find(name);
	cleanup_json cJSON *made = facts ? NULL : policy_fixture_facts(),
			   *more = extra ? NULL : policy_fixture_extra(name), *reply = NULL, *ran = cJSON_CreateArray();
	struct policy_session *s = NULL;
	cJSON *answer = NULL;
	struct perry_err *why = NULL;
	if (policy_open(p, setup, &s, err) < 0)
		return -1;
	facts = facts ? facts : made;
	extra = extra ? extra : more;
	int r = policy_ask(s, name, facts, extra, &answer, ran, &why);
	if (!point || (r < 0 && why->code != PERRY_EPOLICY)) {
		policy_close(s);
		cJSON_Delete(answer);
		return perry_move(err, why);
	}
	*out = cJSON_CreateObject();
	json_set_str(*out, "point", name);
	if (r == 0)
		json_set(*out, "answer", answer ? answer : cJSON_CreateNull());
	else
		json_set(*out, "error", why->data ? cJSON_Duplicate(why->data, 1) : cJSON_CreateObject());
	if (r < 0)
		json_set_str(json_obj(*out, "error"), "message", perry_msg(why));
	perry_err_free(why);
	if (ran->child)
		json_set(ran->child, "facts", NULL); /* the caller has them */
	/* An action would act twice; a process that ended answers no more. */
	if (point->kind == POINT_ACTION)
		json_set(*out, "layers", take_ptr(ran));
	else if (!s->dead && session_ask(s, point, facts, extra, true, &reply, NULL) == 0)
		json_set(*out, "layers", layer_rows(json_at(reply, "rows")));
	else
		json_set(*out, "layers", cJSON_CreateArray());
	policy_close(s);
	return 0;
}
