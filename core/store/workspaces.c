
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "store/internal.h"

int ws_load(struct db *db, const char *name, cJSON **out, struct perry_err **err)
{
	return db_doc(db, err, "SELECT doc FROM workspaces WHERE name = ?", name, "Workspace not found", out);
}

int ws_save(struct db *db, const char *name, cJSON *doc, struct perry_err **err)
{
	json_set_int(doc, "rev", json_int_or(doc, "rev", 0) + 1);
	cleanup_free char *text = json_print(doc);
	return db_run(db, err, "UPDATE workspaces SET doc = ? WHERE name = ?", "ss", text, name);
}

static void default_str(cJSON *doc, const char *key, const char *value)
{
	if (!cJSON_GetObjectItemCaseSensitive(doc, key))
		json_set_str(doc, key, value);
}

static void default_time(cJSON *doc, const char *key, int64_t value)
{
	if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(doc, key)))
		json_set_int(doc, key, value);
}

static int exists(struct db *db, const char *name, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(db, err, "SELECT 1 FROM workspaces WHERE name = ?", "s", name);
	int rc = st ? db_step(db, st, err) : -1;
	if (rc > 0)
		sqlite3_reset(st);
	return rc;
}

/* A port that the record brings is its own, unless another workspace has it: then it gets one at its next start. */
static int take_port(struct db *db, const char *name, cJSON *doc, struct perry_err **err)
{
	int64_t port = json_int_or(doc, "ports.ssh", -1);
	if (!json_at(doc, "ports.ssh"))
		return 0;
	if (port >= 1 && port <= 65535 &&
	    db_run(db, err, "INSERT OR IGNORE INTO ports(port, workspace) VALUES(?, ?)", "is", port, name))
		return -1;
	if (port < 1 || port > 65535 || sqlite3_changes(db->h) == 0)
		json_set(json_obj(doc, "ports"), "ssh", NULL);
	return 0;
}

int ws_insert(struct db *db, const cJSON *ws, struct perry_err **err)
{
	const char *name = json_str(ws, "name");
	if (!name || !*name)
		return perry_fail(err, PERRY_EINPUT, "a workspace needs a name");
	int found = exists(db, name, err);
	if (found)
		return found < 0 ? -1 : perry_fail(err, PERRY_ECONFLICT, "Workspace '%s' already exists", name);
	cleanup_json cJSON *doc = cJSON_Duplicate(ws, 1);
	char id[17];
	random_hex(id, 8);
	default_str(doc, "id", id);
	default_time(doc, "created", clock_ms());
	default_time(doc, "lastUsed", json_int_or(doc, "created", 0));
	default_str(doc, "desired", "running");
	default_str(doc, "state", "creating");
	json_set_int(doc, "rev", 1);
	if (take_port(db, name, doc, err))
		return -1;
	cleanup_free char *text = json_print(doc);
	return db_run(db, err, "INSERT INTO workspaces(name, id, created, doc) VALUES(?, ?, ?, ?)", "ssis", name,
		      json_str_or(doc, "id", id), json_int_or(doc, "created", 0), text);
}

static int do_create(struct db *db, void *arg, struct perry_err **err)
{
	return ws_insert(db, arg, err);
}

int store_ws_create(struct store *s, const cJSON *ws, struct perry_err **err)
{
	return store_write(s, do_create, (void *)ws, err);
}

int store_ws_get(struct store *s, const char *name, cJSON **out, struct perry_err **err)
{
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	int rc = ws_load(db, name, out, err);
	store_reader_done(s, db);
	return rc;
}

static int list(struct db *db, cJSON *out, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(db, err, "SELECT name, doc FROM workspaces ORDER BY seq", "");
	int rc = st ? 0 : -1;
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		cJSON *doc;
		rc = db_json(st, 1, db_text(st, 0), &doc, err);
		if (rc == 0)
			json_push(out, doc);
	}
	return rc;
}

int store_ws_list(struct store *s, cJSON **out, struct perry_err **err)
{
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateArray();
	int rc = list(db, all, err);
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}

struct patch {
	const char *name;
	const cJSON *patch;
	cJSON *doc; /* the record afterwards */
};

static int do_patch(struct db *db, void *arg, struct perry_err **err)
{
	struct patch *p = arg;
	cJSON_Delete(take_ptr(p->doc));
	if (ws_load(db, p->name, &p->doc, err))
		return -1;
	cleanup_free char *id = xstrdup(json_str_or(p->doc, "id", ""));
	int64_t rev = json_int_or(p->doc, "rev", 0);
	if (cJSON_GetObjectItemCaseSensitive(p->patch, "plan")) /* a plan replaces the last one as a whole */
		json_set(p->doc, "plan", NULL);
	json_merge(p->doc, p->patch);
	json_set_int(p->doc, "rev", rev);
	/* What the columns hold is not for a patch to change. */
	json_set_str(p->doc, "name", p->name);
	json_set_str(p->doc, "id", id);
	return ws_save(db, p->name, p->doc, err);
}

int store_ws_patch(struct store *s, const char *name, const cJSON *patch, cJSON **out, struct perry_err **err)
{
	struct patch p = { .name = name, .patch = patch };
	int rc = store_write(s, do_patch, &p, err);
	if (rc == 0 && out)
		*out = take_ptr(p.doc);
	cJSON_Delete(p.doc);
	return rc;
}

static int do_delete(struct db *db, void *arg, struct perry_err **err)
{
	const char *name = arg;
	cleanup_json cJSON *doc = NULL;
	int found = exists(db, name, err);
	if (found <= 0)
		return found;
	/* A record that cannot be read must still be deletable: its network is then left to prune. */
	ws_load(db, name, &doc, NULL);
	if (db_run(db, err, "DELETE FROM ports WHERE workspace = ?", "s", name) ||
	    db_run(db, err, "DELETE FROM subnets WHERE owner IN (?, ?)", "ss", name, json_str(doc, "network")))
		return -1;
	return db_run(db, err, "DELETE FROM workspaces WHERE name = ?", "s", name);
}

int store_ws_delete(struct store *s, const char *name, struct perry_err **err)
{
	return store_write(s, do_delete, (void *)name, err);
}
