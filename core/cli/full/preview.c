#include "cli/full/preview.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/full/packs.h"
#include "cli/out.h"
#include "cli/plan_out.h"
#include "policy/policy.h"
#include "policy/tool/preview.h"

static void print_change(struct table *t, const char *name, const cJSON *change)
{
	const char *field = json_str_or(change, "field", "?");
	cleanup_free char *from = plan_value(field, json_at(change, "from")),
			  *to = plan_value(field, json_at(change, "to")), *place = plan_place(change);
	table_add(t, name);
	table_add(t, field);
	table_addf(t, "%s -> %s", from, to);
	table_add(t, place);
}

static void print_refusal(struct table *t, const char *name, const char *what, const cJSON *record)
{
	cleanup_free char *place = plan_place(record);
	table_add(t, name);
	table_add(t, json_str_or(record, "point", "plan"));
	table_addf(t, "%s%s", what, json_str_or(record, "message", "?"));
	table_add(t, place);
}

void preview_print(const cJSON *out)
{
	static const char *const heads[] = { "WORKSPACE", "FIELD", "CHANGE", "BY" };
	struct table t = { heads, 4, NULL, 0 };
	const cJSON *row, *change;
	cJSON_ArrayForEach(row, json_at(out, "workspaces")) {
		const char *name = json_str_or(row, "name", "?");
		const cJSON *refused = json_at(row, "refused"), *before = json_at(row, "was_refused");
		if (refused)
			print_refusal(&t, name, before ? "refused, as before: " : "would be refused: ", refused);
		else if (before)
			print_refusal(&t, name, "would be allowed; today: ", before);
		cJSON_ArrayForEach(change, json_at(row, "changes"))
			print_change(&t, name, change);
	}
	if (t.n)
		table_print(&t);
	out_flush(NULL); /* both may go to one file */
	fprintf(stderr, "%d of %d workspaces would differ, %d would be refused. Nothing was touched.\n",
		(int)json_int_or(out, "changed", 0), cJSON_GetArraySize(json_at(out, "workspaces")),
		(int)json_int_or(out, "refused", 0));
	if (json_int_or(out, "skipped", 0))
		fprintf(stderr, "perry: %d more were not tried: the hooks take too long\n",
			(int)json_int_or(out, "skipped", 0));
}

/* One object of facts, or a list of them, as an agent's answers have them. */
static int read_subjects(const char *path, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf text = { 0 };
	const cJSON *facts;
	if (file_read(path, 16 << 20, &text, err) < 0)
		return -1;
	cleanup_json cJSON *j = json_parse(buf_str(&text), text.len, path, err), *list = cJSON_CreateArray();
	if (!j)
		return -1;
	if (!cJSON_IsArray(j)) {
		json_push(list, take_ptr(j));
		j = take_ptr(list);
		list = cJSON_CreateArray();
	}
	cJSON_ArrayForEach(facts, j) {
		cJSON *subject = cJSON_CreateObject();
		if (!json_str(facts, "ws.name")) {
			cJSON_Delete(subject);
			return perry_fail(err, PERRY_EINPUT,
					  "%s: expected facts, {\"ws\": {\"name\": ...}}, or a list of them", path);
		}
		json_set_str(subject, "name", json_str(facts, "ws.name"));
		json_set(subject, "facts", cJSON_Duplicate(facts, 1));
		json_push(list, subject);
	}
	*out = take_ptr(list);
	return 0;
}

/* The built-in hooks alone, against the built-in hooks below these. */
static int preview_here(const char *file, cJSON *packed, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *subjects = NULL;
	struct policy *p = NULL;
	struct policy_layer layer;
	struct policy_setup today = { 0 }, changed = { .layers = &layer, .nlayers = 1 };
	if (read_subjects(file, &subjects, err) < 0 || policy_packed_layer(packed, NULL, &layer, err) < 0 ||
	    policy_new(&p, err) < 0)
		return -1;
	int rc = policy_preview(p, &today, &changed, subjects, out, err);
	policy_free(p);
	return rc;
}

static int preview_on_agent(cJSON *take_packed, cJSON **out, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *in = cJSON_CreateObject();
	json_set(in, "packed", take_packed);
	return client_open(&c, err) < 0 ? -1 : client_rpc(c, "hooks/preview", take_ptr(in), out, err);
}

/* Files are named by what the user asked for, not by where they lay for a moment. */
static void name_after(cJSON *j, const char *dir, const char *what)
{
	for (cJSON *c = j ? j->child : NULL; c; c = c->next) {
		name_after(c, dir, what);
		if (!cJSON_IsString(c) || !str_starts(c->valuestring, dir))
			continue;
		cleanup_free char *named = xasprintf("%s%s", what, c->valuestring + strlen(dir));
		cJSON_SetValuestring(c, named);
	}
}

/* A folder, or a pack: its newest files, which need not be approved to be tried. */
static int pack_up(const char *what, cJSON **packed, struct perry_err **err)
{
	cleanup_free char *temp = NULL;
	struct stat st;
	if (stat(what, &st) == 0 || strchr("./~", what[0]))
		return policy_pack_up(what, packed, err);
	int rc = packs_newest(what, &temp, err);
	if (rc == 0)
		rc = policy_pack_up(temp, packed, err);
	if (rc == 0)
		name_after(*packed, temp, what);
	if (temp)
		dir_remove(temp);
	return rc;
}

int hooks_preview(const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *packed = NULL, *out = NULL;
	const char *facts = args_str(a, "facts");
	if (a->nwords && pack_up(a->words[0], &packed, err) < 0)
		return -1;
	if (facts && !packed)
		return perry_fail(err, PERRY_EUSAGE, "hooks preview: --facts needs DIR, the hooks to try");
	if ((facts ? preview_here(facts, packed, &out, err) : preview_on_agent(take_ptr(packed), &out, err)) < 0)
		return -1;
	if (out_answer(a, out, preview_print, err) < 0)
		return -1;
	return json_bool_or(out, "ok", false) ? 0 : 1;
}
