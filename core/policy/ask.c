#include "policy/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "policy/contract/access.h"
#include "policy/contract/points.h"
#include "policy/contract/result.h"
#include "policy/session.h"

/* The first row of an exchange has the facts that all of them were made on. */
static void keep_rows(const struct policy_session *s, const cJSON *facts, cJSON *reply, cJSON *decisions)
{
	cJSON *rows = cJSON_GetObjectItemCaseSensitive(reply, "rows");
	if (decisions && rows && rows->child && facts)
		json_set(rows->child, "facts", cJSON_Duplicate(facts, 1));
	while (decisions && rows && rows->child) {
		cJSON *row = cJSON_DetachItemFromArray(rows, 0);
		const cJSON *hash = cJSON_GetObjectItemCaseSensitive(s->hashes, json_str_or(row, "file", ""));
		json_set_str(row, "hash", cJSON_IsString(hash) ? hash->valuestring : NULL);
		json_push(decisions, row);
	}
}

static void remember_workspace(struct policy_session *s, const cJSON *facts)
{
	const char *name = json_str(facts, "ws.name");
	free(s->workspace);
	s->workspace = xstrdup(name);
}

int session_ask(struct policy_session *s, const struct point *point, const cJSON *facts, const cJSON *extra, bool each,
		cJSON **reply, struct perry_err **err)
{
	cleanup_json cJSON *msg = cJSON_CreateObject();
	json_set_str(msg, "ask", point->name);
	json_set(msg, "facts", facts ? cJSON_Duplicate(facts, 1) : cJSON_CreateObject());
	if (extra)
		json_set(msg, "extra", cJSON_Duplicate(extra, 1));
	if (each)
		json_set_bool(msg, "each", true);
	json_set(msg, "files", cJSON_DetachItemFromObjectCaseSensitive(s->later, point->name));
	remember_workspace(s, facts);
	s->point = point;
	int64_t began = clock_mono_ms();
	int r = session_exchange(s, msg, session_wall_ms(s, point), reply, err);
	log_debug("hook", "%s%s%s: %s after %lld ms", point->name, s->workspace ? " " : "",
		  s->workspace ? s->workspace : "", r == 0 ? "decided" : "failed",
		  (long long)(clock_mono_ms() - began));
	return r;
}

int session_load(struct policy_session *s, const char *layer, const struct point *point, struct perry_err **err)
{
	cleanup_json cJSON *msg = cJSON_CreateObject(), *reply = NULL;
	json_set_str(msg, "load", point->name);
	json_set_str(msg, "layer", layer);
	s->point = point;
	if (session_exchange(s, msg, session_wall_ms(s, point), &reply, err) < 0)
		return -1;
	cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(reply, "error");
	return record ? record_fail(s, record, err) : 0;
}

static int bad_answer(const struct policy_session *s, const char *point, const char *why, struct perry_err **err)
{
	cJSON *record = cJSON_CreateObject();
	json_set_str(record, "point", point);
	json_set_str(record, "message", why);
	json_set_str(record, "cause", "type");
	return record_fail(s, record, err);
}

/* The child has checked already, with the file's name; this one counts. */
static int check_answer(const struct policy_session *s, const struct point *point, cJSON **answer,
			struct perry_err **err)
{
	struct buf why = { 0 };
	int r = result_check(point->result, answer, &why);
	if (r < 0)
		bad_answer(s, point->name, buf_str(&why), err);
	buf_free(&why);
	if (r == 0 && point->kind == POINT_CONSENT && !cJSON_IsTrue(*answer))
		r = bad_answer(s, point->name, "refused", err);
	struct perry_err *secret = NULL;
	if (r == 0 && access_secrets(NULL, *answer, NULL, &secret) < 0) {
		r = bad_answer(s, point->name, perry_msg(secret), err);
		perry_err_free(secret);
	}
	return r;
}

int policy_ask(struct policy_session *s, const char *name, const cJSON *facts, const cJSON *extra, cJSON **answer,
	       cJSON *decisions, struct perry_err **err)
{
	const struct point *point = point_find(name);
	cleanup_json cJSON *reply = NULL;
	if (answer)
		*answer = NULL;
	if (!point) {
		const char *near = point_nearest(name);
		return perry_fail(err, PERRY_EINPUT, "there is no hook point '%s'%s%s%s", name,
				  near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	}
	if (session_ask(s, point, facts, extra, false, &reply, err) < 0)
		return -1;
	keep_rows(s, facts, reply, decisions);
	cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(reply, "error");
	if (record)
		return record_fail(s, record, err);
	cJSON *got = cJSON_DetachItemFromObjectCaseSensitive(reply, "answer");
	if (point->kind == POINT_ACTION) {
		cJSON_Delete(got);
		return 0;
	}
	if (check_answer(s, point, &got, err) < 0) {
		cJSON_Delete(got);
		return -1;
	}
	if (answer)
		*answer = take_ptr(got);
	cJSON_Delete(got);
	return 0;
}

/* -- the plan -- */

static int refuse_mount(const struct policy_session *s, const char *text, struct perry_err **err)
{
	cJSON *record = cJSON_CreateObject();
	json_set_str(record, "point", "review");
	json_set_str(record, "message", text);
	json_set_bool(record, "refused", true);
	return record_fail(s, record, err);
}

/* The review hook compares texts, and a link may lead anywhere; that only the agent can see. So a path has no links,
 * and is there: nobody can still make it. */
static int check_links(const struct policy_session *s, const cJSON *container, struct perry_err **err)
{
	const cJSON *mount;
	cJSON_ArrayForEach(mount, cJSON_GetObjectItemCaseSensitive(container, "mounts")) {
		const char *source = json_str_or(mount, "source", "");
		if (!str_eq(json_str(mount, "type"), "bind"))
			continue;
		cleanup_free char *real = realpath(source, NULL);
		if (real && strcmp(real, source) == 0)
			continue;
		cleanup_free char *text =
			real ? xasprintf("the mount %s leads to %s: name that itself, if it is in allowedMounts",
					 source, real)
			     : xasprintf("the mount %s cannot be looked at: %s", source, strerror(errno));
		return refuse_mount(s, text, err);
	}
	return 0;
}

static int finish_plan(const struct policy_session *s, cJSON *plan, struct perry_err **err)
{
	static const struct {
		const char *member, *point;
	} parts[] = { { "image", "image" },
		      { "env", "env" },
		      { "container", "container" },
		      { "hostname", "hostname" },
		      { "tailscale_up", "tailscale_up" },
		      { "join", "auth_key" } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct point *point = point_find(parts[i].point);
		cJSON *v = cJSON_DetachItemFromObjectCaseSensitive(plan, parts[i].member);
		if (!v && point->rule == RULE_DEGRADE)
			continue;
		if (!v)
			v = cJSON_CreateNull();
		int r = check_answer(s, point, &v, err);
		json_set(plan, parts[i].member, v);
		if (r < 0)
			return -1;
	}
	const cJSON *container = json_at(plan, "container");
	if (check_links(s, container, err) < 0)
		return -1;
	char hash[65];
	cleanup_free char *text = json_canonical(container);
	sha256_hex(text, strlen(text), hash);
	json_set_str(plan, "hash", hash);
	return 0;
}

int policy_plan(struct policy_session *s, const cJSON *facts, cJSON **plan, cJSON *decisions, struct perry_err **err)
{
	cleanup_json cJSON *msg = cJSON_CreateObject(), *reply = NULL;
	*plan = NULL;
	json_set_bool(msg, "plan", true);
	json_set(msg, "facts", cJSON_Duplicate(facts, 1));
	remember_workspace(s, facts);
	s->point = NULL;
	if (session_exchange(s, msg, 3 * session_wall_ms(s, point_find("image")), &reply, err) < 0)
		return -1;
	keep_rows(s, facts, reply, decisions);
	cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(reply, "error");
	if (record)
		return record_fail(s, record, err);
	cleanup_json cJSON *got = cJSON_DetachItemFromObjectCaseSensitive(reply, "answer");
	if (!cJSON_IsObject(got))
		return perry_fail(err, PERRY_EPOLICY, "the policy process made no plan");
	if (finish_plan(s, got, err) < 0)
		return -1;
	*plan = take_ptr(got);
	return 0;
}
