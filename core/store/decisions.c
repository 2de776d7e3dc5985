#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/internal.h"

#define DECISIONS_KEPT 20000
#define ROW_MAX        (16u << 10) /* a hook may answer 4 MiB */
#define BYTES_KEPT     (32 << 20)
#define TRIM_EVERY     256

/* The text of a row; of one that is too long first the facts go, then answer and error are cut to their size: {"cut":
 * bytes}. */
static char *row_text(cJSON *row)
{
	static const char *const long_ones[] = { "facts", "answer", "error", "reason" };
	char *doc = json_print(row);
	for (size_t i = 0; i < ARRAY_LEN(long_ones) && strlen(doc) > ROW_MAX; i++) {
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, long_ones[i]);
		if (!value)
			continue;
		cleanup_free char *was = json_print(value);
		cJSON *cut = cJSON_CreateObject();
		json_set_int(cut, "cut", (int64_t)strlen(was));
		json_set(row, long_ones[i], cut);
		free(doc);
		doc = json_print(row);
	}
	return doc;
}

static int trim(struct db *db, int64_t id, struct perry_err **err)
{
	if (db_run(db, err, "DELETE FROM decisions WHERE id <= ?", "i", id - DECISIONS_KEPT))
		return -1;
	return db_run(db, err,
		      "DELETE FROM decisions WHERE id <= (SELECT max(id) FROM (SELECT id, sum(length(CAST(doc AS "
		      "BLOB))) OVER (ORDER BY id DESC) AS bytes"
		      " FROM decisions) WHERE bytes > ?)",
		      "i", (int64_t)BYTES_KEPT);
}

static int add_row(struct db *db, const cJSON *row, struct perry_err **err)
{
	cleanup_json cJSON *copy = cJSON_Duplicate(row, 1);
	if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(copy, "at")))
		json_set_int(copy, "at", clock_ms());
	cleanup_free char *doc = row_text(copy);
	if (db_run(db, err, "INSERT INTO decisions(workspace, point, doc) VALUES(?, ?, ?)", "sss",
		   json_str(row, "workspace"), json_str(row, "point"), doc))
		return -1;
	int64_t id = sqlite3_last_insert_rowid(db->h);
	if (id % TRIM_EVERY)
		return 0;
	return trim(db, id, err);
}

static int do_add(struct db *db, void *arg, struct perry_err **err)
{
	const cJSON *rows = arg, *row;
	if (!cJSON_IsArray(rows))
		return add_row(db, rows, err);
	cJSON_ArrayForEach(row, rows)
		if (add_row(db, row, err))
			return -1;
	return 0;
}

int store_decisions_add(struct store *s, const cJSON *rows, struct perry_err **err)
{
	return store_write(s, do_add, (void *)rows, err);
}

int store_decisions(struct store *s, const char *ws, const char *point, int limit, cJSON **out, struct perry_err **err)
{
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateArray();
	/* Two statements, so that the common question (of one workspace) uses its index. */
	sqlite3_stmt *st =
		ws ? db_query(db, err,
			      "SELECT doc FROM decisions WHERE workspace = ?1 AND (?2 IS NULL OR point = ?2) ORDER BY "
			      "id DESC LIMIT ?3",
			      "ssi", ws, point, (int64_t)limit)
		   : db_query(db, err,
			      "SELECT doc FROM decisions WHERE ?1 IS NULL OR point = ?1 ORDER BY id DESC LIMIT ?2",
			      "si", point, (int64_t)limit);
	int rc = st ? 0 : -1;
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		cJSON *row;
		rc = db_json(st, 0, "decision", &row, err);
		if (rc == 0)
			json_push(all, row);
	}
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}
