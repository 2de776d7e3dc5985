#include <stdio.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/full.h"
#include "cli/out.h"
#include "cli/text.h"

/* layer NULL: nobody has a file for this point. */
static void list_row(struct table *t, const cJSON *point, const cJSON *layer)
{
	table_add(t, json_str_or(point, "point", "?"));
	table_add(t, json_str_or(point, "kind", "?"));
	table_add(t, json_str_or(layer, "layer", "-"));
	table_add(t, json_str_or(layer, "state", ""));
	table_add(t, json_str_or(layer, "file", ""));
}

int cmd_hooks_list(const struct args *a, struct perry_err **err)
{
	if (args_has(a, "packs"))
		return full_run("hooks list --packs", a, err);
	static const char *const heads[] = { "POINT", "KIND", "LAYER", "STATE", "FILE" };
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	struct table t = { heads, 5, NULL, 0 };
	const cJSON *point, *problem, *layer;
	if (client_open(&c, err) < 0 || client_rpc(c, "hooks/list", NULL, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	cJSON_ArrayForEach(point, json_at(j, "points")) {
		if (cJSON_GetArraySize(json_at(point, "layers")) == 0)
			list_row(&t, point, NULL);
		cJSON_ArrayForEach(layer, json_at(point, "layers"))
			list_row(&t, point, layer);
	}
	table_print(&t);
	cJSON_ArrayForEach(problem, json_at(j, "problems"))
		text_printf(stderr, "perry: %s\n",
			    cJSON_IsString(problem) ? problem->valuestring : json_str_or(problem, "message", "?"));
	return cJSON_GetArraySize(json_at(j, "problems")) ? 1 : 0;
}
