/* Sessions: a program on a terminal with its latest output, whoever looks at it. */
#include "step/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"

#define PIECE     65536
#define AGAIN_MS  500
#define LINGER_MS 10000 /* how long one that has ended waits for the first who attaches: what it said may say why */
#define SHOWN_MAX 256   /* bytes of its command */

struct session *sessions;

/* --- bells: BEL that is no end of a title or another string of the terminal's --- */

enum { PLAIN, ESCAPE, STRING, STRING_ESCAPE };

static void count_bells(struct session *s, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = bytes[i];
		if (s->bell_state == PLAIN && c != '\a' && c != 0x1b)
			continue;
		bool in_string = s->bell_state == STRING || s->bell_state == STRING_ESCAPE;
		if (c == 0x1b)
			s->bell_state = in_string ? STRING_ESCAPE : ESCAPE;
		else if (s->bell_state == ESCAPE || (s->bell_state == STRING_ESCAPE && c != '\\'))
			s->bell_state = c && strchr("]PX^_", c) ? STRING : PLAIN;
		else if (s->bell_state == STRING_ESCAPE || c == 0x18 || c == 0x1a)
			s->bell_state = PLAIN;
		else if (c == '\a' && in_string)
			s->bell_state = PLAIN;
		else if (c == '\a')
			s->bell++;
	}
}

/* --- who looks --- */

static unsigned long long oldest(const struct session *s)
{
	return s->end > SESSION_KEPT ? s->end - SESSION_KEPT : 0;
}

/* Sends what the viewer has room for. Its end, when there is no more to come. */
static void show(struct stream *v)
{
	struct session *s = v->session;
	size_t room;
	if (v->at < oldest(s)) {
		stream_error(v, 409, "too slow");
		return;
	}
	while (v->at < s->end && (room = stream_room(v)) > 0) {
		size_t from = (size_t)(v->at % SESSION_KEPT), n = (size_t)(s->end - v->at);
		n = n < room ? n : room;
		n = n < SESSION_KEPT - from ? n : SESSION_KEPT - from;
		stream_send(v, FRAME_STDOUT, s->kept + from, n);
		v->at += n;
	}
	if (v->at == s->end && s->over)
		stream_exit(v, s->job->code);
}

static void show_all(struct session *s)
{
	for (struct stream *v = s->viewers, *next; v; v = next) {
		next = v->viewer;
		show(v);
	}
}

static void keep(struct session *s, const char *bytes, size_t n)
{
	count_bells(s, bytes, n);
	while (n > 0) {
		size_t at = (size_t)(s->end % SESSION_KEPT), k = n < SESSION_KEPT - at ? n : SESSION_KEPT - at;
		memcpy(s->kept + at, bytes, k);
		s->end += k;
		bytes += k;
		n -= k;
	}
	s->output = time(NULL);
	s->quiet = now_ms();
	list_active();
}

/* --- its end --- */

/* A prompt that nobody looks at any more. Whatever runs under it keeps it, in the background too. */
static void look_idle(struct timer *t)
{
	struct session *s = t->owner;
	long long now = now_ms();
	if (s->viewers || s->command[0] || proc_signal_session(s->job->pid, 0) > 1)
		s->quiet = now;
	if (now - s->quiet >= s->idle)
		job_end(s->job);
	else
		timer_set(t, s->quiet + s->idle);
}

static void session_free(struct session *s)
{
	struct session **p = &sessions;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	timer_clear(&s->linger);
	timer_clear(&s->idling);
	source_close(&s->master);
	source_close(&s->typing);
	job_drop(s->job);
	free(s->kept);
	free(s->command);
	free(s);
}

/* Once it has ended it stays for those who still read or wait, and a while for the first. */
static void may_go(struct session *s)
{
	if (s->over && !s->viewers && !s->ender && !s->linger.at)
		session_free(s);
}

static void lingered(struct timer *t)
{
	may_go(t->owner);
}

static ssize_t hear(struct session *s)
{
	static char bytes[PIECE];
	ssize_t n = read(s->master.fd, bytes, sizeof bytes);
	if (n > 0)
		keep(s, bytes, (size_t)n);
	return n;
}

static void listen_again(struct timer *t)
{
	source_want(&((struct session *)t->owner)->master, EPOLLIN);
}

static void on_output(struct source *src, unsigned events)
{
	struct session *s = src->owner;
	ssize_t n = hear(s);
	if (n <= 0 && errno != EAGAIN && errno != EINTR) {
		/* Nobody has the terminal open: its program ends, or opens it again. */
		source_want(src, 0);
		s->again = (struct timer){ .fire = listen_again, .owner = s };
		timer_set(&s->again, now_ms() + AGAIN_MS);
	}
	show_all(s);
}

static void on_end(struct job *j)
{
	struct session *s = j->owner;
	unsigned long long most = s->end + SESSION_KEPT;
	while (s->end < most && hear(s) > 0)
		;
	timer_clear(&s->again);
	timer_clear(&s->idling);
	source_close(&s->master);
	source_close(&s->typing);
	s->over = true;
	list_changed();
	if (!s->seen && !s->viewers) {
		s->linger = (struct timer){ .fire = lingered, .owner = s };
		timer_set(&s->linger, now_ms() + LINGER_MS);
	}
	s->ender++; /* it stays until all of them have been told */
	show_all(s);
	s->ender--;
	may_go(s);
}

static struct session *gone;

static void tell_ender(struct stream *st)
{
	if (st->session == gone)
		stream_exit(st, 0);
}

static void on_gone(struct job *j)
{
	struct session *s = gone = j->owner;
	s->ender++;
	streams_each(&kind_end, tell_ender);
	s->ender--;
	may_go(s);
}

/* --- what is asked for --- */

static struct session *find(struct span from, struct stream *st, bool ended_too)
{
	char *id = json_text(json_get(from, "session"));
	struct session *s = sessions;
	while (s && (!id || strcmp(s->id, id) != 0 || (s->over && !ended_too)))
		s = s->next;
	free(id);
	if (!s)
		stream_error(st, 404, "there is no such session");
	return s;
}

static bool name_taken(const char *name, const struct session *but)
{
	for (const struct session *s = sessions; s; s = s->next)
		if (s != but && !s->over && !strcmp(s->name, name))
			return true;
	return false;
}

/* Text that shows: no control characters, of either table, none that turns or hides other text. */
static bool name_shows(const char *name)
{
	size_t n = strlen(name);
	if (!n || n > SESSION_NAME || !utf8_valid(name, n))
		return false;
	for (; *name; name++)
		if (utf8_unshown(name))
			return false;
	return true;
}

/* What is wrong with the name is said, and ends st. but: may have it already. */
static bool name_good(struct stream *st, const char *name, const struct session *but)
{
	if (!name || !name_shows(name))
		stream_error(st, 400, "a session's name is 1 to %d bytes of text without control characters",
			     SESSION_NAME);
	else if (name_taken(name, but))
		stream_error(st, 409, "another session has this name");
	else
		return true;
	return false;
}

/* Of one that was given none: its program's, with a number from the second on. */
static void name_itself(char out[SESSION_NAME + 1], const struct command *c)
{
	char base[32];
	const char *word = c->argv[0], *slash = word ? strrchr(word, '/') : NULL;
	snprintf(base, sizeof base, "%s", slash && slash[1] ? slash + 1 : word ? word : "shell");
	if (!name_shows(base))
		snprintf(base, sizeof base, "%s", "command");
	snprintf(out, SESSION_NAME + 1, "%s", base);
	for (int i = 2; name_taken(out, NULL); i++)
		snprintf(out, SESSION_NAME + 1, "%s %d", base, i);
}

static bool id_taken(const char *id)
{
	const struct session *s = sessions;
	while (s && strcmp(s->id, id) != 0)
		s = s->next;
	return s != NULL;
}

static void make_id(char out[8])
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	do {
		unsigned char r[4] = { 0 };
		if (getrandom(r, sizeof r, GRND_NONBLOCK) != sizeof r)
			memcpy(r, &(unsigned){ (unsigned)now_ms() }, sizeof r);
		for (size_t i = 0; i < sizeof r; i++)
			out[i] = letters[r[i] % 32];
		out[sizeof r] = 0;
	} while (id_taken(out));
}

static char *shown(const struct command *c)
{
	struct buf raw = { 0 }, text = { 0 };
	for (char **v = c->argv; *v && raw.len < SHOWN_MAX; v++) {
		buf_adds(&raw, v == c->argv ? "" : " ");
		buf_adds(&raw, *v);
	}
	size_t n = raw.len < SHOWN_MAX ? raw.len : SHOWN_MAX;
	while (n < raw.len && n > 0 && (raw.data[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)raw.data[i] < ' ' || raw.data[i] == 0x7f)
			raw.data[i] = ' ';
	utf8_scrub(&text, buf_str(&raw), n);
	buf_free(&raw);
	return buf_take(&text);
}

static size_t count(void)
{
	size_t n = 0;
	for (const struct session *s = sessions; s; s = s->next)
		n++;
	return n;
}

/* Those that have ended and still wait for somebody make way for new ones. */
static void make_room(void)
{
	for (struct session *s = sessions, *next; s && count() >= SESSIONS_MAX; s = next) {
		next = s->next;
		if (s->over && !s->viewers && !s->ender)
			session_free(s);
	}
}

static void on_typing(struct source *src, unsigned events);

/* 0, or what went wrong. */
static int begin(struct session *s, const struct start *start)
{
	int slave, master = terminal_open(s->cols, s->rows, &slave);
	if (master < 0)
		return errno;
	int typing = fcntl(master, F_DUPFD_CLOEXEC, 3);
	s->job = typing >= 0 ? job_start(start, slave, slave, slave, true) : NULL;
	int e = errno;
	close(slave);
	if (!s->job) {
		close(master);
		if (typing >= 0)
			close(typing);
		return e;
	}
	s->job->owner = s;
	s->job->on_end = on_end;
	s->job->on_gone = on_gone;
	source_open(&s->master, master, on_output, s);
	source_open(&s->typing, typing, on_typing, s);
	source_want(&s->master, EPOLLIN);
	return 0;
}

static void begin_named(struct stream *st, const struct request *r, const char *name)
{
	const struct start start = { .run = start_command,
				     .command = &r->command,
				     .term = r->term && r->term[0] ? r->term : "xterm-256color" };
	struct session *s = xcalloc(1, sizeof *s);
	s->cols = r->cols;
	s->rows = r->rows;
	int e = begin(s, &start);
	if (e) {
		free(s);
		stream_error(st, 503, "no terminal: %s", strerror(e));
		return;
	}
	make_id(s->id);
	snprintf(s->name, sizeof s->name, "%s", name);
	s->command = shown(&r->command);
	s->kept = xmalloc(SESSION_KEPT); /* what was never written takes no memory */
	s->created = s->input = s->output = time(NULL);
	s->idle = r->idle * 1000;
	s->quiet = now_ms();
	s->idling = (struct timer){ .fire = look_idle, .owner = s };
	if (s->idle)
		timer_set(&s->idling, s->quiet + s->idle);
	s->next = sessions;
	sessions = s;
	char text[40];
	snprintf(text, sizeof text, "{\"session\":\"%s\"}", s->id);
	stream_opened(st, text);
	stream_exit(st, 0);
	list_changed();
	list_active();
}

static void open_session(struct stream *st, struct span from)
{
	struct request r;
	make_room();
	if (count() >= SESSIONS_MAX) {
		stream_error(st, 503, "a workspace has at most %d sessions", SESSIONS_MAX);
		return;
	}
	if (!request_take(&r, st, from))
		return;
	char own[SESSION_NAME + 1], *name = json_text(json_get(from, "name"));
	if (!name || !name[0]) {
		name_itself(own, &r.command);
		begin_named(st, &r, own);
	} else if (name_good(st, name, NULL)) {
		begin_named(st, &r, name);
	}
	free(name);
	request_free(&r);
}

/* --- attach --- */

static void on_typing(struct source *src, unsigned events)
{
	struct session *s = src->owner;
	bool more = false;
	for (struct stream *v = s->viewers; v && !more; v = v->viewer) {
		while (v->in_at < v->in.len) {
			ssize_t n = write(src->fd, v->in.data + v->in_at, v->in.len - v->in_at);
			if (n < 0 && errno == EINTR)
				continue;
			more = n < 0 && errno == EAGAIN;
			if (more)
				break;
			stream_taken(v, n > 0 ? (size_t)n : v->in.len - v->in_at);
		}
	}
	source_want(src, more ? EPOLLOUT : 0);
}

static void type(struct stream *st)
{
	struct session *s = st->session;
	if (st->in_at == st->in.len)
		return; /* its end is nothing to a terminal */
	if (s->typing.fd < 0) {
		stream_taken(st, st->in.len - st->in_at);
		return;
	}
	s->input = time(NULL);
	s->quiet = now_ms();
	on_typing(&s->typing, 0);
	list_active();
}

static void open_attach(struct stream *st, struct span from)
{
	struct session *s = find(from, st, true);
	if (!s)
		return;
	char text[96];
	st->session = s;
	st->at = oldest(s);
	st->viewer = s->viewers;
	s->viewers = st;
	s->seen = true;
	timer_clear(&s->linger);
	snprintf(text, sizeof text, "{\"cols\":%u,\"rows\":%u,\"kept\":%llu}", s->cols, s->rows, s->end - st->at);
	stream_opened(st, text);
	list_changed();
	show(st);
}

static void resize(struct stream *st, unsigned cols, unsigned rows)
{
	struct session *s = st->session;
	const struct winsize size = { .ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows };
	if (s->over || (s->cols == cols && s->rows == rows) || ioctl(s->master.fd, TIOCSWINSZ, &size))
		return;
	s->cols = cols;
	s->rows = rows;
	list_changed();
}

static void send_signal(struct stream *st, int sig)
{
	if (!st->session->job->ended)
		proc_tell_session(st->session->job->pid, sig);
}

static void let_go(struct stream *st)
{
	struct session *s = st->session;
	if (!s)
		return;
	struct stream **p = &s->viewers;
	while (*p != st)
		p = &(*p)->viewer;
	*p = st->viewer;
	s->quiet = now_ms();
	list_changed();
	may_go(s);
}

/* --- end, rename --- */

static void open_end(struct stream *st, struct span from)
{
	struct session *s = find(from, st, true);
	if (!s)
		return;
	st->session = s;
	s->ender++;
	s->seen = true;
	timer_clear(&s->linger);
	stream_opened(st, "{}");
	job_end(s->job);
}

static void forget_end(struct stream *st)
{
	if (!st->session)
		return;
	st->session->ender--;
	may_go(st->session);
}

static void open_rename(struct stream *st, struct span from)
{
	struct session *s = find(from, st, false);
	if (!s)
		return;
	char *name = json_text(json_get(from, "name"));
	if (name_good(st, name, s)) {
		snprintf(s->name, sizeof s->name, "%s", name);
		list_changed();
		stream_opened(st, "{}");
		stream_exit(st, 0);
	}
	free(name);
}

const struct kind kind_session = { .name = "session", .open = open_session };
const struct kind kind_attach = { .name = "attach",
				  .open = open_attach,
				  .input = type,
				  .room = show,
				  .resize = resize,
				  .signal = send_signal,
				  .free = let_go };
const struct kind kind_end = { .name = "end", .open = open_end, .free = forget_end };
const struct kind kind_rename = { .name = "rename", .open = open_rename };
