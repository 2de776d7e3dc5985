/* What listens: taken over from a workspace's report, decided on, announced, and turned into forwards. */
#include <string.h>

#include "agent/jobs.h"
#include "agent/watch/priv.h"
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

void watcher_free_seen(struct seen *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].label);
	free(list);
}

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
void watcher_forwards(struct watchers *w, struct entry *e)
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
	watcher_flush(w, e);
}

static void decide(void *arg)
{
	struct watcher_job *d = arg;
	struct news *n = d->news;
	d->w->setup.decide(d->w->setup.ctx, n->name, n->asked, &n->answers, &n->err);
	watcher_post(d->w, n);
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

void watcher_ask(struct watchers *w, struct entry *e)
{
	cJSON *list = undecided(e);
	e->decide_at = 0;
	if (!cJSON_GetArraySize(list)) {
		cJSON_Delete(list);
		return;
	}
	struct watcher_job *d = xcalloc(1, sizeof *d);
	d->w = w;
	d->news = watcher_news(NEWS_DECIDED, e->name);
	memcpy(d->news->container, e->container, sizeof e->container);
	d->news->asked = list;
	e->deciding = jobs_run(w->setup.jobs, decide, d);
	if (!e->deciding) {
		watcher_news_free(d->news);
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

void watcher_decided(struct watchers *w, struct entry *e, const struct news *n)
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
	watcher_forwards(w, e);
}

static bool same_listener(const struct watch_port *a, const struct watch_port *b)
{
	return a->number == b->number && a->pid == b->pid && strcmp(a->address, b->address) == 0 &&
	       strcmp(a->process, b->process) == 0;
}

void watcher_ports(struct watchers *w, struct entry *e, const struct watch_line *line)
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
	pthread_mutex_lock(&w->lock);
	e->seen = fresh;
	e->nseen = line->nports;
	e->more = line->more;
	e->heard = true;
	pthread_mutex_unlock(&w->lock);
	for (size_t k = 0; k < nold; k++) {
		if (moved[k])
			old[k].label = NULL;
		else if (old[k].decided && old[k].announce)
			publish(w, e, &old[k], "closed");
	}
	free(moved);
	watcher_free_seen(old, nold);
	if (news && !e->deciding && !e->decide_at)
		watcher_ask(w, e);
	else if (news && !e->decide_at)
		e->decide_at = clock_mono_ms() + DECIDE_PAUSE_MS;
	watcher_forwards(w, e);
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
