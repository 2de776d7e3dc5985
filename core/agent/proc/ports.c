/* Procedures on what listens in workspaces. */
#include <string.h>
#include <time.h>

#include "agent/internal.h"
#include "agent/ports.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/watch/watchers.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ops/fleet.h"
#include "store/store.h"

enum { SERVE_WAIT_MS = 10000, SERVE_LOOK_MS = 50, ERROR_AFTER_MS = 1500, MAX_WEB = 16 };

int proc_ports_list(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	*out = agent_ports(c->a, record);
	return 0;
}

/* --- a web address for one port --- */

/* The record's list without what makes way for port at https_port; off: without it. Caller frees. */
static cJSON *new_list(const cJSON *record, int port, int https_port, bool any_https_port, bool off)
{
	cJSON *list = cJSON_CreateArray();
	const cJSON *web;
	cJSON_ArrayForEach(web, cJSON_GetObjectItemCaseSensitive(record, "serve")) {
		bool same_place = json_int_or(web, "port", 0) == https_port,
		     same_target = json_int_or(web, "target", 0) == port;
		if (off ? !(same_target && (same_place || any_https_port)) : !same_place)
			json_push(list, cJSON_Duplicate(web, 1));
	}
	if (!off) {
		cJSON *mine = cJSON_CreateObject();
		json_set_int(mine, "port", https_port);
		json_set_int(mine, "target", port);
		json_push(list, mine);
	}
	return list;
}

static int put_list(struct call *c, const char *name, cJSON *take_list, struct perry_err **err)
{
	cleanup_json cJSON *change = cJSON_CreateObject(), *record = NULL;
	json_set(change, "serve", take_list);
	if (store_ws_patch(c->a->store, name, change, &record, err) < 0)
		return -1;
	fleet_put(c->a->fleet, name, record);
	watchers_serve_changed(c->a->watchers, name);
	return 0;
}

/* What the workspace has put in place for it: without certificates port 443 becomes 80. */
static const cJSON *placed(const cJSON *look, int port, int https_port)
{
	const cJSON *web;
	cJSON_ArrayForEach(web, json_at(look, "serve.web")) {
		int64_t at = json_int_or(web, "port", 0);
		if (json_int_or(web, "target", 0) == port && (at == https_port || (https_port == 443 && at == 80)))
			return web;
	}
	return NULL;
}

static int wait_placed(struct call *c, const char *name, int port, int https_port, cJSON **out, struct perry_err **err)
{
	int64_t began = clock_mono_ms();
	for (;;) {
		cleanup_json cJSON *look = watchers_look(c->a->watchers, name);
		const cJSON *web = placed(look, port, https_port);
		int64_t took = clock_mono_ms() - began;
		const char *error = json_str(look, "serve.error");
		if (web) {
			*out = cJSON_Duplicate(web, 1);
			return 0;
		}
		if (error && took > ERROR_AFTER_MS)
			return perry_fail(err, PERRY_ECONFLICT, "%s", error);
		if (took > SERVE_WAIT_MS || atomic_load(&c->cancel.set))
			return perry_fail(err, PERRY_ETIMEOUT,
					  "the workspace did not change its serve configuration in time");
		nanosleep(&(struct timespec){ 0, SERVE_LOOK_MS * 1000000L }, NULL);
	}
}

/* So that a look after the answer sees it. One that does not run has nothing in place. */
static void wait_gone(struct call *c, const char *name, int port, int https_port)
{
	for (int64_t until = clock_mono_ms() + ERROR_AFTER_MS; clock_mono_ms() < until;) {
		cleanup_json cJSON *look = watchers_look(c->a->watchers, name);
		if (!placed(look, port, https_port))
			return;
		nanosleep(&(struct timespec){ 0, SERVE_LOOK_MS * 1000000L }, NULL);
	}
}

static int need_node(struct call *c, const cJSON *record, struct perry_err **err)
{
	cleanup_json cJSON *look = watchers_look(c->a->watchers, json_str_or(record, "name", ""));
	/* One that has just started has joined before its watch tells of it. */
	const char *told = json_str(look, "tailnet.state"), *noted = json_str_or(record, "tailnet.state", "none");
	if (told ? strcmp(told, "Running") == 0 : strcmp(noted, "connected") == 0)
		return 0;
	return perry_fail(
		err, PERRY_ESTATE, "%s: %s", json_str_or(record, "name", ""),
		json_str_or(look, "problem",
			    json_str_or(record, "tailnet.error",
					"the workspace is on no tailnet; perry tailnet setup gives it a key")));
}

int proc_ports_serve(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name");
	int port = (int)json_int_or(c->input, "port", 0), https_port = (int)json_int_or(c->input, "httpsPort", 443);
	bool off = json_bool_or(c->input, "off", false);
	cleanup_json cJSON *record = NULL, *web = NULL;
	if (off ? call_workspace(c, "name", &record, err) < 0
		: call_running_workspace(c, "name", &record, err) < 0 || need_node(c, record, err) < 0)
		return -1;
	const cJSON *before = cJSON_GetObjectItemCaseSensitive(record, "serve");
	cJSON *list = new_list(record, port, https_port, !cJSON_HasObjectItem(c->input, "httpsPort"), off);
	if (off && cJSON_GetArraySize(list) == cJSON_GetArraySize(before)) {
		cJSON_Delete(list);
		return perry_fail(err, PERRY_ENOTFOUND, "Port %d of %s has no address of its own", port, name);
	}
	if (cJSON_GetArraySize(list) > MAX_WEB) {
		cJSON_Delete(list);
		return perry_fail(err, PERRY_EINPUT, "At most %d ports of a workspace have an address of their own",
				  MAX_WEB);
	}
	if (put_list(c, name, list, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	if (off) {
		wait_gone(c, name, port, https_port);
		return 0;
	}
	if (wait_placed(c, name, port, https_port, &web, err) < 0) {
		put_list(c, name, cJSON_IsArray(before) ? cJSON_Duplicate(before, 1) : cJSON_CreateArray(), NULL);
		cJSON_Delete(take_ptr(*out));
		return -1;
	}
	cleanup_json cJSON *ports = agent_ports(c->a, record);
	cleanup_free char *url = ports_web_url(web, json_str_or(ports, "dnsName", name));
	json_set_str(*out, "url", url);
	json_set_str(*out, "scheme", json_str(web, "scheme"));
	json_set_int(*out, "port", json_int_or(web, "port", 0));
	return 0;
}
