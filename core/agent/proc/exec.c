/* exec and logs: calls of the engine that collect their output. */
#include <string.h>

#include "agent/channel/call.h"
#include "agent/idle_agent.h"
#include "agent/internal.h"
#include "agent/operations.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/stream/stream.h"
#include "agent/who/auth.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "docker/docker.h"
#include "docker/step_argv.h"

enum {
	MAX_OUTPUT = 8 << 20, /* of each stream; what comes after is dropped and said so */
	MAX_ARGS = 4096,
};

/* Ends the process group: a command whose caller is gone, or whose time is up, does not go on. */
static void kill_exec(struct call *c, const char *container, const char *id)
{
	const char *argv[8];
	step_kill_argv(argv, id, NULL, "2");
	const struct docker_exec opts = { .argv = argv, .user = "0", .timeout_ms = 15000 };
	cleanup_err struct perry_err *e = NULL;
	int code;
	if (docker_exec(c->a->docker, container, &opts, NULL, NULL, NULL, &code, &e) < 0)
		log_warn("agent", "an exec that is over cannot be ended: %s", perry_msg(e));
}

/* The array of words is the caller's, the texts are borrowed. */
static struct step_exec what_to_run(const struct call *c, const char *id, const char **script, const char ***take_words)
{
	const cJSON *command = cJSON_GetObjectItemCaseSensitive(c->input, "command");
	script[0] = "/bin/sh";
	script[1] = "-c";
	script[2] = command->valuestring;
	script[3] = NULL;
	*take_words = step_words(command);
	return (struct step_exec){
		.id = id,
		.user = json_str(c->input, "user"),
		.cwd = call_str(c, "cwd"),
		.command = cJSON_IsString(command) ? script : *take_words,
	};
}

/* One stream as a JSON string: bytes that are no UTF-8 become U+FFFD, a NUL stays one. */
static void put_stream(struct buf *out, const char *name, const struct buf *bytes, bool base64)
{
	buf_addf(out, "\"%s\":", name);
	if (!base64) {
		json_quote(out, buf_str(bytes), bytes->len);
		return;
	}
	buf_addc(out, '"');
	base64_encode(out, buf_str(bytes), bytes->len);
	buf_addc(out, '"');
}

static void put_result(struct call *c, const struct docker_exec_result *res)
{
	bool base64 = strcmp(json_str_or(c->input, "encoding", "utf8"), "base64") == 0;
	struct buf *out = &c->raw;
	buf_addc(out, '{');
	put_stream(out, "stdout", &res->out, base64);
	buf_addc(out, ',');
	put_stream(out, "stderr", &res->err, base64);
	buf_addf(out, ",\"exitCode\":%d", res->exit_code);
	if (res->dropped)
		buf_adds(out, ",\"truncated\":true");
	if (base64)
		buf_adds(out, ",\"encoding\":\"base64\"");
	buf_addc(out, '}');
}

/* Where there is no channel into the workspace. */
static int run_by_engine(struct call *c, const char *container, const struct channel_call *x,
			 struct docker_exec_result *res, struct perry_err **err)
{
	cleanup_free const char **argv = step_exec_argv(&x->exec);
	const struct docker_exec opts = {
		.argv = argv,
		.user = "0",
		.input = x->input,
		.input_len = x->input_len,
		.timeout_ms = x->timeout_ms,
	};
	int rc = docker_exec_collect(c->a->docker, container, &opts, x->max, &c->cancel, res, err);
	if (rc < 0 && ((*err)->code == PERRY_ETIMEOUT || (*err)->code == PERRY_ECANCELLED))
		kill_exec(c, container, x->exec.id);
	return rc;
}

static int run(struct call *c, const char *container, const char *id, struct perry_err **err)
{
	const char *input = call_str(c, "input"), *script[4];
	double timeout = json_num_or(c->input, "timeout", 0);
	cleanup_free const char **words = NULL;
	const struct channel_call x = {
		.exec = what_to_run(c, id, script, &words),
		.input = input ? input : "",
		.input_len = input ? strlen(input) : 0,
		.max = MAX_OUTPUT,
		.timeout_ms = timeout >= 1e9               ? 1000000000
			      : timeout > 0 && timeout < 1 ? 1
							   : (int)timeout,
	};
	struct docker_exec_result res = { 0 };
	cleanup_err struct perry_err *e = NULL;
	int rc = channel_exec_collect(streams_channels(c->a->streams), container, &x, &c->cancel, &res, &e);
	if (rc > 0)
		rc = run_by_engine(c, container, &x, &res, &e);
	if (rc == 0)
		put_result(c, &res);
	buf_free(&res.out);
	buf_free(&res.err);
	if (rc == 0)
		return 0;
	if (e->code == PERRY_ETIMEOUT && timeout > 0)
		return perry_fail(err, PERRY_ETIMEOUT, "Command execution timed out after %.15gms", timeout);
	return perry_move(err, take_ptr(e));
}

int proc_workspaces_exec(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL, *caller = caller_json(&c->caller);
	char id[32];
	if (call_running_workspace(c, "name", &record, err) < 0)
		return -1;
	if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(c->input, "command")) > MAX_ARGS)
		return perry_fail(err, PERRY_EINPUT, "The command has more than %d words", MAX_ARGS);
	if (agent_admit(c->a, "exec", call_str(c, "name"), caller, err) < 0)
		return -1;
	step_exec_id(id);
	idle_agent_open_in(c->a->idle, call_str(c, "name"), STREAM_USE_EXEC, 1);
	int rc = run(c, json_str_or(record, "containerId", ""), id, err);
	idle_agent_open_in(c->a->idle, call_str(c, "name"), STREAM_USE_EXEC, -1);
	return rc;
}

/* --- logs --- */

/* Keeps the newest bytes. */
static int keep_tail(void *ctx, int fd, const char *bytes, size_t n)
{
	struct buf *b = ctx;
	buf_add(b, bytes, n);
	if (b->len > 2 * MAX_OUTPUT)
		buf_consume(b, b->len - MAX_OUTPUT);
	return 0;
}

int proc_workspaces_logs(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	cleanup_buf struct buf text = { 0 };
	double tail = json_num_or(c->input, "tail", 100);
	const struct docker_logs opts = { .tail = tail < 0 || tail > 1e6 ? -1 : (int)tail };
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	const char *container = json_str_or(record, "containerId", "");
	if (*container && docker_container_logs(c->a->docker, container, &opts, keep_tail, &text, &c->cancel, err) < 0)
		return -1;
	if (text.len > MAX_OUTPUT)
		buf_consume(&text, text.len - MAX_OUTPUT);
	while (text.len && strchr("\r\n", text.data[text.len - 1]) && text.data[text.len - 1])
		text.len--;
	json_quote(&c->raw, buf_str(&text), text.len);
	return 0;
}
