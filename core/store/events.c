#include "base/clock.h"
#include "base/mem.h"
#include "store/internal.h"

#define EVENTS_KEPT 10000
#define TRIM_EVERY  256

struct event {
	int64_t wanted, id, at; /* wanted 0: the next one */
	char *doc;              /* without the id, which is the row's */
};

static int do_add(struct db *db, void *arg, struct perry_err **err)
{
	struct event *e = arg;
	if (db_run(db, err, "INSERT INTO events(id, at, doc) VALUES(nullif(?, 0), ?, ?)", "iis", e->wanted, e->at,
		   e->doc))
		return -1;
	e->id = sqlite3_last_insert_rowid(db->h);
	if (e->id % TRIM_EVERY)
		return 0;
	return db_run(db, err,
		      "DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)", "i",
		      (int64_t)EVENTS_KEPT);
}

static void event_fill(struct event *e, const cJSON *event)
{
	cleanup_json cJSON *copy = cJSON_Duplicate(event, 1);
	e->at = json_int_or(copy, "at", 0);
	if (!e->at)
		json_set_int(copy, "at", e->at = clock_ms());
	json_set(copy, "id", NULL);
	e->doc = json_print(copy);
}

static void event_free(void *arg)
{
	struct event *e = arg;
	free(e->doc);
	free(e);
}

int store_event_add(struct store *s, const cJSON *event, int64_t *id, struct perry_err **err)
{
	struct event e = { 0 };
	event_fill(&e, event);
	int rc = store_write(s, do_add, &e, err);
	free(e.doc);
	if (rc == 0 && id)
		*id = e.id;
	return rc;
}

void store_event_post(struct store *s, const cJSON *event)
{
	struct event *e = xcalloc(1, sizeof *e);
	event_fill(e, event);
	e->wanted = json_int_or(event, "id", 0);
	store_post(s, "an event was not kept", do_add, e, event_free);
}

int store_event_last(struct store *s, int64_t *id, struct perry_err **err)
{
	store_flush(s);
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	/* The sequence knows ids of events that were dropped since. */
	sqlite3_stmt *st = db_query(db, err, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", "");
	int rc = st ? db_step(db, st, err) : -1;
	*id = rc > 0 ? sqlite3_column_int64(st, 0) : 0;
	store_reader_done(s, db);
	return rc < 0 ? -1 : 0;
}

int store_events(struct store *s, int64_t after_id, int64_t since_ms, int limit, cJSON **out, struct perry_err **err)
{
	store_flush(s); /* what was published before this call is in its answer */
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateArray();
	sqlite3_stmt *st = db_query(db, err, "SELECT id, doc FROM events WHERE id > ? AND at >= ? ORDER BY id LIMIT ?",
				    "iii", after_id, since_ms, (int64_t)limit);
	int rc = st ? 0 : -1;
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		cJSON *event;
		rc = db_json(st, 1, "event", &event, err);
		if (rc)
			break;
		json_set_int(event, "id", sqlite3_column_int64(st, 0));
		json_push(all, event);
	}
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}
