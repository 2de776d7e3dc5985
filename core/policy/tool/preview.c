/* What a change of policy would do: the plans of all workspaces by two policies, compared field by field. */
#include "policy/tool/preview.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "policy/ask.h"
#include "policy/contract/points.h"
#include "policy/layers.h"
#include "policy/opening.h"
#include "policy/pack/pack.h"
#include "policy/pack/pack_json.h"
#include "policy/process.h"
#include "policy/session.h"
#include "policy/tool/fields.h"
#include "policy/tool/tooling.h"

/* So many plans share a process: forking costs more than planning. A hook that keeps something from call to call could
 * tell, so not all of them do. */
#define PLANS_PER_PROCESS 25
#define DEADLINE_MS       20000

/* One of the two policies. */
struct side {
	struct policy *policy;
	const struct policy_setup *setup; /* NULL: the subjects' own plans */
	struct policy_session *session;
	int plans;
};

static void side_close(struct side *s)
{
	policy_close(s->session);
	s->session = NULL;
	s->plans = 0;
}

/* The fields of one plan, or the error that there is instead. */
struct outcome {
	cJSON *fields;
	struct perry_err *refused;
};

static void outcome_free(struct outcome *o)
{
	cJSON_Delete(o->fields);
	perry_err_free(o->refused);
}

static int plan_of(struct side *s, const cJSON *subject, struct outcome *o, struct perry_err **err)
{
	cleanup_json cJSON *plan = NULL, *rows = cJSON_CreateArray();
	if (!s->setup) {
		o->fields = policy_fields(json_at(subject, "plan"), rows);
		return 0;
	}
	if (s->session && (s->session->dead || s->plans >= PLANS_PER_PROCESS))
		side_close(s);
	if (!s->session && policy_open(s->policy, s->setup, &s->session, err) < 0)
		return -1;
	s->plans++;
	if (policy_plan(s->session, json_at(subject, "facts"), &plan, rows, &o->refused) == 0)
		o->fields = policy_fields(plan, rows);
	else if (o->refused->code != PERRY_EPOLICY)
		return perry_move(err, take_ptr(o->refused));
	return 0;
}

static const cJSON *field_named(const cJSON *fields, const char *name)
{
	const cJSON *f;
	cJSON_ArrayForEach(f, fields)
		if (str_eq(json_str(f, "field"), name))
			return f;
	return NULL;
}

/* from or to NULL: the field is not there. */
static void add_change(cJSON *changes, const char *name, const cJSON *from, const cJSON *to)
{
	cJSON *change = cJSON_CreateObject();
	json_push(changes, change);
	json_set_str(change, "field", name);
	if (from)
		json_set(change, "from", cJSON_Duplicate(json_at(from, "value"), 1));
	if (to)
		json_set(change, "to", cJSON_Duplicate(json_at(to, "value"), 1));
	json_set_str(change, "file", json_str(to, "file"));
	if (json_at(to, "line"))
		json_set_int(change, "line", json_int_or(to, "line", 0));
}

static cJSON *compare(const cJSON *before, const cJSON *after)
{
	cJSON *changes = cJSON_CreateArray();
	const cJSON *f;
	cJSON_ArrayForEach(f, before) {
		const char *name = json_str(f, "field");
		const cJSON *now = field_named(after, name);
		if (!now || !json_equal(json_at(f, "value"), json_at(now, "value")))
			add_change(changes, name, f, now);
	}
	cJSON_ArrayForEach(f, after)
		if (!field_named(before, json_str(f, "field")))
			add_change(changes, json_str(f, "field"), NULL, f);
	return changes;
}

static void add_refusal(cJSON *row, const char *key, const struct perry_err *e)
{
	cJSON *record = e->data ? cJSON_Duplicate(e->data, 1) : cJSON_CreateObject();
	json_set_str(record, "text", perry_msg(e));
	json_set(row, key, record);
}

static void report(cJSON *row, const struct outcome *before, const struct outcome *after)
{
	if (before->refused)
		add_refusal(row, "was_refused", before->refused);
	if (after->refused)
		add_refusal(row, "refused", after->refused);
	json_set(row, "changes",
		 before->refused || after->refused ? cJSON_CreateArray() : compare(before->fields, after->fields));
}

static bool differs(const cJSON *row)
{
	return json_at(row, "changes")->child || !json_at(row, "refused") != !json_at(row, "was_refused");
}

int policy_preview(struct policy *p, const struct policy_setup *today, const struct policy_setup *changed,
		   const cJSON *subjects, cJSON **out, struct perry_err **err)
{
	struct side a = { .policy = p, .setup = today }, b = { .policy = p, .setup = changed };
	cleanup_json cJSON *rows = cJSON_CreateArray();
	int differ = 0, refused = 0, skipped = 0, rc = 0;
	struct hook_limits own;
	int64_t began = clock_mono_ms(), last = began + (policy_limited(p, &own) ? own.wall_ms : DEADLINE_MS);
	const cJSON *subject;
	cJSON_ArrayForEach(subject, subjects) {
		struct outcome before = { 0 }, after = { 0 };
		if (clock_mono_ms() > last) {
			skipped++;
			continue;
		}
		rc = plan_of(&a, subject, &before, err);
		if (rc == 0)
			rc = plan_of(&b, subject, &after, err);
		if (rc == 0) {
			cJSON *row = cJSON_CreateObject();
			json_push(rows, row);
			json_set_str(row, "name",
				     json_str_or(subject, "name", json_str_or(subject, "facts.ws.name", "?")));
			report(row, &before, &after);
			differ += differs(row);
			refused += after.refused != NULL;
		}
		outcome_free(&before);
		outcome_free(&after);
		if (rc < 0)
			break;
	}
	side_close(&a);
	side_close(&b);
	if (rc < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set_bool(*out, "ok", refused == 0 && skipped == 0);
	json_set(*out, "workspaces", take_ptr(rows));
	json_set_int(*out, "changed", differ);
	json_set_int(*out, "refused", refused);
	json_set_int(*out, "skipped", skipped);
	json_set_int(*out, "ms", clock_mono_ms() - began);
	return 0;
}

/* -- a layer that travels -- */

static int add_files(const struct policy_layer *layer, cJSON *list, struct perry_err **err)
{
	struct layer_files files;
	int rc = 0;
	layer_scan(layer, &files);
	if (files.error)
		rc = perry_move(err, take_ptr(files.error));
	for (size_t i = 0; i < files.n && rc == 0; i++) {
		struct layer_file *f = &files.files[i];
		if (f->off || !f->point)
			continue;
		if (f->error) {
			rc = perry_move(err, take_ptr(f->error));
			continue;
		}
		cJSON *file = cJSON_CreateObject();
		json_set_str(file, "point", f->point->name);
		json_set_str(file, "file", f->shown);
		json_set_str(file, "text", f->text);
		json_push(list, file);
	}
	layer_files_free(&files);
	return rc;
}

/* pack.json goes along as text: whoever receives it judges it. */
static int add_pack(const char *dir, cJSON *packed, struct perry_err **err)
{
	cleanup_free char *path = path_join(dir, "pack.json"), *full = realpath(dir, NULL);
	cleanup_buf struct buf text = { 0 };
	json_set_str(packed, "name", full ? strrchr(full, '/') + 1 : dir);
	if (access(path, F_OK) < 0)
		return 0;
	if (file_read(path, PACK_MAX_FILE, &text, err) < 0)
		return -1;
	json_set_strn(packed, "pack", buf_str(&text), text.len);
	return 0;
}

int policy_pack_up(const char *dir, cJSON **out, struct perry_err **err)
{
	cleanup_free char *hooks = NULL, *lib = NULL;
	cleanup_json cJSON *packed = cJSON_CreateObject(), *files = cJSON_CreateArray();
	cJSON *modules = NULL;
	tool_folders(dir, &hooks, &lib);
	bool pack = strcmp(hooks, dir) != 0;
	struct policy_layer layer = { .name = pack ? "the pack" : "user",
				      .dir = hooks,
				      .lib_dir = lib,
				      .owner = geteuid(),
				      .follow_links = !pack };
	if (!tool_is_dir(hooks))
		return perry_fail(err, PERRY_ENOTFOUND, "%s: no such folder", dir);
	if ((pack && add_pack(dir, packed, err) < 0) || add_files(&layer, files, err) < 0 ||
	    layer_lib(&layer, &modules, err) < 0)
		return -1;
	if (modules)
		json_set(packed, "lib", modules);
	json_set(packed, "files", take_ptr(files));
	*out = take_ptr(packed);
	return 0;
}

static int check_text(const cJSON *file, const char *what, struct perry_err **err)
{
	const char *text = json_str(file, "text");
	if (!text || !json_str(file, "file") || strlen(text) > LAYER_MAX_FILE || text[0] == '\033')
		return perry_fail(err, PERRY_EINPUT, "%s: expected {file, text}, text of at most %u KiB", what,
				  LAYER_MAX_FILE >> 10);
	return 0;
}

static int check_pack(cJSON *packed, const cJSON *config, struct perry_err **err)
{
	const char *text = json_str(packed, "pack");
	cleanup_json cJSON *meta = NULL;
	cJSON *settings = NULL;
	json_set(packed, "settings", NULL);
	json_set(packed, "needs", NULL);
	if (!text)
		return 0;
	if (pack_parse(text, strlen(text), "pack.json", &meta, err) < 0 ||
	    pack_settings(meta, config, &settings, err) < 0)
		return -1;
	json_set_str(packed, "name", json_str(meta, "name"));
	json_set(packed, "needs", pack_needs(meta, settings, config));
	json_set(packed, "settings", settings);
	return 0;
}

int policy_packed_layer(cJSON *packed, const cJSON *config, struct policy_layer *out, struct perry_err **err)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(packed, "files"), *f;
	if (!cJSON_IsArray(files))
		return perry_fail(err, PERRY_EINPUT, "files: expected a list of hooks");
	cJSON_ArrayForEach(f, files) {
		if (!point_find(json_str(f, "point")))
			return perry_fail(err, PERRY_EINPUT, "files: there is no hook point '%s'",
					  json_str_or(f, "point", ""));
		if (check_text(f, "files", err) < 0)
			return -1;
	}
	cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(packed, "lib"))
		if (check_text(f, "lib", err) < 0)
			return -1;
	if (check_pack(packed, config, err) < 0)
		return -1;
	*out = (struct policy_layer){ .name = json_str_or(packed, "name", "user"),
				      .packed = packed,
				      .needs = json_at(packed, "needs"),
				      .settings = json_at(packed, "settings") };
	return 0;
}
