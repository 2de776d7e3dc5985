/* Copies of the database beside it, PATH.copy-1 the newest, and the loss of the file itself: everything of an agent is
 * in it, so that it is gone is an error, never a new beginning. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/internal.h"

enum { COPIES = 3, COPY_EVERY_S = 3600 };

static char *copy_path(const char *path, int n)
{
	return xasprintf("%s.copy-%d", path, n);
}

/* Is there something to look for what was in the file? *newest: a path (the caller's). */
static bool has_copy(const char *path, char **newest)
{
	struct stat st;
	for (int n = 1; n <= COPIES; n++) {
		char *copy = copy_path(path, n);
		if (stat(copy, &st) == 0 && st.st_size) {
			*newest = copy;
			return true;
		}
		free(copy);
	}
	return false;
}

int store_check_file(const char *path, struct perry_err **err)
{
	cleanup_free char *newest = NULL;
	struct stat st;
	bool there = stat(path, &st) == 0;
	if (there && st.st_size)
		return 0;
	if (!has_copy(path, &newest)) /* a first start, or one that was killed at once */
		return 0;
	return perry_fail(
		err, PERRY_ESTATE,
		"%s is %s, and with it what is known of the workspaces; nothing was begun anew\n"
		"  put the newest copy back: cp %s %s\n"
		"  (to begin without it on purpose, move %s.copy-* away; then perry adopt takes the workspaces "
		"back by their containers and homes)",
		path, there ? "empty" : "gone", newest, path, path);
}

int store_note_file(struct store *s, struct perry_err **err)
{
	return stat(s->path, &s->file) == 0 ? 0 : perry_fail_errno(err, errno, "%s", s->path);
}

int store_same_file(const struct store *s, struct perry_err **err)
{
	struct stat now;
	if (stat(s->path, &now) == 0 && now.st_ino == s->file.st_ino && now.st_dev == s->file.st_dev && now.st_size)
		return 0;
	return perry_fail(
		err, PERRY_EUNAVAILABLE,
		"%s was removed or replaced while the agent runs: nothing is recorded any more, so nothing is "
		"begun\n  what was in it is in %s.copy-1; stop the agent, put that in its place, start it again",
		s->path, s->path);
}

/* Of each row of the answer, a number of rows or "ok"; non-zero ends it as an error. */
static int is_sound(void *ctx, int n, char **values, char **names)
{
	return !values[0] || (atoi(values[0]) < 1 && strcmp(values[0], "ok") != 0);
}

static int back_up(struct db *from, const char *to, struct perry_err **err)
{
	sqlite3 *h = NULL;
	unlink(to);
	int fd = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return perry_fail_errno(err, errno, "%s", to);
	close(fd);
	int rc = sqlite3_open_v2(to, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(h, "main", from->h, "main") : NULL;
	if (b) {
		rc = sqlite3_backup_step(b, -1);
		sqlite3_backup_finish(b);
	}
	/* A copy is one file: no log beside it. */
	if (rc == SQLITE_DONE)
		sqlite3_exec(h, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
	/* Of a file that was cut short nothing may be left: then the older copies are the better ones. */
	if (rc == SQLITE_DONE &&
	    sqlite3_exec(h, "SELECT count(*) FROM meta; PRAGMA quick_check(1)", is_sound, NULL, NULL) != SQLITE_OK)
		rc = SQLITE_CORRUPT;
	sqlite3_close(h);
	if (rc == SQLITE_DONE)
		return 0;
	unlink(to);
	return perry_fail(err, PERRY_EINTERNAL, "%s: %s", to, sqlite3_errstr(rc));
}

static int copy_now(struct store *s, struct db *from, struct perry_err **err)
{
	cleanup_free char *fresh = xasprintf("%s.copy-new", s->path);
	if (back_up(from, fresh, err) < 0)
		return -1;
	for (int n = COPIES; n > 1; n--) {
		cleanup_free char *to = copy_path(s->path, n), *of = copy_path(s->path, n - 1);
		rename(of, to);
	}
	cleanup_free char *first = copy_path(s->path, 1);
	return rename(fresh, first) == 0 ? 0 : perry_fail_errno(err, errno, "%s", first);
}

void store_copy_lost(struct store *s)
{
	cleanup_err struct perry_err *err = NULL;
	if (copy_now(s, s->wdb, &err) < 0)
		log_error("store", "no copy of what was in %s: %s", s->path, perry_msg(err));
}

void store_copy(struct store *s, bool if_due)
{
	cleanup_free char *newest = copy_path(s->path, 1);
	cleanup_err struct perry_err *err = NULL;
	struct stat st;
	if (if_due && stat(newest, &st) == 0 && st.st_mtime + COPY_EVERY_S > time(NULL))
		return;
	struct db *db = store_reader(s, &err);
	if (!db || store_same_file(s, &err) < 0 || copy_now(s, db, &err) < 0)
		log_warn("store", "%s", perry_msg(err));
	store_reader_done(s, db);
}
