/* Opening, the reader pool, and the writer thread: it takes all requests that have gathered, runs each in a savepoint
 * of one transaction, and wakes the callers after the commit. While it waits for the disk the next batch gathers: the
 * slower the disk, the larger the batch. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "store/internal.h"

/* Readers kept open; more are opened for a moment when more threads read at once. */
#define READERS_KEPT 2
/* WAL pages (4 KiB) that are worth a checkpoint once nothing was written for a moment, and those that force one. It
 * costs several syncs, so a burst of commits should not meet it. */
#define CHECKPOINT_IDLE     256
#define CHECKPOINT_FORCED   4096
#define CHECKPOINT_QUIET_MS 200

struct store_req {
	store_fn fn;
	void *arg;
	void (*free_arg)(void *arg); /* posted requests only */
	const char *what;            /* of a posted request; NULL: somebody waits */
	struct perry_err *err;
	int rc;
	sem_t done;
	struct store_req *next;
};

static int run_one(struct db *db, struct store_req *r)
{
	perry_err_free(take_ptr(r->err));
	r->rc = r->fn(db, r->arg, &r->err);
	db_reset_all(db);
	return r->rc;
}

static void batch_failed(struct db *db)
{
	if (!sqlite3_get_autocommit(db->h))
		sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}

/* One transaction over the whole list. A request that fails is undone alone; -1 when the transaction itself failed (the
 * disk is full, ...). */
static int run_batch(struct store *s, struct store_req *list, struct perry_err **err)
{
	struct db *db = s->wdb;
	if (store_same_file(s, err) < 0) {
		if (!s->lost) {
			log_error("store", "%s", perry_msg(*err));
			store_copy_lost(s);
		}
		s->lost = true;
		return -1;
	}
	if (db_run(db, err, "BEGIN IMMEDIATE", ""))
		return -1;
	for (struct store_req *r = list; r; r = r->next) {
		if (db_run(db, err, "SAVEPOINT r", ""))
			goto failed;
		int rc = run_one(db, r);
		/* Some errors (a full disk) make SQLite roll the whole transaction back, the requests before this one
		 * included. */
		if (sqlite3_get_autocommit(db->h)) {
			perry_move(err, perry_err_copy(r->err));
			goto failed;
		}
		if (rc && db_run(db, err, "ROLLBACK TO r", ""))
			goto failed;
		if (db_run(db, err, "RELEASE r", ""))
			goto failed;
	}
	if (db_run(db, err, "COMMIT", "") == 0)
		return 0;
failed:
	batch_failed(db);
	return -1;
}

/* The batch failed as a whole: each on its own, so that only those fail that cannot be written. */
static void run_alone(struct store *s, struct store_req *r)
{
	struct store_req *rest = take_ptr(r->next);
	cleanup_err struct perry_err *err = NULL;
	if (run_batch(s, r, &err)) {
		perry_move(&r->err, take_ptr(err));
		r->rc = -1;
	}
	r->next = rest;
}

static void run_all(struct store *s, struct store_req *list)
{
	cleanup_err struct perry_err *err = NULL;
	if (run_batch(s, list, &err) == 0)
		return;
	if (list->next) {
		for (struct store_req *r = list; r; r = r->next)
			run_alone(s, r);
		return;
	}
	perry_move(&list->err, take_ptr(err));
	list->rc = -1;
}

/* Called by SQLite after each commit with the length of the log. */
static int note_wal(void *ctx, sqlite3 *h, const char *name, int pages)
{
	*(int *)ctx = pages;
	return SQLITE_OK;
}

/* Copies the log into the database. A failure (a full disk) costs nothing: the log goes on and it is tried again later.
 */
static void checkpoint(struct db *db, int *wal_pages)
{
	sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	*wal_pages = 0;
}

static void free_posted(struct store *s, struct store_req *r)
{
	if (r->rc)
		log_warn("store", "%s: %s", r->what, perry_msg(r->err));
	perry_err_free(r->err);
	if (r->free_arg)
		r->free_arg(r->arg);
	free(r);
	pthread_mutex_lock(&s->lock);
	s->posted--;
	pthread_mutex_unlock(&s->lock);
}

/* A semaphore each, not a condition under the lock: fifty callers that wake do not queue up for the lock again. */
static void answer(struct store *s, struct store_req *list)
{
	while (list) {
		struct store_req *r = list;
		list = r->next; /* a waiting caller's request is on its stack, and gone once it is told */
		if (r->what)
			free_posted(s, r);
		else
			sem_post(&r->done);
	}
}

/* Under the lock. Returns true when nothing came for a moment and somebody wants to use that. */
static bool wait_for_work(struct store *s, bool wants_quiet)
{
	struct timespec until = clock_deadline(CHECKPOINT_QUIET_MS);
	while (!s->head && !s->closing) {
		if (!wants_quiet)
			pthread_cond_wait(&s->work, &s->lock);
		else if (pthread_cond_timedwait(&s->work, &s->lock, &until) == ETIMEDOUT && !s->head && !s->closing)
			return true;
	}
	return false;
}

static void *writer(void *arg)
{
	struct store *s = arg;
	int wal_pages = 0;
	sqlite3_wal_hook(s->wdb->h, note_wal, &wal_pages);
	pthread_mutex_lock(&s->lock);
	while (true) {
		bool quiet = wait_for_work(s, wal_pages >= CHECKPOINT_IDLE);
		struct store_req *list = take_ptr(s->head);
		s->tail = &s->head;
		if (!list && !quiet)
			break;
		pthread_mutex_unlock(&s->lock);
		if (list)
			run_all(s, list);
		answer(s, list);
		if (quiet || wal_pages >= CHECKPOINT_FORCED)
			checkpoint(s->wdb, &wal_pages);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	sqlite3_wal_hook(s->wdb->h, NULL, NULL);
	return NULL;
}

static void enqueue(struct store *s, struct store_req *r)
{
	*s->tail = r;
	s->tail = &r->next;
	pthread_cond_signal(&s->work);
}

int store_write(struct store *s, store_fn fn, void *arg, struct perry_err **err)
{
	struct store_req r = { .fn = fn, .arg = arg };
	pthread_mutex_lock(&s->lock);
	if (s->closing) {
		pthread_mutex_unlock(&s->lock);
		return perry_fail(err, PERRY_EUNAVAILABLE, "the store is closed");
	}
	sem_init(&r.done, 0, 0);
	enqueue(s, &r);
	pthread_mutex_unlock(&s->lock);
	while (sem_wait(&r.done))
		; /* a signal */
	sem_destroy(&r.done);
	if (r.rc)
		return perry_move(err, r.err);
	perry_err_free(r.err);
	return 0;
}

void store_post(struct store *s, const char *what, store_fn fn, void *arg, void (*free_arg)(void *arg))
{
	struct store_req *r = xcalloc(1, sizeof *r);
	r->fn = fn;
	r->arg = arg;
	r->free_arg = free_arg;
	r->what = what;
	pthread_mutex_lock(&s->lock);
	if (s->closing) {
		pthread_mutex_unlock(&s->lock);
		if (free_arg)
			free_arg(arg);
		free(r);
		return;
	}
	s->posted++;
	enqueue(s, r);
	pthread_mutex_unlock(&s->lock);
}

static int nothing(struct db *db, void *arg, struct perry_err **err)
{
	return 0;
}

void store_flush(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	bool pending = s->posted > 0;
	pthread_mutex_unlock(&s->lock);
	if (pending)
		store_write(s, nothing, NULL, NULL);
}

struct db *store_reader(struct store *s, struct perry_err **err)
{
	pthread_mutex_lock(&s->lock);
	struct db *db = s->idle;
	if (db) {
		s->idle = db->next;
		s->nidle--;
	}
	pthread_mutex_unlock(&s->lock);
	if (!db && db_open(&db, s->path, false, err))
		return NULL;
	return db;
}

void store_reader_done(struct store *s, struct db *db)
{
	if (!db)
		return;
	db_reset_all(db);
	pthread_mutex_lock(&s->lock);
	if (s->nidle < READERS_KEPT) {
		db->next = s->idle;
		s->idle = db;
		s->nidle++;
		db = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	db_close(db);
}

static int check_integrity(struct db *db, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(db, err, "PRAGMA quick_check(1)", "");
	int rc = st ? db_step(db, st, err) : -1;
	if (rc < 0)
		return -1;
	const char *text = rc ? db_text(st, 0) : NULL;
	if (!text || strcmp(text, "ok") != 0)
		perry_fail(err, PERRY_EINTERNAL, "%s is damaged: %s; it was left as it is", db->path,
			   text ? text : "no answer");
	int ok = text && strcmp(text, "ok") == 0;
	sqlite3_reset(st);
	return ok ? 0 : -1;
}

/* The id is in a file of its own as well: an agent that lost its database is still the one whose label its containers
 * have, and can adopt them. */
static char *id_path(const struct store *s)
{
	const char *slash = strrchr(s->path, '/');
	return xasprintf("%.*sagent.id", slash ? (int)(slash - s->path) + 1 : 0, s->path);
}

static bool id_of_file(const char *path, char id[17])
{
	cleanup_buf struct buf text = { 0 };
	if (file_read(path, 64, &text, NULL) < 0 || strspn(buf_str(&text), "0123456789abcdef") != 16)
		return false;
	snprintf(id, 17, "%.16s", buf_str(&text));
	return true;
}

static int load_agent_id(struct store *s, struct perry_err **err)
{
	cleanup_free char *path = id_path(s);
	char wanted[17], line[20];
	bool there = id_of_file(path, wanted);
	if (!there)
		random_hex(wanted, 8);
	if (db_run(s->wdb, err, "INSERT OR IGNORE INTO meta(key, value) VALUES('agent_id', ?)", "s", wanted))
		return -1;
	sqlite3_stmt *st = db_query(s->wdb, err, "SELECT value FROM meta WHERE key = 'agent_id'", "");
	if (!st || db_step(s->wdb, st, err) < 1)
		return -1;
	snprintf(s->agent_id, sizeof s->agent_id, "%s", db_text(st, 0));
	sqlite3_reset(st);
	int n = snprintf(line, sizeof line, "%s\n", s->agent_id);
	/* It can be made again as long as the database is there. */
	cleanup_err struct perry_err *why = NULL;
	if ((!there || strcmp(wanted, s->agent_id) != 0) && file_write_atomic(path, line, (size_t)n, 0600, &why) < 0)
		log_warn("store", "%s", perry_msg(why));
	return 0;
}

/* SQLite gives its log the mode of the database file, so that one is made first, closed to others. */
static int make_private(const char *path, struct perry_err **err)
{
	cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return perry_fail_errno(err, errno, "%s", path);
	struct stat st;
	if (fstat(fd, &st) == 0 && (st.st_mode & 077) && fchmod(fd, 0600))
		return perry_fail_errno(err, errno, "%s: cannot be made private", path);
	return 0;
}

static void store_free(struct store *s)
{
	while (s->idle) {
		struct db *db = s->idle;
		s->idle = db->next;
		db_close(db);
	}
	db_close(s->wdb);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

int store_open(struct store **out, const char *path, struct perry_err **err)
{
	if (store_check_file(path, err) || make_private(path, err))
		return -1;
	struct store *s = xcalloc(1, sizeof *s);
	s->path = xstrdup(path);
	s->tail = &s->head;
	pthread_mutex_init(&s->lock, NULL);
	clock_cond_init(&s->work);
	if (db_open(&s->wdb, s->path, true, err) || check_integrity(s->wdb, err) || schema_migrate(s->wdb, err) ||
	    load_agent_id(s, err) || store_note_file(s, err))
		goto failed;
	int rc = pthread_create(&s->writer, NULL, writer, s);
	if (rc) {
		perry_fail_errno(err, rc, "store: cannot start a thread");
		goto failed;
	}
	*out = s;
	return 0;
failed:
	store_free(s);
	return -1;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->writer, NULL);
	store_free(s);
}

const char *store_agent_id(const struct store *s)
{
	return s->agent_id;
}
