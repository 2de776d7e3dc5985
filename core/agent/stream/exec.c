/* A command in a workspace: docker exec of perry-step, pumped without blocking. What blocks (opening, resizing,
 * signalling, the exit code) runs on threads of its own; each of them holds a reference. */
#include "agent/stream/exec.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "docker/step_argv.h"

#define KILL_TRIES      15 /* the record of a command that was just started may not stand yet */
#define KILL_PAUSE_MS   200
#define RESIZE_TRIES    20
#define RESIZE_PAUSE_MS 25
#define GRACE           "2"  /* seconds from HUP to KILL */
#define AFTER_KILL_MS   3000 /* then the stream is let go, whoever holds its other end */
#define USED_MS         60000

struct exec {
	struct stream_source base;
	int refs; /* threads under way, and one until finish */
	char id[40], container[65], kind[16];
	char **command; /* what the client asked for, or NULL */
	char *user, *cwd, *term, *shell;
	cJSON *caller;
	bool tty;
	int cols, rows;           /* of the opening and of the resize under way */
	int want_cols, want_rows; /* the newest */

	struct docker_stream *st;    /* the I/O thread's; resize and exit code borrow it */
	struct docker_stream *fresh; /* the open thread's */
	struct perry_err *err;       /* the open thread's, then the end's */
	struct loop_watch *watch;
	struct buf in; /* not taken by the engine yet; at most a window */
	bool eof, input_closed;
	struct buf pending; /* read, and no room for it yet */
	int pending_fd;
	struct buf pending2; /* the same of the other descriptor, after it */
	bool stream_ended;
	atomic_bool over; /* the command ended: no use in signalling */
	bool opened, ending, killed, exiting, exit_known, finished;
	int code;
	bool resizing, resize_again;
	int64_t used_at;
	struct loop_timer timer; /* after a kill */
};

static void unref(struct exec *e)
{
	if (--e->refs)
		return;
	for (char **list = e->command; list && *list; list++)
		free(*list);
	free(e->command);
	free(e->user);
	free(e->cwd);
	free(e->term);
	free(e->shell);
	cJSON_Delete(e->caller);
	perry_err_free(e->err);
	docker_stream_free(e->st);
	buf_free(&e->in);
	buf_free(&e->pending);
	buf_free(&e->pending2);
	free(e);
}

static void work(struct exec *e, void (*fn)(void *arg), void (*done)(void *arg))
{
	e->refs++;
	loop_work(e->base.s->loop, fn, done, e);
}

static void done_nothing(void *arg)
{
	unref(arg);
}

/* Tells the owner and lets go. */
static void finish(struct exec *e)
{
	if (e->finished)
		return;
	e->finished = true;
	atomic_store(&e->over, true);
	loop_watch_drop(&e->watch);
	loop_timer_stop(&e->timer);
	stream_source_unlist(&e->base);
	if (e->base.owner) {
		cleanup_err struct perry_err *err = NULL;
		if (!e->exiting && !e->exit_known) /* else code and err are a thread's */
			err = take_ptr(e->err);
		if (!err && !e->exit_known)
			perry_fail(&err, PERRY_ECANCELLED, "the command was ended");
		e->base.sink->ended(e->base.owner, e->exit_known ? e->code : 0, err);
	}
	unref(e);
}

/* --- the end --- */

static void exit_thread(void *arg)
{
	struct exec *e = arg;
	/* Nobody else touches code and err until exit_done. One that closed its output and runs on is waited for. */
	int rc;
	do {
		perry_err_free(take_ptr(e->err));
		rc = docker_stream_exit_code(e->st, &e->code, &e->err);
	} while (rc < 0 && e->err && e->err->code == PERRY_ESTATE && !atomic_load(&e->over) &&
		 !atomic_load(&e->base.s->cancel.set));
	if (rc < 0 && !e->err)
		perry_fail(&e->err, PERRY_EINTERNAL, "the engine tells no exit code");
}

static void maybe_finish(struct exec *e)
{
	bool known = e->exit_known || (e->stream_ended && !e->exiting && e->err);
	if (known && !e->finished && (!e->pending.len || !e->base.owner))
		finish(e);
}

static void exit_done(void *arg)
{
	struct exec *e = arg;
	e->exiting = false;
	e->exit_known = !e->err;
	atomic_store(&e->over, true);
	maybe_finish(e);
	unref(e);
}

static void stream_over(struct exec *e)
{
	if (e->stream_ended)
		return;
	e->stream_ended = true;
	loop_watch_drop(&e->watch);
	/* A broken stream says why it broke only if the engine does not know how the command ended. */
	e->exiting = true;
	work(e, exit_thread, exit_done);
}

/* --- ending it --- */

static void kill_exec(struct exec *e, const char *signal, const char *grace, struct perry_err **err)
{
	struct streams *s = e->base.s;
	const char *argv[8];
	step_kill_argv(argv, e->id, signal, grace);
	struct docker_exec x = { .argv = argv, .user = "0:0", .timeout_ms = 20000 };
	for (int i = 0; i < KILL_TRIES && !atomic_load(&e->over); i++) {
		int code = 0;
		int rc = docker_exec(s->setup.docker, e->container, &x, NULL, NULL, &s->cancel, &code, err);
		if (rc < 0 || code != STEP_NO_TARGET)
			return;
		usleep(KILL_PAUSE_MS * 1000);
	}
}

static void kill_thread(void *arg)
{
	struct exec *e = arg;
	cleanup_err struct perry_err *err = NULL;
	kill_exec(e, "HUP", GRACE, &err);
	/* A container that is gone has ended its commands. */
	if (err && err->code != PERRY_ENOTFOUND && err->code != PERRY_ECONFLICT && err->code != PERRY_ECANCELLED)
		log_warn("streams", "%s: cannot end %s: %s", e->base.workspace, e->id, perry_msg(err));
}

static void on_give_up(void *owner)
{
	finish(owner);
}

static void kill_done(void *arg)
{
	struct exec *e = arg;
	if (!e->finished) {
		/* The stream ends by itself now, unless something that left the session holds it. */
		loop_timer_set(e->base.s->loop, &e->timer, clock_mono_ms() + AFTER_KILL_MS, on_give_up, e);
	}
	unref(e);
}

static void start_kill(struct exec *e)
{
	if (e->killed || !e->st || e->finished)
		return;
	e->killed = true;
	work(e, kill_thread, kill_done);
}

/* --- pumping --- */

static int on_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	struct exec *e = ctx;
	if (e->ending || !e->base.owner)
		return 0;
	size_t room = e->pending.len ? 0 : e->base.sink->room(e->base.owner);
	size_t k = n < room ? n : room;
	if (k)
		e->base.sink->output(e->base.owner, fd, bytes, k);
	bytes += k;
	n -= k;
	if (!n)
		return 0;
	if (!e->pending.len)
		e->pending_fd = fd;
	/* At most one read's worth; of three runs out, err, out the order between the descriptors is given up, never
	 * that within one. */
	buf_add(fd == e->pending_fd ? &e->pending : &e->pending2, bytes, n);
	return 0;
}

static void flush_input(struct exec *e)
{
	while (e->st && e->in.len && !e->input_closed) {
		ssize_t n = docker_stream_write(e->st, e->in.data, e->in.len);
		if (n == 0)
			break;
		if (n < 0) {
			/* Nobody reads it any more; the client is not to wait for room. */
			n = (ssize_t)e->in.len;
			e->input_closed = true;
		}
		buf_consume(&e->in, (size_t)n);
		if (e->base.owner)
			e->base.sink->consumed(e->base.owner, (size_t)n);
	}
	if (e->st && e->eof && !e->in.len && !e->input_closed) {
		e->input_closed = true;
		docker_stream_close_input(e->st);
	}
}

static bool can_read(const struct exec *e)
{
	return !e->pending.len && (e->ending || !e->base.owner || e->base.sink->room(e->base.owner) > 0);
}

static void update(struct exec *e)
{
	if (!e->watch)
		return;
	loop_watch_set(e->watch, (can_read(e) ? EPOLLIN : 0) | (e->in.len && !e->input_closed ? EPOLLOUT : 0));
}

static void read_some(struct exec *e)
{
	cleanup_err struct perry_err *err = NULL;
	int rc = docker_stream_read(e->st, on_bytes, e, &err);
	if (rc < 0 && !e->err)
		e->err = take_ptr(err);
	if (rc <= 0)
		stream_over(e);
}

static void on_event(void *owner, uint32_t events)
{
	struct exec *e = owner;
	if (events & EPOLLOUT)
		flush_input(e);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && can_read(e))
		read_some(e);
	update(e);
}

static void flush_pending(struct exec *e)
{
	while (e->pending.len && e->base.owner) {
		size_t room = e->base.sink->room(e->base.owner), n = e->pending.len < room ? e->pending.len : room;
		if (!n)
			return;
		e->base.sink->output(e->base.owner, e->pending_fd, e->pending.data, n);
		buf_consume(&e->pending, n);
		if (!e->pending.len && e->pending2.len) {
			struct buf empty = e->pending;
			e->pending = e->pending2;
			e->pending2 = empty;
			e->pending_fd = e->pending_fd == 2 ? 1 : 2;
		}
	}
}

/* --- opening --- */

static void open_thread(void *arg)
{
	struct exec *e = arg;
	const struct streams_setup *setup = &e->base.s->setup;
	if (setup->admit && setup->admit(setup->ctx, e->caller, e->kind, e->base.workspace, &e->err) < 0)
		return;
	if (setup->resolve(setup->ctx, e->base.workspace, true, e->container, &e->err) < 0)
		return;
	if (!e->command && setup->shell)
		e->shell = setup->shell(setup->ctx, e->base.workspace);
	cleanup_free const char **argv = step_exec_argv(&(struct step_exec){
		.id = e->id,
		.user = e->user,
		.cwd = e->cwd,
		.cols = e->tty ? e->cols : 0,
		.rows = e->rows,
		.shell = e->shell,
		.command = (const char *const *)e->command,
	});
	cleanup_free char *term = xasprintf("TERM=%s", e->term ? e->term : "xterm-256color");
	const char *env[] = { term, NULL };
	struct docker_exec x = {
		.argv = argv,
		.env = e->tty ? env : NULL,
		.user = "0:0",
		.tty = e->tty,
	};
	if (docker_exec_open(setup->docker, e->container, &x, &e->fresh, &e->err) < 0)
		return;
	if (setup->used)
		setup->used(setup->ctx, e->base.workspace);
}

static void open_done(void *arg)
{
	struct exec *e = arg;
	e->st = take_ptr(e->fresh);
	if (e->err || !e->st) {
		if (!e->err)
			perry_fail(&e->err, PERRY_EINTERNAL, "the engine gave no stream");
		finish(e);
		unref(e);
		return;
	}
	e->opened = true;
	e->used_at = clock_mono_ms();
	e->watch = loop_watch_new(e->base.s->loop, docker_stream_fd(e->st), on_event, e);
	if (e->ending)
		start_kill(e);
	else if (e->base.owner)
		e->base.sink->opened(e->base.owner);
	if (e->resize_again && e->base.resize) {
		e->resize_again = false;
		e->base.resize(&e->base, e->want_cols, e->want_rows);
	}
	flush_input(e);
	read_some(e); /* what came with the head is not reported */
	update(e);
	unref(e);
}

/* --- the owner's calls --- */

static void used_thread(void *arg)
{
	struct exec *e = arg;
	e->base.s->setup.used(e->base.s->setup.ctx, e->base.workspace);
}

static void on_input(struct stream_source *src, const char *bytes, size_t n)
{
	struct exec *e = (struct exec *)src;
	if (e->input_closed || e->ending) {
		src->sink->consumed(src->owner, n);
		return;
	}
	buf_add(&e->in, bytes, n);
	flush_input(e);
	update(e);
	if (e->opened && src->s->setup.used && clock_mono_ms() - e->used_at > USED_MS) {
		e->used_at = clock_mono_ms();
		work(e, used_thread, done_nothing);
	}
}

static void on_eof(struct stream_source *src)
{
	struct exec *e = (struct exec *)src;
	e->eof = true;
	flush_input(e);
	update(e);
}

static void resize_thread(void *arg)
{
	struct exec *e = arg;
	/* The engine opens the stream before the process is there, which cannot be resized yet. */
	for (int i = 0; i < RESIZE_TRIES && !atomic_load(&e->over); i++) {
		if (docker_stream_resize(e->st, e->cols, e->rows, NULL) == 0)
			return;
		usleep(RESIZE_PAUSE_MS * 1000);
	}
}

static void on_resize(struct stream_source *src, int cols, int rows);

static void resize_done(void *arg)
{
	struct exec *e = arg;
	e->resizing = false;
	if (e->resize_again && !e->finished) {
		e->resize_again = false;
		on_resize(&e->base, e->want_cols, e->want_rows);
	}
	unref(e);
}

static void on_resize(struct stream_source *src, int cols, int rows)
{
	struct exec *e = (struct exec *)src;
	e->want_cols = cols;
	e->want_rows = rows;
	/* While one is under way (or the opening, which reads the size too) only the newest is kept. */
	if (!e->opened || e->resizing) {
		e->resize_again = true;
		return;
	}
	if (e->stream_ended || !e->tty)
		return;
	e->cols = cols;
	e->rows = rows;
	e->resizing = true;
	work(e, resize_thread, resize_done);
}

struct signal_job {
	struct exec *e;
	char name[20];
};

static void signal_thread(void *arg)
{
	struct signal_job *j = arg;
	cleanup_err struct perry_err *err = NULL;
	kill_exec(j->e, j->name, NULL, &err);
	if (err)
		log_debug("streams", "%s: signal %s: %s", j->e->base.workspace, j->name, perry_msg(err));
}

static void signal_done(void *arg)
{
	struct signal_job *j = arg;
	unref(j->e);
	free(j);
}

static void on_signal(struct stream_source *src, const char *name)
{
	struct exec *e = (struct exec *)src;
	if (!e->st || e->ending || e->stream_ended)
		return;
	struct signal_job *j = xcalloc(1, sizeof *j);
	j->e = e;
	snprintf(j->name, sizeof j->name, "%s", name);
	e->refs++;
	loop_work(src->s->loop, signal_thread, signal_done, j);
}

static void on_kick(struct stream_source *src)
{
	struct exec *e = (struct exec *)src;
	flush_pending(e);
	update(e);
	maybe_finish(e);
}

static void on_end(struct stream_source *src)
{
	struct exec *e = (struct exec *)src;
	bool first = !e->ending;
	e->ending = true;
	buf_free(&e->pending);
	buf_free(&e->pending2);
	e->pending = e->pending2 = (struct buf){ 0 };
	if (first && !e->exit_known)
		start_kill(e);
	update(e);
	maybe_finish(e);
}

static char **copy_list(char *const *list)
{
	size_t n = 0;
	while (list && list[n])
		n++;
	char **copy = n ? xcalloc(n + 1, sizeof *copy) : NULL;
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

struct stream_source *stream_exec_new(struct streams *s, const struct stream_exec *spec, const cJSON *caller,
				      const struct stream_sink *sink, void *owner)
{
	struct exec *e = xcalloc(1, sizeof *e);
	e->refs = 1;
	e->base.use = spec->tty                            ? STREAM_USE_TERMINAL
		      : strcmp(spec->kind, "forward") == 0 ? STREAM_USE_OTHER
							   : STREAM_USE_EXEC;
	stream_source_list(&e->base, s, spec->workspace, sink, owner);
	e->base.input = on_input;
	e->base.eof = on_eof;
	e->base.resize = on_resize;
	e->base.signal = on_signal;
	e->base.kick = on_kick;
	e->base.end = on_end;
	step_exec_id(e->id);
	snprintf(e->kind, sizeof e->kind, "%s", spec->kind);
	e->command = copy_list(spec->command);
	e->user = xstrdup(spec->user);
	e->cwd = xstrdup(spec->cwd);
	e->term = xstrdup(spec->term);
	e->tty = spec->tty;
	e->cols = spec->cols;
	e->rows = spec->rows;
	e->caller = cJSON_Duplicate(caller, 1);
	work(e, open_thread, open_done);
	return &e->base;
}
