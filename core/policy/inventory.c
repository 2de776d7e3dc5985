#include "policy/inventory.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/builtin.h"
#include "policy/contract/points.h"
#include "policy/layers.h"

static void add_layer(cJSON *point, const char *layer, const struct layer_file *f, const char *hash, const char *state)
{
	cJSON *row = cJSON_CreateObject();
	json_set_str(row, "layer", layer);
	json_set_str(row, "file", f->shown);
	json_set_str(row, "hash", hash && *hash ? hash : NULL);
	json_set_str(row, "state", state);
	json_push(cJSON_GetObjectItemCaseSensitive(point, "layers"), row);
}

static void add_problem(cJSON *problems, const char *layer, const char *file, const char *nearest, const char *message)
{
	cJSON *row = cJSON_CreateObject();
	json_set_str(row, "layer", layer);
	json_set_str(row, "file", file);
	json_set_str(row, "nearest", nearest);
	json_set_str(row, "message", message);
	json_push(problems, row);
}

static const char *state_of(const struct policy_setup *setup, const char *layer, const struct point *point,
			    const cJSON *entry, const struct layer_file *f)
{
	if (f->error)
		return "refused";
	if (point->kind == POINT_CONSENT)
		return "asked";
	if (point->kind == POINT_ACTION)
		return layer_muted(setup, layer, point->name) ? "muted" : "runs";
	return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(entry, "layers")) ? "below" : "answers";
}

/* A name that no hook point has does nothing: said loudly, with the one that was probably meant. */
static void misnamed(cJSON *problems, const char *layer, const struct layer_file *f)
{
	const char *near = point_nearest(f->stem);
	cleanup_free char *text =
		near ? xasprintf("%s: no hook point has this name (did you mean %s.lua?); the file does nothing",
				 f->shown, near)
		     : xasprintf("%s: no hook point has this name; the file does nothing", f->shown);
	add_problem(problems, layer, f->shown, near, text);
}

static void add_files(const struct policy_setup *setup, const char *layer, const struct layer_files *files,
		      cJSON **entries, cJSON *problems)
{
	for (size_t i = 0; i < files->n; i++) {
		const struct layer_file *f = &files->files[i];
		if (!f->point) {
			if (!f->off)
				misnamed(problems, layer, f);
			continue;
		}
		cJSON *entry = entries[f->point - policy_point_table];
		if (f->error)
			add_problem(problems, layer, f->shown, NULL, perry_msg(f->error));
		if (!f->off)
			add_layer(entry, layer, f, f->hash, state_of(setup, layer, f->point, entry, f));
	}
}

static void add_builtin(const struct policy_setup *setup, cJSON **entries)
{
	for (const struct point *p = policy_point_table; p->name; p++) {
		const char *hash = builtin_hash(p->name);
		cJSON *entry = entries[p - policy_point_table];
		cleanup_free char *file = xasprintf("built-in/%s.lua", p->name);
		struct layer_file f = { .shown = file, .point = p };
		if (hash)
			add_layer(entry, "built-in", &f, hash, state_of(setup, "built-in", p, entry, &f));
	}
}

/* "layer/point" that mutes nothing is as misleading as a misspelt file. */
static void check_muted(const struct policy_setup *setup, cJSON *problems)
{
	for (const char *const *d = setup->disabled; d && *d; d++) {
		const char *slash = strchr(*d, '/');
		const struct point *point = slash ? point_find(slash + 1) : NULL;
		bool layer = slash && strncmp(*d, "built-in/", 9) == 0;
		for (size_t i = 0; slash && i < setup->nlayers && !layer; i++)
			layer = strlen(setup->layers[i].name) == (size_t)(slash - *d) &&
				strncmp(setup->layers[i].name, *d, (size_t)(slash - *d)) == 0;
		if (layer && point && point->kind == POINT_ACTION)
			continue;
		cleanup_free char *text = xasprintf("hooks.disabled: \"%s\" mutes nothing: %s", *d,
						    !slash   ? "expected layer/point"
						    : !layer ? "there is no such layer"
						    : !point ? "there is no such hook point"
							     : "only actions (on_*) can be muted");
		add_problem(problems, NULL, "config.json", NULL, text);
	}
}

cJSON *policy_inventory(const struct policy_setup *setup)
{
	cJSON *out = cJSON_CreateObject(), *points = cJSON_CreateArray(), *problems = cJSON_CreateArray(), *entries[64];
	json_set(out, "points", points);
	json_set(out, "problems", problems);
	for (const struct point *p = policy_point_table; p->name; p++) {
		cJSON *entry = cJSON_CreateObject();
		json_set_str(entry, "point", p->name);
		json_set_str(entry, "kind", point_kind_name(p->kind));
		json_set(entry, "layers", cJSON_CreateArray());
		json_push(points, entry);
		entries[p - policy_point_table] = entry;
	}
	for (size_t i = 0; i < setup->nlayers; i++) {
		struct layer_files files;
		if (setup->layers[i].broken)
			add_problem(problems, setup->layers[i].name, NULL, NULL, perry_msg(setup->layers[i].broken));
		layer_scan(&setup->layers[i], &files);
		if (files.error)
			add_problem(problems, setup->layers[i].name, setup->layers[i].dir, NULL,
				    perry_msg(files.error));
		add_files(setup, setup->layers[i].name, &files, entries, problems);
		layer_files_free(&files);
	}
	add_builtin(setup, entries);
	check_muted(setup, problems);
	return out;
}

cJSON *policy_points(void)
{
	cJSON *list = cJSON_CreateArray();
	for (const struct point *p = policy_point_table; p->name; p++) {
		cJSON *row = cJSON_CreateObject();
		json_set_str(row, "name", p->name);
		json_set_str(row, "kind", point_kind_name(p->kind));
		json_set_str(row, "result", p->result);
		json_set_str(row, "on_error", point_rule_name(p->rule));
		json_set_int(row, "instructions", point_limits(p).instructions);
		json_set_int(row, "cpu_ms", point_limits(p).cpu_ms);
		json_set_int(row, "deadline_ms", point_limits(p).wall_ms);
		json_set_str(row, "argument", *p->extra ? p->extra : NULL);
		json_set_int(row, "since", p->since);
		json_set_str(row, "summary", p->summary);
		json_push(list, row);
	}
	return list;
}

bool policy_others_have(const cJSON *inventory, const char *name)
{
	const cJSON *point, *layer;
	cJSON_ArrayForEach(point, cJSON_GetObjectItemCaseSensitive(inventory, "points")) {
		if (!str_eq(json_str(point, "point"), name))
			continue;
		cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(point, "layers"))
			if (!str_eq(json_str(layer, "layer"), "built-in"))
				return true;
	}
	return false;
}
