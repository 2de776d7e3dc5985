/* The original's state.json, taken over once:
 * {"workspaces":{name:{name,status,containerId,created,ports:{ssh,forwards},repo,lastUsed}}}. */
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/internal.h"

#define STATE_MAX (16 * 1024 * 1024)

static bool name_ok(const char *name)
{
	size_t n = strlen(name);
	if (n == 0 || n > 63 || name[0] == '-' || name[n - 1] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* ISO text as the original wrote it, or milliseconds. */
static int64_t time_of(const cJSON *old, const char *key, int64_t dflt)
{
	const char *text = json_str(old, key);
	int64_t ms = text ? clock_parse_iso(text) : json_int_or(old, key, -1);
	return ms >= 0 ? ms : dflt;
}

/* {"ssh", "forwards": [{"host", "container"}]}; some versions wrote a forward as one number. The port may be 0: none.
 */
static void put_ports(cJSON *ws, const cJSON *old)
{
	cJSON *ports = json_obj(ws, "ports");
	cJSON *forwards = cJSON_CreateArray();
	const cJSON *forward;
	json_set_int(ports, "ssh", json_int_or(old, "ports.ssh", 0));
	cJSON_ArrayForEach(forward, json_at(old, "ports.forwards")) {
		int64_t port = cJSON_IsNumber(forward) ? (int64_t)forward->valuedouble : 0;
		int64_t host = json_int_or(forward, "host", port), container = json_int_or(forward, "container", host);
		if (host < 1 || host > 65535 || container < 1 || container > 65535)
			continue;
		cJSON *one = cJSON_CreateObject();
		json_set_int(one, "host", host);
		json_set_int(one, "container", container);
		json_push(forwards, one);
	}
	json_set(ports, "forwards", forwards);
}

/* Nothing of it is started by itself: its container is not one of ours, and "start" makes ours around the same home
 * volume. */
static cJSON *record_of(const char *name, const cJSON *old)
{
	cJSON *ws = cJSON_CreateObject();
	json_set_str(ws, "name", name);
	int64_t created = time_of(old, "created", clock_ms());
	json_set_int(ws, "created", created);
	json_set_int(ws, "lastUsed", time_of(old, "lastUsed", created));
	json_set_str(ws, "desired", "stopped");
	json_set_str(ws, "state", "ready");
	json_set_str(ws, "repo", json_str(old, "repo"));
	cJSON *legacy = json_obj(ws, "legacy");
	json_set_str(legacy, "containerId", json_str(old, "containerId"));
	json_set_str(legacy, "status", json_str(old, "status"));
	put_ports(ws, old);
	return ws;
}

struct import {
	const char *path;
	const cJSON *workspaces;
	int count;
};

static int import_one(struct db *db, struct import *im, const cJSON *old, struct perry_err **err)
{
	const char *name = old->string;
	if (!name_ok(name) || !cJSON_IsObject(old)) {
		log_warn("store",
			 "%s: workspace \"%s\" is not taken over: not a valid name or record (its home stays in the "
			 "volume "
			 "workspace-%s)",
			 im->path, name, name);
		return 0;
	}
	cleanup_json cJSON *ws = record_of(name, old);
	cleanup_err struct perry_err *why = NULL;
	if (ws_insert(db, ws, &why)) {
		if (why->code != PERRY_ECONFLICT)
			return perry_move(err, take_ptr(why));
		log_warn("store", "%s: workspace \"%s\" is not taken over: it exists already", im->path, name);
		return 0;
	}
	im->count++;
	return 0;
}

static int already(struct db *db, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(db, err, "SELECT 1 FROM kv WHERE scope = 'perry' AND key = 'legacy'", "");
	int rc = st ? db_step(db, st, err) : -1;
	if (rc > 0)
		sqlite3_reset(st);
	return rc;
}

static int do_import(struct db *db, void *arg, struct perry_err **err)
{
	struct import *im = arg;
	const cJSON *old;
	im->count = 0;
	int rc = already(db, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	cJSON_ArrayForEach(old, im->workspaces)
		if (import_one(db, im, old, err))
			return -1;
	cleanup_json cJSON *mark = cJSON_CreateObject();
	json_set_str(mark, "path", im->path);
	json_set_int(mark, "at", clock_ms());
	json_set_int(mark, "workspaces", im->count);
	cleanup_free char *text = json_print(mark);
	return db_run(db, err, "INSERT INTO kv(scope, key, value) VALUES('perry', 'legacy', ?)", "s", text);
}

static int imported_before(struct store *s, struct perry_err **err)
{
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	int rc = already(db, err);
	store_reader_done(s, db);
	return rc;
}

int store_import_legacy(struct store *s, const char *state_json, int *imported, struct perry_err **err)
{
	if (imported)
		*imported = 0;
	int before = imported_before(s, err);
	if (before)
		return before < 0 ? -1 : 0;
	cleanup_buf struct buf text = { 0 };
	cleanup_err struct perry_err *why = NULL;
	if (file_read(state_json, STATE_MAX, &text, &why))
		return why->code == PERRY_ENOTFOUND ? 0 : perry_move(err, take_ptr(why));
	cleanup_json cJSON *state = json_parse(buf_str(&text), text.len, state_json, err);
	if (!state)
		return -1;
	const cJSON *workspaces = json_at(state, "workspaces");
	if (workspaces && !cJSON_IsNull(workspaces) && !cJSON_IsObject(workspaces))
		return perry_fail(err, PERRY_EINPUT, "%s: workspaces: expected object, got %s", state_json,
				  json_type_name(workspaces));
	struct import im = { .path = state_json, .workspaces = workspaces };
	if (store_write(s, do_import, &im, err))
		return -1;
	if (imported)
		*imported = im.count;
	return 0;
}
