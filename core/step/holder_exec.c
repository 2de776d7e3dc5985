/* Commands on a channel, and the watch, which is one of our own. */
#include "step/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"

#define PATIENCE_MS \
	2000 /* how long those whom a command left may keep its output from its end, as the engine has it \
	      */
#define SIZE_MAX_ 4096
#define IDLE_MAX  1000000000

/* --- what is asked for --- */

bool size_take(struct span from, unsigned *cols, unsigned *rows)
{
	long long c, r;
	if (!json_int(json_get(from, "cols"), 1, SIZE_MAX_, &c) || !json_int(json_get(from, "rows"), 1, SIZE_MAX_, &r))
		return false;
	*cols = (unsigned)c;
	*rows = (unsigned)r;
	return true;
}

/* False: there is something, and it is no list of texts. */
static bool take_words(struct command *c, struct span list)
{
	struct span v;
	size_t at = 0, n = 0;
	while (json_next(list, &at, NULL, &v))
		n++;
	c->argv = xcalloc(n + 1, sizeof *c->argv);
	if (!list.s || json_is(list, "null"))
		return true;
	if (*list.s != '[')
		return false;
	for (at = n = 0; json_next(list, &at, NULL, &v); n++)
		if (!(c->argv[n] = json_text(v)))
			return false;
	return true;
}

bool request_take(struct request *r, struct stream *st, struct span from)
{
	*r = (struct request){ .cols = 80, .rows = 24 };
	r->id = json_text(json_get(from, "id"));
	r->term = json_text(json_get(from, "term"));
	r->tty = json_is(json_get(from, "tty"), "true");
	size_take(from, &r->cols, &r->rows);
	if (!json_int(json_get(from, "idle"), 0, IDLE_MAX, &r->idle))
		r->idle = 0;
	char *user = json_text(json_get(from, "user"));
	r->command.user = user ? user : xstrdup(WORKSPACE_USER);
	r->command.cwd = json_text(json_get(from, "cwd"));
	r->command.shell = json_text(json_get(from, "shell"));
	bool good = take_words(&r->command, json_get(from, "command"));
	r->command.login = json_is(json_get(from, "login"), "true") || !r->command.argv[0];
	if (good)
		return true;
	request_free(r);
	stream_error(st, 400, "command is a list of texts");
	return false;
}

void request_free(struct request *r)
{
	for (char **v = r->command.argv; v && *v; v++)
		free(*v);
	free(r->command.argv);
	free((char *)r->command.user);
	free((char *)r->command.cwd);
	free((char *)r->command.shell);
	free(r->id);
	free(r->term);
}

/* In the child. */
void start_command(const struct start *s)
{
	struct launch l;
	if (s->term)
		setenv("TERM", s->term, 1);
	else
		unsetenv("TERM");
	launch_command(&l, s->command);
	if (s->record)
		launch_record(s->record);
	launch_exec(&l);
}

static void __attribute__((noreturn)) start_watch(const struct start *s)
{
	char *const argv[] = { (char *)"perry-step", (char *)"watch", NULL };
	signals_restore();
	if (s->life[0])
		setenv("PERRY_LIFE", s->life, 1);
	fexecve(s->program, argv, environ);
	die(EXIT_STEP, "watch: %s", strerror(errno));
}

/* --- output --- */

static void look(struct stream *st);

static enum frame_type type_of(const struct stream *st, const struct source *s)
{
	return s == &st->from[1] ? FRAME_STDERR : FRAME_STDOUT;
}

/* Those whom it left write on: what was there when the patience ended is the end. */
static void count_off(struct stream *st, struct source *s, ssize_t n)
{
	int *left = &st->left[s - st->from];
	if (!st->expired)
		return;
	*left -= n < *left ? (int)n : *left;
	if (*left <= 0)
		source_close(s);
}

static void on_output(struct source *s, unsigned events)
{
	struct stream *st = s->owner;
	char scrap[4096];
	ssize_t n;
	do
		n = st->closing ? read(s->fd, scrap, sizeof scrap) : stream_pass(st, s->fd, type_of(st, s));
	while (n > 0 && st->tty && st->job->ended); /* what others keep open tells no end */
	if (n > 0) {
		count_off(st, s, n);
	} else if (n < 0 && errno == EBUSY) {
		source_want(s, 0);
		return;
	} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (st->tty && errno == EAGAIN && st->job->ended)
			source_close(s);
		else
			source_want(s, EPOLLIN);
	} else {
		source_close(s);
	}
	look(st);
}

static void on_room(struct stream *st)
{
	if (st->tty && st->job->ended && st->from[0].fd >= 0) {
		on_output(&st->from[0], 0);
		return;
	}
	for (int i = 0; i < STREAM_FROM_MAX; i++)
		source_want(&st->from[i], EPOLLIN);
}

/* Is it over? */
static void look(struct stream *st)
{
	if (!st->job || !st->job->ended)
		return;
	if (st->closing || (st->from[0].fd < 0 && st->from[1].fd < 0))
		stream_exit(st, st->job->code);
}

static void out_of_patience(struct timer *t)
{
	struct stream *st = t->owner;
	st->expired = true;
	for (int i = 0; i < STREAM_FROM_MAX; i++) {
		struct source *s = &st->from[i];
		if (s->fd >= 0 && ioctl(s->fd, FIONREAD, &st->left[i]))
			st->left[i] = 0;
		if (s->fd >= 0 && st->left[i] <= 0)
			source_close(s);
	}
	look(st);
}

static void on_end(struct job *j)
{
	struct stream *st = j->owner;
	source_close(&st->to);
	stream_write(st); /* what it did not read */
	st->closing |= holder_stopping && st->kind == &kind_watch;
	if (st->tty && st->from[0].fd >= 0 && !st->closing) {
		on_output(&st->from[0], 0);
		return;
	}
	st->patience = (struct timer){ .fire = out_of_patience, .owner = st };
	timer_set(&st->patience, now_ms() + PATIENCE_MS);
	look(st);
}

/* --- input --- */

static void on_writable(struct source *s, unsigned events)
{
	struct stream *st = s->owner;
	stream_write(st);
	if (st->eof && st->in_at == st->in.len && !st->tty)
		source_close(&st->to);
}

static void on_input(struct stream *st)
{
	on_writable(&(struct source){ .owner = st }, 0);
}

static void on_resize(struct stream *st, unsigned cols, unsigned rows)
{
	const struct winsize size = { .ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows };
	if (st->tty && st->from[0].fd >= 0)
		ioctl(st->from[0].fd, TIOCSWINSZ, &size);
}

static void on_signal(struct stream *st, int sig)
{
	if (!st->job->ended)
		proc_tell_session(st->job->pid, sig);
}

static void on_close(struct stream *st)
{
	if (st->closing)
		return;
	st->closing = true;
	source_close(&st->to);
	stream_write(st);
	on_room(st); /* what it still says is read, and dropped */
	if (st->job->ended)
		look(st);
	else
		job_end(st->job);
}

static void on_free(struct stream *st)
{
	timer_clear(&st->patience);
	source_close(&st->to);
	for (int i = 0; i < STREAM_FROM_MAX; i++)
		source_close(&st->from[i]);
	if (st->job)
		job_drop(st->job);
}

/* --- the beginning --- */

static void begin(struct stream *st, const struct start *s)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	bool bad = pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC);
	if (!bad)
		st->job = job_start(s, in[0], out[1], err[1], false);
	int e = errno;
	const int theirs[] = { in[0], out[1], err[1] }, ours[] = { in[1], out[0], err[0] };
	for (int i = 0; i < 3; i++) {
		if (theirs[i] >= 0)
			close(theirs[i]);
		if (!st->job && ours[i] >= 0)
			close(ours[i]);
		else if (st->job)
			fcntl(ours[i], F_SETFL, O_NONBLOCK | (i ? O_RDONLY : O_WRONLY));
	}
	if (!st->job) {
		stream_error(st, 503, "cannot begin: %s", strerror(e));
		return;
	}
	source_open(&st->to, ours[0], on_writable, st);
	source_open(&st->from[0], ours[1], on_output, st);
	source_open(&st->from[1], ours[2], on_output, st);
	st->job->owner = st;
	st->job->on_end = on_end;
	stream_opened(st, "{}");
	on_room(st);
}

static void begin_terminal(struct stream *st, const struct start *s, unsigned cols, unsigned rows)
{
	int slave, master = terminal_open(cols, rows, &slave), typing = -1;
	if (master >= 0) {
		typing = fcntl(master, F_DUPFD_CLOEXEC, 3);
		st->job = typing >= 0 ? job_start(s, slave, slave, slave, true) : NULL;
	}
	int e = errno;
	if (master >= 0)
		close(slave);
	if (!st->job) {
		if (master >= 0)
			close(master);
		if (typing >= 0)
			close(typing);
		stream_error(st, 503, "no terminal: %s", strerror(e));
		return;
	}
	st->tty = true;
	source_open(&st->to, typing, on_writable, st);
	source_open(&st->from[0], master, on_output, st);
	st->job->owner = st;
	st->job->on_end = on_end;
	stream_opened(st, "{}");
	on_room(st);
}

static void open_exec(struct stream *st, struct span from)
{
	struct request r;
	struct proc other;
	if (!request_take(&r, st, from))
		return;
	char *record = r.id && valid_id(r.id) ? launch_record_path(r.id) : NULL;
	const struct start s = { .run = start_command,
				 .command = &r.command,
				 .record = record,
				 .term = !r.tty                ? NULL
					 : r.term && r.term[0] ? r.term
							       : "xterm-256color" };
	if (!record)
		stream_error(st, 400, "exec needs an id, made of letters, digits, . _ and -");
	else if (!record_read(record, &other))
		stream_error(st, 409, "an exec with the id %s is running", r.id);
	else if (r.tty)
		begin_terminal(st, &s, r.cols, r.rows);
	else
		begin(st, &s);
	free(record);
	request_free(&r);
}

static void open_watch(struct stream *st, struct span from)
{
	const struct start s = { .run = start_watch, .life = channel_life(st->ch), .program = channel_program(st->ch) };
	begin(st, &s);
}

const struct kind kind_exec = { .name = "exec",
				.open = open_exec,
				.input = on_input,
				.room = on_room,
				.resize = on_resize,
				.signal = on_signal,
				.close = on_close,
				.free = on_free };
const struct kind kind_watch = { .name = "watch",
				 .open = open_watch,
				 .input = on_input,
				 .room = on_room,
				 .signal = on_signal,
				 .close = on_close,
				 .free = on_free };
