/* adopt: workspaces whose record is gone come back, by what is on the engine. */
#include <stdio.h>

#include "base/mem.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/out.h"
#include "cli/text.h"

static cJSON *input(const struct args *a)
{
	cJSON *in = cJSON_CreateObject();
	json_set_bool(in, "dryRun", args_has(a, "dry-run"));
	json_set_str(in, "agent", args_str(a, "from"));
	if (a->nwords) {
		cJSON *names = cJSON_CreateArray();
		for (int i = 0; i < a->nwords; i++)
			json_push_str(names, a->words[i]);
		json_set(in, "names", names);
	}
	return in;
}

/* What other agents left is not offered as one's own: it is shown, with the command that takes it. */
static void show_others(const cJSON *out)
{
	const cJSON *other, *name;
	cJSON_ArrayForEach(other, json_at(out, "others")) {
		const char *id = json_str_or(other, "agent", "?");
		text_printf(stderr, "not yours: agent %s has", id);
		cJSON_ArrayForEach(name, json_at(other, "names"))
			text_printf(stderr, " %s", cJSON_IsString(name) ? name->valuestring : "?");
		if (json_bool_or(other, "alive", false))
			fprintf(stderr, " (it is running)\n");
		else
			text_printf(stderr, " (if it is gone: perry adopt --from %s)\n", id);
	}
}

int cmd_adopt(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *out = NULL;
	if (client_open(&c, err) < 0 || follow_call(c, a, "workspaces/adopt", NULL, input(a), &out, err) < 0)
		return -1;
	bool failed = cJSON_GetArraySize(json_at(out, "failed")) > 0;
	if (args_has(a, "json"))
		return out_json(a, out, err) < 0 ? -1 : failed;
	const cJSON *row;
	cJSON_ArrayForEach(row, json_at(out, "adopted"))
		text_printf(stdout, "%s\t%s%s\n", json_str_or(row, "name", "?"), json_str_or(row, "kind", "?"),
			    json_bool_or(row, "running", false) ? " (running)" : "");
	if (err_is_tty())
		fprintf(stderr, args_has(a, "dry-run") ? "%d would be adopted\n" : "%d adopted\n",
			cJSON_GetArraySize(json_at(out, "adopted")));
	show_others(out);
	cJSON_ArrayForEach(row, json_at(out, "failed"))
		text_printf(stderr, "perry: %s: %s\n", json_str_or(row, "name", "?"), json_str_or(row, "error", "?"));
	return failed;
}
