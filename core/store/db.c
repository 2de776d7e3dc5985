#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "store/internal.h"

static bool out_of_space(struct db *db)
{
	int code = sqlite3_errcode(db->h);
	if (code == SQLITE_FULL)
		return true;
	int sys = sqlite3_system_errno(db->h);
	return code == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT);
}

int db_fail(struct db *db, struct perry_err **err)
{
	if (out_of_space(db))
		return perry_fail(err, PERRY_EUNAVAILABLE, "%s: no space left on the device; nothing was changed",
				  db->path);
	int code = sqlite3_errcode(db->h);
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		return perry_fail(err, PERRY_EINTERNAL, "%s is damaged: %s; it was left as it is", db->path,
				  sqlite3_errmsg(db->h));
	if (code == SQLITE_IOERR && sqlite3_system_errno(db->h))
		return perry_fail(err, PERRY_EINTERNAL, "%s: %s: %s", db->path, sqlite3_errmsg(db->h),
				  strerror(sqlite3_system_errno(db->h)));
	return perry_fail(err, PERRY_EINTERNAL, "%s: %s", db->path, sqlite3_errmsg(db->h));
}

int db_exec(struct db *db, const char *sql, struct perry_err **err)
{
	return sqlite3_exec(db->h, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(db, err);
}

/* A reader that came from another process (sqlite3 on the command line) may hold the file for a moment. */
#define BUSY_MS 5000

int db_open(struct db **out, const char *path, bool writer, struct perry_err **err)
{
	struct db *db = xcalloc(1, sizeof *db);
	db->path = path;
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	flags |= writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
	if (sqlite3_open_v2(path, &db->h, flags, NULL) != SQLITE_OK) {
		if (db->h)
			db_fail(db, err);
		else
			perry_fail(err, PERRY_EINTERNAL, "%s: cannot be opened", path);
		db_close(db);
		return -1;
	}
	sqlite3_extended_result_codes(db->h, 0);
	sqlite3_busy_timeout(db->h, BUSY_MS);
	/* Checkpoints are made by the writer when nothing waits, never in the middle of somebody's commit. */
	const char *setup =
		writer ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
			 "PRAGMA journal_size_limit=4194304; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY;"
			 "PRAGMA trusted_schema=OFF"
		       : "PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-128; PRAGMA "
			 "temp_store=MEMORY;"
			 "PRAGMA trusted_schema=OFF";
	if (db_exec(db, setup, err)) {
		db_close(db);
		return -1;
	}
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (int i = 0; i < db->ncached; i++)
		sqlite3_finalize(db->cached[i].st);
	sqlite3_close(db->h);
	free(db);
}

static sqlite3_stmt *prepared(struct db *db, const char *sql, struct perry_err **err)
{
	for (int i = 0; i < db->ncached; i++) {
		if (db->cached[i].sql == sql) {
			sqlite3_reset(db->cached[i].st);
			sqlite3_clear_bindings(db->cached[i].st);
			return db->cached[i].st;
		}
	}
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
		db_fail(db, err);
		return NULL;
	}
	if (db->ncached == (int)ARRAY_LEN(db->cached))
		sqlite3_finalize(db->cached[--db->ncached].st);
	db->cached[db->ncached].sql = sql;
	db->cached[db->ncached++].st = st;
	return st;
}

static sqlite3_stmt *query(struct db *db, struct perry_err **err, const char *sql, const char *fmt, va_list ap)
{
	sqlite3_stmt *st = prepared(db, sql, err);
	if (!st)
		return NULL;
	for (int i = 0; fmt[i]; i++) {
		int rc;
		if (fmt[i] == 's') {
			const char *text = va_arg(ap, const char *);
			rc = text ? sqlite3_bind_text(st, i + 1, text, -1, SQLITE_STATIC)
				  : sqlite3_bind_null(st, i + 1);
		} else {
			rc = sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
		}
		if (rc != SQLITE_OK) {
			db_fail(db, err);
			return NULL;
		}
	}
	return st;
}

sqlite3_stmt *db_query(struct db *db, struct perry_err **err, const char *sql, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	sqlite3_stmt *st = query(db, err, sql, fmt, ap);
	va_end(ap);
	return st;
}

int db_step(struct db *db, sqlite3_stmt *st, struct perry_err **err)
{
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		db_fail(db, err);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

int db_run(struct db *db, struct perry_err **err, const char *sql, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	sqlite3_stmt *st = query(db, err, sql, fmt, ap);
	va_end(ap);
	if (!st)
		return -1;
	int rc;
	while ((rc = db_step(db, st, err)) > 0)
		;
	return rc;
}

void db_reset_all(struct db *db)
{
	for (int i = 0; i < db->ncached; i++)
		sqlite3_reset(db->cached[i].st);
}

const char *db_text(sqlite3_stmt *st, int col)
{
	return (const char *)sqlite3_column_text(st, col);
}

int db_json(sqlite3_stmt *st, int col, const char *what, cJSON **out, struct perry_err **err)
{
	const char *text = db_text(st, col);
	*out = NULL;
	if (!text)
		return 0;
	*out = json_parse(text, (size_t)sqlite3_column_bytes(st, col), what, err);
	if (*out)
		return 0;
	const char *file = sqlite3_db_filename(sqlite3_db_handle(st), "main");
	perry_wrap(err, "%s", file ? file : "the database");
	return -1;
}

int db_doc(struct db *db, struct perry_err **err, const char *sql, const char *key, const char *missing, cJSON **out)
{
	sqlite3_stmt *st = db_query(db, err, sql, "s", key);
	int rc = st ? db_step(db, st, err) : -1;
	if (rc < 0)
		return -1;
	if (rc == 0)
		return perry_fail(err, PERRY_ENOTFOUND, "%s", missing);
	rc = db_json(st, 0, key, out, err);
	sqlite3_reset(st);
	return rc;
}
