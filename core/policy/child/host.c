#include "policy/child/host.h"

#include <string.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/contract/frame.h"

static void add_hook(struct layer *layer, const struct point *point, const char *file, const char *text, size_t n)
{
	layer->hooks = xrealloc(layer->hooks, (layer->nhooks + 1) * sizeof *layer->hooks);
	layer->hooks[layer->nhooks++] =
		(struct hook){ .point = point, .file = file, .text = text, .len = n, .layer = layer, .ref = LUA_NOREF };
}

static void add_file(struct layer *layer, const cJSON *file)
{
	const struct point *point = point_find(json_str(file, "point"));
	const char *text = json_str_or(file, "text", "");
	if (!point)
		return;
	add_hook(layer, point, json_str_or(file, "file", "?"), text, strlen(text));
	layer->hooks[layer->nhooks - 1].answer = cJSON_GetObjectItemCaseSensitive(file, "answer");
}

static void open_layer(struct layer *layer, const cJSON *j)
{
	const cJSON *file;
	layer->name = json_str_or(j, "name", "?");
	layer->settings = cJSON_GetObjectItemCaseSensitive(j, "settings");
	layer->needs = cJSON_GetObjectItemCaseSensitive(j, "needs");
	layer->lib = cJSON_GetObjectItemCaseSensitive(j, "lib");
	cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(j, "files"))
		add_file(layer, file);
}

static void open_builtin(struct layer *layer, const cJSON *muted)
{
	layer->name = "built-in";
	layer->builtin = true;
	for (const struct embedded *f = embed_files; f->path; f++) {
		if (!str_starts(f->path, "hooks/") || !str_ends(f->path, ".lua"))
			continue;
		cleanup_free char *name = xstrndup(f->path + 6, strlen(f->path) - 10);
		const struct point *point = point_find(name);
		if (!point || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(muted, name)))
			continue;
		/* Shown as built-in/NAME.lua; the text lives as long as the process. */
		add_hook(layer, point, xasprintf("built-in/%s.lua", name), f->data, (size_t)(f->end - f->data));
	}
}

int host_open(struct host *h, cJSON *opened)
{
	h->opened = opened;
	h->config = cJSON_GetObjectItemCaseSensitive(opened, "config");
	h->coverage = json_str(opened, "coverage");
	h->time = json_num_or(opened, "time", 0);
	h->own_limits.instructions = json_int_or(opened, "limits.instructions", 0);
	h->own_limits.cpu_ms = (int)json_int_or(opened, "limits.cpu_ms", 0);
	const cJSON *layers = cJSON_GetObjectItemCaseSensitive(opened, "layers"), *j;
	int n = cJSON_IsArray(layers) ? cJSON_GetArraySize(layers) : -1;
	if (n < 0 || n > HOST_MAX_LAYERS)
		return -1;
	h->nlayers = (size_t)n + 1;
	h->layers = xcalloc(h->nlayers, sizeof *h->layers);
	size_t i = 0;
	cJSON_ArrayForEach(j, layers) {
		open_layer(&h->layers[i++], j);
	}
	open_builtin(&h->layers[i], cJSON_GetObjectItemCaseSensitive(opened, "muted"));
	for (i = 0; i < h->nlayers; i++) {
		h->layers[i].host = h;
		h->layers[i].facts_ref = LUA_NOREF;
	}
	return 0;
}

void host_add(struct host *h, cJSON *files)
{
	const cJSON *file;
	cJSON_AddItemToObject(h->opened, "added", files); /* the hooks borrow from it */
	cJSON_ArrayForEach(file, files) {
		int64_t i = json_int_or(file, "layer", -1);
		if (i >= 0 && (size_t)i + 1 < h->nlayers) /* the last is built in */
			add_file(&h->layers[i], file);
	}
}

void host_close(struct host *h)
{
	for (size_t i = 0; i < h->nlayers; i++) {
		struct layer *layer = &h->layers[i];
		if (layer->L)
			lua_close(layer->L);
		for (size_t k = 0; layer->builtin && k < layer->nhooks; k++)
			free((char *)(uintptr_t)layer->hooks[k].file);
		free(layer->hooks);
	}
	free(h->layers);
	cJSON_Delete(h->opened);
	cJSON_Delete(h->raised);
	free(h->raised_text);
}

void host_send(struct host *h, const cJSON *j)
{
	h->in_io = 1;
	int r = frame_send(h->fd, j);
	h->in_io = 0;
	if (r < 0)
		_exit(0);
}
