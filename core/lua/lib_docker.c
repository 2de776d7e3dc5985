/* require "docker": the engine. Names are the engine's; what is absent comes back as nil from looks, and as success
 * from removals. */
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "lua/internal.h"

#define EXEC_OUTPUT_MAX   (64 * 1024)
#define PROGRESS_LINE_MAX 512
#define SEND_MS           5000

static struct docker *engine(lua_State *L)
{
	return run_of(L)->host->setup.docker;
}

static struct docker_cancel *cancel_of(lua_State *L)
{
	struct run *r = run_of(L);
	return r->op ? op_cancel_flag(r->op) : NULL;
}

/* call(method, path [, body [, timeout_ms]]): any request. */
static int l_call(lua_State *L)
{
	const char *method = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
	int timeout = (int)luaL_optinteger(L, 4, 0);
	struct box *b = box_new(L);
	json_arg(L, 3, b, &b->in);
	return box_json(L, b, docker_call(engine(L), method, path, b->in, timeout, &b->out, &b->err));
}

static int l_info(lua_State *L)
{
	struct box *b = box_new(L);
	return box_json(L, b, docker_info(engine(L), &b->out, &b->err));
}

static int l_create(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	char id[65];
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	return box_text(L, b, docker_container_create(engine(L), name, b->in, id, &b->err), id);
}

static int l_start(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_ok(L, b, docker_container_start(engine(L), id, &b->err));
}

static int l_stop(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1);
	int grace = (int)luaL_checkinteger(L, 2);
	struct box *b = box_new(L);
	return box_ok(L, b, docker_container_stop(engine(L), id, grace, &b->err));
}

static int l_remove(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_ok(L, b, docker_container_remove(engine(L), id, true, &b->err));
}

static int l_inspect(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_found(L, b, docker_container_inspect(engine(L), id, &b->out, &b->err));
}

typedef int (*list_fn)(struct docker *d, const cJSON *filters, cJSON **out, struct perry_err **err);

static int list_with(lua_State *L, list_fn fn)
{
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	return box_json(L, b, fn(engine(L), b->in, &b->out, &b->err));
}

static int l_list(lua_State *L)
{
	return list_with(L, docker_container_list);
}

static int l_commit(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1), *repo = luaL_checkstring(L, 2), *tag = luaL_checkstring(L, 3);
	char image[80];
	struct box *b = box_new(L);
	return box_text(L, b, docker_container_commit(engine(L), id, repo, tag, image, &b->err), image);
}

static int l_volume_create(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	return box_ok(L, b, docker_volume_create(engine(L), name, b->in, &b->err));
}

static int l_volume_remove(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_ok(L, b, docker_volume_remove(engine(L), name, &b->err));
}

static int l_volume_inspect(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_found(L, b, docker_volume_inspect(engine(L), name, &b->out, &b->err));
}

static int l_volume_list(lua_State *L)
{
	return list_with(L, docker_volume_list);
}

static int l_network_create(lua_State *L)
{
	char id[65];
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	return box_text(L, b, docker_network_create(engine(L), b->in, id, &b->err), id);
}

static int l_network_remove(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_ok(L, b, docker_network_remove(engine(L), name, &b->err));
}

static int l_network_inspect(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_found(L, b, docker_network_inspect(engine(L), name, &b->out, &b->err));
}

static int l_network_list(lua_State *L)
{
	return list_with(L, docker_network_list);
}

static int l_image_inspect(lua_State *L)
{
	const char *ref = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_found(L, b, docker_image_inspect(engine(L), ref, &b->out, &b->err));
}

static int l_image_remove(lua_State *L)
{
	const char *ref = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_ok(L, b, docker_image_remove(engine(L), ref, &b->err));
}

/* --- progress: lines go to the operation's followers without passing through Lua --- */

struct progress {
	struct op *op;
	const char *step;
	struct buf line; /* of an output that comes in pieces */
};

static void progress_line(void *ctx, const char *line)
{
	struct progress *p = ctx;
	if (p->op)
		op_progress(p->op, p->step, line);
}

static void progress_flush(struct progress *p)
{
	cleanup_buf struct buf clean = { 0 };
	utf8_scrub(&clean, buf_str(&p->line), p->line.len);
	if (clean.len)
		progress_line(p, clean.data);
	p->line.len = 0;
}

/* Git and the like rewrite a line with CR: each state is a line of its own here. */
static void progress_bytes(struct progress *p, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool end = bytes[i] == '\n' || bytes[i] == '\r';
		if (end || p->line.len >= PROGRESS_LINE_MAX)
			progress_flush(p);
		if (!end && bytes[i])
			buf_addc(&p->line, bytes[i]);
	}
}

static int l_image_pull(lua_State *L)
{
	const char *ref = luaL_checkstring(L, 1), *step = luaL_checkstring(L, 2);
	struct progress p = { .op = run_of(L)->op, .step = step };
	struct box *b = box_new(L);
	return box_ok(L, b, docker_image_pull(engine(L), ref, progress_line, &p, cancel_of(L), &b->err));
}

/* The embedded image/ folder as a build context. Files that run must be executable: embedded ones have no mode. */
static int image_context(struct box *b)
{
	b->tar = tar_new();
	for (const struct embedded *e = embed_files; e->path; e++) {
		if (!str_starts(e->path, "image/"))
			continue;
		mode_t mode = (size_t)(e->end - e->data) > 2 && memcmp(e->data, "#!", 2) == 0 ? 0755 : 0644;
		if (tar_add_file(b->tar, e->path + strlen("image/"), e->data, (size_t)(e->end - e->data), mode, 0, 0,
				 &b->err) < 0)
			return -1;
	}
	return tar_finish(take_ptr(b->tar), &b->buf, &b->err);
}

/* image_build(tag, buildargs, no_cache, step): from the embedded Dockerfile. */
static int l_image_build(lua_State *L)
{
	const char *tag = luaL_checkstring(L, 1), *step = luaL_checkstring(L, 4);
	bool no_cache = lua_toboolean(L, 3);
	struct progress p = { .op = run_of(L)->op, .step = step };
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	int rc = image_context(b);
	if (rc == 0)
		rc = docker_image_build(engine(L), &b->buf, tag, b->in, no_cache, progress_line, &p, cancel_of(L),
					&b->err);
	return box_ok(L, b, rc);
}

/* --- exec --- */

struct exec_run {
	struct box *b;
	struct progress progress;
	bool progressing;
};

static void keep_tail(struct buf *to, const char *bytes, size_t n)
{
	buf_add(to, bytes, n);
	if (to->len > 2 * EXEC_OUTPUT_MAX)
		buf_consume(to, to->len - EXEC_OUTPUT_MAX);
}

static int exec_output(void *ctx, int fd, const char *bytes, size_t n)
{
	struct exec_run *e = ctx;
	keep_tail(fd == 2 ? &e->b->exec.err : &e->b->exec.out, bytes, n);
	if (e->progressing)
		progress_bytes(&e->progress, bytes, n);
	return 0;
}

static const char *opt_field(lua_State *L, int idx, const char *name)
{
	if (!lua_istable(L, idx))
		return NULL;
	lua_getfield(L, idx, name);
	const char *s = lua_tostring(L, -1); /* anchored: the options table holds it while we run */
	lua_pop(L, 1);
	return s;
}

static void argv_arg(lua_State *L, int idx, struct box *b)
{
	luaL_checktype(L, idx, LUA_TTABLE);
	size_t n = lua_rawlen(L, idx);
	b->list = xcalloc(n + 1, sizeof *b->list);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, idx, (lua_Integer)i + 1);
		b->list[i] = xstrdup(lua_tostring(L, -1) ? lua_tostring(L, -1) : "");
		lua_pop(L, 1);
	}
}

static void push_exec(lua_State *L, const struct box *b)
{
	lua_createtable(L, 0, 3);
	lua_pushinteger(L, b->exec.exit_code);
	lua_setfield(L, -2, "code");
	lua_pushlstring(L, buf_str(&b->exec.out), b->exec.out.len);
	lua_setfield(L, -2, "stdout");
	lua_pushlstring(L, buf_str(&b->exec.err), b->exec.err.len);
	lua_setfield(L, -2, "stderr");
}

/* exec(container, argv [, {user, cwd, input, timeout, step, cancel=false}]): {code, stdout, stderr}, the end of each at
 * least; a bundle as input is written as it is. step: its output is progress of that step. */
static int l_exec(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	argv_arg(L, 2, b);
	struct exec_run e = { .b = b, .progress = { .op = run_of(L)->op, .step = opt_field(L, 3, "step") } };
	struct docker_exec opts = { .argv = (const char *const *)b->list,
				    .user = opt_field(L, 3, "user"),
				    .cwd = opt_field(L, 3, "cwd") };
	struct docker_cancel *cancel = cancel_of(L);
	struct box *bundle = NULL;
	e.progressing = e.progress.step != NULL;
	if (lua_istable(L, 3)) {
		if (lua_getfield(L, 3, "timeout") == LUA_TNUMBER)
			opts.timeout_ms = (int)lua_tointeger(L, -1);
		if (lua_getfield(L, 3, "cancel") == LUA_TBOOLEAN && !lua_toboolean(L, -1))
			cancel = NULL;
		if (lua_getfield(L, 3, "bundle") == LUA_TUSERDATA)
			bundle = luaL_checkudata(L, -1, "perry.box"); /* stays on the stack meanwhile */
	}
	if (bundle) {
		opts.input = buf_str(&bundle->buf);
		opts.input_len = bundle->buf.len;
	}
	int rc = docker_exec(engine(L), id, &opts, exec_output, &e, cancel, &b->exec.exit_code, &b->err);
	progress_flush(&e.progress);
	buf_free(&e.progress.line);
	if (rc < 0)
		return box_raise(L, b);
	push_exec(L, b);
	box_clear(b);
	return 1;
}

/* --- an exec beside what else the run does --- */

static int send_all(struct docker_stream *s, const struct buf *input)
{
	int64_t until = clock_mono_ms() + SEND_MS;
	for (size_t sent = 0; sent < input->len;) {
		ssize_t n = docker_stream_write(s, input->data + sent, input->len - sent);
		struct pollfd p = { .fd = docker_stream_fd(s), .events = POLLOUT };
		if (n < 0 || clock_mono_ms() > until)
			return -1;
		sent += (size_t)n;
		if (n == 0)
			poll(&p, 1, 100);
	}
	return 0;
}

/* exec_start(container, argv, bundle): a box for exec_wait. The bundle is the whole of its standard input. */
static int l_exec_start(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1);
	struct box *bundle = luaL_checkudata(L, 3, "perry.box"), *b = box_new(L);
	argv_arg(L, 2, b);
	struct docker_exec opts = { .argv = (const char *const *)b->list };
	int rc = docker_exec_open(engine(L), id, &opts, &b->stream, &b->err);
	if (rc == 0 && send_all(b->stream, &bundle->buf) < 0)
		rc = perry_fail(&b->err, PERRY_EUNAVAILABLE, "the command does not take its input");
	if (rc < 0)
		return box_raise(L, b);
	docker_stream_close_input(b->stream);
	return 1;
}

static int wait_for_end(struct box *b, struct docker_cancel *cancel, int64_t until)
{
	struct exec_run e = { .b = b };
	for (;;) {
		int rc = docker_stream_read(b->stream, exec_output, &e, &b->err);
		int64_t left = until - clock_mono_ms();
		if (rc <= 0)
			return rc < 0 ? -1 : docker_stream_exit_code(b->stream, &b->exec.exit_code, &b->err);
		if (cancel && atomic_load(&cancel->set))
			return perry_fail(&b->err, PERRY_ECANCELLED, "cancelled");
		if (left <= 0)
			return perry_fail(&b->err, PERRY_ETIMEOUT, "the command did not end in time");
		struct pollfd p[2] = { { .fd = docker_stream_fd(b->stream), .events = POLLIN },
				       { .fd = cancel ? cancel->fd : -1, .events = POLLIN } };
		poll(p, 2, left < 1000 ? (int)left : 1000);
	}
}

/* exec_wait(box, timeout): {code, stdout, stderr}, once. After an error the command may go on; its box is not waited
 * for again. */
static int l_exec_wait(lua_State *L)
{
	struct box *b = luaL_checkudata(L, 1, "perry.box");
	int timeout = (int)luaL_checkinteger(L, 2);
	luaL_argcheck(L, b->stream, 1, "has been waited for");
	if (wait_for_end(b, cancel_of(L), clock_mono_ms() + timeout) < 0)
		return box_raise(L, b);
	push_exec(L, b);
	box_clear(b);
	return 1;
}

int lib_docker(lua_State *L)
{
	static const luaL_Reg fns[] = {
		{ "call", l_call },
		{ "info", l_info },
		{ "create", l_create },
		{ "start", l_start },
		{ "stop", l_stop },
		{ "remove", l_remove },
		{ "inspect", l_inspect },
		{ "list", l_list },
		{ "commit", l_commit },
		{ "volume_create", l_volume_create },
		{ "volume_remove", l_volume_remove },
		{ "volume_inspect", l_volume_inspect },
		{ "volume_list", l_volume_list },
		{ "network_create", l_network_create },
		{ "network_remove", l_network_remove },
		{ "network_inspect", l_network_inspect },
		{ "network_list", l_network_list },
		{ "image_inspect", l_image_inspect },
		{ "image_remove", l_image_remove },
		{ "image_pull", l_image_pull },
		{ "image_build", l_image_build },
		{ "exec", l_exec },
		{ "exec_start", l_exec_start },
		{ "exec_wait", l_exec_wait },
		{ 0 },
	};
	luaL_newlib(L, fns);
	return 1;
}
