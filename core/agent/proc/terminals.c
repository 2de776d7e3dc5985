/* Sessions: terminals that live in their workspace, whoever looks at them. */
#include <string.h>

#include "agent/channel/call.h"
#include "agent/channel/opening.h"
#include "agent/config.h"
#include "agent/internal.h"
#include "agent/operations.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/stream/peek.h"
#include "agent/stream/sessions.h"
#include "agent/stream/stream.h"
#include "agent/who/auth.h"
#include "base/mem.h"
#include "docker/step_argv.h"

/* Its container, when the caller may work in there. */
static int enter(struct call *c, cJSON **record, const char **container, struct perry_err **err)
{
	cleanup_json cJSON *caller = caller_json(&c->caller);
	if (call_running_workspace(c, "name", record, err) < 0 ||
	    agent_admit(c->a, "shell", call_str(c, "name"), caller, err) < 0)
		return -1;
	*container = json_str_or(*record, "containerId", "");
	return 0;
}

/* What a workspace says of a session that it does not know names no id of ours. */
static int ask(struct call *c, const cJSON *open, cJSON **details, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	const char *container;
	if (enter(c, &record, &container, err) < 0)
		return -1;
	return channel_ask(streams_channels(c->a->streams), container, open, false, &c->cancel, details, NULL, err);
}

int proc_terminals_list(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL, *open = cJSON_CreateObject();
	cleanup_buf struct buf line = { 0 };
	if (call_running_workspace(c, "name", &record, err) < 0)
		return -1;
	json_set_str(open, "kind", "sessions");
	if (channel_ask(streams_channels(c->a->streams), json_str_or(record, "containerId", ""), open, true, &c->cancel,
			NULL, &line, err) < 0)
		return -1;
	cJSON *list = sessions_parse(buf_str(&line), strcspn(buf_str(&line), "\n"));
	*out = cJSON_CreateObject();
	json_set(*out, "sessions", list ? list : cJSON_CreateArray());
	return 0;
}

int proc_terminals_start(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *details = NULL;
	struct config *config = agent_config(c->a);
	char id[32];
	step_exec_id(id);
	const cJSON *command = cJSON_GetObjectItemCaseSensitive(c->input, "command");
	cleanup_json cJSON *open = channel_opening(&(struct channel_opening){
		.kind = "session",
		.id = id,
		.name = call_str(c, "title"),
		.user = call_str(c, "user"),
		.cwd = call_str(c, "cwd"),
		.shell = command ? NULL : config_str(config, "terminal.preferredShell"),
		.term = "xterm-256color",
		.cols = (int)json_int_or(c->input, "cols", 80),
		.rows = (int)json_int_or(c->input, "rows", 24),
	});
	json_set_int(open, "idle", config_int(config, "terminal.idleTimeout"));
	config_unref(config);
	if (command)
		json_set(open, "command", cJSON_Duplicate(command, 1));
	if (ask(c, open, &details, err) < 0)
		return -1;
	const char *session = json_str(details, "session");
	if (!sessions_id_ok(session))
		return perry_fail(err, PERRY_EUNAVAILABLE, "the workspace began no session");
	*out = cJSON_CreateObject();
	json_set_str(*out, "session", session);
	return 0;
}

static int change(struct call *c, const char *kind, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *open = cJSON_CreateObject();
	json_set_str(open, "kind", kind);
	json_set_str(open, "session", call_str(c, "session"));
	json_set_str(open, "name", call_str(c, "title"));
	if (ask(c, open, NULL, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set_bool(*out, "success", true);
	return 0;
}

int proc_terminals_end(struct call *c, cJSON **out, struct perry_err **err)
{
	return change(c, "end", out, err);
}

int proc_terminals_rename(struct call *c, cJSON **out, struct perry_err **err)
{
	return change(c, "rename", out, err);
}

int proc_terminals_screen(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	cleanup_buf struct buf text = { 0 };
	const char *container;
	if (enter(c, &record, &container, err) < 0 ||
	    stream_peek(c->a->streams, container, call_str(c, "session"), &c->cancel, &text, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set_str(*out, "text", buf_str(&text));
	return 0;
}
