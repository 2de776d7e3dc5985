/* The operations journal. An operation's own members are one document; its steps are rows, so that recording one writes
 * little. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/internal.h"

/* Ended operations that are kept, and how often the older ones are dropped. */
#define ENDED_KEPT 2000
#define TRIM_EVERY 64

static bool is_open(const cJSON *doc)
{
	const char *state = json_str_or(doc, "state", "queued");
	return strcmp(state, "queued") == 0 || strcmp(state, "running") == 0;
}

/* Steps that are known in advance: rows in their order, those that exist already stay as they are. */
static int announce(struct db *db, const char *id, const cJSON *steps, struct perry_err **err)
{
	const cJSON *step;
	cJSON_ArrayForEach(step, steps) {
		const char *name = json_str(step, "id");
		if (!name)
			return perry_fail(err, PERRY_EINTERNAL, "operation %s: a step without an id", id);
		if (db_run(db, err,
			   "INSERT INTO steps(op, pos, step, label, status) VALUES(?1, (SELECT count(*) FROM steps "
			   "WHERE op = ?1), ?2, ?3, ?4)"
			   " ON CONFLICT(op, step) DO UPDATE SET label = coalesce(excluded.label, label)",
			   "ssss", id, name, json_str(step, "label"), json_str_or(step, "status", "pending")))
			return -1;
	}
	return 0;
}

static int do_begin(struct db *db, void *arg, struct perry_err **err)
{
	const cJSON *op = arg;
	const char *id = json_str(op, "id");
	if (!id)
		return perry_fail(err, PERRY_EINTERNAL, "an operation needs an id");
	cleanup_json cJSON *doc = cJSON_Duplicate(op, 1);
	cleanup_json cJSON *steps = cJSON_DetachItemFromObjectCaseSensitive(doc, "steps");
	cleanup_free char *text = json_print(doc);
	if (db_run(db, err, "INSERT INTO operations(id, workspace, open, doc) VALUES(?, ?, ?, ?)", "ssis", id,
		   json_str(op, "workspace"), (int64_t)is_open(doc), text) ||
	    announce(db, id, steps, err))
		return -1;
	int64_t seq = sqlite3_last_insert_rowid(db->h);
	if (seq % TRIM_EVERY)
		return 0;
	if (db_run(db, err, "DELETE FROM operations WHERE seq <= ? AND NOT open", "i", seq - ENDED_KEPT))
		return -1;
	return db_run(db, err, "DELETE FROM steps WHERE op NOT IN (SELECT id FROM operations)", "");
}

int store_op_begin(struct store *s, const cJSON *op, struct perry_err **err)
{
	return store_write(s, do_begin, (void *)op, err);
}

/* The document of an operation, without its steps. */
static int load_doc(struct db *db, const char *id, cJSON **out, struct perry_err **err)
{
	return db_doc(db, err, "SELECT doc FROM operations WHERE id = ?", id, "Operation not found", out);
}

struct op_patch {
	const char *id;
	const cJSON *patch;
};

static int do_patch(struct db *db, void *arg, struct perry_err **err)
{
	struct op_patch *p = arg;
	cleanup_json cJSON *doc = NULL;
	if (load_doc(db, p->id, &doc, err))
		return -1;
	json_merge(doc, p->patch);
	cleanup_json cJSON *steps = cJSON_DetachItemFromObjectCaseSensitive(doc, "steps");
	json_set_str(doc, "id", p->id);
	cleanup_free char *text = json_print(doc);
	if (db_run(db, err, "UPDATE operations SET workspace = ?, open = ?, doc = ? WHERE id = ?", "siss",
		   json_str(doc, "workspace"), (int64_t)is_open(doc), text, p->id))
		return -1;
	return announce(db, p->id, steps, err);
}

int store_op_patch(struct store *s, const char *id, const cJSON *patch, struct perry_err **err)
{
	struct op_patch p = { .id = id, .patch = patch };
	return store_write(s, do_patch, &p, err);
}

static void patch_free(void *arg)
{
	struct op_patch *p = arg;
	free((char *)p->id);
	cJSON_Delete((cJSON *)p->patch);
	free(p);
}

void store_op_patch_post(struct store *s, const char *id, const cJSON *patch)
{
	struct op_patch *p = xcalloc(1, sizeof *p);
	p->id = xstrdup(id);
	p->patch = cJSON_Duplicate(patch, 1);
	store_post(s, "an operation's record was not kept", do_patch, p, patch_free);
}

struct step {
	const char *op, *step, *label, *status, *message;
	char *data;
	int64_t now;
};

static int do_step(struct db *db, void *arg, struct perry_err **err)
{
	struct step *t = arg;
	sqlite3_stmt *st = db_query(db, err, "SELECT 1 FROM operations WHERE id = ?", "s", t->op);
	int rc = st ? db_step(db, st, err) : -1;
	if (rc < 0)
		return -1;
	if (rc == 0)
		return perry_fail(err, PERRY_ENOTFOUND, "Operation not found");
	sqlite3_reset(st);
	/* "running" begins the step (anew); all else but "pending" ends it. What was remembered as data stays until it
	 * is replaced. */
	return db_run(db, err,
		      "INSERT INTO steps(op, pos, step, label, status, message, started, ended, data)"
		      " VALUES(?1, (SELECT count(*) FROM steps WHERE op = ?1), ?2, ?3, ?4, ?5,"
		      " CASE WHEN ?4 IN ('running', 'done', 'error') THEN ?6 END, CASE WHEN ?4 NOT IN ('running', "
		      "'pending') THEN ?6 END, ?7)"
		      " ON CONFLICT(op, step) DO UPDATE SET label = coalesce(excluded.label, label), status = "
		      "excluded.status,"
		      " message = excluded.message, started = CASE WHEN ?4 = 'running' THEN ?6 ELSE coalesce(started, "
		      "excluded.started) END,"
		      " ended = excluded.ended, data = coalesce(excluded.data, data)",
		      "sssssis", t->op, t->step, t->label, t->status, t->message, t->now, t->data);
}

int store_op_step(struct store *s, const char *id, const char *step, const char *label, const char *status,
		  const char *message, const cJSON *data, struct perry_err **err)
{
	cleanup_free char *text = data ? json_print(data) : NULL;
	struct step t = { id, step, label, status, message, text, clock_ms() };
	return store_write(s, do_step, &t, err);
}

static void step_free(void *arg)
{
	struct step *t = arg;
	free((char *)t->op);
	free((char *)t->step);
	free((char *)t->label);
	free((char *)t->status);
	free((char *)t->message);
	free(t);
}

void store_op_step_post(struct store *s, const char *id, const char *step, const char *label, const char *status,
			const char *message)
{
	struct step *t = xcalloc(1, sizeof *t);
	*t = (struct step){ xstrdup(id),      xstrdup(step), xstrdup(label), xstrdup(status),
			    xstrdup(message), NULL,          clock_ms() };
	store_post(s, "a step was not kept", do_step, t, step_free);
}

static int load_steps(struct db *db, const char *id, cJSON *op, struct perry_err **err)
{
	cJSON *steps = cJSON_CreateArray();
	json_set(op, "steps", steps);
	sqlite3_stmt *st = db_query(
		db, err,
		"SELECT step, label, status, message, started, ended, data FROM steps WHERE op = ? ORDER BY pos", "s",
		id);
	int rc = st ? 0 : -1;
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		cJSON *row = cJSON_CreateObject(), *data;
		json_push(steps, row);
		json_set_str(row, "id", db_text(st, 0));
		json_set_str(row, "label", db_text(st, 1));
		json_set_str(row, "status", db_text(st, 2));
		json_set_str(row, "message", db_text(st, 3));
		if (sqlite3_column_type(st, 4) != SQLITE_NULL)
			json_set_int(row, "started", sqlite3_column_int64(st, 4));
		if (sqlite3_column_type(st, 5) != SQLITE_NULL)
			json_set_int(row, "ended", sqlite3_column_int64(st, 5));
		rc = db_json(st, 6, id, &data, err);
		if (data)
			json_set(row, "data", data);
	}
	return rc;
}

int store_op_get(struct store *s, const char *id, cJSON **out, struct perry_err **err)
{
	store_flush(s);
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *op = NULL;
	int rc = load_doc(db, id, &op, err);
	if (rc == 0)
		rc = load_steps(db, id, op, err);
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(op);
	return rc;
}

/* All operations that st gives as (id, doc). */
static int collect(struct db *db, sqlite3_stmt *st, cJSON *out, struct perry_err **err)
{
	int rc = st ? 0 : -1;
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		cJSON *op;
		rc = db_json(st, 1, db_text(st, 0), &op, err);
		if (rc)
			break;
		json_push(out, op);
		rc = load_steps(db, db_text(st, 0), op, err);
	}
	return rc;
}

int store_ops_open(struct store *s, cJSON **out, struct perry_err **err)
{
	store_flush(s);
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateArray();
	int rc = collect(db, db_query(db, err, "SELECT id, doc FROM operations WHERE open ORDER BY seq", ""), all, err);
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}

int store_ops_of(struct store *s, const char *ws, int limit, cJSON **out, struct perry_err **err)
{
	store_flush(s);
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateArray();
	sqlite3_stmt *st =
		db_query(db, err, "SELECT id, doc FROM operations WHERE workspace = ? ORDER BY seq DESC LIMIT ?", "si",
			 ws, (int64_t)limit);
	int rc = collect(db, st, all, err);
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}
