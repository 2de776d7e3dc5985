#include "agent/who/decisions.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/tailnet/tailnet.h"
#include "agent/who/auth.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "config/config.h"
#include "lua/lua.h"
#include "policy/policy.h"

enum {
	MAX_DECISIONS = 64,
	MAX_WATCHED = 2 * 34, /* hook file and library of each layer */
};

struct decision {
	char *facts; /* what was asked, NULL: free */
	unsigned rights;
	char why[192];
};

/* What hooks leave to the callers of a kind that need no tailscaled. */
struct limit {
	const char *kind;
	bool known;
	unsigned rights;
	char why[192];
};

/* A file that decisions depend on, and how it looked. */
struct watched {
	char *path;
	struct stat st;
};

struct decisions {
	struct agent *a;
	pthread_mutex_t lock; /* all below */
	struct decision kept[MAX_DECISIONS];
	int next;
	struct limit limits[3];
	struct config *config; /* that the decisions were made under */
	struct watched watched[MAX_WATCHED];
	int nwatched;
	unsigned epoch; /* another one whenever they are forgotten */
};

struct decisions *decisions_new(struct agent *a)
{
	struct decisions *d = xcalloc(1, sizeof *d);
	d->a = a;
	d->limits[0].kind = "local";
	d->limits[1].kind = "token";
	d->limits[2].kind = "session";
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

/* Under the lock. */
static void forget(struct decisions *d)
{
	for (int k = 0; k < MAX_DECISIONS; k++)
		free(take_ptr(d->kept[k].facts));
	for (size_t k = 0; k < ARRAY_LEN(d->limits); k++)
		d->limits[k].known = false;
	for (int k = 0; k < d->nwatched; k++)
		free(d->watched[k].path);
	d->nwatched = 0;
	config_unref(d->config);
	d->config = NULL;
	d->epoch++;
}

void decisions_free(struct decisions *d)
{
	if (!d)
		return;
	forget(d);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* --- is what was decided still what would be decided? --- */

/* Under the lock: forgets everything when the configuration or a hook is another one. Gives nothing back that is stale.
 */
static void refresh(struct decisions *d)
{
	struct config *now = agent_config(d->a);
	bool same = now == d->config;
	config_unref(now);
	for (int k = 0; same && k < d->nwatched; k++) {
		struct stat st;
		file_stamp(d->watched[k].path, &st);
		same = file_stamp_same(&st, &d->watched[k].st);
	}
	if (!same)
		forget(d);
}

static void watch(struct decisions *d, const char *dir, const char *name)
{
	if (!dir || d->nwatched == MAX_WATCHED)
		return;
	struct watched *w = &d->watched[d->nwatched++];
	w->path = name ? path_join(dir, name) : xstrdup(dir);
	file_stamp(w->path, &w->st);
}

/* Before the hooks are read: what changes after this is seen at the next look. */
static void begin(struct decisions *d, struct config *config, const struct policy_setup *setup)
{
	pthread_mutex_lock(&d->lock);
	if (d->config != config) {
		forget(d);
		d->config = config_ref(config);
		for (size_t k = 0; k < setup->nlayers; k++) {
			watch(d, setup->layers[k].dir, "authorize.lua");
			watch(d, setup->layers[k].lib_dir, NULL);
		}
	}
	pthread_mutex_unlock(&d->lock);
}

unsigned decisions_epoch(struct decisions *d)
{
	pthread_mutex_lock(&d->lock);
	refresh(d);
	unsigned epoch = d->epoch;
	pthread_mutex_unlock(&d->lock);
	return epoch;
}

/* --- the hooks --- */

static const enum right kinds[] = { RIGHT_READ, RIGHT_USE, RIGHT_MANAGE, RIGHT_ADMIN };

static void note_why(struct caller *c, const struct perry_err *e)
{
	if (!c->why[0])
		snprintf(c->why, sizeof c->why, "%.190s",
			 json_bool_or(e->data, "refused", false) ? json_str_or(e->data, "message", "refused")
								 : perry_msg(e));
}

/* What the hooks leave, and why not more. False: they could not be asked, which is no answer to remember. */
static bool ask_hooks(struct lua_hooks *hooks, cJSON *facts, struct caller *c)
{
	struct policy_session *s = lua_hooks_session(hooks);
	c->rights = 0;
	c->why[0] = 0;
	if (!s) {
		note_why(c, lua_hooks_error(hooks));
		return false;
	}
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		cleanup_err struct perry_err *e = NULL;
		cleanup_json cJSON *answer = NULL;
		json_set_str(json_obj(facts, "req"), "kind", right_name(kinds[k]));
		if (policy_ask(s, "authorize", facts, NULL, &answer, NULL, &e) == 0)
			c->rights |= kinds[k];
		else
			note_why(c, e);
	}
	return true;
}

void decisions_find(struct decisions *d, cJSON *facts, struct caller *c)
{
	cleanup_free char *key = json_canonical(facts);
	pthread_mutex_lock(&d->lock);
	refresh(d);
	for (int k = 0; k < MAX_DECISIONS; k++)
		if (str_eq(d->kept[k].facts, key)) {
			c->rights = d->kept[k].rights;
			strcpy(c->why, d->kept[k].why);
			pthread_mutex_unlock(&d->lock);
			return;
		}
	pthread_mutex_unlock(&d->lock);
	struct config *config = agent_config(d->a);
	struct lua_hooks *hooks = lua_hooks_open(d->a->lua);
	begin(d, config, lua_hooks_setup(hooks));
	bool asked = ask_hooks(hooks, facts, c);
	lua_hooks_close(hooks);
	pthread_mutex_lock(&d->lock);
	if (asked && d->config == config) {
		struct decision *fresh = &d->kept[d->next++ % MAX_DECISIONS];
		free(fresh->facts);
		fresh->facts = take_ptr(key);
		fresh->rights = c->rights;
		strcpy(fresh->why, c->why);
	}
	pthread_mutex_unlock(&d->lock);
	config_unref(config);
}

/* --- callers on this machine and those with the token --- */

static struct limit *limit_of(struct decisions *d, const char *kind)
{
	for (size_t k = 0; k < ARRAY_LEN(d->limits); k++)
		if (strcmp(d->limits[k].kind, kind) == 0)
			return &d->limits[k];
	return NULL;
}

static void apply(const struct limit *l, struct caller *c)
{
	unsigned all = c->rights;
	c->rights &= l->rights;
	if (c->rights != all)
		strcpy(c->why, l->why);
}

bool decisions_limit_known(struct decisions *d, struct caller *c)
{
	struct limit *l = limit_of(d, c->kind);
	if (!l)
		return true;
	pthread_mutex_lock(&d->lock);
	refresh(d);
	bool known = l->known;
	if (known)
		apply(l, c);
	pthread_mutex_unlock(&d->lock);
	return known;
}

void decisions_limit_find(struct decisions *d, struct caller *c)
{
	struct limit *kept = limit_of(d, c->kind);
	struct tailnet_node self;
	struct caller left = { .rights = RIGHT_ALL };
	bool asked = true;
	if (!kept)
		return;
	struct config *config = agent_config(d->a);
	struct lua_hooks *hooks = lua_hooks_open(d->a->lua);
	begin(d, config, lua_hooks_setup(hooks));
	/* Where others have a word in this, a policy that cannot be read refuses; the built-in hook alone allows these
	 * callers. */
	cleanup_json cJSON *inventory = lua_hooks_inventory(hooks);
	if (policy_others_have(inventory, "authorize")) {
		cleanup_json cJSON *facts = cJSON_CreateObject();
		cJSON *req = json_obj(facts, "req"), *caller = json_obj(req, "caller"), *own = json_obj(req, "node");
		tailnet_node(d->a->tailnet, &self);
		/* Who signed in did so with the token. */
		json_set_str(caller, "kind", strcmp(c->kind, "session") == 0 ? "token" : c->kind);
		json_set(caller, "tags", cJSON_CreateArray());
		json_set_str(own, "login", self.tagged ? NULL : self.login);
		json_set_bool(own, "tagged", self.tagged);
		asked = ask_hooks(hooks, facts, &left);
	}
	lua_hooks_close(hooks);
	struct limit found = { .kind = kept->kind, .known = asked, .rights = left.rights };
	strcpy(found.why, left.why);
	apply(&found, c);
	pthread_mutex_lock(&d->lock);
	if (d->config == config)
		*kept = found;
	pthread_mutex_unlock(&d->lock);
	config_unref(config);
}
