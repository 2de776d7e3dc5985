#include "base/clock.h"
#include "base/mem.h"
#include "store/internal.h"

struct change {
	int64_t id;       /* 0: a new row */
	const cJSON *doc; /* the row, or the patch of it; NULL: delete */
	cJSON *out;       /* the row afterwards */
};

static int row_of(sqlite3_stmt *st, cJSON **out, struct perry_err **err)
{
	if (db_json(st, 2, "outbox", out, err))
		return -1;
	json_set_int(*out, "id", sqlite3_column_int64(st, 0));
	json_set_str(*out, "workspace", db_text(st, 1));
	return 0;
}

static int load(struct db *db, int64_t id, cJSON **out, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(db, err, "SELECT id, workspace, doc FROM outbox WHERE id = ?", "i", id);
	int rc = st ? db_step(db, st, err) : -1;
	if (rc < 0)
		return -1;
	if (rc == 0)
		return perry_fail(err, PERRY_ENOTFOUND, "there is no device %lld in the outbox", (long long)id);
	rc = row_of(st, out, err);
	sqlite3_reset(st);
	return rc;
}

/* The columns are not repeated in the document. */
static char *text_of(const cJSON *row)
{
	cleanup_json cJSON *doc = cJSON_Duplicate(row, 1);
	json_set(doc, "id", NULL);
	json_set(doc, "workspace", NULL);
	return json_print(doc);
}

static int insert(struct db *db, struct change *c, struct perry_err **err)
{
	c->out = cJSON_Duplicate(c->doc, 1);
	if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(c->out, "since")))
		json_set_int(c->out, "since", clock_ms());
	cleanup_free char *text = text_of(c->out);
	if (db_run(db, err, "INSERT INTO outbox(workspace, doc) VALUES(?, ?)", "ss", json_str(c->out, "workspace"),
		   text))
		return -1;
	json_set_int(c->out, "id", sqlite3_last_insert_rowid(db->h));
	return 0;
}

static int update(struct db *db, struct change *c, struct perry_err **err)
{
	if (load(db, c->id, &c->out, err))
		return -1;
	json_merge(c->out, c->doc);
	json_set_int(c->out, "id", c->id);
	cleanup_free char *text = text_of(c->out);
	return db_run(db, err, "UPDATE outbox SET workspace = ?, doc = ? WHERE id = ?", "ssi",
		      json_str(c->out, "workspace"), text, c->id);
}

static int apply(struct db *db, void *arg, struct perry_err **err)
{
	struct change *c = arg;
	cJSON_Delete(take_ptr(c->out));
	if (!c->doc)
		return db_run(db, err, "DELETE FROM outbox WHERE id = ?", "i", c->id);
	return c->id ? update(db, c, err) : insert(db, c, err);
}

int store_outbox_put(struct store *s, const cJSON *row, cJSON **out, struct perry_err **err)
{
	struct change c = { .doc = row };
	int rc = store_write(s, apply, &c, err);
	*out = rc ? NULL : take_ptr(c.out);
	cJSON_Delete(c.out);
	return rc;
}

int store_outbox_patch(struct store *s, int64_t id, const cJSON *patch, cJSON **out, struct perry_err **err)
{
	struct change c = { .id = id, .doc = patch };
	int rc = store_write(s, apply, &c, err);
	*out = rc ? NULL : take_ptr(c.out);
	cJSON_Delete(c.out);
	return rc;
}

int store_outbox_delete(struct store *s, int64_t id, struct perry_err **err)
{
	struct change c = { .id = id };
	return store_write(s, apply, &c, err);
}

static int list(struct db *db, const char *workspace, cJSON *all, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(
		db, err, "SELECT id, workspace, doc FROM outbox WHERE ?1 IS NULL OR workspace = ?1 ORDER BY id", "s",
		workspace);
	int rc = st ? 0 : -1;
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		cJSON *row;
		rc = row_of(st, &row, err);
		if (rc == 0)
			json_push(all, row);
	}
	return rc;
}

int store_outbox(struct store *s, const char *workspace, cJSON **out, struct perry_err **err)
{
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateArray();
	int rc = list(db, workspace, all, err);
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}
