/* Who of the tailnet may use the agent. */
#include "base/clock.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"

static void print_access(const cJSON *j)
{
	static const char *const heads[] = { "WHO", "WHY", "SINCE" };
	struct table t = { heads, 3, NULL, 0 };
	const cJSON *v;
	if (json_str(j, "owner")) {
		table_add(&t, json_str(j, "owner"));
		table_add(&t, "owner of this machine's node");
		table_add(&t, "-");
	}
	cJSON_ArrayForEach(v, json_at(j, "access")) {
		table_add(&t, cJSON_IsString(v) ? v->valuestring : "?");
		table_add(&t, "access");
		table_add(&t, "-");
	}
	cJSON_ArrayForEach(v, json_at(j, "devices")) {
		char age[32];
		clock_age(clock_ms() - json_int_or(v, "at", 0), age);
		table_add(&t, json_str_or(v, "name", json_str_or(v, "id", "?")));
		table_addf(&t, "device of %s that was given the token", json_str_or(v, "login", "?"));
		table_addf(&t, "%s ago", age);
	}
	if (t.n || out_is_tty())
		table_print(&t);
}

int cmd_access_list(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	if (client_open(&c, err) < 0 || client_rpc(c, "access/list", NULL, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	print_access(j);
	return 0;
}

static int change(const struct args *a, const char *proc, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	if (client_open(&c, err) < 0)
		return -1;
	for (int i = 0; i < a->nwords; i++) {
		cJSON *in = cJSON_CreateObject();
		json_set_str(in, "login", a->words[i]);
		if (client_rpc(c, proc, in, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int cmd_access_add(const struct args *a, struct perry_err **err)
{
	return change(a, "access/add", err);
}

int cmd_access_remove(const struct args *a, struct perry_err **err)
{
	return change(a, "access/remove", err);
}
