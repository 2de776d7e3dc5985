/* A container with perry-step, streams over the real engine, and a small client of the stream protocol. */
#ifndef PERRY_TESTS_AGENT_STREAM_UTIL_H
#define PERRY_TESTS_AGENT_STREAM_UTIL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/stream/proto.h"
#include "agent/stream/stream.h"
#include "agent/stream/terminal.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/paths.h"
#include "docker/docker.h"
#include "net/ws.h"

enum { OPEN = 1, OPENED, STDIN, STDOUT, STDERR, END, RESIZE, EXIT, FAILED, WINDOW, SIGNAL, CLOSE };
#define FOREVER 30000 /* ms that count as never */

static struct docker *docker;
static char container_name[64], container[65];
static struct streams *streams;
static atomic_int used_calls;
static atomic_bool host_allowed;
static int stranger_ms; /* 0: as good as no limit */

/* --- the workspace --- */

static inline int in_container(const char *script, struct buf *out)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct docker_exec_result res;
	struct docker_exec x = { .argv = argv, .user = "0:0", .timeout_ms = 30000 };
	assert_int_equal(docker_exec_collect(docker, container, &x, 1 << 20, NULL, &res, NULL), 0);
	if (out)
		buf_add(out, res.out.data, res.out.len);
	buf_free(&res.out);
	buf_free(&res.err);
	return res.exit_code;
}

/* How many processes have this text in their command line (the ones that ask set aside). */
static inline int processes(const char *text)
{
	cleanup_buf struct buf out = { 0 };
	cleanup_free char *script = xasprintf("n=0; for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | "
					      "grep -v grep | grep -q '^%s' && n=$((n+1)); done; echo $n",
					      text);
	in_container(script, &out);
	return atoi(buf_str(&out));
}

static int make_container(void)
{
	cleanup_free char *self = path_self_dir();
	cleanup_free char *near = xasprintf("%s/../perry-step", self);
	const char *step = getenv("PERRY_STEP") ? getenv("PERRY_STEP") : near;
	cleanup_buf struct buf bin = { 0 }, tar = { 0 };
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *version = NULL;
	if (docker_open(&docker, NULL, &err) < 0 || docker_version(docker, &version, &err) < 0 ||
	    file_read(step, 8 << 20, &bin, &err) < 0) {
		printf("# skipped: %s\n", perry_msg(err));
		return -1;
	}
	const char *image = getenv("PERRY_TEST_IMAGE") ? getenv("PERRY_TEST_IMAGE") : "debian:bookworm";
	cleanup_free char *text =
		xasprintf("{\"Image\":\"%s\",\"Entrypoint\":[\"/opt/perry/bin/perry-step\",\"init\"],\"Cmd\":[],"
			  "\"HostConfig\":{\"NetworkMode\":\"none\",\"Tmpfs\":{\"/run/perry\":\"\",\"/memory\":\"\"}}}",
			  image);
	cleanup_json cJSON *spec = json_parse(text, strlen(text), "spec", NULL);
	snprintf(container_name, sizeof container_name, "pst-%d-%lld", getpid(), (long long)clock_mono_us() % 100000);
	struct tar *t = tar_new();
	if (docker_container_create(docker, container_name, spec, container, &err) < 0 ||
	    tar_add_dir(t, "opt/perry", 0755, 0, 0, &err) < 0 ||
	    tar_add_dir(t, "opt/perry/bin", 0755, 0, 0, &err) < 0 ||
	    tar_add_file(t, "opt/perry/bin/perry-step", bin.data, bin.len, 0755, 0, 0, &err) < 0 ||
	    tar_finish(take_ptr(t), &tar, &err) < 0 || docker_archive_put(docker, container, "/", &tar, &err) < 0 ||
	    docker_container_start(docker, container, &err) < 0) {
		printf("# skipped: %s\n", perry_msg(err));
		tar_free(t);
		return -1;
	}
	return in_container("/opt/perry/bin/perry-step ready && for i in $(seq 100); do grep -q ^workspace: "
			    "/etc/passwd && exit 0; sleep 0.05; done; exit 1",
			    NULL);
}

static void remove_container(void)
{
	if (container[0])
		docker_container_remove(docker, container, true, NULL);
	docker_close(docker);
}

/* --- what the routes give --- */

static inline int resolve(void *ctx, const char *workspace, bool must_run, char out[65], struct perry_err **err)
{
	if (strcmp(workspace, "stopped") == 0 && must_run)
		return perry_fail(err, PERRY_ESTATE, "Workspace is not running");
	if (strcmp(workspace, "web") != 0 && strcmp(workspace, "other") != 0)
		return perry_fail(err, PERRY_ENOTFOUND, "Workspace '%s' not found", workspace);
	memcpy(out, container, 65);
	return 0;
}

static inline int admit(void *ctx, const cJSON *caller, const char *kind, const char *workspace, struct perry_err **err)
{
	if (str_eq(json_str(caller, "user"), "nobody")) {
		perry_fail(err, PERRY_EPOLICY, "nobody may not %s %s", kind, workspace);
		if (err)
			(*err)->data = cJSON_CreateString("details");
		return -1;
	}
	return 0;
}

static inline char *shell_of(void *ctx, const char *workspace)
{
	return xstrdup("/bin/bash");
}

static inline bool host_access(void *ctx)
{
	return atomic_load(&host_allowed);
}

static inline void used(void *ctx, const char *workspace)
{
	atomic_fetch_add(&used_calls, 1);
}

static inline int authenticate(void *ctx, const char *token, cJSON **caller, struct perry_err **err)
{
	if (strcmp(token, "limited") == 0)
		return perry_fail(err, PERRY_EFORBIDDEN, "look, do not touch");
	if (strcmp(token, "slow") == 0)
		usleep(300000);
	else if (strcmp(token, "right") != 0)
		return perry_fail(err, PERRY_EUNAUTH, "no");
	*caller = cJSON_CreateObject();
	json_set_str(*caller, "user", "me");
	return 0;
}

static inline int begin_streams(void **state)
{
	struct streams_setup setup = { .docker = docker,
				       .resolve = resolve,
				       .admit = admit,
				       .authenticate = authenticate,
				       .stranger_ms = stranger_ms ? stranger_ms : 10 * FOREVER,
				       .shell = shell_of,
				       .host_access = host_access,
				       .used = used,
				       .max_channels = 8,
				       .stop_ms = FOREVER, /* what is said at the end, not how soon */
				       .max_connections = 20 };
	signal(SIGPIPE, SIG_IGN);
	return streams_open(&streams, &setup, NULL);
}

static inline int end_streams(void **state)
{
	streams_stop(streams);
	if (streams) {
		/* Late callers do no harm. */
		int fds[2];
		assert_int_equal(pipe(fds), 0);
		streams_take_perry(streams, fds[0], "x", 1, NULL);
		streams_close_workspace(streams, "web", 1001, "late");
		assert_int_equal(streams_count(streams), 0);
		assert_int_equal(write(fds[1], "x", 1), -1);
		close(fds[1]);
	}
	streams_free(streams);
	streams = NULL;
	return 0;
}

/* --- the client --- */

struct client_chan {
	struct buf out, err;
	size_t total; /* of both */
	bool opened, over;
	int code;         /* of EXIT, -1 before */
	char error[256];  /* "CODE status message" of ERROR */
	uint64_t granted; /* WINDOW from the agent */
};
struct client {
	struct ws *ws;
	bool gone, hold; /* hold: grant nothing */
	bool keep;       /* keep all output; else only the first 64 KiB */
	struct client_chan ch[16];
};

static inline void c_send(struct client *c, uint32_t id, int type, const void *bytes, size_t n)
{
	cleanup_buf struct buf m = { 0 };
	uint32_t be = htonl(id);
	buf_addc(&m, (char)type);
	buf_add(&m, &be, 4);
	buf_add(&m, bytes, n);
	ws_send(c->ws, true, m.data, m.len);
}

static inline void c_text(struct client *c, uint32_t id, int type, const char *text)
{
	c_send(c, id, type, text, strlen(text));
}

static inline void c_grant(struct client *c, uint32_t id, uint32_t n)
{
	n = htonl(n);
	c_send(c, id, WINDOW, &n, 4);
}

static inline void c_message(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct client *c = ctx;
	uint32_t id;
	assert_true(binary);
	assert_true(n >= 5 && n <= (64 << 10) + 5);
	memcpy(&id, bytes + 1, 4);
	id = ntohl(id);
	assert_in_range(id, 1, 15);
	struct client_chan *ch = &c->ch[id];
	const char *body = bytes + 5;
	n -= 5;
	switch (bytes[0]) {
	case OPENED:
		ch->opened = true;
		break;
	case STDOUT:
	case STDERR:
		assert_false(ch->over);
		ch->total += n;
		if (c->keep || ch->total < 65536)
			buf_add(bytes[0] == STDERR ? &ch->err : &ch->out, body, n);
		if (!c->hold)
			c_grant(c, id, (uint32_t)n);
		break;
	case EXIT:
	case FAILED: {
		cleanup_json cJSON *j = json_parse(body, n, "answer", NULL);
		assert_non_null(j);
		assert_false(ch->over);
		ch->over = true;
		if (bytes[0] == EXIT)
			ch->code = (int)json_int_or(j, "code", -2);
		else
			snprintf(ch->error, sizeof ch->error, "%s %d %s", json_str(j, "code"),
				 (int)json_int_or(j, "status", 0), json_str(j, "message"));
		break;
	}
	case WINDOW: {
		uint32_t grant;
		assert_int_equal(n, 4);
		memcpy(&grant, body, 4);
		ch->granted += ntohl(grant);
		break;
	}
	default:
		fail_msg("unexpected type %d", bytes[0]);
	}
}

/* One turn; waits at most ms for something to happen. */
static inline void c_turn(struct client *c, int ms)
{
	if (c->gone)
		return;
	struct pollfd p = { .fd = ws_fd(c->ws), .events = (short)(POLLIN | (ws_wants_write(c->ws) ? POLLOUT : 0)) };
	poll(&p, 1, ms);
	if ((p.revents & (POLLIN | POLLHUP | POLLERR)) && ws_on_readable(c->ws) < 0)
		c->gone = true;
	if (!c->gone && ws_wants_write(c->ws) && ws_on_writable(c->ws) < 0)
		c->gone = true;
}

#define C_UNTIL(c, cond, ms) \
	do { \
		for (int64_t end_ = clock_mono_ms() + (ms); !(cond) && !(c)->gone && clock_mono_ms() < end_;) \
			c_turn(c, 20); \
	} while (0)
#define C_EXPECT(c, cond) \
	do { \
		C_UNTIL(c, cond, FOREVER); \
		assert_true(cond); \
	} while (0)

static inline void c_spin(struct client *c, int ms)
{
	for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;)
		c_turn(c, 10);
}

static inline int c_socket(struct client *c, ws_message_fn fn, void *ctx)
{
	int fds[2];
	memset(c, 0, sizeof *c);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	c->ws = ws_new(fds[0], false, 1 << 20, NULL, fn, ctx);
	return fds[1];
}

static inline void c_dial_as(struct client *c, const char *user)
{
	cleanup_json cJSON *caller = cJSON_CreateObject();
	json_set_str(caller, "user", user);
	int fd = c_socket(c, c_message, c);
	streams_take_perry(streams, fd, NULL, 0, caller);
	for (int i = 0; i < 16; i++)
		c->ch[i].code = -1;
}

static inline void c_dial(struct client *c)
{
	c_dial_as(c, "me");
}

static inline void c_free(struct client *c)
{
	ws_free(c->ws);
	for (int i = 0; i < 16; i++) {
		buf_free(&c->ch[i].out);
		buf_free(&c->ch[i].err);
	}
	c->ws = NULL;
}

/* Opens channel id for a shell command. */
static inline void c_exec(struct client *c, uint32_t id, const char *script)
{
	cleanup_json cJSON *o = cJSON_CreateObject();
	cJSON *argv = cJSON_CreateArray();
	json_push_str(argv, "sh");
	json_push_str(argv, "-c");
	json_push_str(argv, script);
	json_set_str(o, "kind", "exec");
	json_set_str(o, "name", "web");
	json_set(o, "command", argv);
	cleanup_free char *text = json_print(o);
	c->ch[id].over = c->ch[id].opened = false;
	c->ch[id].code = -1;
	c_text(c, id, OPEN, text);
}

#define EVENTUALLY(cond) \
	do { \
		for (int64_t end_ = clock_mono_ms() + FOREVER; !(cond) && clock_mono_ms() < end_;) \
			usleep(20000); \
		assert_true(cond); \
	} while (0)

#endif
