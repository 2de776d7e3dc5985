/* Everything happens under the hub's lock, subscribers' functions included: that gives all of them one order, and makes
 * unsubscribing final. The store is handed kept events without waiting for the disk. */
#include "ops/hub.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"

struct hub_sub {
	struct hub *hub;
	char *workspace;
	void (*fn)(void *ctx, const cJSON *ev);
	void *ctx;
	struct hub_sub *next;
};

struct hub {
	struct store *store;
	pthread_mutex_t lock;
	int64_t last_id;
	struct hub_sub *subs;
};

struct hub *hub_new(struct store *store)
{
	struct hub *h = xcalloc(1, sizeof *h);
	cleanup_err struct perry_err *err = NULL;
	h->store = store;
	pthread_mutex_init(&h->lock, NULL);
	if (store && store_event_last(store, &h->last_id, &err))
		log_warn("events", "numbering starts again: %s", perry_msg(err));
	return h;
}

void hub_free(struct hub *h)
{
	if (!h)
		return;
	while (h->subs)
		hub_unsubscribe(h->subs);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static void deliver(const struct hub *h, const cJSON *ev)
{
	const char *workspace = json_str(ev, "workspace");
	for (const struct hub_sub *s = h->subs; s; s = s->next)
		if (!s->workspace || (workspace && strcmp(s->workspace, workspace) == 0))
			s->fn(s->ctx, ev);
}

void hub_publish(struct hub *h, cJSON *ev, int keep)
{
	pthread_mutex_lock(&h->lock);
	json_set_int(ev, "at", clock_ms());
	if (keep) {
		json_set_int(ev, "id", ++h->last_id);
		if (h->store)
			store_event_post(h->store, ev);
	}
	deliver(h, ev);
	pthread_mutex_unlock(&h->lock);
	cJSON_Delete(ev);
}

struct hub_sub *hub_subscribe(struct hub *h, const char *workspace, void (*fn)(void *ctx, const cJSON *ev), void *ctx)
{
	struct hub_sub *s = xcalloc(1, sizeof *s);
	s->hub = h;
	s->workspace = xstrdup(workspace);
	s->fn = fn;
	s->ctx = ctx;
	pthread_mutex_lock(&h->lock);
	s->next = h->subs;
	h->subs = s;
	pthread_mutex_unlock(&h->lock);
	return s;
}

void hub_unsubscribe(struct hub_sub *s)
{
	if (!s)
		return;
	struct hub *h = s->hub;
	pthread_mutex_lock(&h->lock);
	struct hub_sub **at = &h->subs;
	while (*at && *at != s)
		at = &(*at)->next;
	if (*at)
		*at = s->next;
	pthread_mutex_unlock(&h->lock);
	free(s->workspace);
	free(s);
}
