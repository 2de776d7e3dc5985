/* Headscale's REST API v1. Ids are numbers that travel as text. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tailscale/control_priv.h"

static int mint(struct control *c, const struct control_mint *want, struct control_key *out, struct perry_err **err)
{
	cleanup_json cJSON *body = cJSON_CreateObject(), *answer = NULL;
	char expires[32];
	clock_iso(clock_ms() + want->expiry_s * 1000LL, expires);
	json_set_bool(body, "reusable", false);
	json_set_bool(body, "ephemeral", want->ephemeral);
	json_set_str(body, "expiration", expires);
	/* A key is owned by a user or by its tags. */
	if (want->tags && *want->tags) {
		cJSON *tags = cJSON_CreateArray();
		for (const char *const *t = want->tags; *t; t++)
			json_push_str(tags, *t);
		json_set(body, "aclTags", tags);
	} else {
		json_set_str(body, "user", c->user);
	}
	struct control_call call = { .method = "POST", .path = "/api/v1/preauthkey" };
	if (control_json(c, &call, body, &answer, err) < 0)
		return -1;
	return control_take_key(c, cJSON_GetObjectItemCaseSensitive(answer, "preAuthKey"), "expiration", out, err);
}

static bool no_such_key(const char *reason)
{
	return strstr(reason, "not found") != NULL;
}

static int key_revoke(struct control *c, const char *id, struct perry_err **err)
{
	cleanup_json cJSON *body = cJSON_CreateObject(), *answer = NULL;
	json_set_str(body, "id", id);
	struct control_call call = {
		.method = "POST", .path = "/api/v1/preauthkey/expire", .absent_ok = true, .absent = no_such_key
	};
	return control_json(c, &call, body, &answer, err);
}

static cJSON *view(const cJSON *node)
{
	cJSON *out = cJSON_CreateObject();
	const char *user = json_str(node, "user.name"), *key = json_str(node, "preAuthKey.id");
	json_set_str(out, "id", json_str(node, "id"));
	json_set_str(out, "name", json_str_or(node, "givenName", json_str_or(node, "name", "")));
	json_set_str(out, "hostname", json_str_or(node, "name", ""));
	control_copy_texts(out, "addresses", json_at(node, "ipAddresses"));
	control_copy_texts(out, "tags", json_at(node, "tags"));
	json_set_str(out, "user", user);
	json_set_bool(out, "online", json_bool_or(node, "online", false));
	control_set_time(out, "created", node, "createdAt");
	control_set_time(out, "lastSeen", node, "lastSeen");
	control_set_time(out, "expires", node, "expiry");
	if (key) {
		json_set_str(out, "keyId", key);
		json_set_bool(out, "ephemeral", json_bool_or(node, "preAuthKey.ephemeral", false));
	}
	return out;
}

static int devices(struct control *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL, *list = cJSON_CreateArray();
	const cJSON *node, *nodes;
	struct control_call call = { .method = "GET", .path = "/api/v1/node", .max = CONTROL_LIST_MAX };
	if (control_json(c, &call, NULL, &answer, err) < 0)
		return -1;
	nodes = cJSON_GetObjectItemCaseSensitive(answer, "nodes");
	if (!cJSON_IsArray(nodes))
		return control_odd(c, "a list of nodes", err);
	cJSON_ArrayForEach(node, nodes) {
		if (!control_id_ok(json_str(node, "id")))
			return control_odd(c, "nodes with ids", err);
		json_push(list, view(node));
	}
	*out = take_ptr(list);
	return 0;
}

static int device(struct control *c, const char *id, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL;
	cleanup_free char *path = xasprintf("/api/v1/node/%s", id);
	struct control_call call = { .method = "GET", .path = path };
	if (control_json(c, &call, NULL, &answer, err) < 0)
		return -1;
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(answer, "node");
	if (!str_eq(json_str(node, "id"), id))
		return control_odd(c, "the node that was asked for", err);
	*out = view(node);
	return 0;
}

static int device_delete(struct control *c, const char *id, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL;
	cleanup_free char *path = xasprintf("/api/v1/node/%s", id);
	struct control_call call = { .method = "DELETE", .path = path, .absent_ok = true };
	return control_json(c, &call, NULL, &answer, err);
}

const struct control_api control_headscale = { mint, key_revoke, devices, device, device_delete };
