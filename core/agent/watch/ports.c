#include "agent/watch/ports.h"

#include <string.h>

#include "agent/jobs.h"
#include "agent/watch/exec.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ops/fleet.h"
#include "ops/hub.h"

enum {
	DECIDE_PAUSE_MS = 1000,
	DECIDE_MAX = 64,      /* listeners in one question */
	EVENTS_A_MINUTE = 60, /* of one workspace */
};

static void publish(struct entry *e, const struct seen *s, const char *state)
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
	hub_publish(e->w->setup.hub, ev, 1);
}

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

/* The whole set each time it is another one: the workspace finds out what that means. */
void watcher_forwards(struct entry *e)
{
	cleanup_json cJSON *record = NULL, *command = cJSON_CreateObject();
	if (!watcher_is_open(e) || !e->heard || fleet_get(e->w->setup.fleet, e->name, &record, NULL) < 0)
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
}

/* A question about listeners, and its answer. */
struct question {
	struct watchers *w;
	char *name, container[65];
	cJSON *asked, *answers;
	struct perry_err *err;
};

static void question_free(struct question *q)
{
	cJSON_Delete(q->asked);
	cJSON_Delete(q->answers);
	perry_err_free(q->err);
	free(q->name);
	free(q);
}

static void on_decided(void *arg);

static void decide(void *arg)
{
	struct question *q = arg;
	q->w->setup.decide(q->w->setup.ctx, q->name, q->asked, &q->answers, &q->err);
	if (!loop_post(q->w->loop, on_decided, q))
		question_free(q);
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

/* About what is not decided, as a job. */
static void ask(struct entry *e)
{
	cJSON *list = undecided(e);
	if (!cJSON_GetArraySize(list)) {
		cJSON_Delete(list);
		return;
	}
	struct question *q = xcalloc(1, sizeof *q);
	q->w = e->w;
	q->name = xstrdup(e->name);
	memcpy(q->container, e->container, sizeof e->container);
	q->asked = list;
	e->deciding = jobs_run(e->w->setup.jobs, decide, q);
	if (!e->deciding)
		question_free(q);
}

static void on_decide(void *owner)
{
	struct entry *e = owner;
	if (!e->deciding) /* else what comes back sees to the rest */
		ask(e);
}

static void ask_at(struct entry *e, int64_t due)
{
	loop_timer_set(e->w->loop, &e->decide, due, on_decide, e);
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

static void take_answers(struct entry *e, const struct question *q)
{
	const cJSON *asked, *answer = q->answers ? q->answers->child : NULL;
	if (q->err) { /* no policy to be had: it is shown, and not exposed */
		log_warn("ports", "%s: %s", e->name, perry_msg(q->err));
		answer = NULL;
	}
	cJSON_ArrayForEach(asked, q->asked) {
		for (size_t i = 0; i < e->nseen; i++) {
			struct seen *s = &e->seen[i];
			if (s->decided || !is_asked(&s->port, asked))
				continue;
			pthread_mutex_lock(&e->w->table.lock);
			apply_answer(s, answer);
			pthread_mutex_unlock(&e->w->table.lock);
			if (s->announce)
				publish(e, s, "listening");
		}
		answer = answer ? answer->next : NULL;
	}
	for (size_t i = 0; i < e->nseen; i++)
		if (!e->seen[i].decided)
			ask_at(e, clock_mono_ms() + DECIDE_PAUSE_MS);
	watcher_forwards(e);
}

static void on_decided(void *arg)
{
	struct question *q = arg;
	struct entry *e = watch_table_find(&q->w->table, q->name);
	if (e)
		e->deciding = false;
	if (e && strcmp(e->container, q->container) == 0)
		take_answers(e, q);
	else if (e) /* it was about another container */
		ask_at(e, clock_mono_ms());
	question_free(q);
}

static bool same_listener(const struct watch_port *a, const struct watch_port *b)
{
	return a->number == b->number && a->pid == b->pid && strcmp(a->address, b->address) == 0 &&
	       strcmp(a->process, b->process) == 0;
}

void watcher_ports(struct entry *e, const struct watch_line *line)
{
	struct seen *fresh = xcalloc(line->nports + 1, sizeof *fresh), *old = e->seen;
	size_t nold = e->nseen;
	/* Others may be looking at the old ones: what goes over to the new list is noted here. */
	bool news = false, *moved = xcalloc(nold + 1, sizeof *moved);
	for (size_t i = 0; i < line->nports; i++) {
		fresh[i].port = line->ports[i];
		for (size_t k = 0; k < nold; k++) {
			if (moved[k] || !same_listener(&old[k].port, &line->ports[i]))
				continue;
			fresh[i] = old[k];
			fresh[i].port = line->ports[i];
			moved[k] = true;
			break;
		}
		news |= !fresh[i].decided;
	}
	pthread_mutex_lock(&e->w->table.lock);
	e->seen = fresh;
	e->nseen = line->nports;
	e->more = line->more;
	e->heard = true;
	pthread_mutex_unlock(&e->w->table.lock);
	for (size_t k = 0; k < nold; k++) {
		if (moved[k])
			old[k].label = NULL;
		else if (old[k].decided && old[k].announce)
			publish(e, &old[k], "closed");
	}
	free(moved);
	seen_free(old, nold);
	if (news && !e->deciding && !loop_timer_is_set(&e->decide))
		ask(e);
	else if (news && !loop_timer_is_set(&e->decide))
		ask_at(e, clock_mono_ms() + DECIDE_PAUSE_MS);
	watcher_forwards(e);
}

cJSON *watcher_listener(const struct seen *s)
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
