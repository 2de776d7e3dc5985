#include "policy/child/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "policy/child/confine.h"
#include "policy/child/coverage.h"

#define COUNT_EVERY 2000                          /* instructions; about 20 us */
#define GRACE_MS    (CONFINE_SANITIZED ? 200 : 2) /* of CPU, between the hook's own end and the signal */

static struct host *the_host;

/* The nearest Lua frame. Reads only: fit for the allocator and for a signal handler that is about to end the process.
 */
static void note_place(struct host *h, lua_State *L)
{
	lua_Debug ar;
	h->limit_line = 0;
	h->limit_file[0] = 0;
	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		if (!lua_getinfo(L, "Sl", &ar) || ar.currentline < 0 || ar.source[0] != '@')
			continue;
		h->limit_line = ar.currentline;
		size_t n = strlen(ar.source + 1);
		n = n < sizeof h->limit_file ? n : sizeof h->limit_file - 1;
		memcpy(h->limit_file, ar.source + 1, n);
		h->limit_file[n] = 0;
		return;
	}
}

void *limits_alloc(void *ctx, void *p, size_t old, size_t wanted)
{
	struct host *h = ctx;
	if (!p)
		old = 0; /* then it is a type, not a size */
	if (wanted == 0) {
		free(p);
		h->memory -= old;
		return NULL;
	}
	if (wanted > old && (wanted > HOST_MEMORY || h->memory + (wanted - old) > HOST_MEMORY)) {
		h->out_of_memory = true;
		if (h->hook && h->hook->layer->L)
			note_place(h, h->hook->layer->L);
		return NULL;
	}
	void *q = realloc(p, wanted);
	if (q)
		h->memory += wanted - old;
	return q;
}

static void watch(lua_State *L, lua_Debug *ar)
{
	struct host *h = layer_of(L)->host;
	if (ar->event == LUA_HOOKLINE) {
		if (lua_getinfo(L, "S", ar) && ar->source[0] == '@')
			coverage_ran(h, ar->source + 1, ar->currentline);
		return;
	}
	if (ar->event == LUA_HOOKRET) {
		/* The last function to return is the hook itself: that is where it answered. */
		if (h->hook && lua_getinfo(L, "l", ar) && ar->currentline > 0)
			h->hook->line = ar->currentline;
		return;
	}
	if (!h->spent) {
		int64_t now = confine_cpu_us();
		h->instructions += COUNT_EVERY;
		if (h->instructions <= h->limits.instructions && now < h->cpu_end_us) {
			confine_yield(now);
			return;
		}
		h->spent = now < h->cpu_end_us ? SPENT_INSTRUCTIONS : SPENT_TIME;
		note_place(h, L);
	}
	/* From now on at each instruction, so that no pcall() can go on. */
	lua_sethook(L, watch, LUA_MASKCOUNT, 1);
	lua_pushliteral(L, "it is over");
	lua_error(L);
}

void limits_watch(lua_State *L)
{
	lua_sethook(L, watch, LUA_MASKCOUNT | LUA_MASKRET | (layer_of(L)->host->coverage ? LUA_MASKLINE : 0),
		    COUNT_EVERY);
}

void limits_begin(struct host *h, const struct point *point)
{
	h->out_of_memory = false;
	h->spent = SPENT_NONE;
	h->instructions = 0;
	h->limits = h->own_limits.cpu_ms ? h->own_limits : point_limits(point);
	int ms = h->limits.cpu_ms * (CONFINE_SANITIZED ? 4 : 1); /* a sanitizer makes honest code slow */
	h->cpu_end_us = confine_cpu_us() + (int64_t)ms * 1000;
	confine_timer(ms + GRACE_MS);
}

void limits_end(void)
{
	confine_timer(0);
}

const char *limits_text(const struct host *h, char out[160])
{
	const long long million = 1000000, n = h->limits.instructions;
	bool even = n % million == 0;
	if (h->spent == SPENT_INSTRUCTIONS)
		snprintf(out, 160, "the hook used more than %lld%s instructions of Lua", even ? n / million : n,
			 even ? " million" : "");
	else if (h->spent == SPENT_TIME)
		snprintf(out, 160, "the hook used more than %d ms of CPU time", h->limits.cpu_ms);
	else if (h->out_of_memory)
		snprintf(out, 160, "the hook used more than %u MiB of memory", HOST_MEMORY >> 20);
	else
		return NULL;
	return out;
}

/* JSON text without an allocation: what would need escaping is left out. */
static size_t put(char *out, size_t at, size_t max, const char *s)
{
	for (; *s && at < max; s++)
		if ((unsigned char)*s >= 0x20 && *s != '"' && *s != '\\')
			out[at++] = *s;
	return at;
}

static bool in_library(lua_State *L)
{
	lua_Debug ar;
	return lua_getstack(L, 0, &ar) && lua_getinfo(L, "S", &ar) && ar.what[0] == 'C';
}

static volatile sig_atomic_t ending;

/* Only while a hook's end is being told; any other fault is one, and ends the process by itself a moment later. */
__attribute__((unused)) static void no_place(int sig)
{
	if (ending)
		_exit(86);
}

/* Something in C does not come back (a pattern, a huge copy), or the way out through a thousand pcall() takes long:
 * says where, then ends the process. Should that fail too, the next signal ends it. */
__attribute__((unused)) static void time_is_up(int sig)
{
	static char msg[1024];
	struct host *h = the_host;
	if (!h || h->in_io || !h->hook || !h->hook->layer->L)
		_exit(86);
	/* Between two instructions of Lua its list of calls may be half made. Lua's own check has noted the place then;
	 * what is in C has left it whole. */
	ending = 1;
	if (!h->spent) {
		h->spent = SPENT_TIME;
		note_place(h, h->hook->layer->L);
	}
	char line[16], text[160];
	snprintf(line, sizeof line, "%d", h->limit_line);
	limits_text(h, text);
	size_t n = 4, max = sizeof msg - 8;
#define RAW(s) (memcpy(msg + n, s, strlen(s)), n += strlen(s))
	RAW("{\"died\":{\"point\":\"");
	n = put(msg, n, 100, h->point->name);
	RAW("\",\"layer\":\"");
	n = put(msg, n, 200, h->hook->layer->name);
	RAW("\",\"file\":\"");
	n = put(msg, n, 700, h->limit_file[0] ? h->limit_file : h->hook->file);
	RAW("\",\"line\":");
	n = put(msg, n, 720, line);
	RAW(",\"message\":\"");
	n = put(msg, n, max, text);
	if (in_library(h->hook->layer->L))
		RAW(" (inside a library function)");
	RAW("\"}}");
#undef RAW
	size_t body = n - 4;
	msg[0] = (char)(body & 0xff);
	msg[1] = (char)(body >> 8 & 0xff);
	msg[2] = msg[3] = 0;
	_exit(write(h->fd, msg, n) == (ssize_t)n ? 85 : 86);
}

void limits_signals(struct host *h)
{
	the_host = h;
	struct sigaction sa = { .sa_handler = time_is_up, .sa_flags = (int)SA_RESETHAND };
#if defined(PERRY_SAN_thread) /* which holds back handlers until the next system call: there the default action ends \
				 the process */
	sa.sa_handler = SIG_DFL;
#endif
	sigaction(SIGPROF, &sa, NULL);
#if !CONFINE_SANITIZED
	struct sigaction fault = { .sa_handler = no_place, .sa_flags = (int)SA_RESETHAND };
	sigaction(SIGSEGV, &fault, NULL);
#endif
}
