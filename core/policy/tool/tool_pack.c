/* Hooks of a pack under check and test get what they would get in an agent: their settings, and what pack.json needs.
 */
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"
#include "policy/pack/pack.h"
#include "policy/session.h"
#include "policy/tool/tooling.h"

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
	json_set(layer, "needs", pack_needs(p->meta, settings));
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
