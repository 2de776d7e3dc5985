#include "policy/tool/tooling.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"
#include "policy/pack/pack.h"
#include "policy/pack/pack_json.h"
#include "policy/session.h"

bool tool_is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* DIR itself, or a pack's hooks/ below it. Both texts are the caller's. */
void tool_folders(const char *dir, char **hooks, char **lib)
{
	char *below = path_join(dir, "hooks");
	*lib = path_join(dir, "lib");
	if (tool_is_dir(below)) {
		*hooks = below;
		return;
	}
	free(below);
	*hooks = xstrdup(dir);
}

cJSON *tool_opening(const cJSON *config)
{
	cJSON *opening = cJSON_CreateObject();
	json_set(opening, "layers", cJSON_CreateArray());
	json_set_num(opening, "time", 1700000000);
	json_set(opening, "config", config ? cJSON_Duplicate(config, 1) : cJSON_CreateObject());
	return opening;
}

cJSON *tool_add_layer(cJSON *opening, const char *name, const char *point, const char *file, const char *text,
		      const cJSON *lib)
{
	cJSON *layer = cJSON_CreateObject(), *files = cJSON_CreateArray();
	json_set_str(layer, "name", name);
	json_set(layer, "files", files);
	tool_add_file(layer, point, file, text);
	if (lib)
		json_set(layer, "lib", cJSON_Duplicate(lib, 1));
	json_push(cJSON_GetObjectItemCaseSensitive(opening, "layers"), layer);
	return layer;
}

void tool_add_file(cJSON *layer, const char *point, const char *file, const char *text)
{
	cJSON *f = cJSON_CreateObject();
	json_set_str(f, "point", point);
	json_set_str(f, "file", file);
	json_set_str(f, "text", text);
	json_push(cJSON_GetObjectItemCaseSensitive(layer, "files"), f);
}

int tool_pack(const char *dir, struct pack **out, struct perry_err **err)
{
	cleanup_free char *meta = path_join(dir, "pack.json");
	*out = NULL;
	return access(meta, F_OK) < 0 ? 0 : pack_read(dir, (uid_t)-1, out, err);
}

int tool_grant(const struct pack *p, const cJSON *given, cJSON *layer, struct perry_err **err)
{
	cleanup_json cJSON *config = cJSON_CreateObject();
	cJSON *settings = NULL, *own = json_obj(json_obj(config, "packs"), p->name),
	      *secrets = json_obj(config, "secrets");
	const cJSON *s;
	if (given)
		json_merge(own, given);
	/* Each secret is there, under the name of its setting. */
	cJSON_ArrayForEach(s, cJSON_GetObjectItemCaseSensitive(p->meta, "settings")) {
		const char *name = json_str_or(s, "name", "?");
		if (!json_bool_or(s, "secret", false))
			continue;
		json_set_str(own, name, name);
		json_set_str(secrets, name, "");
	}
	if (pack_settings(p->meta, config, &settings, err) < 0)
		return -1;
	json_set(layer, "needs", pack_needs(p->meta, settings, config));
	json_set(layer, "settings", settings);
	return 0;
}

void tool_restrict(struct policy_session *s, const cJSON *layer)
{
	struct policy_layer about = { .name = json_str_or(layer, "name", "?"),
				      .needs = cJSON_GetObjectItemCaseSensitive(layer, "needs"),
				      .settings = cJSON_GetObjectItemCaseSensitive(layer, "settings") };
	session_restrict(s, &about);
}
