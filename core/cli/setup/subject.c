#include "cli/setup/subject.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/paths.h"
#include "base/random.h"
#include "base/secret.h"
#include "cli/agent_file.h"
#include "config/config.h"

int subject_open(struct subject *t, struct perry_err **err)
{
	const char *named = client_agent ? client_agent : getenv("PERRY_AGENT");
	*t = (struct subject){ .dir = path_config_dir() };
	if (named && *named)
		return client_open(&t->client, err);
	cleanup_json cJSON *health = NULL;
	struct config *config = NULL;
	t->here = true;
	t->client = client_local();
	if (client_get(t->client, "/health", &health, NULL) < 0) {
		client_free(t->client);
		t->client = NULL;
	}
	/* One that is broken is not found out after the first answer. */
	if (config_load(t->dir, &config, NULL, NULL, err) < 0)
		return -1;
	config_unref(config);
	return 0;
}

void subject_close(struct subject *t)
{
	client_free(t->client);
	free(t->dir);
	cJSON_Delete(t->now);
	cJSON_Delete(t->workspaces);
	*t = (struct subject){ 0 };
}

/* --- what there is --- */

static int look_at_file(struct subject *t, struct perry_err **err)
{
	struct config *config = NULL;
	if (config_load(t->dir, &config, NULL, NULL, err) < 0)
		return -1;
	t->now = config_masked(config);
	t->workspaces = cJSON_CreateArray();
	t->key_fixed = str_starts(config_origin(config, "tailscale.authKey"), "env");
	config_unref(config);
	return 0;
}

static int get(const struct subject *t, const char *proc, cJSON *into, const char *key, struct perry_err **err)
{
	cJSON *answer = NULL;
	if (client_rpc(t->client, proc, NULL, &answer, err) < 0)
		return -1;
	json_set(into, key, answer);
	return 0;
}

/* The owner is shown secrets as they are. */
static void mask_secrets(cJSON *now)
{
	static const char *const texts[] = { "agents.github", "token", "agents.opencode.server", "password" };
	cJSON *v;
	cJSON_ArrayForEach(v, json_at(now, "credentials.env"))
		config_mask(v);
	for (size_t i = 0; i < ARRAY_LEN(texts); i += 2)
		config_mask(cJSON_GetObjectItemCaseSensitive(json_at(now, texts[i]), texts[i + 1]));
}

static int look_at_agent(struct subject *t, struct perry_err **err)
{
	cleanup_json cJSON *now = cJSON_CreateObject(), *rest = cJSON_CreateObject();
	if (get(t, "config/agents/get", now, "agents", err) < 0 ||
	    get(t, "config/credentials/get", now, "credentials", err) < 0 ||
	    get(t, "config/ssh/get", now, "ssh", err) < 0 ||
	    get(t, "config/tailscale/get", now, "tailscale", err) < 0 ||
	    get(t, "config/auth/get", rest, "auth", err) < 0 || get(t, "tailnet/status", rest, "tailnet", err) < 0 ||
	    get(t, "workspaces/list", rest, "workspaces", err) < 0)
		return -1;
	mask_secrets(now);
	json_set_str(json_obj(now, "auth"), "token", json_bool_or(rest, "auth.hasToken", false) ? SECRET_MASK : "");
	cJSON *tailscale = json_obj(now, "tailscale");
	json_set_str(tailscale, "loginServer", json_str(rest, "tailnet.loginServer"));
	json_set(tailscale, "credentials", cJSON_Duplicate(json_at(rest, "tailnet.credentials"), 1));
	t->key_fixed = str_starts(json_str_or(rest, "tailnet.key.source", ""), "env");
	t->now = take_ptr(now);
	t->workspaces = cJSON_DetachItemFromObjectCaseSensitive(rest, "workspaces");
	return 0;
}

int subject_look(struct subject *t, struct perry_err **err)
{
	cJSON_Delete(take_ptr(t->now));
	cJSON_Delete(take_ptr(t->workspaces));
	return t->client ? look_at_agent(t, err) : look_at_file(t, err);
}

/* --- saving: the file --- */

/* As agent config set takes it. */
static cJSON *text_of(const cJSON *change)
{
	char token[33];
	if (cJSON_IsNull(change))
		return cJSON_CreateNull();
	const char *text = cJSON_IsString(change) ? change->valuestring : NULL;
	cleanup_free char *json = text ? NULL : json_print(change);
	if (strcmp(change->string, "auth.token") == 0) {
		random_hex(token, 16);
		text = str_eq(text, "new") ? token : "";
	}
	return cJSON_CreateString(text ? text : json);
}

static int save_in_file(struct subject *t, const cJSON *changes, cJSON *said, struct perry_err **err)
{
	cleanup_json cJSON *texts = cJSON_CreateObject();
	const cJSON *change;
	cJSON_ArrayForEach(change, changes)
		json_set(texts, change->string, text_of(change));
	int rc = agent_file_set_all(t->dir, texts, err);
	cJSON_ArrayForEach(change, texts) {
		cleanup_free char *warning =
			rc == 0 && cJSON_IsString(change) ? agent_file_warning(t->dir, change->string) : NULL;
		if (warning)
			json_push_str(said, warning);
		if (cJSON_IsString(change))
			wipe(change->valuestring, strlen(change->valuestring));
	}
	return rc;
}

/* --- saving: the API --- */

static int save_token(struct subject *t, const char *how, cJSON *said, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL;
	bool fresh = strcmp(how, "new") == 0;
	if (client_rpc(t->client, fresh ? "config/auth/generate" : "config/auth/disable", NULL, &answer, err) < 0)
		return -1;
	const char *token = json_str(answer, "token");
	if (!token || t->here)
		return 0;
	/* We have to show it from the next question on, and nobody here can look it up. */
	if (t->client->token)
		wipe(t->client->token, strlen(t->client->token));
	free(t->client->token);
	t->client->token = xstrdup(token);
	printf("%s\n", token);
	fflush(stdout);
	json_push_str(said, "this is the new token; save it here with: perry config token --stdin");
	return 0;
}

static int save_tailscale(struct subject *t, const cJSON *changes, cJSON *said, struct perry_err **err)
{
	static const char *const fields[] = { "authKey", "loginServer", "hostnamePrefix", "enabled" };
	bool key = cJSON_GetObjectItemCaseSensitive(changes, "tailscale.authKey");
	cleanup_json cJSON *answer = NULL;
	cJSON *in = cJSON_CreateObject(), *w;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		cleanup_free char *name = xasprintf("tailscale.%s", fields[i]);
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(changes, name);
		if (v && !(cJSON_IsNull(v) && i == 3))
			json_set(in, fields[i], cJSON_IsNull(v) ? cJSON_CreateString("") : cJSON_Duplicate(v, 1));
	}
	if (client_rpc(t->client, key ? "tailnet/setup" : "config/tailscale/update", in, &answer, err) < 0)
		return -1;
	if (key)
		cJSON_ArrayForEach(w, json_at(answer, "warnings"))
			json_push_str(said, w->valuestring);
	return 0;
}

/* What replaces a whole section gets it as it is now, with the mask for what is not to change. */
static int save_section(struct subject *t, const char *section, const cJSON *changes, struct perry_err **err)
{
	cleanup_free char *look = xasprintf("config/%s/get", section), *proc = xasprintf("config/%s/update", section);
	cleanup_json cJSON *all = cJSON_CreateObject();
	const cJSON *change;
	size_t n = strlen(section);
	if (get(t, look, all, section, err) < 0)
		return -1;
	mask_secrets(all);
	cJSON_ArrayForEach(change, changes) {
		if (strncmp(change->string, section, n) != 0 || change->string[n] != '.')
			continue;
		const char *name = change->string + n + 1, *dot = strchr(name, '.');
		cleanup_free char *group = dot ? xstrndup(name, (size_t)(dot - name)) : NULL;
		cJSON *at = json_obj(all, section);
		json_set(group ? json_obj(at, group) : at, dot ? dot + 1 : name,
			 cJSON_IsNull(change) ? NULL : cJSON_Duplicate(change, 1));
	}
	return client_rpc(t->client, proc, cJSON_DetachItemFromObjectCaseSensitive(all, section), NULL, err);
}

int subject_save(struct subject *t, const cJSON *changes, cJSON *said, struct perry_err **err)
{
	const char *first = changes->child->string;
	if (!t->client)
		return save_in_file(t, changes, said, err);
	if (strcmp(first, "auth.token") == 0)
		return save_token(t, changes->child->valuestring, said, err);
	if (str_starts(first, "tailscale."))
		return save_tailscale(t, changes, said, err);
	cleanup_free char *section = xstrndup(first, strcspn(first, "."));
	return save_section(t, section, changes, err);
}
