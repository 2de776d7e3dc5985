/* Sessions and models of coding agents. Reading sessions comes later; until then "there are none" is said only where
 * that is so, which is looked up. */
#include <dirent.h>
#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/names.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/process.h"
#include "docker/docker.h"

static const char *const session_dirs[] = { ".claude/projects", ".codex/sessions",
					    ".local/share/opencode/storage/session", NULL };

/* Is there a file somewhere below? */
static bool has_files(const char *dir, int depth)
{
	DIR *d = depth ? opendir(dir) : NULL;
	struct dirent *e;
	bool found = false;
	while (d && !found && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		cleanup_free char *path = path_join(dir, e->d_name);
		found = e->d_type == DT_DIR ? has_files(path, depth - 1) : true;
	}
	if (d)
		closedir(d);
	return found;
}

static int host_has_sessions(struct call *c, bool *found, struct perry_err **err)
{
	cleanup_free char *home = path_home();
	if (!agent_host_access(c->a))
		return perry_fail(err, PERRY_ESTATE, "Host access is disabled");
	*found = false;
	for (const char *const *dir = session_dirs; *dir && !*found; dir++) {
		cleanup_free char *path = path_join(home, *dir);
		*found = has_files(path, 8);
	}
	return 0;
}

static int workspace_has_sessions(struct call *c, bool *found, struct perry_err **err)
{
	static const char script[] = "cd ~workspace 2>/dev/null || cd || exit 0; "
				     "find .claude/projects .codex/sessions .local/share/opencode/storage/session "
				     "-type f 2>/dev/null | head -n 1";
	static const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const struct docker_exec opts = { .argv = argv, .timeout_ms = 10000 };
	struct docker_exec_result res = { 0 };
	cleanup_json cJSON *record = NULL;
	if (call_running_workspace(c, "workspaceName", &record, err) < 0)
		return -1;
	int rc = docker_exec_collect(c->a->docker, json_str_or(record, "containerId", ""), &opts, 4096, &c->cancel,
				     &res, err);
	*found = res.out.len > 0;
	buf_free(&res.out);
	buf_free(&res.err);
	return rc;
}

/* 0: there are none; -1: there are, which is more than we can tell, or an error. */
static int no_sessions(struct call *c, struct perry_err **err)
{
	bool found = false, host = strcmp(call_str(c, "workspaceName"), NAME_HOST) == 0;
	if ((host ? host_has_sessions(c, &found, err) : workspace_has_sessions(c, &found, err)) < 0)
		return -1;
	return found ? call_not_implemented(c, err, "Reading the sessions of coding agents") : 0;
}

/* {KEY: []} */
static cJSON *empty(const char *key)
{
	cJSON *answer = cJSON_CreateObject();
	cJSON_AddArrayToObject(answer, key);
	return answer;
}

int proc_sessions_list(struct call *c, cJSON **out, struct perry_err **err)
{
	if (no_sessions(c, err) < 0)
		return -1;
	*out = empty("sessions");
	json_set_num(*out, "total", 0);
	json_set_bool(*out, "hasMore", false);
	return 0;
}

int proc_sessions_get(struct call *c, cJSON **out, struct perry_err **err)
{
	return no_sessions(c, err) < 0 ? -1 : perry_fail(err, PERRY_ENOTFOUND, "Session not found");
}

int proc_sessions_change(struct call *c, cJSON **out, struct perry_err **err)
{
	return call_not_implemented(c, err, "Changing the sessions of coding agents");
}

int proc_sessions_search(struct call *c, cJSON **out, struct perry_err **err)
{
	if (no_sessions(c, err) < 0)
		return -1;
	*out = empty("results");
	return 0;
}

/* None can have been used: recordAccess does not exist yet. */
int proc_sessions_recent(struct call *c, cJSON **out, struct perry_err **err)
{
	*out = empty("sessions");
	return 0;
}

static bool on_path(const char *program)
{
	cleanup_free char *file = process_find(program, getenv("PATH"));
	return file;
}

static cJSON *claude_models(void)
{
	static const struct {
		const char *id, *name, *description;
	} models[] = {
		{ "sonnet", "Sonnet", "Fast and capable" },
		{ "opus", "Opus", "Most capable" },
		{ "haiku", "Haiku", "Fastest" },
	};
	cJSON *answer = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(answer, "models");
	for (size_t i = 0; i < ARRAY_LEN(models); i++) {
		cJSON *m = cJSON_CreateObject();
		json_set_str(m, "id", models[i].id);
		json_set_str(m, "name", models[i].name);
		json_set_str(m, "description", models[i].description);
		json_set_str(m, "provider", "anthropic");
		json_push(list, m);
	}
	return answer;
}

int proc_models_list(struct call *c, cJSON **out, struct perry_err **err)
{
	if (strcmp(call_str(c, "agentType"), "claude-code") == 0) {
		*out = claude_models();
		return 0;
	}
	if (call_str(c, "workspaceName") || on_path("opencode"))
		return call_not_implemented(c, err, "Asking opencode for its models");
	*out = empty("models");
	return 0;
}
