#include "agent/watch/table.h"

#include <string.h>

#include "base/mem.h"

void seen_free(struct seen *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].label);
	free(list);
}

void watch_table_init(struct watch_table *t)
{
	pthread_mutex_init(&t->lock, NULL);
	t->entries = NULL;
}

static void forget(struct entry *e)
{
	seen_free(take_ptr(e->seen), e->nseen);
	e->nseen = 0;
	e->more = 0;
	cJSON_Delete(take_ptr(e->tailnet));
	cJSON_Delete(take_ptr(e->serve));
	cJSON_Delete(take_ptr(e->sample));
	e->mute = false;
	free(take_ptr(e->problem));
	e->heard = false;
}

void watch_table_forget(struct watch_table *t, struct entry *e)
{
	pthread_mutex_lock(&t->lock);
	forget(e);
	pthread_mutex_unlock(&t->lock);
}

static void entry_free(struct entry *e)
{
	loop_timer_stop(&e->open);
	loop_timer_stop(&e->rest);
	loop_timer_stop(&e->decide);
	forget(e);
	buf_free(&e->said);
	free(e->name);
	free(e);
}

void watch_table_destroy(struct watch_table *t)
{
	while (t->entries) {
		struct entry *e = t->entries;
		t->entries = e->next;
		entry_free(e);
	}
	pthread_mutex_destroy(&t->lock);
}

struct entry *watch_table_find(const struct watch_table *t, const char *name)
{
	struct entry *e = t->entries;
	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

struct entry *watch_table_add(struct watch_table *t, struct watchers *w, const char *name)
{
	struct entry *e = xcalloc(1, sizeof *e);
	e->w = w;
	e->name = xstrdup(name);
	pthread_mutex_lock(&t->lock);
	e->next = t->entries;
	t->entries = e;
	pthread_mutex_unlock(&t->lock);
	return e;
}

void watch_table_remove(struct watch_table *t, struct entry *e)
{
	pthread_mutex_lock(&t->lock);
	struct entry **at = &t->entries;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	pthread_mutex_unlock(&t->lock);
	entry_free(e);
}

void watch_table_problem(struct watch_table *t, struct entry *e, const char *text)
{
	pthread_mutex_lock(&t->lock);
	free(e->problem);
	e->problem = xstrdup(text);
	e->heard = false;
	pthread_mutex_unlock(&t->lock);
}
