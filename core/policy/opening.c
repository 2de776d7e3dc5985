#include "policy/opening.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "base/str.h"
#include "policy/layers.h"
#include "policy/session.h"

static int refused(const struct policy_layer *layer, const struct point *point, const char *shown,
		   struct perry_err *take_why, struct perry_err **err)
{
	cJSON *record = cJSON_CreateObject();
	json_set_str(record, "point", point ? point->name : NULL);
	json_set_str(record, "layer", layer->name);
	json_set_str(record, "file", shown);
	json_set_str(record, "message", perry_msg(take_why));
	take_why->code = PERRY_EPOLICY;
	cJSON_Delete(take_why->data);
	take_why->data = record;
	return perry_move(err, take_why);
}

/* A layer that came as text instead of a folder. */
static void open_packed(const struct policy_setup *setup, const struct policy_layer *layer, cJSON *j, cJSON *hashes)
{
	const cJSON *f, *lib = cJSON_GetObjectItemCaseSensitive(layer->packed, "lib");
	cJSON *list = cJSON_GetObjectItemCaseSensitive(j, "files");
	cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(layer->packed, "files")) {
		const char *text = json_str_or(f, "text", "");
		char hash[65];
		if (str_starts(json_str_or(f, "point", ""), "on_") &&
		    layer_muted(setup, layer->name, json_str(f, "point")))
			continue;
		sha256_hex(text, strlen(text), hash);
		json_set_str(hashes, json_str_or(f, "file", "?"), hash);
		json_push(list, cJSON_Duplicate(f, 1));
	}
	if (lib)
		json_set(j, "lib", cJSON_Duplicate(lib, 1));
}

static int open_layer(const struct policy_setup *setup, const struct policy_layer *layer, cJSON *opening, cJSON *hashes,
		      struct perry_err **err)
{
	struct layer_files files;
	cJSON *j = cJSON_CreateObject(), *list = cJSON_CreateArray(), *lib = NULL;
	int r = 0;
	json_push(cJSON_GetObjectItemCaseSensitive(opening, "layers"), j);
	json_set_str(j, "name", layer->name);
	json_set(j, "files", list);
	if (layer->settings)
		json_set(j, "settings", cJSON_Duplicate(layer->settings, 1));
	if (layer->needs)
		json_set(j, "needs", cJSON_Duplicate(layer->needs, 1));
	if (layer->packed) {
		open_packed(setup, layer, j, hashes);
		return 0;
	}
	if (layer->broken)
		return refused(layer, NULL, NULL, perry_err_copy(layer->broken), err);
	layer_scan(layer, &files);
	if (files.error)
		r = refused(layer, NULL, layer->dir, take_ptr(files.error), err);
	for (size_t i = 0; i < files.n && r == 0; i++) {
		struct layer_file *f = &files.files[i];
		if (f->off || !f->point ||
		    (f->point->kind == POINT_ACTION && layer_muted(setup, layer->name, f->point->name)))
			continue;
		if (f->error) {
			r = refused(layer, f->point, f->shown, take_ptr(f->error), err);
			break;
		}
		cJSON *file = cJSON_CreateObject();
		json_set_str(file, "point", f->point->name);
		json_set_str(file, "file", f->shown);
		json_set_str(file, "text", f->text);
		json_push(list, file);
		cJSON_AddItemToObject(hashes, f->shown, cJSON_CreateString(f->hash));
	}
	layer_files_free(&files);
	if (r == 0 && list->child)
		r = layer_lib(layer, &lib, err);
	if (lib)
		json_set(j, "lib", lib);
	return r;
}

static void mute_builtin(const struct policy_setup *setup, cJSON *opening)
{
	cJSON *muted = json_obj(opening, "muted");
	for (const struct point *p = policy_point_table; p->name; p++)
		if (p->kind == POINT_ACTION && layer_muted(setup, "built-in", p->name))
			json_set_bool(muted, p->name, true);
}

/* Hooks know no home folder. */
static void expand_mounts(cJSON *opening)
{
	cJSON *mounts = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(opening, "config"),
							 "allowedMounts"),
	      *v;
	cJSON_ArrayForEach(v, mounts) {
		cleanup_free char *full = cJSON_IsString(v) ? path_expand_home(v->valuestring) : NULL;
		if (full)
			cJSON_SetValuestring(v, full);
	}
}

/* Takes the hooks of actions out: they are most of a pack, and a plan asks none of them. */
static cJSON *take_actions(cJSON *opening)
{
	cJSON *later = cJSON_CreateObject(), *layer;
	int index = 0;
	cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(opening, "layers")) {
		cJSON *files = cJSON_GetObjectItemCaseSensitive(layer, "files");
		for (cJSON *f = files ? files->child : NULL, *next; f; f = next) {
			const struct point *point = point_find(json_str(f, "point"));
			next = f->next;
			if (!point || point->kind != POINT_ACTION)
				continue;
			cJSON_DetachItemViaPointer(files, f);
			json_set_int(f, "layer", index);
			if (!cJSON_GetObjectItemCaseSensitive(later, point->name))
				json_set(later, point->name, cJSON_CreateArray());
			json_push(cJSON_GetObjectItemCaseSensitive(later, point->name), f);
		}
		index++;
	}
	return later;
}

int policy_open(struct policy *p, const struct policy_setup *setup, struct policy_session **out, struct perry_err **err)
{
	cleanup_json cJSON *opening = cJSON_CreateObject(), *hashes = cJSON_CreateObject();
	struct perry_err *mine = NULL;
	json_set(opening, "layers", cJSON_CreateArray());
	json_set_num(opening, "time", (double)(clock_ms() / 1000));
	json_set(opening, "config", setup->config ? cJSON_Duplicate(setup->config, 1) : cJSON_CreateObject());
	expand_mounts(opening);
	mute_builtin(setup, opening);
	for (size_t i = 0; i < setup->nlayers; i++)
		if (open_layer(setup, &setup->layers[i], opening, hashes, &mine) < 0)
			return perry_move(err, mine);
	struct policy_session *s;
	cleanup_json cJSON *later = take_actions(opening);
	if (session_begin(p, take_ptr(opening), &s, &mine) < 0)
		return perry_move(err, mine);
	s->later = take_ptr(later);
	json_merge(s->hashes, hashes);
	for (size_t i = 0; i < setup->nlayers; i++)
		session_restrict(s, &setup->layers[i]);
	s->call = setup->call;
	s->ctx = setup->ctx;
	*out = s;
	return 0;
}

void policy_close(struct policy_session *s)
{
	session_end(s);
}
