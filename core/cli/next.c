#include "cli/next.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/client.h"

/* %NAME is the workspace. */
static const struct {
	enum perry_code code;
	const char *words, *next;
} rows[] = {
	{ PERRY_ENOTFOUND, "Workspace not found", "see: perry list" },
	{ PERRY_ESTATE, "is not running", "start it with: perry start %NAME" },
	{ PERRY_ECONFLICT, "is busy: ", "that ends by itself; watch it with: perry events -f" },
	{ PERRY_ECONFLICT, "already exists", "take another name; see: perry list" },
	{ PERRY_EUNAVAILABLE, "Docker is unreachable", "see: perry doctor" },
	{ PERRY_EUNAVAILABLE, "the agent", "on its machine: perry agent status, perry agent logs" },
	{ PERRY_ETIMEOUT, "the agent is silent", "on its machine: perry agent status, perry agent logs" },
};

char *next_subject(const struct command *c, const struct args *a)
{
	if (args_str(a, "workspace"))
		return xstrdup(args_str(a, "workspace"));
	if (strcmp(c->name, "cp") == 0) {
		for (int i = 0; i < a->nwords; i++)
			if (a->words[i][0] != '/' && strchr(a->words[i], ':'))
				return xstrndup(a->words[i], strcspn(a->words[i], ":"));
		return NULL;
	}
	bool named = str_starts(c->usage, "NAME") || str_starts(c->usage, "[NAME") || str_starts(c->usage, "SRC");
	return named && a->nwords ? xstrdup(a->words[0]) : NULL;
}

static char *filled(const char *next, const char *name)
{
	const char *at = strstr(next, "%NAME");
	return at ? xasprintf("%.*s%s%s", (int)(at - next), next, name ? name : "NAME", at + 5) : xstrdup(next);
}

void next_add_of(struct perry_err *e, const char *name, const char *const *names)
{
	if (strchr(perry_msg(e), '\n'))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (e->code != rows[i].code || !strstr(perry_msg(e), rows[i].words))
			continue;
		const char *near = e->code == PERRY_ENOTFOUND && name && names ? str_nearest(name, names) : NULL;
		cleanup_free char *next = near ? xasprintf("did you mean %s?", near) : filled(rows[i].next, name);
		char *msg = xasprintf("%s\n  %s", perry_msg(e), next);
		free(e->msg);
		e->msg = msg;
		return;
	}
}

void next_add(struct perry_err *e, const char *name)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *all = NULL;
	const char *names[257];
	size_t n = 0;
	if (!e)
		return;
	if (e->code == PERRY_ENOTFOUND && name && strstr(perry_msg(e), "Workspace not found") &&
	    client_open(&c, NULL) == 0 && client_rpc(c, "workspaces/list", NULL, &all, NULL) == 0) {
		const cJSON *ws;
		cJSON_ArrayForEach(ws, all) {
			const char *one = json_str(ws, "name");
			if (one && n < ARRAY_LEN(names) - 1)
				names[n++] = one;
		}
	}
	names[n] = NULL;
	next_add_of(e, name, names);
}
