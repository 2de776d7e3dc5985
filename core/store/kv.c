#include <string.h>

#include "base/mem.h"
#include "store/internal.h"

#define KEY_MAX_LEN   512
#define VALUE_MAX_LEN (64 * 1024)
#define SCOPE_MAX_LEN (1024 * 1024)

struct kv {
	const char *scope, *key;
	const char *value; /* text, NULL: delete */
};

int store_kv_get(struct store *s, const char *scope, const char *key, cJSON **out, struct perry_err **err)
{
	*out = NULL;
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	sqlite3_stmt *st = db_query(db, err, "SELECT value FROM kv WHERE scope = ? AND key = ?", "ss", scope, key);
	int rc = st ? db_step(db, st, err) : -1;
	if (rc > 0)
		rc = db_json(st, 0, key, out, err);
	store_reader_done(s, db);
	return rc;
}

/* Lengths in bytes, of all of the scope but the key itself. */
static int scope_size(struct db *db, const struct kv *k, int64_t *out, struct perry_err **err)
{
	sqlite3_stmt *st =
		db_query(db, err,
			 "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(CAST(value AS BLOB))), 0) FROM kv"
			 " WHERE scope = ? AND key <> ?",
			 "ss", k->scope, k->key);
	if (!st || db_step(db, st, err) < 1)
		return -1;
	*out = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

static int do_set(struct db *db, void *arg, struct perry_err **err)
{
	struct kv *k = arg;
	int64_t size;
	if (!k->value)
		return db_run(db, err, "DELETE FROM kv WHERE scope = ? AND key = ?", "ss", k->scope, k->key);
	if (scope_size(db, k, &size, err))
		return -1;
	if (size + (int64_t)(strlen(k->key) + strlen(k->value)) > SCOPE_MAX_LEN)
		return perry_fail(err, PERRY_ETOOLARGE, "kv: \"%s\" would hold more than %d bytes", k->scope,
				  SCOPE_MAX_LEN);
	return db_run(db, err,
		      "INSERT INTO kv(scope, key, value) VALUES(?, ?, ?) ON CONFLICT(scope, key) DO UPDATE SET value = "
		      "excluded.value",
		      "sss", k->scope, k->key, k->value);
}

int store_kv_set(struct store *s, const char *scope, const char *key, const cJSON *value, struct perry_err **err)
{
	cleanup_free char *text = value ? json_print(value) : NULL;
	if (!*key)
		return perry_fail(err, PERRY_EINPUT, "kv: the key is empty");
	if (strlen(key) > KEY_MAX_LEN)
		return perry_fail(err, PERRY_ETOOLARGE, "kv: a key has at most %d bytes, this has %zu", KEY_MAX_LEN,
				  strlen(key));
	if (text && strlen(text) > VALUE_MAX_LEN)
		return perry_fail(err, PERRY_ETOOLARGE, "kv: \"%s\": a value has at most %d bytes, this has %zu", key,
				  VALUE_MAX_LEN, strlen(text));
	struct kv k = { scope, key, text };
	return store_write(s, do_set, &k, err);
}

int store_kv_list(struct store *s, const char *scope, const char *prefix, cJSON **out, struct perry_err **err)
{
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateObject();
	sqlite3_stmt *st = db_query(db, err,
				    "SELECT key, value FROM kv WHERE scope = ?1 AND key >= ?2 AND substr(key, 1, "
				    "length(?2)) = ?2 ORDER BY key",
				    "ss", scope, prefix ? prefix : "");
	int rc = st ? 0 : -1;
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		cJSON *value;
		rc = db_json(st, 1, db_text(st, 0), &value, err);
		if (rc == 0)
			json_set(all, db_text(st, 0), value);
	}
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}
