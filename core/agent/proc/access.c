/* Who of the tailnet may use this agent: config.json's "access", and the devices that a token approved. */
#include <ctype.h>
#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/stream/stream.h"
#include "agent/tailnet/tailnet.h"
#include "agent/who/approvals.h"
#include "base/mem.h"

int proc_access_list(struct call *c, cJSON **out, struct perry_err **err)
{
	struct tailnet_node self;
	cJSON *devices = NULL;
	if (approvals_list(c->a, &devices, err) < 0)
		return -1;
	struct config *config = agent_config(c->a);
	const cJSON *list = config_get(config, "access");
	tailnet_node(c->a->tailnet, &self);
	*out = cJSON_CreateObject();
	if (self.running && *self.login)
		json_set_str(*out, "owner", self.login);
	json_set(*out, "access", list ? cJSON_Duplicate(list, 1) : cJSON_CreateArray());
	json_set(*out, "devices", devices);
	config_unref(config);
	return 0;
}

struct entry {
	const char *name;
	bool found;
};

static cJSON *find(cJSON *list, const char *name)
{
	cJSON *s;
	cJSON_ArrayForEach(s, list)
		if (cJSON_IsString(s) && strcmp(s->valuestring, name) == 0)
			return s;
	return NULL;
}

static int add(cJSON *root, void *ctx, struct perry_err **err)
{
	struct entry *e = ctx;
	cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "access");
	if (!cJSON_IsArray(list)) {
		json_set(root, "access", cJSON_CreateArray());
		list = cJSON_GetObjectItemCaseSensitive(root, "access");
	}
	e->found = find(list, e->name);
	if (!e->found)
		json_push_str(list, e->name);
	return 0;
}

static int drop(cJSON *root, void *ctx, struct perry_err **err)
{
	struct entry *e = ctx;
	cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "access"), *s = find(list, e->name);
	e->found = s;
	cJSON_Delete(cJSON_DetachItemViaPointer(list, s));
	return 0;
}

/* One word: "anna@example.com", "anna@github", "anna" (Headscale), "tag:ci". */
static int check_name(const char *name, struct perry_err **err)
{
	bool word = *name && strlen(name) < 200;
	for (const char *p = name; word && *p; p++)
		word = !isspace((unsigned char)*p) && !iscntrl((unsigned char)*p);
	if (word)
		return 0;
	return perry_fail(err, PERRY_EINPUT,
			  "\"%.200s\" is neither a login such as anna@example.com nor a tag such as tag:ci", name);
}

int proc_access_add(struct call *c, cJSON **out, struct perry_err **err)
{
	struct entry e = { .name = call_str(c, "login") };
	if (check_name(e.name, err) < 0 || agent_config_edit(c->a, add, &e, err) < 0)
		return -1;
	return proc_access_list(c, out, err);
}

int proc_access_remove(struct call *c, cJSON **out, struct perry_err **err)
{
	struct entry e = { .name = call_str(c, "login") };
	cleanup_err struct perry_err *none = NULL;
	if (agent_config_edit(c->a, drop, &e, err) < 0)
		return -1;
	if (approvals_forget(c->a, e.name, &none) < 0 && none->code != PERRY_ENOTFOUND)
		return perry_move(err, take_ptr(none));
	if (none && !e.found)
		return perry_fail(err, PERRY_ENOTFOUND,
				  "%s is neither in the list nor an approved device (see: perry access list)", e.name);
	if (e.found)
		streams_close_caller(c->a->streams, e.name);
	return proc_access_list(c, out, err);
}
