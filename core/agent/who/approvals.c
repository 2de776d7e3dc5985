#include "agent/who/approvals.h"

#include <stdatomic.h>
#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/stream/stream.h"
#include "agent/who/auth.h"
#include "agent/who/mark.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"

#define DEVICE "device:"

bool approvals_has(struct agent *a, const char *node, const char *login)
{
	char mark[65];
	cleanup_free char *key = xasprintf(DEVICE "%s", node);
	cleanup_json cJSON *row = NULL;
	agent_token_mark(a, mark);
	return store_kv_get(a->store, "perry", key, &row, NULL) == 0 && row && str_eq(json_str(row, "token"), mark) &&
	       str_eq(json_str(row, "login"), login);
}

void approvals_add(struct agent *a, const struct caller *c)
{
	char mark[65];
	cleanup_err struct perry_err *e = NULL;
	cleanup_free char *key = xasprintf(DEVICE "%s", c->node_id);
	cleanup_json cJSON *row = cJSON_CreateObject();
	if (!*c->node_id)
		return;
	agent_token_mark(a, mark);
	json_set_str(row, "name", c->node_name);
	json_set_str(row, "login", c->login);
	json_set_int(row, "at", clock_ms());
	json_set_str(row, "token", mark);
	if (store_kv_set(a->store, "perry", key, row, &e) < 0)
		log_warn("agent", "the approval of %s cannot be kept: %s", c->node_name, perry_msg(e));
	else
		log_info("agent", "%s (%s) was given the token and is approved", c->node_name, c->login);
	atomic_fetch_add(&a->approvals, 1);
}

int approvals_list(struct agent *a, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *rows = NULL;
	const cJSON *row;
	char mark[65];
	if (store_kv_list(a->store, "perry", DEVICE, &rows, err) < 0)
		return -1;
	agent_token_mark(a, mark);
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

int approvals_forget(struct agent *a, const char *device, struct perry_err **err)
{
	cleanup_json cJSON *rows = NULL;
	const cJSON *row;
	int found = 0;
	if (store_kv_list(a->store, "perry", DEVICE, &rows, err) < 0)
		return -1;
	cJSON_ArrayForEach(row, rows) {
		const char *name = json_str_or(row, "name", "");
		size_t label = strcspn(name, ".");
		if (strcmp(row->string + strlen(DEVICE), device) != 0 && strcmp(name, device) != 0 &&
		    !(strlen(device) == label && strncmp(name, device, label) == 0))
			continue;
		if (store_kv_set(a->store, "perry", row->string, NULL, err) < 0)
			return -1;
		atomic_fetch_add(&a->approvals, 1);
		streams_close_caller(a->streams, row->string + strlen(DEVICE));
		found++;
	}
	return found ? 0 : perry_fail(err, PERRY_ENOTFOUND, "no approved device is called %s", device);
}

unsigned approvals_epoch(struct agent *a)
{
	return atomic_load(&a->approvals);
}
