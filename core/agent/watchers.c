#include "agent/watchers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/jobs.h"
#include "agent/watch_line.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ops/fleet.h"
#include "ops/hub.h"

enum {
	OPEN_DELAY_MS = 250,     /* a workspace that starts has more urgent work for the engine */
	OPENINGS = 4,            /* at once */
	RETRY_MS = 1000,
	RETRY_MAX_MS = 60000,
	LIVED_MS = 30000,        /* a watch that held so long begins anew with the tries */
	GIVE_UP = 6,             /* so many watches that ended without a word */
	READ_PAUSE_MS = 200,     /* between two reads of one workspace: it cannot keep us busy */
	DECIDE_PAUSE_MS = 1000,
	DECIDE_MAX = 64,         /* listeners in one question */
	EVENTS_A_MINUTE = 60,    /* of one workspace */
	SAMPLE_MS = 2000,
};

struct seen {
	struct watch_port port;
	bool decided, announce, expose;
	char *label;
};

struct entry {
	struct entry *next;
	char *name;
	char container[65];
	struct docker_stream *stream; /* NULL: not open */
	struct buf line, said;        /* an unfinished line; the beginning of standard error */
	struct buf out;               /* commands that are not written yet */
	bool opening, heard, skipping, resting, deciding, telling, tell_again, given_up;
	int tries;
	int64_t open_at, read_at, decide_at; /* mono ms, 0: not due */
	int64_t opened;
	char *problem;
	struct seen *seen;
	size_t nseen;
	int more;
	cJSON *tailnet, *serve;       /* as last told, or NULL */
	cJSON *sample;                /* nobody has taken it yet */
	bool mute;                    /* it let us wait in vain: it may be too old to know what a sample is */
	char *sent;                   /* the serve command it has */
	int64_t minute;
	int events;
};

/* What comes to the thread from others. */
struct news {
	struct news *next;
	enum { NEWS_WORKSPACE, NEWS_ENGINE, NEWS_SERVE, NEWS_SAMPLE, NEWS_OPENED, NEWS_DECIDED, NEWS_TOLD } kind;
	char *name;
	char container[65];
	struct docker_stream *stream;
	cJSON *asked, *answers;
	struct perry_err *err;
};

struct watchers {
	struct watchers_setup setup;
	char *step;
	int epoll_fd, wake_fd;
	pthread_t thread;
	struct hub_sub *sub;
	int openings;                 /* the thread's */

	pthread_mutex_t news_lock;    /* of the next lines; under it nobody calls anything */
	struct news *news, **news_tail;
	bool stopped;

	pthread_cond_t sampled;       /* a sample came, or will not; with the next lock */
	pthread_mutex_t lock;         /* of the entries: the thread writes, others look */
	struct entry *entries;
};

/* --- news --- */

static void news_free(struct news *n)
{
	docker_stream_free(n->stream);
	cJSON_Delete(n->asked);
	cJSON_Delete(n->answers);
	perry_err_free(n->err);
	free(n->name);
	free(n);
}

static struct news *news_new(int kind, const char *name)
{
	struct news *n = xcalloc(1, sizeof *n);
	n->kind = kind;
	n->name = xstrdup(name);
	return n;
}

static void post(struct watchers *w, struct news *take)
{
	uint64_t one = 1;
	pthread_mutex_lock(&w->news_lock);
	*w->news_tail = take;
	w->news_tail = &take->next;
	pthread_mutex_unlock(&w->news_lock);
	if (write(w->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort(); /* an eventfd does not fail otherwise */
}

/* Under the hub's lock. */
static void on_event(void *ctx, const cJSON *ev)
{
	struct watchers *w = ctx;
	const char *kind = json_str_or(ev, "kind", "");
	if (strcmp(kind, "state") == 0 && json_str(ev, "workspace"))
		post(w, news_new(NEWS_WORKSPACE, json_str(ev, "workspace")));
	else if (strcmp(kind, "engine") == 0)
		post(w, news_new(NEWS_ENGINE, NULL));
}

void watchers_serve_changed(struct watchers *w, const char *workspace)
{
	post(w, news_new(NEWS_SERVE, workspace));
}

/* --- entries --- */

static struct entry *find(const struct watchers *w, const char *name)
{
	struct entry *e = w->entries;
	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

static void free_seen(struct seen *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].label);
	free(list);
}

static void close_stream(struct watchers *w, struct entry *e)
{
	if (!e->stream)
		return;
	if (!e->resting)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, docker_stream_fd(e->stream), NULL);
	docker_stream_free(take_ptr(e->stream));
	e->resting = false;
	e->read_at = 0;
	buf_free(&e->line);
	buf_free(&e->out);
	e->line = e->out = (struct buf){ 0 };
	free(take_ptr(e->sent));
}

/* What was known of the life of its container that ended. Under the lock. */
static void forget(struct entry *e)
{
	free_seen(take_ptr(e->seen), e->nseen);
	e->nseen = 0;
	e->more = 0;
	cJSON_Delete(take_ptr(e->tailnet));
	cJSON_Delete(take_ptr(e->serve));
	cJSON_Delete(take_ptr(e->sample));
	e->mute = false;
	free(take_ptr(e->problem));
	e->heard = false;
}

static void entry_free(struct entry *e)
{
	forget(e);
	buf_free(&e->said);
	free(e->name);
	free(e);
}

static void remove_entry(struct watchers *w, struct entry *e)
{
	close_stream(w, e);
	pthread_mutex_lock(&w->lock);
	struct entry **at = &w->entries;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	pthread_mutex_unlock(&w->lock);
	entry_free(e);
}

static void set_problem(struct watchers *w, struct entry *e, const char *text)
{
	pthread_mutex_lock(&w->lock);
	free(e->problem);
	e->problem = xstrdup(text);
	pthread_mutex_unlock(&w->lock);
}

/* --- events --- */

static void publish(struct watchers *w, struct entry *e, const struct seen *s, const char *state)
{
	int64_t minute = clock_mono_ms() / 60000;
	if (minute != e->minute)
		e->events = 0;
	e->minute = minute;
	if (++e->events == EVENTS_A_MINUTE)
		log_warn("ports", "%s: its listeners come and go too often to tell of all", e->name);
	if (e->events >= EVENTS_A_MINUTE)
		return;
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", "port");
	json_set_str(ev, "workspace", e->name);
	json_set_str(ev, "state", state);
	json_set_int(ev, "port", s->port.number);
	json_set_str(ev, "process", *s->port.process ? s->port.process : NULL);
	json_set_str(ev, "address", s->port.address);
	json_set_str(ev, "label", s->label);
	hub_publish(w->setup.hub, ev, 1);
}

/* --- which forwards the workspace keeps --- */

static bool all_loopback(const struct entry *e, uint16_t number)
{
	for (size_t i = 0; i < e->nseen; i++)
		if (e->seen[i].port.number == number && !e->seen[i].port.loopback)
			return false;
	return true;
}

static cJSON *wanted_forwards(const struct entry *e)
{
	cJSON *tcp = cJSON_CreateArray();
	int last = 0;
	for (size_t i = 0; i < e->nseen; i++) {
		const struct seen *s = &e->seen[i];
		if (!s->decided || !s->expose || s->port.number == last || !all_loopback(e, s->port.number))
			continue;
		last = s->port.number;
		json_push(tcp, cJSON_CreateNumber(last));
	}
	return tcp;
}

static void watch_output(struct watchers *w, struct entry *e)
{
	struct epoll_event ev = { .events = EPOLLIN | (e->out.len ? EPOLLOUT : 0), .data.ptr = e };
	if (!e->resting)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, docker_stream_fd(e->stream), &ev);
}

static void flush(struct watchers *w, struct entry *e)
{
	while (e->out.len) {
		ssize_t n = docker_stream_write(e->stream, e->out.data, e->out.len);
		if (n <= 0)
			break; /* one that is gone shows when it is read */
		buf_consume(&e->out, (size_t)n);
	}
	watch_output(w, e);
}

/* The whole set each time it is another one: the workspace finds out what that means. */
static void send_forwards(struct watchers *w, struct entry *e)
{
	cleanup_json cJSON *record = NULL, *command = cJSON_CreateObject();
	if (!e->stream || !e->heard || fleet_get(w->setup.fleet, e->name, &record, NULL) < 0)
		return;
	cJSON *serve = json_obj(command, "serve");
	const cJSON *web = cJSON_GetObjectItemCaseSensitive(record, "serve");
	json_set(serve, "tcp", wanted_forwards(e));
	json_set(serve, "web", cJSON_IsArray(web) ? cJSON_Duplicate(web, 1) : cJSON_CreateArray());
	cleanup_free char *text = json_print(command);
	if (str_eq(text, e->sent))
		return;
	buf_adds(&e->out, text);
	buf_addc(&e->out, '\n');
	free(e->sent);
	e->sent = take_ptr(text);
	flush(w, e);
}

/* Whoever waits for it gives up in time when it cannot be sent. */
static void send_question(struct watchers *w, struct entry *e)
{
	if (!e->stream)
		return;
	buf_adds(&e->out, "{\"activity\":true}\n");
	flush(w, e);
}

static void take_sample(struct watchers *w, struct entry *e, cJSON *take_sample)
{
	pthread_mutex_lock(&w->lock);
	cJSON_Delete(e->sample);
	e->sample = take_sample;
	e->mute = false; /* it was only slow */
	pthread_cond_broadcast(&w->sampled);
	pthread_mutex_unlock(&w->lock);
}

cJSON *watchers_sample(struct watchers *w, const char *workspace)
{
	struct timespec until = clock_deadline(SAMPLE_MS);
	cJSON *sample = NULL;
	pthread_mutex_lock(&w->lock);
	struct entry *e = find(w, workspace);
	bool heard = e && e->heard && !e->mute;
	if (heard)
		cJSON_Delete(take_ptr(e->sample)); /* of a question that was given up */
	pthread_mutex_unlock(&w->lock);
	if (!heard)
		return NULL;
	post(w, news_new(NEWS_SAMPLE, workspace));
	pthread_mutex_lock(&w->lock);
	for (int rc = 0; (e = find(w, workspace)) && e->heard && !(sample = take_ptr(e->sample)) && !e->mute;) {
		e->mute = rc == ETIMEDOUT;
		if (!e->mute)
			rc = pthread_cond_timedwait(&w->sampled, &w->lock, &until);
	}
	pthread_mutex_unlock(&w->lock);
	return sample;
}

/* --- decisions --- */

struct decision {
	struct watchers *w;
	struct news *news;
};

static void decide(void *arg)
{
	struct decision *d = arg;
	struct news *n = d->news;
	d->w->setup.decide(d->w->setup.ctx, n->name, n->asked, &n->answers, &n->err);
	post(d->w, n);
	free(d);
}

static cJSON *undecided(const struct entry *e)
{
	cJSON *list = cJSON_CreateArray();
	for (size_t i = 0; i < e->nseen && cJSON_GetArraySize(list) < DECIDE_MAX; i++) {
		const struct watch_port *p = &e->seen[i].port;
		if (e->seen[i].decided)
			continue;
		cJSON *j = cJSON_CreateObject();
		json_set_int(j, "number", p->number);
		json_set_str(j, "address", p->address);
		json_set_bool(j, "loopback", p->loopback);
		json_set_str(j, "process", *p->process ? p->process : NULL);
		json_push(list, j);
	}
	return list;
}

static void ask(struct watchers *w, struct entry *e)
{
	cJSON *list = undecided(e);
	e->decide_at = 0;
	if (!cJSON_GetArraySize(list)) {
		cJSON_Delete(list);
		return;
	}
	struct decision *d = xcalloc(1, sizeof *d);
	d->w = w;
	d->news = news_new(NEWS_DECIDED, e->name);
	memcpy(d->news->container, e->container, sizeof e->container);
	d->news->asked = list;
	e->deciding = jobs_run(w->setup.jobs, decide, d);
	if (!e->deciding) {
		news_free(d->news);
		free(d);
	}
}

static void apply_answer(struct seen *s, const cJSON *answer)
{
	s->decided = true;
	s->announce = json_bool_or(answer, "announce", true);
	s->expose = json_bool_or(answer, "expose", false);
	free(s->label);
	s->label = xstrdup(json_str(answer, "label"));
}

static bool is_asked(const struct watch_port *p, const cJSON *j)
{
	return p->number == json_int_or(j, "number", 0) && strcmp(p->address, json_str_or(j, "address", "")) == 0 &&
	       strcmp(p->process, json_str_or(j, "process", "")) == 0;
}

static void decided(struct watchers *w, struct entry *e, const struct news *n)
{
	const cJSON *asked, *answer = n->answers ? n->answers->child : NULL;
	int64_t now = clock_mono_ms();
	e->deciding = false;
	if (n->err) { /* no policy to be had: it is shown, and not exposed */
		log_warn("ports", "%s: %s", e->name, perry_msg(n->err));
		answer = NULL;
	}
	cJSON_ArrayForEach(asked, n->asked) {
		for (size_t i = 0; i < e->nseen; i++) {
			struct seen *s = &e->seen[i];
			if (s->decided || !is_asked(&s->port, asked))
				continue;
			pthread_mutex_lock(&w->lock);
			apply_answer(s, answer);
			pthread_mutex_unlock(&w->lock);
			if (s->announce)
				publish(w, e, s, "listening");
		}
		answer = answer ? answer->next : NULL;
	}
	for (size_t i = 0; i < e->nseen; i++)
		if (!e->seen[i].decided)
			e->decide_at = now + DECIDE_PAUSE_MS;
	send_forwards(w, e);
}

/* --- lines --- */

static bool same_listener(const struct watch_port *a, const struct watch_port *b)
{
	return a->number == b->number && a->pid == b->pid && strcmp(a->address, b->address) == 0 && strcmp(a->process, b->process) == 0;
}

static void take_ports(struct watchers *w, struct entry *e, const struct watch_line *line)
{
	struct seen *fresh = xcalloc(line->nports + 1, sizeof *fresh), *old = e->seen;
	size_t nold = e->nseen;
	bool news = false;
	for (size_t i = 0; i < line->nports; i++) {
		fresh[i].port = line->ports[i];
		for (size_t k = 0; k < nold; k++) {
			if (!old[k].port.number || !same_listener(&old[k].port, &line->ports[i]))
				continue;
			fresh[i] = old[k];
			fresh[i].port = line->ports[i];
			old[k].port.number = 0; /* it has moved */
			old[k].label = NULL;
			break;
		}
		news |= !fresh[i].decided;
	}
	pthread_mutex_lock(&w->lock);
	e->seen = fresh;
	e->nseen = line->nports;
	e->more = line->more;
	e->heard = true;
	pthread_mutex_unlock(&w->lock);
	for (size_t k = 0; k < nold; k++)
		if (old[k].port.number && old[k].decided && old[k].announce)
			publish(w, e, &old[k], "closed");
	free_seen(old, nold);
	if (news && !e->deciding && !e->decide_at)
		ask(w, e);
	else if (news && !e->decide_at)
		e->decide_at = clock_mono_ms() + DECIDE_PAUSE_MS;
	send_forwards(w, e);
}

static void tell(void *arg)
{
	struct decision *d = arg;
	d->w->setup.tailnet(d->w->setup.ctx, d->news->name, d->news->asked);
	post(d->w, d->news);
	free(d);
}

static void tell_tailnet(struct watchers *w, struct entry *e)
{
	e->tell_again = e->telling;
	if (e->telling || !w->setup.tailnet || !e->tailnet)
		return;
	struct decision *d = xcalloc(1, sizeof *d);
	d->w = w;
	d->news = news_new(NEWS_TOLD, e->name);
	d->news->asked = cJSON_Duplicate(e->tailnet, 1);
	e->telling = jobs_run(w->setup.jobs, tell, d);
	if (!e->telling) {
		news_free(d->news);
		free(d);
	}
}

static void take_line(struct watchers *w, struct entry *e, const char *text, size_t n)
{
	struct watch_line line;
	cleanup_err struct perry_err *err = NULL;
	if (watch_line_parse(text, n, &line, &err) < 0) {
		log_debug("ports", "%s: %s", e->name, perry_msg(err));
		return;
	}
	if (line.kind == WATCH_PORTS) {
		take_ports(w, e, &line);
	} else if (line.kind == WATCH_ACTIVITY) {
		take_sample(w, e, take_ptr(line.object));
	} else if (line.kind == WATCH_TAILNET || line.kind == WATCH_SERVE) {
		cJSON **place = line.kind == WATCH_TAILNET ? &e->tailnet : &e->serve;
		pthread_mutex_lock(&w->lock);
		cJSON_Delete(*place);
		*place = take_ptr(line.object);
		pthread_mutex_unlock(&w->lock);
		if (line.kind == WATCH_TAILNET)
			tell_tailnet(w, e);
	}
	watch_line_free(&line);
}

struct reading {
	struct watchers *w;
	struct entry *e;
};

static int on_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	struct reading *r = ctx;
	struct entry *e = r->e;
	if (fd == 2) {
		if (e->said.len < 400)
			buf_add(&e->said, bytes, n < 400 ? n : 400);
		return 0;
	}
	while (n) {
		const char *end = memchr(bytes, '\n', n);
		size_t k = end ? (size_t)(end - bytes) : n;
		e->skipping |= e->line.len + k > WATCH_LINE_MAX;
		if (e->skipping)
			e->line.len = 0;
		else
			buf_add(&e->line, bytes, k);
		if (!end)
			break;
		if (!e->skipping)
			take_line(r->w, e, buf_str(&e->line), e->line.len);
		e->skipping = false;
		buf_free(&e->line); /* lines are rare: no memory is kept for the next one */
		e->line = (struct buf){ 0 };
		bytes = end + 1;
		n -= k + 1;
	}
	return 0;
}

/* --- opening and closing --- */

static void lost(struct watchers *w, struct entry *e, const char *why)
{
	bool heard = e->heard, old = !heard && strstr(buf_str(&e->said), "usage: perry-step");
	close_stream(w, e);
	e->tries = e->heard && clock_mono_ms() - e->opened > LIVED_MS ? 1 : e->tries + 1;
	e->heard = false;
	if (old || (!heard && e->tries >= GIVE_UP)) {
		e->given_up = true;
		set_problem(w, e, old ? "its helper is of an older version of perry, which does not tell what listens; perry restart brings the new one"
				      : *buf_str(&e->said) ? str_trim(e->said.data) : why);
		log_warn("ports", "%s: %s", e->name, e->problem);
	} else {
		int64_t wait = (int64_t)RETRY_MS << (e->tries < 10 ? e->tries - 1 : 9);
		set_problem(w, e, why);
		e->open_at = clock_mono_ms() + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
	}
	buf_free(&e->said);
	e->said = (struct buf){ 0 };
}

struct opening {
	struct watchers *w;
	struct news *news;
};

static void open_watch(void *arg)
{
	struct opening *o = arg;
	const char *argv[] = { o->w->step, "watch", NULL };
	const struct docker_exec x = { .argv = argv, .user = "0:0" };
	docker_exec_open(o->w->setup.docker, o->news->container, &x, &o->news->stream, &o->news->err);
	post(o->w, o->news);
	free(o);
}

static void start_opening(struct watchers *w, struct entry *e)
{
	struct opening *o = xcalloc(1, sizeof *o);
	o->w = w;
	o->news = news_new(NEWS_OPENED, e->name);
	memcpy(o->news->container, e->container, sizeof e->container);
	e->open_at = 0;
	e->opening = jobs_run(w->setup.jobs, open_watch, o);
	if (e->opening) {
		w->openings++;
	} else {
		news_free(o->news);
		free(o);
	}
}

static void read_some(struct watchers *w, struct entry *e)
{
	struct reading r = { w, e };
	cleanup_err struct perry_err *err = NULL;
	int rc = docker_stream_read(e->stream, on_bytes, &r, &err);
	if (rc <= 0) {
		lost(w, e, err ? perry_msg(err) : "the watch in it ended");
		return;
	}
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, docker_stream_fd(e->stream), NULL);
	e->resting = true;
	e->read_at = clock_mono_ms() + READ_PAUSE_MS;
}

static void listen_again(struct watchers *w, struct entry *e)
{
	struct epoll_event ev = { .events = EPOLLIN | (e->out.len ? EPOLLOUT : 0), .data.ptr = e };
	e->resting = false;
	e->read_at = 0;
	epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, docker_stream_fd(e->stream), &ev);
}

static void opened(struct watchers *w, struct entry *e, struct news *n)
{
	w->openings--;
	if (!e)
		return;
	e->opening = false;
	if (strcmp(n->container, e->container) != 0) {
		e->open_at = clock_mono_ms();
		return;
	}
	if (!n->stream) {
		lost(w, e, n->err ? perry_msg(n->err) : "the engine gave no stream");
		return;
	}
	e->stream = take_ptr(n->stream);
	e->opened = clock_mono_ms();
	listen_again(w, e);
	/* What came with the head is not reported. */
	read_some(w, e);
}

/* Is the workspace to be watched, and which container is that? */
static void look_at(struct watchers *w, const cJSON *record, const char *name)
{
	struct entry *e = find(w, name);
	const char *container = json_str(record, "container.id");
	bool runs = container && strcmp(json_str_or(record, "status", ""), "running") == 0;
	if (!runs) {
		if (e && !e->opening && !e->deciding && !e->telling) {
			remove_entry(w, e);
		} else if (e) { /* a job is to come back to it */
			close_stream(w, e);
			e->container[0] = 0;
			e->open_at = e->decide_at = 0;
			pthread_mutex_lock(&w->lock);
			forget(e);
			pthread_mutex_unlock(&w->lock);
		}
		return;
	}
	if (!e) {
		e = xcalloc(1, sizeof *e);
		e->name = xstrdup(name);
		pthread_mutex_lock(&w->lock);
		e->next = w->entries;
		w->entries = e;
		pthread_mutex_unlock(&w->lock);
	}
	if (strcmp(e->container, container) != 0) {
		close_stream(w, e);
		snprintf(e->container, sizeof e->container, "%s", container);
		pthread_mutex_lock(&w->lock);
		forget(e);
		pthread_mutex_unlock(&w->lock);
	}
	e->given_up = false;
	e->tries = 0;
	if (!e->stream && !e->opening)
		e->open_at = clock_mono_ms() + OPEN_DELAY_MS;
}

static void look_at_all(struct watchers *w)
{
	cleanup_json cJSON *records = fleet_list(w->setup.fleet);
	const cJSON *record;
	cJSON_ArrayForEach(record, records)
		look_at(w, record, json_str_or(record, "name", ""));
}

static void take_news(struct watchers *w, struct news *n)
{
	struct entry *e = n->name ? find(w, n->name) : NULL;
	cleanup_json cJSON *record = NULL;
	switch (n->kind) {
	case NEWS_WORKSPACE:
		fleet_get(w->setup.fleet, n->name, &record, NULL);
		look_at(w, record, n->name);
		break;
	case NEWS_ENGINE:
		look_at_all(w);
		break;
	case NEWS_SERVE:
		if (e)
			send_forwards(w, e);
		break;
	case NEWS_SAMPLE:
		if (e)
			send_question(w, e);
		break;
	case NEWS_OPENED:
		opened(w, e, n);
		break;
	case NEWS_DECIDED:
		if (e && strcmp(e->container, n->container) == 0)
			decided(w, e, n);
		else if (e) { /* it was about another container */
			e->deciding = false;
			e->decide_at = clock_mono_ms();
		}
		break;
	case NEWS_TOLD:
		if (e) {
			e->telling = false;
			if (e->tell_again)
				tell_tailnet(w, e);
		}
		break;
	}
	/* An entry that only waited for its job. */
	if (e && n->kind >= NEWS_OPENED && !e->container[0] && !e->opening && !e->deciding && !e->telling)
		remove_entry(w, e);
	news_free(n);
}

/* --- the thread --- */

/* Does what is due; gives the milliseconds to the next, -1: nothing is. */
static int due(struct watchers *w)
{
	int64_t now = clock_mono_ms(), next = INT64_MAX;
	for (struct entry *e = w->entries; e; e = e->next) {
		if (e->open_at && e->open_at <= now && w->openings < OPENINGS && !e->given_up)
			start_opening(w, e);
		if (e->read_at && e->read_at <= now)
			listen_again(w, e);
		if (e->decide_at && e->decide_at <= now && !e->deciding)
			ask(w, e);
		int64_t times[] = { w->openings < OPENINGS && !e->given_up ? e->open_at : 0, e->read_at, e->deciding ? 0 : e->decide_at };
		for (size_t i = 0; i < ARRAY_LEN(times); i++)
			if (times[i] && times[i] < next)
				next = times[i];
	}
	if (next == INT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

static bool take_all_news(struct watchers *w)
{
	uint64_t count;
	if (read(w->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		log_warn("ports", "eventfd: %s", strerror(errno));
	for (;;) {
		pthread_mutex_lock(&w->news_lock);
		bool stopped = w->stopped;
		struct news *n = stopped ? NULL : w->news;
		if (n && !(w->news = n->next))
			w->news_tail = &w->news;
		pthread_mutex_unlock(&w->news_lock);
		if (!n)
			return !stopped;
		take_news(w, n);
	}
}

static void *run(void *arg)
{
	struct watchers *w = arg;
	look_at_all(w);
	for (;;) {
		struct epoll_event events[16];
		int n = epoll_wait(w->epoll_fd, events, (int)ARRAY_LEN(events), due(w));
		bool woken = false;
		for (int i = 0; i < n; i++) {
			struct entry *e = events[i].data.ptr;
			if (!e) {
				woken = true; /* after the streams: news may free an entry that this round still names */
				continue;
			}
			if (events[i].events & EPOLLOUT)
				flush(w, e);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				read_some(w, e);
		}
		if (woken && !take_all_news(w))
			return NULL;
	}
}

int watchers_open(struct watchers **out, const struct watchers_setup *setup, struct perry_err **err)
{
	struct watchers *w = xcalloc(1, sizeof *w);
	w->setup = *setup;
	w->step = xstrdup(setup->step);
	w->news_tail = &w->news;
	pthread_mutex_init(&w->news_lock, NULL);
	pthread_mutex_init(&w->lock, NULL);
	clock_cond_init(&w->sampled);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	if (w->epoll_fd < 0 || w->wake_fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0) {
		perry_fail_errno(err, errno, "watchers");
		watchers_free(w);
		return -1;
	}
	w->sub = hub_subscribe(setup->hub, NULL, on_event, w);
	int rc = pthread_create(&w->thread, NULL, run, w);
	if (rc != 0) {
		perry_fail_errno(err, rc, "watchers: cannot start a thread");
		hub_unsubscribe(take_ptr(w->sub));
		watchers_free(w);
		return -1;
	}
	*out = w;
	return 0;
}

void watchers_stop(struct watchers *w)
{
	if (!w->sub)
		return;
	hub_unsubscribe(take_ptr(w->sub));
	pthread_mutex_lock(&w->news_lock);
	w->stopped = true;
	pthread_mutex_unlock(&w->news_lock);
	uint64_t one = 1;
	if (write(w->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort();
	pthread_join(w->thread, NULL);
	for (struct entry *e = w->entries; e; e = e->next)
		close_stream(w, e);
}

void watchers_free(struct watchers *w)
{
	if (!w)
		return;
	while (w->news) {
		struct news *n = w->news;
		w->news = n->next;
		news_free(n);
	}
	while (w->entries) {
		struct entry *e = w->entries;
		w->entries = e->next;
		entry_free(e);
	}
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	pthread_mutex_destroy(&w->news_lock);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->sampled);
	free(w->step);
	free(w);
}

/* --- looking --- */

static cJSON *listener_json(const struct seen *s)
{
	cJSON *j = cJSON_CreateObject();
	json_set_int(j, "number", s->port.number);
	json_set_str(j, "address", s->port.address);
	json_set_bool(j, "loopback", s->port.loopback);
	json_set_str(j, "process", *s->port.process ? s->port.process : NULL);
	if (s->port.pid)
		json_set_int(j, "pid", s->port.pid);
	json_set_bool(j, "decided", s->decided);
	json_set_bool(j, "announce", s->announce);
	json_set_bool(j, "expose", s->expose);
	json_set_str(j, "label", s->label);
	return j;
}

cJSON *watchers_look(struct watchers *w, const char *workspace)
{
	cJSON *out = cJSON_CreateObject(), *list = cJSON_CreateArray();
	pthread_mutex_lock(&w->lock);
	const struct entry *e = find(w, workspace);
	json_set_bool(out, "watching", e && e->heard);
	for (size_t i = 0; e && i < e->nseen; i++)
		json_push(list, listener_json(&e->seen[i]));
	json_set(out, "listeners", list);
	if (e) {
		json_set_int(out, "more", e->more);
		json_set_str(out, "problem", e->heard ? NULL : e->problem);
		json_set(out, "tailnet", e->tailnet ? cJSON_Duplicate(e->tailnet, 1) : NULL);
		json_set(out, "serve", e->serve ? cJSON_Duplicate(e->serve, 1) : NULL);
	}
	pthread_mutex_unlock(&w->lock);
	return out;
}
