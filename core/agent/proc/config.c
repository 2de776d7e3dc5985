/* Procedures on config.json. */
#include <string.h>

#include "agent/config.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/rpc/schema.h"
#include "agent/rpc/schemas.h"
#include "agent/sync.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/str.h"

/* A copy of what the configuration holds under key, or of dflt (JSON). */
static cJSON *copy_of(struct call *c, const char *key, const char *dflt)
{
	struct config *config = agent_config(c->a);
	const cJSON *v = config_get(config, key);
	cJSON *copy = v && !cJSON_IsNull(v) ? cJSON_Duplicate(v, 1) : cJSON_Parse(dflt);
	config_unref(config);
	return copy;
}

/* Only what the schema of that name knows, in its order. */
static cJSON *shaped(const char *schema, cJSON *take_value)
{
	cleanup_json cJSON *issues = cJSON_CreateArray();
	cJSON *out = schema_apply(schemas_get(schema), take_value, issues);
	cJSON_Delete(take_value);
	return out;
}

/* --- changes --- */

struct put {
	const char *const *paths; /* dotted, NULL-terminated: replaced by the input's members of the same last name */
	const cJSON *values;
};

static int put_all(cJSON *root, void *ctx, struct perry_err **err)
{
	const struct put *p = ctx;
	for (const char *const *path = p->paths; *path; path++) {
		cJSON *at = root;
		const char *name = *path, *dot;
		while ((dot = strchr(name, '.'))) {
			cleanup_free char *step = xstrndup(name, (size_t)(dot - name));
			at = json_obj(at, step);
			name = dot + 1;
		}
		const cJSON *v =
			cJSON_IsObject(p->values) ? cJSON_GetObjectItemCaseSensitive(p->values, name) : p->values;
		json_set(at, name, v ? cJSON_Duplicate(v, 1) : NULL);
	}
	return 0;
}

static int put(struct call *c, const char *const *paths, struct perry_err **err)
{
	struct put p = { paths, c->input };
	return agent_config_edit(c->a, put_all, &p, err);
}

/* The input is the answer. */
static int echo(struct call *c, cJSON **out)
{
	*out = cJSON_Duplicate(c->input, 1);
	return 0;
}

/* --- credentials --- */

int proc_credentials_get(struct call *c, cJSON **out, struct perry_err **err)
{
	cJSON *v;
	*out = cJSON_CreateObject();
	json_set(*out, "env", copy_of(c, "credentials.env", "{}"));
	json_set(*out, "files", copy_of(c, "credentials.files", "{}"));
	if (!c->caller.owner)
		cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(*out, "env"))
			config_mask(v);
	return 0;
}

int proc_credentials_update(struct call *c, cJSON **out, struct perry_err **err)
{
	static const char *const paths[] = { "credentials.env", "credentials.files", NULL };
	if (put(c, paths, err) < 0)
		return -1;
	agent_sync_soon(c->a);
	return proc_credentials_get(c, out, err);
}

/* --- scripts, agents, skills, MCP servers --- */

int proc_scripts_get(struct call *c, cJSON **out, struct perry_err **err)
{
	*out = shaped("Scripts", copy_of(c, "scripts", "{}"));
	return 0;
}

int proc_scripts_update(struct call *c, cJSON **out, struct perry_err **err)
{
	static const char *const paths[] = { "scripts.post_start", "scripts.fail_on_error", NULL };
	if (put(c, paths, err) < 0)
		return -1;
	agent_sync_soon(c->a);
	return echo(c, out);
}

static void mask_agents(const struct call *c, cJSON *agents)
{
	if (c->caller.owner)
		return;
	config_mask(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(agents, "github"), "token"));
	cJSON *server =
		cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(agents, "opencode"), "server");
	config_mask(cJSON_GetObjectItemCaseSensitive(server, "password"));
}

int proc_agents_get(struct call *c, cJSON **out, struct perry_err **err)
{
	*out = shaped("Agents", copy_of(c, "agents", "{}"));
	mask_agents(c, *out);
	return 0;
}

int proc_agents_update(struct call *c, cJSON **out, struct perry_err **err)
{
	static const char *const paths[] = { "agents.opencode", "agents.github", NULL };
	if (put(c, paths, err) < 0)
		return -1;
	agent_sync_soon(c->a);
	return proc_agents_get(c, out, err);
}

int proc_skills_get(struct call *c, cJSON **out, struct perry_err **err)
{
	*out = copy_of(c, "skills", "[]");
	return 0;
}

int proc_skills_update(struct call *c, cJSON **out, struct perry_err **err)
{
	static const char *const paths[] = { "skills", NULL };
	if (put(c, paths, err) < 0)
		return -1;
	agent_sync_soon(c->a);
	return echo(c, out);
}

/* Environment and headers of servers hold tokens. */
static void mask_servers(const struct call *c, cJSON *servers)
{
	cJSON *server, *v;
	if (c->caller.owner)
		return;
	cJSON_ArrayForEach(server, servers) {
		cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(server, "env"))
			config_mask(v);
		cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(server, "headers"))
			config_mask(v);
		config_mask(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(server, "oauth"),
							     "clientSecret"));
	}
}

int proc_mcp_get(struct call *c, cJSON **out, struct perry_err **err)
{
	*out = copy_of(c, "mcpServers", "[]");
	mask_servers(c, *out);
	return 0;
}

int proc_mcp_update(struct call *c, cJSON **out, struct perry_err **err)
{
	static const char *const paths[] = { "mcpServers", NULL };
	if (put(c, paths, err) < 0)
		return -1;
	agent_sync_soon(c->a);
	return echo(c, out);
}

/* --- SSH, terminal --- */

int proc_ssh_get(struct call *c, cJSON **out, struct perry_err **err)
{
	cJSON *global = cJSON_CreateObject();
	struct config *config = agent_config(c->a);
	*out = cJSON_CreateObject();
	json_set_bool(*out, "autoAuthorizeHostKeys", config_bool(config, "ssh.autoAuthorizeHostKeys"));
	config_unref(config);
	json_set(global, "copy", copy_of(c, "ssh.global.copy", "[]"));
	json_set(global, "authorize", copy_of(c, "ssh.global.authorize", "[]"));
	json_set(*out, "global", global);
	json_set(*out, "workspaces", copy_of(c, "ssh.workspaces", "{}"));
	return 0;
}

int proc_ssh_update(struct call *c, cJSON **out, struct perry_err **err)
{
	static const char *const paths[] = { "ssh.autoAuthorizeHostKeys", "ssh.global", "ssh.workspaces", NULL };
	if (put(c, paths, err) < 0)
		return -1;
	agent_sync_soon(c->a);
	return echo(c, out);
}

int proc_terminal_get(struct call *c, cJSON **out, struct perry_err **err)
{
	struct config *config = agent_config(c->a);
	*out = cJSON_CreateObject();
	json_set_str(*out, "preferredShell", config_str(config, "terminal.preferredShell"));
	json_set_str(*out, "detectedShell", getenv("SHELL"));
	config_unref(config);
	return 0;
}

int proc_terminal_update(struct call *c, cJSON **out, struct perry_err **err)
{
	static const char *const paths[] = { "terminal.preferredShell", NULL };
	return put(c, paths, err) < 0 ? -1 : echo(c, out);
}

/* Those of the keys below path that a variable of the agent's environment sets, whatever config.json says:
 * "overlaid":[{"key","by"}], when there are any. */
static void put_overlaid(cJSON *out, const struct config *config, const char *path, const char *const *keys)
{
	cJSON *list = cJSON_CreateArray();
	for (; *keys; keys++) {
		cleanup_free char *key = xasprintf("%s.%s", path, *keys);
		const char *origin = config_origin(config, key);
		if (!str_starts(origin, "env "))
			continue;
		cJSON *row = cJSON_CreateObject();
		json_set_str(row, "key", *keys);
		json_set_str(row, "by", origin + strlen("env "));
		json_push(list, row);
	}
	json_set(out, "overlaid", list->child ? list : NULL);
	if (!list->child)
		cJSON_Delete(list);
}

/* --- Tailscale --- */

int proc_tailscale_get(struct call *c, cJSON **out, struct perry_err **err)
{
	struct config *config = agent_config(c->a);
	*out = cJSON_CreateObject();
	json_set_bool(*out, "enabled", config_bool(config, "tailscale.enabled"));
	json_set_str(*out, "authKey", config_str(config, "tailscale.authKey") ? SECRET_MASK : "");
	json_set_str(*out, "hostnamePrefix", config_str(config, "tailscale.hostnamePrefix"));
	static const char *const keys[] = { "enabled", "authKey", "hostnamePrefix", NULL };
	put_overlaid(*out, config, "tailscale", keys);
	config_unref(config);
	return 0;
}

/* Unlike the other updates this one changes only what it names; an empty key keeps the stored one. */
static int put_tailscale(cJSON *root, void *ctx, struct perry_err **err)
{
	const cJSON *input = ctx, *v;
	cJSON *at = json_obj(root, "tailscale");
	cJSON_ArrayForEach(v, input)
		if (strcmp(v->string, "authKey") != 0 || (*v->valuestring && strcmp(v->valuestring, SECRET_MASK) != 0))
			json_set(at, v->string, cJSON_Duplicate(v, 1));
	return 0;
}

int proc_tailscale_update(struct call *c, cJSON **out, struct perry_err **err)
{
	if (agent_config_edit(c->a, put_tailscale, c->input, err) < 0)
		return -1;
	/* The reply's form is fixed: who looks for the reason later finds it in the log and in perry tailnet. */
	struct config *config = agent_config(c->a);
	const char *warning = json_at(c->input, "authKey") ? config_key_warning(config) : NULL;
	if (warning)
		log_warn("tailscale", "%s", warning);
	config_unref(config);
	return proc_tailscale_get(c, out, err);
}

/* --- the token --- */

int proc_auth_get(struct call *c, cJSON **out, struct perry_err **err)
{
	struct config *config = agent_config(c->a);
	const char *token = config_str(config, "auth.token");
	*out = cJSON_CreateObject();
	json_set_bool(*out, "hasToken", token);
	if (token && c->caller.owner && strlen(token) >= 16) {
		cleanup_free char *preview = xasprintf("%.4s...%s", token, token + strlen(token) - 4);
		json_set_str(*out, "tokenPreview", preview);
	}
	config_unref(config);
	return 0;
}

static int put_token(cJSON *root, void *ctx, struct perry_err **err)
{
	json_set_str(json_obj(root, "auth"), "token", ctx);
	return 0;
}

int proc_auth_generate(struct call *c, cJSON **out, struct perry_err **err)
{
	char token[33];
	random_hex(token, 16);
	int rc = agent_config_edit(c->a, put_token, token, err);
	if (rc == 0) {
		*out = cJSON_CreateObject();
		json_set_str(*out, "token", token);
	}
	wipe(token, sizeof token);
	return rc;
}

/* "" and not absent: at the next start none is made. */
int proc_auth_disable(struct call *c, cJSON **out, struct perry_err **err)
{
	static char none[] = "";
	if (agent_config_edit(c->a, put_token, none, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set_bool(*out, "success", true);
	return 0;
}
