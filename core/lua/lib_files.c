/* require "files": looks at files of this machine, and bundles: what `perry-step apply` puts into a workspace. A
 * bundle's bytes may be secrets; they are never Lua values. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mountinfo.h"
#include "base/paths.h"
#include "base/quote.h"
#include "lua/internal.h"

#define FILE_MAX   (16u << 20)
#define BUNDLE_MAX (48u << 20)
#define ENV_PATH   "/run/perry/env"
#define ACK_MAX    (64 * 1024)

/* --- looks --- */

static int l_home(lua_State *L)
{
	struct box *b = box_new(L);
	b->text = path_home();
	return box_text(L, b, 0, b->text);
}

static int l_expand(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	b->text = path_expand_home(path);
	return box_text(L, b, 0, b->text);
}

/* stat(path): {type="file"|"dir"|"other", mode, size, uid, mtime (ns)}, or nil and why. */
/* locked(path): does somebody hold a lock on it? nil where that cannot be known. */
static int l_locked(lua_State *L)
{
	int locked = file_locked(luaL_checkstring(L, 1));
	if (locked < 0)
		lua_pushnil(L);
	else
		lua_pushboolean(L, locked);
	return 1;
}

static int l_stat(lua_State *L)
{
	struct stat st;
	if (stat(luaL_checkstring(L, 1), &st) < 0) {
		lua_pushnil(L);
		lua_pushstring(L, strerror(errno));
		return 2;
	}
	lua_createtable(L, 0, 5);
	lua_pushinteger(L, (lua_Integer)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	lua_setfield(L, -2, "mtime");
	lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "dir" : "other");
	lua_setfield(L, -2, "type");
	lua_pushinteger(L, st.st_mode & 07777);
	lua_setfield(L, -2, "mode");
	lua_pushinteger(L, st.st_size);
	lua_setfield(L, -2, "size");
	lua_pushinteger(L, st.st_uid);
	lua_setfield(L, -2, "uid");
	return 1;
}

/* read(path [, max]): the text, or nil and why. Public things only (keys to authorize, git's configuration). */
static int l_read(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	size_t max = (size_t)luaL_optinteger(L, 2, 1 << 20);
	struct box *b = box_new(L);
	if (file_read(path, max, &b->buf, &b->err) < 0) {
		lua_pushnil(L);
		lua_pushstring(L, perry_msg(b->err));
		box_clear(b);
		return 2;
	}
	lua_pushlstring(L, buf_str(&b->buf), b->buf.len);
	box_clear(b);
	return 1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* names(dir): sorted, without dot files; an empty list and why when there is no such folder or it cannot be read. */
static int l_names(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	size_t n = 0;
	DIR *d = opendir(dir);
	const char *why = d ? NULL : strerror(errno);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		b->list = xrealloc(b->list, (n + 2) * sizeof *b->list);
		b->list[n++] = xstrdup(e->d_name);
		b->list[n] = NULL;
	}
	if (d)
		closedir(d);
	if (n)
		qsort(b->list, n, sizeof *b->list, by_name);
	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		lua_pushstring(L, b->list[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	box_clear(b);
	lua_pushstring(L, why);
	return 2;
}

/* --- secrets --- */

static int resolve(struct run *r, const cJSON *value, int depth, struct buf *out, struct perry_err **err)
{
	const cJSON *part, *name = cJSON_GetObjectItemCaseSensitive(value, "$secret"),
			   *parts = cJSON_GetObjectItemCaseSensitive(value, "$concat");
	if (cJSON_IsString(value)) {
		buf_adds(out, value->valuestring);
		return 0;
	}
	if (cJSON_IsString(name)) {
		cleanup_secret struct secret *s = NULL;
		if (!r->config)
			return perry_fail(err, PERRY_ENOTFOUND, "there is no secret \"%s\"", name->valuestring);
		if (config_secret(r->config, name->valuestring, &s, err) < 0)
			return -1;
		buf_add(out, secret_reveal(s), secret_len(s));
		return 0;
	}
	if (!cJSON_IsArray(parts) || depth > 8)
		return perry_fail(err, PERRY_EINTERNAL, "a value is neither a text nor a reference to a secret");
	cJSON_ArrayForEach(part, parts)
		if (resolve(r, part, depth + 1, out, err) < 0)
			return -1;
	return 0;
}

int secret_resolve(struct run *r, const cJSON *value, struct buf *out, struct perry_err **err)
{
	return resolve(r, value, 0, out, err);
}

/* --- bundles --- */

static int l_bundle(lua_State *L)
{
	box_new(L);
	return 1;
}

static void entry_head(struct buf *to, const char *kind, unsigned mode, const char *owner, size_t size,
		       const char *path)
{
	buf_addf(to, "%s %o %s %zu %zu\n%s", kind, mode, owner, size, strlen(path), path);
}

/* The options of add, looked up raw so that no cleanup is needed. */
static const char *field(lua_State *L, const char *name, const char *dflt)
{
	lua_getfield(L, 2, name);
	const char *s = lua_isnil(L, -1) ? dflt : luaL_checkstring(L, -1);
	lua_pop(L, 1); /* the table at 2 keeps it */
	return s;
}

static int check_size(struct box *b, size_t more, const char *what)
{
	if (b->buf.len + more <= BUNDLE_MAX)
		return 0;
	return perry_fail(&b->err, PERRY_ETOOLARGE, "%s: all files of a workspace together are more than %u MiB", what,
			  BUNDLE_MAX >> 20);
}

/* add(bundle, {path, kind="file"|"default"|"block", mode=0600, owner="user"|"root", and one of text, host (a file of
 * this machine), value (text or references)}). */
static int l_add(lua_State *L)
{
	struct box *bundle = luaL_checkudata(L, 1, "perry.box");
	luaL_checktype(L, 2, LUA_TTABLE);
	const char *path = field(L, "path", NULL), *kind = field(L, "kind", "file"), *owner = field(L, "owner", "user");
	const char *host = field(L, "host", NULL);
	lua_getfield(L, 2, "mode");
	unsigned mode = (unsigned)luaL_optinteger(L, -1, 0600);
	lua_getfield(L, 2, "text");
	size_t n = 0;
	const char *text = lua_tolstring(L, -1, &n);
	luaL_argcheck(L, path && (path[0] == '/' || str_starts(path, "~/")), 2, "path is not absolute");
	lua_getfield(L, 2, "value");
	int value = lua_gettop(L);
	struct box *b = box_new(L);
	int rc = 0;
	if (host) {
		rc = file_read(host, FILE_MAX, &b->buf, &b->err);
	} else if (!text) {
		json_arg(L, value, b, &b->in);
		rc = secret_resolve(run_of(L), b->in, &b->buf, &b->err);
	} else {
		buf_add(&b->buf, text, n);
	}
	if (rc == 0)
		rc = check_size(bundle, b->buf.len, path);
	if (rc < 0) {
		perry_move(&b->err, take_ptr(bundle->err));
		return box_raise(L, b);
	}
	entry_head(&bundle->buf, kind, mode, owner, b->buf.len, path);
	buf_add(&bundle->buf, buf_str(&b->buf), b->buf.len);
	return box_ok(L, b, 0);
}

/* env(bundle, {NAME = value}): /run/perry/env; a value is a text or a reference. */
static int l_env(lua_State *L)
{
	struct box *bundle = luaL_checkudata(L, 1, "perry.box");
	const cJSON *v;
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	cJSON_ArrayForEach(v, b->in) {
		struct buf plain = { 0 };
		if (secret_resolve(run_of(L), v, &plain, &b->err) < 0) {
			perry_wrap(&b->err, "environment variable %s", v->string);
			buf_free(&plain);
			return box_raise(L, b);
		}
		/* Always in quotes: a plain word and an empty value read the same way. */
		buf_addf(&b->buf, "%s=", v->string);
		shell_quote(&b->buf, buf_str(&plain));
		buf_addc(&b->buf, '\n');
		if (plain.data)
			wipe(plain.data, plain.cap);
		buf_free(&plain);
	}
	/* Login shells of sshd read it as the user, who may not write it: root's commands believe it. */
	entry_head(&bundle->buf, "file", 0640, "group", b->buf.len, ENV_PATH);
	buf_add(&bundle->buf, buf_str(&b->buf), b->buf.len);
	return box_ok(L, b, 0);
}

/* reach(bundle, address): whether it is reached from there, is said as "[perry] reaches ADDRESS". */
static int l_reach(lua_State *L)
{
	struct box *bundle = luaL_checkudata(L, 1, "perry.box");
	const char *address = luaL_checkstring(L, 2);
	struct in_addr a;
	luaL_argcheck(L, inet_pton(AF_INET, address, &a) == 1, 2, "no IPv4 address");
	buf_addf(&bundle->buf, "reach %s\n", address);
	return 0;
}

/* seal(bundle, ready): complete; to be given to docker.exec or boot. */
static int l_seal(lua_State *L)
{
	struct box *bundle = luaL_checkudata(L, 1, "perry.box");
	bool ready = lua_toboolean(L, 2);
	struct buf all = { 0 };
	buf_addf(&bundle->buf, "end %d\n", ready);
	buf_addf(&all, "perry-bundle %zu\n", bundle->buf.len);
	buf_add(&all, bundle->buf.data, bundle->buf.len);
	wipe(bundle->buf.data, bundle->buf.cap);
	buf_free(&bundle->buf);
	bundle->buf = all;
	return 0;
}

/* --- boot: start a container with a bundle on its standard input --- */

static int ack_output(void *ctx, int fd, const char *bytes, size_t n)
{
	struct buf *to = ctx;
	buf_add(to, bytes, to->len < ACK_MAX ? n : 0);
	return 0;
}

/* Sends the bundle and waits for init's word. 1: it said done or failed, 0: it did not. */
static int converse(struct docker_stream *s, const struct buf *bundle, struct docker_cancel *cancel, int timeout_ms,
		    struct buf *said)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	size_t sent = 0;
	for (;;) {
		ssize_t n = sent < bundle->len ? docker_stream_write(s, bundle->data + sent, bundle->len - sent) : 0;
		sent += n > 0 ? (size_t)n : 0;
		int more = docker_stream_read(s, ack_output, said, NULL);
		if (strstr(buf_str(said), "[perry] apply: done\n") || strstr(buf_str(said), "[perry] apply: failed\n"))
			return 1;
		int64_t left = until - clock_mono_ms();
		if (n < 0 || more <= 0 || left <= 0 || atomic_load(&cancel->set))
			return 0;
		struct pollfd p[2] = { { .fd = docker_stream_fd(s),
					 .events = (short)(sent < bundle->len ? POLLIN | POLLOUT : POLLIN) },
				       { .fd = cancel->fd, .events = POLLIN } };
		poll(p, 2, left > 1000 ? 1000 : (int)left);
	}
}

/* boot(container, bundle, timeout_ms): starts it and hands the bundle over. Gives what init said ("...done\n" or with
 * the failures), or nil when it said nothing in time (then an exec must deliver). Errors are those of the start. */
static int l_boot(lua_State *L)
{
	const char *id = luaL_checkstring(L, 1);
	struct box *bundle = luaL_checkudata(L, 2, "perry.box");
	int timeout = (int)luaL_checkinteger(L, 3);
	struct run *r = run_of(L);
	struct docker_cancel none = { .fd = -1 };
	struct docker *d = r->host->setup.docker;
	struct box *b = box_new(L);
	if (docker_container_attach(d, id, &b->stream, &b->err) < 0) {
		if (b->err->code == PERRY_EUNAVAILABLE || b->err->code == PERRY_ENOTFOUND)
			return box_raise(L, b);
		log_debug("lua", "attach: %s", perry_msg(b->err)); /* an engine that cannot: the exec does it */
	}
	if (docker_container_start(d, id, &b->err) < 0)
		return box_raise(L, b);
	bool told =
		b->stream && converse(b->stream, &bundle->buf, r->op ? op_cancel_flag(r->op) : &none, timeout, &b->buf);
	if (told)
		lua_pushlstring(L, buf_str(&b->buf), b->buf.len);
	else
		lua_pushnil(L);
	box_clear(b);
	return 1;
}

/* is_mounted(pid, id, source, target): is the folder source of this machine what the process pid (of the container id)
 * has at target? nil: it cannot be known. */
static int l_is_mounted(lua_State *L)
{
	enum mounted m = mountinfo_of((pid_t)luaL_checkinteger(L, 1), luaL_checkstring(L, 2), luaL_checkstring(L, 3),
				      luaL_checkstring(L, 4));
	if (m == MOUNTED_UNKNOWN)
		lua_pushnil(L);
	else
		lua_pushboolean(L, m == MOUNTED_SAME);
	return 1;
}

int lib_files(lua_State *L)
{
	static const luaL_Reg fns[] = {
		{ "home", l_home },     { "expand", l_expand },
		{ "stat", l_stat },     { "is_mounted", l_is_mounted },
		{ "read", l_read },     { "names", l_names },
		{ "bundle", l_bundle }, { "add", l_add },
		{ "env", l_env },       { "seal", l_seal },
		{ "boot", l_boot },     { "locked", l_locked },
		{ "reach", l_reach },   { 0 },
	};
	luaL_newlib(L, fns);
	return 1;
}
