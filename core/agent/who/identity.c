#include "agent/who/identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/internal.h"
#include "agent/tailnet/rfc2047.h"
#include "agent/tailnet/tailnet.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "lua/lua.h"

enum {
	REMEMBER_MS = 10 * 1000, /* of an address; less when tailscaled says anything */
	MAX_KNOWN = 128,
	MAX_DECISIONS = 64,
	MAX_WATCHED = 2 * 34, /* hook file and library of each layer */
};
#define DEFAULT_TAG "tag:perry-workspace"

struct known {
	struct identity_question q;
	struct identity_answer answer;
	unsigned epoch;
	int64_t until;
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

struct identity {
	struct agent *a;
	pthread_mutex_t lock; /* all below */
	struct known known[MAX_KNOWN];
	int next_known;
	struct decision decisions[MAX_DECISIONS];
	int next_decision;
	struct limit limits[3];
	struct config *config; /* that the decisions were made under */
	struct watched watched[MAX_WATCHED];
	int nwatched;
	unsigned generation; /* grows when what is known is forgotten */
};

struct identity *identity_new(struct agent *a)
{
	struct identity *i = xcalloc(1, sizeof *i);
	i->a = a;
	i->limits[0].kind = "local";
	i->limits[1].kind = "token";
	i->limits[2].kind = "session";
	pthread_mutex_init(&i->lock, NULL);
	return i;
}

/* Under the lock. */
static void forget_known(struct identity *i)
{
	for (int k = 0; k < MAX_KNOWN; k++)
		if (i->known[k].until)
			i->known[k].until = 0;
	i->generation++;
}

/* Under the lock. */
static void forget_decisions(struct identity *i)
{
	for (int k = 0; k < MAX_DECISIONS; k++)
		free(take_ptr(i->decisions[k].facts));
	for (size_t k = 0; k < ARRAY_LEN(i->limits); k++)
		i->limits[k].known = false;
	for (int k = 0; k < i->nwatched; k++)
		free(i->watched[k].path);
	i->nwatched = 0;
	config_unref(i->config);
	i->config = NULL;
	forget_known(i);
}

void identity_free(struct identity *i)
{
	if (!i)
		return;
	forget_decisions(i);
	pthread_mutex_destroy(&i->lock);
	free(i);
}

/* --- is what was decided still what would be decided? --- */

static void look_at(const char *path, struct stat *st)
{
	if (stat(path, st) < 0)
		memset(st, 0, sizeof *st);
}

static bool same_look(const struct stat *x, const struct stat *y)
{
	return x->st_ino == y->st_ino && x->st_size == y->st_size && x->st_mtim.tv_sec == y->st_mtim.tv_sec &&
	       x->st_mtim.tv_nsec == y->st_mtim.tv_nsec && x->st_uid == y->st_uid && x->st_mode == y->st_mode;
}

/* Under the lock: forgets everything when the configuration or a hook is another one. Gives nothing back that is stale.
 */
static void refresh(struct identity *i)
{
	struct config *now = agent_config(i->a);
	bool same = now == i->config;
	config_unref(now);
	for (int k = 0; same && k < i->nwatched; k++) {
		struct stat st;
		look_at(i->watched[k].path, &st);
		same = same_look(&st, &i->watched[k].st);
	}
	if (!same)
		forget_decisions(i);
}

static void watch(struct identity *i, const char *dir, const char *name)
{
	if (!dir || i->nwatched == MAX_WATCHED)
		return;
	struct watched *w = &i->watched[i->nwatched++];
	w->path = name ? path_join(dir, name) : xstrdup(dir);
	look_at(w->path, &w->st);
}

/* Before the hooks are read: what changes after this is seen at the next look. */
static void begin_decisions(struct identity *i, struct config *config, const struct policy_setup *setup)
{
	pthread_mutex_lock(&i->lock);
	if (i->config != config) {
		forget_decisions(i);
		i->config = config_ref(config);
		for (size_t k = 0; k < setup->nlayers; k++) {
			watch(i, setup->layers[k].dir, "authorize.lua");
			watch(i, setup->layers[k].lib_dir, NULL);
		}
	}
	pthread_mutex_unlock(&i->lock);
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

static void decide(struct identity *i, cJSON *facts, struct caller *c)
{
	cleanup_free char *key = json_canonical(facts);
	pthread_mutex_lock(&i->lock);
	refresh(i);
	for (int k = 0; k < MAX_DECISIONS; k++)
		if (str_eq(i->decisions[k].facts, key)) {
			c->rights = i->decisions[k].rights;
			strcpy(c->why, i->decisions[k].why);
			pthread_mutex_unlock(&i->lock);
			return;
		}
	pthread_mutex_unlock(&i->lock);
	struct config *config = agent_config(i->a);
	struct lua_hooks *hooks = lua_hooks_open(i->a->lua);
	begin_decisions(i, config, lua_hooks_setup(hooks));
	bool asked = ask_hooks(hooks, facts, c);
	lua_hooks_close(hooks);
	pthread_mutex_lock(&i->lock);
	if (asked && i->config == config) {
		struct decision *d = &i->decisions[i->next_decision++ % MAX_DECISIONS];
		free(d->facts);
		d->facts = take_ptr(key);
		d->rights = c->rights;
		strcpy(d->why, c->why);
	}
	pthread_mutex_unlock(&i->lock);
	config_unref(config);
}

/* --- callers on this machine and those with the token --- */

static struct limit *limit_of(struct identity *i, const char *kind)
{
	for (size_t k = 0; k < ARRAY_LEN(i->limits); k++)
		if (strcmp(i->limits[k].kind, kind) == 0)
			return &i->limits[k];
	return NULL;
}

static void apply(const struct limit *l, struct caller *c)
{
	unsigned all = c->rights;
	c->rights &= l->rights;
	if (c->rights != all)
		strcpy(c->why, l->why);
}

bool identity_limit_known(struct identity *i, struct caller *c)
{
	struct limit *l = limit_of(i, c->kind);
	if (!l)
		return true;
	pthread_mutex_lock(&i->lock);
	refresh(i);
	bool known = l->known;
	if (known)
		apply(l, c);
	pthread_mutex_unlock(&i->lock);
	return known;
}

/* Has anybody but us a word in this? Then a policy that cannot be read refuses; the built-in hook alone allows these
 * callers. */
static bool others_decide(struct lua_hooks *hooks)
{
	cleanup_json cJSON *inventory = lua_hooks_inventory(hooks);
	const cJSON *point, *layer;
	cJSON_ArrayForEach(point, json_at(inventory, "points"))
		if (str_eq(json_str(point, "point"), "authorize"))
			cJSON_ArrayForEach(layer, json_at(point, "layers"))
				if (!str_eq(json_str(layer, "layer"), "built-in"))
					return true;
	return false;
}

void identity_limit_find(struct identity *i, struct caller *c)
{
	struct limit *kept = limit_of(i, c->kind);
	struct tailnet_node self;
	struct caller left = { .rights = RIGHT_ALL };
	bool asked = true;
	if (!kept)
		return;
	struct config *config = agent_config(i->a);
	struct lua_hooks *hooks = lua_hooks_open(i->a->lua);
	begin_decisions(i, config, lua_hooks_setup(hooks));
	if (others_decide(hooks)) {
		cleanup_json cJSON *facts = cJSON_CreateObject();
		cJSON *req = json_obj(facts, "req"), *caller = json_obj(req, "caller"), *own = json_obj(req, "node");
		tailnet_node(i->a->tailnet, &self);
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
	pthread_mutex_lock(&i->lock);
	if (i->config == config)
		*kept = found;
	pthread_mutex_unlock(&i->lock);
	config_unref(config);
}

/* --- devices that were given the token --- */

#define DEVICE "device:"

/* Ties an approval to the token of that time: with a new one it is void. Says nothing of the token. */
static void token_mark(struct identity *i, char out[65])
{
	cleanup_buf struct buf text = { 0 };
	struct config *c = agent_config(i->a);
	const char *token = config_str(c, "auth.token");
	buf_addf(&text, "%s\n%s\n", store_agent_id(i->a->store), token ? token : "");
	config_unref(c);
	sha256_hex(text.data, text.len, out);
	explicit_bzero(text.data, text.len);
	out[16] = 0;
}

static bool is_approved(struct identity *i, const char *node, const char *login)
{
	char mark[65];
	cleanup_free char *key = xasprintf(DEVICE "%s", node);
	cleanup_json cJSON *row = NULL;
	token_mark(i, mark);
	return store_kv_get(i->a->store, "perry", key, &row, NULL) == 0 && row &&
	       str_eq(json_str(row, "token"), mark) && str_eq(json_str(row, "login"), login);
}

void identity_approve(struct identity *i, const struct identity_answer *who)
{
	char mark[65];
	cleanup_err struct perry_err *e = NULL;
	cleanup_free char *key = xasprintf(DEVICE "%s", who->caller.node_id);
	cleanup_json cJSON *row = cJSON_CreateObject();
	if (who->who != WHO_TAILNET || !*who->caller.node_id)
		return;
	token_mark(i, mark);
	json_set_str(row, "name", who->caller.node_name);
	json_set_str(row, "login", who->caller.login);
	json_set_int(row, "at", clock_ms());
	json_set_str(row, "token", mark);
	if (store_kv_set(i->a->store, "perry", key, row, &e) < 0)
		log_warn("agent", "the approval of %s cannot be kept: %s", who->caller.node_name, perry_msg(e));
	else
		log_info("agent", "%s (%s) was given the token and is approved", who->caller.node_name,
			 who->caller.login);
	pthread_mutex_lock(&i->lock);
	forget_known(i);
	pthread_mutex_unlock(&i->lock);
}

int identity_devices(struct identity *i, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *rows = NULL;
	const cJSON *row;
	char mark[65];
	if (store_kv_list(i->a->store, "perry", DEVICE, &rows, err) < 0)
		return -1;
	token_mark(i, mark);
	*out = cJSON_CreateArray();
	cJSON_ArrayForEach(row, rows) {
		if (!str_eq(json_str(row, "token"), mark))
			continue;
		cJSON *device = cJSON_CreateObject();
		json_set_str(device, "id", row->string + strlen(DEVICE));
		json_set_str(device, "name", json_str(row, "name"));
		json_set_str(device, "login", json_str(row, "login"));
		json_set_int(device, "at", json_int_or(row, "at", 0));
		json_push(*out, device);
	}
	return 0;
}

int identity_forget(struct identity *i, const char *device, struct perry_err **err)
{
	cleanup_json cJSON *rows = NULL;
	const cJSON *row;
	int found = 0;
	if (store_kv_list(i->a->store, "perry", DEVICE, &rows, err) < 0)
		return -1;
	cJSON_ArrayForEach(row, rows) {
		const char *name = json_str_or(row, "name", "");
		size_t label = strcspn(name, ".");
		if (strcmp(row->string + strlen(DEVICE), device) != 0 && strcmp(name, device) != 0 &&
		    !(strlen(device) == label && strncmp(name, device, label) == 0))
			continue;
		if (store_kv_set(i->a->store, "perry", row->string, NULL, err) < 0)
			return -1;
		streams_close_caller(i->a->streams, row->string + strlen(DEVICE));
		found++;
	}
	pthread_mutex_lock(&i->lock);
	forget_known(i);
	pthread_mutex_unlock(&i->lock);
	return found ? 0 : perry_fail(err, PERRY_ENOTFOUND, "no approved device is called %s", device);
}

/* --- our own workspaces --- */

/* Is the address in one of the networks that workspaces' containers have? */
static bool in_our_networks(struct identity *i, const char *address)
{
	cleanup_json cJSON *subnets = NULL;
	const cJSON *row;
	struct in_addr addr, net;
	if (inet_pton(AF_INET, address, &addr) != 1 || store_subnets(i->a->store, &subnets, NULL) < 0)
		return false;
	cJSON_ArrayForEach(row, subnets) {
		const char *text = json_str_or(row, "subnet", "");
		cleanup_free char *base = xstrndup(text, strcspn(text, "/"));
		if (inet_pton(AF_INET, base, &net) == 1 &&
		    ((ntohl(addr.s_addr) ^ ntohl(net.s_addr)) & 0xfffffff0u) == 0)
			return true;
	}
	return false;
}

static bool in_list(const cJSON *list, const char *text)
{
	const cJSON *s;
	cJSON_ArrayForEach(s, list)
		if (cJSON_IsString(s) && strcmp(s->valuestring, text) == 0)
			return true;
	return false;
}

/* A tag that keys for workspaces are made with: whoever has it is a workspace, of this agent or another one's. */
static bool has_workspace_tag(struct identity *i, const cJSON *tags)
{
	struct config *c = agent_config(i->a);
	const cJSON *configured = config_get(c, "tailscale.tags"), *tag;
	bool found = in_list(tags, DEFAULT_TAG);
	cJSON_ArrayForEach(tag, configured)
		found = found || (cJSON_IsString(tag) && in_list(tags, tag->valuestring));
	config_unref(c);
	return found;
}

static bool is_our_device(struct identity *i, const char *node, const char *address)
{
	cleanup_json cJSON *rows = NULL, *all = fleet_list(i->a->fleet);
	const cJSON *row;
	if (store_outbox(i->a->store, NULL, &rows, NULL) == 0)
		cJSON_ArrayForEach(row, rows)
			if (str_eq(json_str(row, "node"), node))
				return true;
	cJSON_ArrayForEach(row, all)
		if (str_eq(json_str(row, "tailnet.nodeId"), node) || str_eq(json_str(row, "tailnet.ip"), address))
			return true;
	return false;
}

/* Do all workspaces that are on the tailnet, one at least, have tags there? Then the keys that were given out make no
 * untagged devices. */
static bool keys_make_tagged(struct identity *i)
{
	cleanup_json cJSON *all = fleet_list(i->a->fleet);
	const cJSON *row;
	int tagged = 0;
	cJSON_ArrayForEach(row, all) {
		const char *ip = json_str(row, "tailnet.ip");
		cleanup_json cJSON *whois = NULL;
		if (!ip || tslocal_whois(tailnet_local(i->a->tailnet), ip, &whois, NULL) < 0)
			continue;
		if (cJSON_GetArraySize(json_at(whois, "Node.Tags")) == 0)
			return false;
		tagged++;
	}
	return tagged > 0;
}

/* A user's device that came after a workspace was given a key that can have made it: code in the workspace may have
 * caught the key. */
static bool is_unproven(struct identity *i, const cJSON *node)
{
	cleanup_json cJSON *given = NULL;
	if (store_kv_get(i->a->store, "perry", "tailnet.keyGiven", &given, NULL) < 0 || !given)
		return false;
	int64_t created = clock_parse_iso(json_str_or(node, "Created", ""));
	return (created < 0 || created >= (int64_t)given->valuedouble) && !keys_make_tagged(i);
}

/* --- who is it? --- */

static void set_tailnet_caller(struct caller *c, const cJSON *whois, const char *address)
{
	const cJSON *node = json_at(whois, "Node"), *tag;
	size_t used = 0;
	memset(c, 0, sizeof *c);
	c->kind = "tailnet";
	c->uid = (uid_t)-1;
	cJSON_ArrayForEach(tag, json_at(node, "Tags"))
		if (cJSON_IsString(tag) && used + strlen(tag->valuestring) + 2 < sizeof c->tags)
			used += (size_t)sprintf(c->tags + used, "%s%s", used ? " " : "", tag->valuestring);
	snprintf(c->login, sizeof c->login, "%s", used ? c->tags : json_str_or(whois, "UserProfile.LoginName", ""));
	snprintf(c->node_id, sizeof c->node_id, "%s", json_str_or(node, "StableID", ""));
	snprintf(c->node_name, sizeof c->node_name, "%s", json_str_or(node, "Name", ""));
	if (str_ends(c->node_name, "."))
		c->node_name[strlen(c->node_name) - 1] = 0;
	snprintf(c->address, sizeof c->address, "%s", address);
}

static void judge(struct identity *i, const cJSON *whois, const struct tailnet_node *self, struct identity_answer *out)
{
	const cJSON *node = json_at(whois, "Node"), *tags = json_at(node, "Tags");
	struct caller *c = &out->caller;
	bool tagged = cJSON_GetArraySize(tags) > 0;
	if (strcmp(c->node_id, self->id) == 0) { /* an address of ours in another spelling */
		out->who = WHO_OWN;
		return;
	}
	if (is_our_device(i, c->node_id, c->address) || (tagged && has_workspace_tag(i, tags))) {
		out->who = WHO_WORKSPACE;
		return;
	}
	out->who = WHO_TAILNET;
	out->approved = is_approved(i, c->node_id, c->login);
	cleanup_json cJSON *facts = cJSON_CreateObject();
	cJSON *req = json_obj(facts, "req"), *caller = json_obj(req, "caller"), *own = json_obj(req, "node");
	json_set_str(caller, "kind", "tailnet");
	json_set_str(caller, "login", tagged ? NULL : c->login);
	json_set(caller, "tags", tagged ? cJSON_Duplicate(tags, 1) : cJSON_CreateArray());
	json_set_str(caller, "node_id", c->node_id);
	json_set_str(caller, "address", c->address);
	json_set_bool(caller, "approved", out->approved);
	if (!tagged && !out->approved && is_unproven(i, node))
		json_set_bool(caller, "unproven", true);
	json_set_str(own, "login", self->tagged ? NULL : self->login);
	json_set_bool(own, "tagged", self->tagged);
	decide(i, facts, c);
	c->owner = c->rights & RIGHT_ADMIN;
}

static bool login_fits(const char *header, const cJSON *whois)
{
	cleanup_free char *login = rfc2047_decode(header);
	bool tagged = cJSON_GetArraySize(json_at(whois, "Node.Tags")) > 0;
	return !*login || (!tagged && str_eq(login, json_str(whois, "UserProfile.LoginName")));
}

void identity_find(struct identity *i, const struct identity_question *q, struct identity_answer *out)
{
	struct tailnet_node self;
	cleanup_json cJSON *whois = NULL;
	cleanup_err struct perry_err *e = NULL;
	*out = (struct identity_answer){ .who = WHO_NOBODY };
	pthread_mutex_lock(&i->lock);
	unsigned generation = i->generation;
	pthread_mutex_unlock(&i->lock);
	tailnet_node(i->a->tailnet, &self);
	for (int k = 0; k < self.nips; k++)
		if (strcmp(self.ips[k], q->address) == 0)
			out->who = WHO_OWN;
	if (out->who == WHO_NOBODY && in_our_networks(i, q->address))
		out->who = WHO_WORKSPACE;
	if (out->who == WHO_NOBODY && self.running && *q->address) {
		if (tslocal_whois(tailnet_local(i->a->tailnet), q->address, &whois, &e) == 0 &&
		    login_fits(q->login, whois)) {
			set_tailnet_caller(&out->caller, whois, q->address);
			judge(i, whois, &self, out);
		} else if (e && e->code != PERRY_ENOTFOUND) {
			log_warn("agent", "who calls from %s is not known: %s", q->address, perry_msg(e));
			return; /* and not remembered */
		}
	}
	pthread_mutex_lock(&i->lock);
	if (generation == i->generation)
		i->known[i->next_known++ % MAX_KNOWN] = (struct known){
			.q = *q, .answer = *out, .epoch = self.epoch, .until = clock_mono_ms() + REMEMBER_MS
		};
	pthread_mutex_unlock(&i->lock);
}

bool identity_known(struct identity *i, const struct identity_question *q, struct identity_answer *out)
{
	struct tailnet_node self;
	int64_t now = clock_mono_ms();
	bool found = false;
	tailnet_node(i->a->tailnet, &self);
	pthread_mutex_lock(&i->lock);
	refresh(i);
	for (int k = 0; k < MAX_KNOWN && !found; k++) {
		const struct known *n = &i->known[k];
		found = n->until > now && n->epoch == self.epoch && strcmp(n->q.address, q->address) == 0 &&
			strcmp(n->q.login, q->login) == 0;
		if (found)
			*out = n->answer;
	}
	pthread_mutex_unlock(&i->lock);
	return found;
}
