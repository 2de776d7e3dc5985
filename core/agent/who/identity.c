#include "agent/who/identity.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/tailnet/rfc2047.h"
#include "agent/tailnet/tailnet.h"
#include "agent/who/approvals.h"
#include "agent/who/decisions.h"
#include "agent/who/networks.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "store/store.h"
#include "tailscale/evidence.h"
#include "tailscale/local.h"

enum {
	REMEMBER_MS = 10 * 1000, /* of an address; less when tailscaled says anything */
	MAX_KNOWN = 128,
};
#define DEFAULT_TAG "tag:perry-workspace"

/* All that an answer rests on: it holds while they are the same. */
struct basis {
	unsigned tailnet, decisions, approvals;
};

struct known {
	struct identity_question q;
	struct identity_answer answer;
	struct basis basis;
	int64_t until;
};

struct identity {
	struct agent *a;
	pthread_mutex_t lock; /* all below */
	struct known known[MAX_KNOWN];
	int next_known;
};

struct identity *identity_new(struct agent *a)
{
	struct identity *i = xcalloc(1, sizeof *i);
	i->a = a;
	pthread_mutex_init(&i->lock, NULL);
	return i;
}

void identity_free(struct identity *i)
{
	if (!i)
		return;
	pthread_mutex_destroy(&i->lock);
	free(i);
}

static struct basis basis_now(struct identity *i, const struct tailnet_node *self)
{
	return (struct basis){ self->epoch, decisions_epoch(i->a->decisions), approvals_epoch(i->a) };
}

/* --- our own workspaces --- */

/* A tag that keys for workspaces are made with: whoever has it is a workspace, of this agent or another one's. */
static bool has_workspace_tag(struct identity *i, const cJSON *tags)
{
	struct config *c = agent_config(i->a);
	const cJSON *configured = config_get(c, "tailscale.tags"), *tag;
	bool found = json_list_has(tags, DEFAULT_TAG);
	cJSON_ArrayForEach(tag, configured)
		found = found || (cJSON_IsString(tag) && json_list_has(tags, tag->valuestring));
	config_unref(c);
	return found;
}

static int64_t created_at(const cJSON *node)
{
	return clock_parse_iso(json_str_or(node, "Created", ""));
}

/* A workspace says which device is its own; it counts when the device was made while the workspace joined. */
static bool is_our_device(struct identity *i, const char *node, int64_t created)
{
	cleanup_json cJSON *rows = NULL;
	const cJSON *row;
	if (store_outbox(i->a->store, NULL, &rows, NULL) == 0)
		cJSON_ArrayForEach(row, rows)
			if (str_eq(json_str(row, "node"), node) && evidence_in_join(row, created))
				return true;
	return false;
}

/* A user's device that came after a workspace was given a key that can have made it: code in the workspace may have
 * caught the key. */
static bool is_unproven(struct identity *i, const cJSON *node)
{
	cleanup_json cJSON *given = NULL;
	if (store_kv_get(i->a->store, "perry", "tailnet.keyGiven", &given, NULL) < 0 || !given)
		return false;
	int64_t created = created_at(node);
	return created <= 0 || created >= (int64_t)given->valuedouble - EVIDENCE_SKEW_MS;
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
	if (is_our_device(i, c->node_id, created_at(node)) || (tagged && has_workspace_tag(i, tags))) {
		out->who = WHO_WORKSPACE;
		return;
	}
	out->who = WHO_TAILNET;
	out->approved = approvals_has(i->a, c->node_id, c->login);
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
	decisions_find(i->a->decisions, facts, c);
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
	tailnet_node(i->a->tailnet, &self);
	/* Before anything is asked: what changes meanwhile makes the answer an old one. */
	struct basis basis = basis_now(i, &self);
	for (int k = 0; k < self.nips; k++)
		if (strcmp(self.ips[k], q->address) == 0)
			out->who = WHO_OWN;
	if (out->who == WHO_NOBODY && networks_have(i->a, q->address))
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
	i->known[i->next_known++ % MAX_KNOWN] =
		(struct known){ .q = *q, .answer = *out, .basis = basis, .until = clock_mono_ms() + REMEMBER_MS };
	pthread_mutex_unlock(&i->lock);
}

bool identity_known(struct identity *i, const struct identity_question *q, struct identity_answer *out)
{
	struct tailnet_node self;
	int64_t now = clock_mono_ms();
	bool found = false;
	tailnet_node(i->a->tailnet, &self);
	struct basis basis = basis_now(i, &self);
	pthread_mutex_lock(&i->lock);
	for (int k = 0; k < MAX_KNOWN && !found; k++) {
		const struct known *n = &i->known[k];
		found = n->until > now && memcmp(&n->basis, &basis, sizeof basis) == 0 &&
			strcmp(n->q.address, q->address) == 0 && strcmp(n->q.login, q->login) == 0;
		if (found)
			*out = n->answer;
	}
	pthread_mutex_unlock(&i->lock);
	return found;
}
