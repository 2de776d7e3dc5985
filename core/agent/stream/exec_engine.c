/* A command through the engine: docker exec of perry-step, pumped without blocking. What blocks (opening, resizing,
 * signalling, the exit code) runs on threads of its own; each of them holds a reference. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/stream/exec_priv.h"
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

static void exit_done(void *arg)
{
	struct exec *e = arg;
	atomic_store(&e->over, true);
	if (!e->finished)
		exec_over(e);
	exec_unref(e);
}

static void stream_over(struct exec *e)
{
	if (e->stream_ended)
		return;
	e->stream_ended = true;
	loop_watch_drop(&e->watch);
	/* A broken stream says why it broke only if the engine does not know how the command ended. */
	exec_work(e, exit_thread, exit_done);
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
	exec_finish(owner);
}

static void kill_done(void *arg)
{
	struct exec *e = arg;
	if (!e->finished) {
		/* The stream ends by itself now, unless something that left the session holds it. */
		loop_timer_set(e->base.s->loop, &e->timer, clock_mono_ms() + AFTER_KILL_MS, on_give_up, e);
	}
	exec_unref(e);
}

static void way_kill(struct exec *e)
{
	exec_work(e, kill_thread, kill_done);
}

static void way_leave(struct exec *e)
{
	atomic_store(&e->over, true);
	loop_watch_drop(&e->watch);
}

/* --- pumping --- */

static ssize_t way_write(struct exec *e, const char *bytes, size_t n)
{
	return docker_stream_write(e->st, bytes, n);
}

static void way_close_input(struct exec *e)
{
	docker_stream_close_input(e->st);
}

static void way_took(struct exec *e, size_t n)
{
}

static void way_update(struct exec *e)
{
	if (!e->watch)
		return;
	loop_watch_set(e->watch, (exec_wants(e) ? EPOLLIN : 0) | (e->in.len && !e->input_closed ? EPOLLOUT : 0));
}

static int on_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	exec_output(ctx, fd, bytes, n);
	return 0;
}

static void read_some(struct exec *e)
{
	if (docker_stream_read(e->st, on_bytes, e, NULL) <= 0)
		stream_over(e);
}

static void on_event(void *owner, uint32_t events)
{
	struct exec *e = owner;
	if (events & EPOLLOUT)
		exec_flush_input(e);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && exec_wants(e))
		read_some(e);
	way_update(e);
}

/* --- size and signals --- */

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

static void way_resize(struct exec *e);

static void resize_done(void *arg)
{
	struct exec *e = arg;
	e->resizing = false;
	if (e->resize_again && !e->finished) {
		e->resize_again = false;
		way_resize(e);
	}
	exec_unref(e);
}

static void way_resize(struct exec *e)
{
	/* While one is under way only the newest is kept. */
	if (e->resizing) {
		e->resize_again = true;
		return;
	}
	if (e->stream_ended)
		return;
	e->cols = e->want_cols;
	e->rows = e->want_rows;
	e->resizing = true;
	exec_work(e, resize_thread, resize_done);
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
	exec_unref(j->e);
	free(j);
}

static void way_signal(struct exec *e, const char *name)
{
	if (e->stream_ended)
		return;
	struct signal_job *j = xcalloc(1, sizeof *j);
	j->e = e;
	snprintf(j->name, sizeof j->name, "%s", name);
	e->refs++;
	loop_work(e->base.s->loop, signal_thread, signal_done, j);
}

static const struct exec_way way = { way_write, way_close_input, way_resize, way_signal,
				     way_kill,  way_took,        way_update, way_leave };

/* --- opening --- */

static void open_thread(void *arg)
{
	struct exec *e = arg;
	char port[8];
	snprintf(port, sizeof port, "%d", e->port);
	const char *const forward[] = { STEP_PATH, "connect", port, NULL };
	cleanup_free const char **argv = step_exec_argv(&(struct step_exec){
		.id = e->id,
		.user = e->user,
		.cwd = e->cwd,
		.cols = e->tty ? e->cols : 0,
		.rows = e->rows,
		.shell = e->shell,
		.command = e->port ? forward : (const char *const *)e->command,
	});
	cleanup_free char *term = xasprintf("TERM=%s", e->term ? e->term : "xterm-256color");
	const char *env[] = { term, NULL };
	struct docker_exec x = {
		.argv = argv,
		.env = e->tty ? env : NULL,
		.user = "0:0",
		.tty = e->tty,
	};
	docker_exec_open(e->base.s->setup.docker, e->container, &x, &e->fresh, &e->err);
}

static void open_done(void *arg)
{
	struct exec *e = arg;
	e->st = take_ptr(e->fresh);
	if (e->err || !e->st) {
		if (!e->err)
			perry_fail(&e->err, PERRY_EINTERNAL, "the engine gave no stream");
		exec_over(e);
		exec_unref(e);
		return;
	}
	e->watch = loop_watch_new(e->base.s->loop, docker_stream_fd(e->st), on_event, e);
	exec_runs(e, &way);
	read_some(e); /* what came with the head is not reported */
	way_update(e);
	exec_unref(e);
}

void exec_engine_start(struct exec *e)
{
	exec_work(e, open_thread, open_done);
}
