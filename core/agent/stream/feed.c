/* Logs and copies: one blocking engine call on a thread, with bounded queues between it and the I/O thread. */
#include "agent/stream/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/stream/spool.h"
#include "agent/stream/tar.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"

#define OUT_MAX    (128 << 10)
#define PASSWD_MAX (1 << 20)
#define STALL_S    30 /* of copy_out: the engine holds the container's lock meanwhile, nobody could use or stop it */

struct piece {
	struct piece *next;
	int fd;
	size_t n, at;
	char bytes[];
};

struct feed {
	struct stream_source base;
	cJSON *open, *caller;
	struct docker_cancel cancel;
	char container[65];
	bool copy_out;
	int spool; /* copy_in: what came, while it comes */

	pthread_mutex_t lock; /* of the next lines */
	pthread_cond_t moved;
	struct piece *out, **out_tail;
	size_t out_len;
	struct buf in;
	bool eof;
	size_t taken;        /* of the input, not yet told as consumed */
	bool resolved, told; /* the engine call begins; a wake is posted */
	bool stalled;        /* the client let copy_out wait for too long */

	bool opened, done, ending;
	struct perry_err *err; /* the thread's until done */
	struct buf local;      /* the thread's: input it works on */
};

static void feed_free(struct feed *f)
{
	for (struct piece *p; (p = f->out);) {
		f->out = p->next;
		free(p);
	}
	if (f->cancel.fd >= 0)
		close(f->cancel.fd);
	if (f->spool >= 0)
		close(f->spool);
	perry_err_free(f->err);
	buf_free(&f->in);
	buf_free(&f->local);
	cJSON_Delete(f->open);
	cJSON_Delete(f->caller);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->moved);
	free(f);
}

/* --- the thread --- */

static void on_wake(void *arg);

/* Under f->lock. The thread's own end is posted after this, so f outlives it. */
static void wake(struct feed *f)
{
	if (!f->told) {
		f->told = true;
		loop_post(f->base.s->loop, on_wake, f);
	}
}

/* Under f->lock: waits for the other side to move. False: cancelled, or copy_out stalls. */
static bool await_move(struct feed *f)
{
	if (atomic_load(&f->cancel.set))
		return false;
	if (!f->copy_out) {
		pthread_cond_wait(&f->moved, &f->lock);
		return true;
	}
	struct timespec until = clock_deadline(STALL_S * 1000);
	f->stalled = pthread_cond_timedwait(&f->moved, &f->lock, &until) == ETIMEDOUT;
	return !f->stalled;
}

static int put_output(void *ctx, int fd, const char *bytes, size_t n)
{
	struct feed *f = ctx;
	while (n) {
		size_t k = n < STREAM_PIECE ? n : STREAM_PIECE;
		struct piece *p = xmalloc(sizeof *p + k);
		*p = (struct piece){ .fd = fd, .n = k };
		memcpy(p->bytes, bytes, k);
		pthread_mutex_lock(&f->lock);
		bool cancelled = false;
		while (f->out_len >= OUT_MAX && !cancelled)
			cancelled = !await_move(f);
		if (cancelled) {
			free(p);
		} else {
			*f->out_tail = p;
			f->out_tail = &p->next;
			f->out_len += k;
			wake(f);
		}
		pthread_mutex_unlock(&f->lock);
		if (cancelled)
			return 1;
		bytes += k;
		n -= k;
	}
	return 0;
}

static ssize_t get_input(void *ctx, const void **bytes)
{
	struct feed *f = ctx;
	pthread_mutex_lock(&f->lock);
	while (!f->in.len && !f->eof && await_move(f))
		;
	bool failed = atomic_load(&f->cancel.set);
	f->local.len = 0;
	struct buf mine = f->in;
	f->in = f->local;
	f->local = mine;
	f->taken += mine.len;
	if (mine.len)
		wake(f);
	pthread_mutex_unlock(&f->lock);
	*bytes = f->local.data;
	return failed ? -1 : (ssize_t)f->local.len;
}

static ssize_t fill(void *ctx, char *bytes, size_t n)
{
	struct feed *f = ctx;
	return read(f->spool, bytes, n);
}

/* The engine locks the container from the first byte to the last: it gets them when all are here and are a tar. */
static int spool_input(struct feed *f, struct stream_tar *tar, struct perry_err **err)
{
	char bytes[16384];
	ssize_t n;
	struct spool spool;
	if (spool_open(&spool, err) < 0)
		return -1;
	f->spool = spool.fd;
	while ((n = stream_tar_fill(tar, bytes, sizeof bytes, err)) > 0)
		if (spool_write(&spool, bytes, (size_t)n, stream_tar_announced(tar), err) < 0)
			return -1;
	if (n == 0 && lseek(f->spool, 0, SEEK_SET) < 0)
		return perry_fail_errno(err, errno, "cannot read the temporary file");
	return (int)n;
}

struct account {
	long long uid, gid;
	char home[256];
};

static int collect(void *ctx, int fd, const char *bytes, size_t n)
{
	struct buf *b = ctx;
	buf_add(b, bytes, n);
	return b->len > PASSWD_MAX;
}

/* A line "name:password:uid:gid:comment:home:shell" of the user asked for. */
static bool parse_account(char *line, const char *user, struct account *out)
{
	char *field[7] = { 0 };
	for (int i = 0; i < 7 && line; i++)
		field[i] = strsep(&line, ":");
	if (!field[5] || strcmp(field[0], user) != 0 || str_to_int(field[2], 0, UINT32_MAX - 1, &out->uid) < 0 ||
	    str_to_int(field[3], 0, UINT32_MAX - 1, &out->gid) < 0)
		return false;
	snprintf(out->home, sizeof out->home, "%s", field[5][0] == '/' ? field[5] : "/");
	return true;
}

/* From the archive of /etc/passwd alone: a container that does not run can be asked too. */
static int find_account(struct feed *f, const char *user, struct account *out, struct perry_err **err)
{
	long long number;
	*out = (struct account){ .home = "/" };
	if (str_to_int(user, 0, UINT32_MAX - 1, &number) == 0) {
		out->uid = out->gid = number;
		return 0;
	}
	cleanup_buf struct buf tar = { 0 };
	struct docker *d = f->base.s->setup.docker;
	if (docker_archive_get(d, f->container, "/etc/passwd", collect, &tar, &f->cancel, err) < 0)
		return perry_wrap(err, "cannot look up the user %s", user);
	size_t at, n;
	cleanup_free char *text = NULL;
	if (stream_tar_find(tar.data, tar.len, &at, &n))
		text = xstrndup(tar.data + at, n);
	for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));)
		if (parse_account(line, user, out))
			return 0;
	return perry_fail(err, PERRY_ENOTFOUND, "no user %s in this workspace", user);
}

/* --- where a path leads --- */

struct place {
	char *path; /* without links, as far as it is there */
	char kind;  /* as docker_archive_stat has it; 0: nothing is there */
	bool link;  /* the path as it was given is a link */
};

static void place_free(struct place *p)
{
	free(p->path);
}
#define cleanup_place __attribute__((cleanup(place_free)))

/* Step by step, since the engine takes ".." and mounts by the text of a path. */
static int find_place(struct feed *f, const char *given, struct place *out, struct perry_err **err)
{
	cleanup_free char *todo = xstrdup(given);
	*out = (struct place){ .path = xstrdup("/"), .kind = 'd' };
	char *save = NULL;
	for (char *step = strtok_r(todo, "/", &save); step; step = strtok_r(NULL, "/", &save)) {
		cleanup_err struct perry_err *why = NULL;
		cleanup_free char *here = path_join(out->path, step), *target = NULL;
		bool last = !save || !save[strspn(save, "/")];
		if (strcmp(step, ".") == 0)
			continue;
		if (strcmp(step, "..") == 0) {
			char *slash = strrchr(out->path, '/');
			slash[slash == out->path] = '\0';
			continue;
		}
		if (out->kind && out->kind != 'd')
			return perry_fail(err, PERRY_EINPUT, "%s is no folder", out->path);
		if (out->kind && docker_archive_stat(f->base.s->setup.docker, f->container, here, &out->kind, &target,
						     &f->cancel, &why) < 0) {
			if (why->code != PERRY_ENOTFOUND)
				return perry_move(err, take_ptr(why));
			out->kind = 0;
		}
		if (target) { /* the engine has followed it to its end */
			cleanup_free char *next = NULL;
			out->link = last;
			if (docker_archive_stat(f->base.s->setup.docker, f->container, target, &out->kind, &next,
						&f->cancel, &why) < 0) {
				if (why->code != PERRY_ENOTFOUND)
					return perry_move(err, take_ptr(why));
				out->kind = 0;
			}
		}
		free(out->path);
		out->path = target ? take_ptr(target) : take_ptr(here);
	}
	return 0;
}

/* Is path the folder or something in it? How long the folder's name is, 0: it is not. */
static size_t below(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	while (n > 1 && folder[n - 1] == '/')
		n--;
	return n > 1 && strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]) ? n : 0;
}

/* The engine reads and writes the container's disk: under a file system in memory that is what nobody inside sees, and
 * it would say that all is well. */
static int refuse_memory(struct feed *f, const char *path, struct perry_err **err)
{
	static const char *const always[] = { "/dev", "/proc", "/sys" };
	cleanup_json cJSON *c = NULL;
	const cJSON *m;
	const char *hit = NULL;
	size_t best = 0, n;
	if (docker_container_inspect(f->base.s->setup.docker, f->container, &c, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		if ((n = below(path, always[i])) > best)
			best = n, hit = always[i];
	cJSON_ArrayForEach(m, json_at(c, "HostConfig.Tmpfs"))
		if ((n = below(path, m->string)) > best)
			best = n, hit = m->string;
	cJSON_ArrayForEach(m, json_at(c, "Mounts")) {
		const char *at = json_str_or(m, "Destination", "");
		if ((n = below(path, at)) >= best && n)
			best = n, hit = str_eq(json_str(m, "Type"), "tmpfs") ? at : NULL;
	}
	if (hit)
		return perry_fail(
			err, PERRY_EINPUT,
			"%s is in memory (%s is no place on a disk): files cannot be copied there or from there", path,
			hit);
	return 0;
}

/* The place that a client's path means; ~ is the home of the user. */
static int place_of(struct feed *f, const struct account *account, struct place *out, struct perry_err **err)
{
	const char *given = json_str_or(f->open, "path", "/");
	cleanup_free char *path = given[0] == '~' ? xasprintf("%s%s", account->home, given + 1) : xstrdup(given);
	return find_place(f, path, out, err) < 0 || refuse_memory(f, out->path, err) < 0 ? -1 : 0;
}

static void tell_resolved(struct feed *f)
{
	pthread_mutex_lock(&f->lock);
	f->resolved = true;
	wake(f);
	pthread_mutex_unlock(&f->lock);
}

static int need_account(struct feed *f, bool always, struct account *out, struct perry_err **err)
{
	if (!always && json_str_or(f->open, "path", "/")[0] != '~')
		return 0;
	return find_account(f, json_str_or(f->open, "user", "workspace"), out, err);
}

static int run_look(struct feed *f, struct perry_err **err)
{
	struct account account = { 0 };
	cleanup_place struct place p = { 0 };
	if (need_account(f, false, &account, err) < 0 || place_of(f, &account, &p, err) < 0)
		return -1;
	tell_resolved(f);
	cleanup_json cJSON *j = cJSON_CreateObject();
	json_set_str(j, "path", p.path);
	json_set_str(j, "type", p.kind == 'd' ? "folder" : p.kind == 'f' ? "file" : p.kind ? "other" : "none");
	json_set_bool(j, "link", p.link);
	cleanup_free char *text = json_print(j);
	return put_output(f, 1, text, strlen(text));
}

static int run_copy_in(struct feed *f, struct perry_err **err)
{
	struct account account = { 0 };
	cleanup_place struct place p = { 0 };
	if (need_account(f, true, &account, err) < 0 || place_of(f, &account, &p, err) < 0)
		return -1;
	/* Told before the client sends for a long time. */
	if (!p.kind)
		return perry_fail(err, PERRY_ENOTFOUND, "%s: no such folder", p.path);
	if (p.kind != 'd')
		return perry_fail(err, PERRY_EINPUT, "%s is no folder", p.path);
	tell_resolved(f);
	struct stream_tar *tar = stream_tar_new(account.uid, account.gid, get_input, f);
	int rc = spool_input(f, tar, err);
	stream_tar_free(tar);
	return rc < 0 ? -1
		      : docker_archive_put_stream(f->base.s->setup.docker, f->container, p.path, true, fill, f,
						  &f->cancel, err);
}

/* A path that is a link is copied as one, a link on the way is followed. */
static int run_copy_out(struct feed *f, struct perry_err **err)
{
	struct account account = { 0 };
	cleanup_place struct place p = { 0 };
	if (need_account(f, false, &account, err) < 0 || place_of(f, &account, &p, err) < 0)
		return -1;
	const char *given = json_str_or(f->open, "path", "/");
	cleanup_free char *path = given[0] == '~' ? xasprintf("%s%s", account.home, given + 1) : xstrdup(given);
	tell_resolved(f);
	return docker_archive_get(f->base.s->setup.docker, f->container, path, put_output, f, &f->cancel, err);
}

static int run_logs(struct feed *f, struct perry_err **err)
{
	struct docker_logs opts = {
		.tail = (int)json_int_or(f->open, "tail", -1),
		.since = json_int_or(f->open, "since", 0),
		.follow = json_bool_or(f->open, "follow", false),
		.timestamps = json_bool_or(f->open, "timestamps", false),
	};
	tell_resolved(f);
	return docker_container_logs(f->base.s->setup.docker, f->container, &opts, put_output, f, &f->cancel, err);
}

static void feed_thread(void *arg)
{
	struct feed *f = arg;
	const struct streams_setup *setup = &f->base.s->setup;
	const char *kind = json_str_or(f->open, "kind", "");
	if (setup->admit && setup->admit(setup->ctx, f->caller, kind, f->base.workspace, &f->err) < 0)
		return;
	if (setup->resolve(setup->ctx, f->base.workspace, false, f->container, &f->err) < 0)
		return;
	bool in = strcmp(kind, "copy_in") == 0;
	int rc = in                          ? run_copy_in(f, &f->err)
		 : strcmp(kind, "logs") == 0 ? run_logs(f, &f->err)
		 : strcmp(kind, "look") == 0 ? run_look(f, &f->err)
					     : run_copy_out(f, &f->err);
	if (rc < 0 && f->stalled)
		perry_fail(&f->err, PERRY_ETIMEOUT, "the copy stalled for %d s", STALL_S);
	else if (rc < 0 && !f->err)
		perry_fail(&f->err, PERRY_EINTERNAL, "the engine ended the stream without a reason");
	if (rc == 0 && in && setup->used)
		setup->used(setup->ctx, f->base.workspace);
}

/* --- the I/O thread --- */

/* One piece, or as much of it as there is room for. False: nothing more goes. */
static bool give_piece(struct feed *f)
{
	pthread_mutex_lock(&f->lock);
	struct piece *p = f->out;
	pthread_mutex_unlock(&f->lock);
	if (!p)
		return false;
	size_t left = p->n - p->at, room = f->ending ? left : f->base.sink->room(f->base.owner),
	       n = left < room ? left : room;
	if (!n)
		return false;
	if (!f->ending)
		f->base.sink->output(f->base.owner, p->fd, p->bytes + p->at, n);
	p->at += n; /* the first piece is only ever removed here */
	pthread_mutex_lock(&f->lock);
	f->out_len -= n;
	if (p->at == p->n) {
		f->out = p->next;
		if (!f->out)
			f->out_tail = &f->out;
	} else {
		p = NULL;
	}
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
	free(p);
	return true;
}

static void finish(struct feed *f)
{
	stream_source_unlist(&f->base);
	if (f->base.owner) {
		if (f->ending && !f->err)
			perry_fail(&f->err, PERRY_ECANCELLED, "the stream was ended");
		f->base.sink->ended(f->base.owner, 0, f->err);
	}
	feed_free(f);
}

static void pump(struct feed *f)
{
	pthread_mutex_lock(&f->lock);
	f->told = false;
	bool resolved = f->resolved;
	size_t taken = f->taken;
	f->taken = 0;
	pthread_mutex_unlock(&f->lock);
	if (!f->base.owner)
		f->ending = true;
	if (resolved && !f->opened) {
		f->opened = true;
		if (!f->ending)
			f->base.sink->opened(f->base.owner, NULL);
	}
	if (taken && f->base.owner)
		f->base.sink->consumed(f->base.owner, taken);
	while (give_piece(f))
		;
	if (f->done && !f->out)
		finish(f);
}

static void on_wake(void *arg)
{
	pump(arg);
}

static void on_done(void *arg)
{
	struct feed *f = arg;
	f->done = true;
	pump(f);
}

static void on_input(struct stream_source *src, const char *bytes, size_t n)
{
	struct feed *f = (struct feed *)src;
	if (f->ending || f->done) {
		src->sink->consumed(src->owner, n);
		return;
	}
	pthread_mutex_lock(&f->lock);
	buf_add(&f->in, bytes, n);
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

static void on_eof(struct stream_source *src)
{
	struct feed *f = (struct feed *)src;
	pthread_mutex_lock(&f->lock);
	f->eof = true;
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

static void on_kick(struct stream_source *src)
{
	pump((struct feed *)src);
}

static void on_end(struct stream_source *src)
{
	struct feed *f = (struct feed *)src;
	f->ending = true;
	if (!atomic_exchange(&f->cancel.set, true)) {
		uint64_t one = 1;
		if (f->cancel.fd >= 0 && write(f->cancel.fd, &one, sizeof one) < 0)
			abort(); /* an eventfd that holds 0 takes 1 */
		pthread_mutex_lock(&f->lock);
		pthread_cond_broadcast(&f->moved);
		pthread_mutex_unlock(&f->lock);
	}
	pump(f);
}

struct stream_source *stream_feed_new(struct streams *s, const cJSON *open, const cJSON *caller,
				      const struct stream_sink *sink, void *owner)
{
	struct feed *f = xcalloc(1, sizeof *f);
	f->open = cJSON_Duplicate(open, 1);
	f->caller = cJSON_Duplicate(caller, 1);
	f->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->out_tail = &f->out;
	pthread_mutex_init(&f->lock, NULL);
	clock_cond_init(&f->moved);
	f->copy_out = strcmp(json_str_or(open, "kind", ""), "copy_out") == 0;
	f->spool = -1;
	stream_source_list(&f->base, s, json_str_or(open, "name", ""), sink, owner);
	if (strcmp(json_str_or(open, "kind", ""), "copy_in") == 0) {
		f->base.input = on_input;
		f->base.eof = on_eof;
	}
	f->base.kick = on_kick;
	f->base.end = on_end;
	loop_work(s->loop, feed_thread, on_done, f);
	return &f->base;
}
