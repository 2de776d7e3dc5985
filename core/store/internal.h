/* Inside of the store: connections with cached statements, and the way to the writer thread. */
#ifndef PERRY_STORE_INTERNAL_H
#define PERRY_STORE_INTERNAL_H
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "base/err.h"
#include "base/json.h"
#include "store/store.h"

/* A connection, used by one thread at a time. Statements are cached by the address of their SQL, so give literals only.
 */
struct db {
	sqlite3 *h;
	const char *path; /* borrowed from the store */
	struct {
		const char *sql;
		sqlite3_stmt *st;
	} cached[64];
	int ncached;
	struct db *next;
};

int db_open(struct db **out, const char *path, bool writer, struct perry_err **err);
void db_close(struct db *db);
/* The error of the last call on db as ours; always -1. A full disk says so and that nothing was changed. */
int db_fail(struct db *db, struct perry_err **err);
int db_exec(struct db *db, const char *sql, struct perry_err **err);
/* A statement ready to run with its parameters bound: fmt has a letter each, 's' a text (NULL is NULL, must live until
 * the last step), 'i' an int64_t. */
sqlite3_stmt *db_query(struct db *db, struct perry_err **err, const char *sql, const char *fmt, ...);
int db_step(struct db *db, sqlite3_stmt *st, struct perry_err **err); /* 1: a row, 0: done (reset), -1: error (reset) */
int db_run(struct db *db, struct perry_err **err, const char *sql, const char *fmt, ...); /* to its end */
void db_reset_all(struct db *db); /* no statement keeps a snapshot open */
/* Column as the caller's JSON, NULL when it is NULL. Broken text is an error that names what. */
int db_json(sqlite3_stmt *st, int col, const char *what, cJSON **out, struct perry_err **err);
/* The one document that sql finds for a key; PERRY_ENOTFOUND, saying missing, when there is none. */
int db_doc(struct db *db, struct perry_err **err, const char *sql, const char *key, const char *missing, cJSON **out);
const char *db_text(sqlite3_stmt *st, int col); /* borrowed until the next step, may be NULL */

struct store_req;
struct store {
	char *path;
	char agent_id[17];
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct store_req *head, **tail; /* waiting for the writer */
	bool closing;
	pthread_t writer;
	struct stat file; /* the one that was opened */
	bool lost;        /* the writer's: it was found to be gone */
	struct db *wdb;   /* the writer's */
	struct db *idle;  /* readers nobody uses */
	int nidle;
	int posted; /* requests without a waiter that are not yet durable */
};

/* Runs on the writer thread inside a transaction. May be run again from the start when the batch it was in failed, so
 * it must set its outputs from scratch. */
typedef int (*store_fn)(struct db *db, void *arg, struct perry_err **err);
/* Returns when the batch with this request is durable, or with the request's own error. */
int store_write(struct store *s, store_fn fn, void *arg, struct perry_err **err);
/* Does not wait; a failure is logged with what. free_arg may be NULL. */
void store_post(struct store *s, const char *what, store_fn fn, void *take_arg, void (*free_arg)(void *arg));
/* Returns when everything posted so far is durable or has failed. */
void store_flush(struct store *s);

struct db *store_reader(struct store *s, struct perry_err **err);
void store_reader_done(struct store *s, struct db *db);

/* copies.c. A file that is empty or gone, with copies beside it: PERRY_ESTATE. */
int store_check_file(const char *path, struct perry_err **err);
int store_note_file(struct store *s, struct perry_err **err);
/* Is the file that was opened still the one of that name? */
int store_same_file(const struct store *s, struct perry_err **err);
/* What the open file held, as the newest copy; on the writer thread. */
void store_copy_lost(struct store *s);

int schema_migrate(struct db *db, struct perry_err **err);

/* Shared between the files of the store; on the writer thread. */
int ws_load(struct db *db, const char *name, cJSON **out, struct perry_err **err);
int ws_save(struct db *db, const char *name, cJSON *doc, struct perry_err **err);
int ws_insert(struct db *db, const cJSON *ws, struct perry_err **err);

#endif
