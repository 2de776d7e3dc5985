/* Our own modules are compiled once: a run has a fresh state, and parsing all of them anew took longer than what most
 * runs do. What is loaded as bytecode is never anything else than what this process compiled itself from the text in
 * the binary. */
#include "base/buf.h"
#include "base/embed.h"
#include "base/mem.h"
#include "lua/internal.h"

struct compiled {
	struct compiled *next;
	const struct embedded *file;
	struct buf code;
};

static int keep(lua_State *L, const void *bytes, size_t n, void *to)
{
	(void)L;
	buf_add(to, bytes, n);
	return 0;
}

static struct compiled *find(struct lua_host *h, const struct embedded *file)
{
	struct compiled *c;
	pthread_mutex_lock(&h->lock);
	for (c = h->compiled; c && c->file != file; c = c->next)
		;
	pthread_mutex_unlock(&h->lock);
	return c;
}

int compiled_load(lua_State *L, struct lua_host *h, const struct embedded *file, const char *chunk)
{
	struct compiled *c = find(h, file);
	if (c)
		return luaL_loadbufferx(L, c->code.data, c->code.len, chunk, "b");
	int rc = luaL_loadbufferx(L, file->data, (size_t)(file->end - file->data), chunk, "t");
	if (rc != LUA_OK)
		return rc;
	c = xcalloc(1, sizeof *c);
	c->file = file;
	lua_dump(L, keep, &c->code, 0); /* with names and lines, for errors */
	pthread_mutex_lock(&h->lock);
	c->next = h->compiled; /* two runs may have compiled it at once: the second is found, the first stays unused */
	h->compiled = c;
	pthread_mutex_unlock(&h->lock);
	return LUA_OK;
}

void compiled_free(struct lua_host *h)
{
	for (struct compiled *c = h->compiled, *next; c; c = next) {
		next = c->next;
		buf_free(&c->code);
		free(c);
	}
}
