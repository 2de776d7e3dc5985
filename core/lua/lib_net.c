/* require "net": which addresses and ports of this machine are taken; and the tools volume, which one thread fills for
 * all. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "lua/internal.h"
#include "lua/tools.h"

#define TOOLS_MARK "complete"

/* routes(): CIDR texts of the machine's IPv4 routes, without the default one. */
static int l_routes(lua_State *L)
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[512];
	int n = 0;
	lua_newtable(L);
	while (f && fgets(line, sizeof line, f)) {
		unsigned dest, mask;
		char text[32], addr[INET_ADDRSTRLEN];
		if (sscanf(line, "%*s %x %*s %*s %*s %*s %*s %x", &dest, &mask) != 2 || mask == 0)
			continue;
		struct in_addr a = { dest };
		snprintf(text, sizeof text, "%s/%d", inet_ntop(AF_INET, &a, addr, sizeof addr),
			 __builtin_popcount(mask));
		lua_pushstring(L, text); /* short: it does not raise but for want of memory */
		lua_rawseti(L, -2, ++n);
	}
	if (f)
		fclose(f);
	return 1;
}

/* port_free(port): can 127.0.0.1:port be bound now? */
static int l_port_free(lua_State *L)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)luaL_checkinteger(L, 1)),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	bool is_free = true;
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		is_free = bind(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno != EADDRINUSE;
		close(fd);
	}
	lua_pushboolean(L, is_free);
	return 1;
}

/* --- the tools volume --- */

/* This process's tools, looked at once: they stay until the host is freed, and are not changed after that. */
static int tools_of(struct lua_host *h, const struct tools **out, struct perry_err **err)
{
	struct tools *fresh = NULL;
	pthread_mutex_lock(&h->lock);
	*out = h->tools;
	pthread_mutex_unlock(&h->lock);
	if (*out)
		return 0;
	if (tools_look(h->step, h->tailscale_dir, TOOLS_MARK, &fresh, err) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	if (!h->tools)
		h->tools = take_ptr(fresh);
	*out = h->tools;
	pthread_mutex_unlock(&h->lock);
	tools_free(fresh);
	return 0;
}

/* tools(): name of the tools volume, whether this process has seen it complete, and why tailscale is not on it (nil: it
 * is). */
static int l_tools(lua_State *L)
{
	struct lua_host *h = run_of(L)->host;
	const struct tools *t;
	struct box *b = box_new(L);
	if (tools_of(h, &t, &b->err) < 0)
		return box_raise(L, b);
	pthread_mutex_lock(&h->lock);
	bool seen = h->tools_seen;
	pthread_mutex_unlock(&h->lock);
	lua_pushstring(L, t->name);
	lua_pushboolean(L, seen);
	lua_pushstring(L, t->missing);
	return 3;
}

/* tools_seen(yes): remembers whether the volume is complete. */
static int l_tools_seen(lua_State *L)
{
	struct lua_host *h = run_of(L)->host;
	pthread_mutex_lock(&h->lock);
	h->tools_seen = lua_toboolean(L, 1);
	pthread_mutex_unlock(&h->lock);
	return 0;
}

/* tools_put(container): uploads the programs and, last, the empty file that says that all is there. */
static int l_tools_put(lua_State *L)
{
	struct run *r = run_of(L);
	const char *container = luaL_checkstring(L, 1);
	const struct tools *t;
	struct box *b = box_new(L);
	int rc = tools_of(r->host, &t, &b->err);
	if (rc == 0)
		rc = docker_archive_put_files(r->host->setup.docker, container, "/opt/perry", t->files, t->n,
					      r->op ? op_cancel_flag(r->op) : NULL, &b->err);
	return box_ok(L, b, rc);
}

static int discard(void *ctx, int fd, const char *bytes, size_t n)
{
	return 0;
}

/* tools_complete(container): is the file there that was written last? */
static int l_tools_complete(lua_State *L)
{
	struct lua_host *h = run_of(L)->host;
	const char *container = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	int rc = docker_archive_get(h->setup.docker, container, "/opt/perry/" TOOLS_MARK, discard, NULL, NULL, &b->err);
	if (rc < 0 && b->err->code != PERRY_ENOTFOUND)
		return box_raise(L, b);
	box_clear(b);
	lua_pushboolean(L, rc == 0);
	return 1;
}

/* locked(what, fn): runs fn while no other run is in a locked(what) of its own. Errors pass. what: "tools" (the tools
 * volume is filled), "networks" (a network is neither a workspace's nor a spare one for a moment),
 * "pause" (who holds a workspace still). */
static int l_locked(lua_State *L)
{
	static const char *const names[] = { "tools", "networks", "put back", "pause", NULL };
	struct lua_host *h = run_of(L)->host;
	pthread_mutex_t *const locks[] = { &h->tools_lock, &h->networks_lock, &h->back_lock, &h->pause_lock };
	pthread_mutex_t *lock = locks[luaL_checkoption(L, 1, NULL, names)];
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	pthread_mutex_lock(lock);
	int rc = lua_pcall(L, 0, 0, 0);
	pthread_mutex_unlock(lock);
	return rc == LUA_OK ? 0 : lua_error(L);
}

int lib_net(lua_State *L)
{
	static const luaL_Reg fns[] = {
		{ "routes", l_routes },       { "port_free", l_port_free },
		{ "tools", l_tools },         { "tools_seen", l_tools_seen },
		{ "tools_put", l_tools_put }, { "tools_complete", l_tools_complete },
		{ "locked", l_locked },       { 0 },
	};
	luaL_newlib(L, fns);
	return 1;
}
