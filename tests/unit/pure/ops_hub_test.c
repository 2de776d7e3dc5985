/* The event hub: numbering, order, subscribers, what is kept. */
#include "ops_util.h"

struct seen {
	pthread_mutex_t lock;
	int64_t last;
	int count, wrong, unnumbered;
};

static void see(void *ctx, const cJSON *ev)
{
	struct seen *s = ctx;
	int64_t id = json_int_or(ev, "id", 0);
	s->count++;
	s->unnumbered += id == 0;
	s->wrong += id && id <= s->last;
	s->wrong += json_int_or(ev, "at", 0) == 0;
	s->last = id ? id : s->last;
}

static void numbers_and_filters(void **state)
{
	struct store *st = open_store("state.db");
	struct hub *h = hub_new(st);
	struct seen all = { 0 }, web = { 0 };
	struct hub_sub *a = hub_subscribe(h, NULL, see, &all), *b = hub_subscribe(h, "web", see, &web);
	hub_publish(h, J("{'kind':'state','workspace':'web'}"), 1);
	hub_publish(h, J("{'kind':'progress','workspace':'web','line':'x'}"), 0);
	hub_publish(h, J("{'kind':'state','workspace':'api'}"), 1);
	hub_publish(h, J("{'kind':'engine'}"), 1);
	assert_int_equal(all.count, 4);
	assert_int_equal(all.unnumbered, 1);
	assert_int_equal(all.wrong, 0);
	assert_int_equal(web.count, 2);
	hub_unsubscribe(b);
	hub_publish(h, J("{'kind':'state','workspace':'web'}"), 1);
	assert_int_equal(web.count, 2);
	assert_int_equal(all.last, 4);
	hub_unsubscribe(a);
	hub_free(h);

	/* Kept: all but the progress line. The next hub goes on counting. */
	cJSON *got;
	ok(store_events(st, 0, 0, 100, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 4);
	assert_int_equal(json_int_or(cJSON_GetArrayItem(got, 3), "id", 0), 4);
	cJSON_Delete(got);
	store_close(st);
	st = open_store("state.db");
	h = hub_new(st);
	struct seen again = { .last = 4 };
	hub_subscribe(h, NULL, see, &again);
	hub_publish(h, J("{'kind':'state'}"), 1);
	assert_int_equal(again.last, 5);
	assert_int_equal(again.wrong, 0);
	hub_free(h);
	store_close(st);
}

struct publisher {
	struct hub *hub;
	struct store *store;
	atomic_int *gaps;
};

static void *publish_many(void *arg)
{
	struct publisher *p = arg;
	for (int i = 0; i < 200; i++)
		hub_publish(p->hub, J("{'kind':'step','workspace':'web'}"), i % 4 != 0);
	return NULL;
}

static void *come_and_go(void *arg)
{
	struct publisher *p = arg;
	for (int i = 0; i < 200; i++) {
		struct seen s = { 0 };
		struct hub_sub *sub = hub_subscribe(p->hub, "web", see, &s);
		sched_yield();
		hub_unsubscribe(sub);
		/* s is gone after this: a late call would write over the stack. */
		atomic_fetch_add(p->gaps, s.wrong);
	}
	return NULL;
}

/* The way /events follows: subscribe, then read what was before; nothing may lie between. */
static void *follow(void *arg)
{
	struct publisher *p = arg;
	for (int i = 0; i < 20; i++) {
		struct seen s = { 0 };
		struct hub_sub *sub = hub_subscribe(p->hub, NULL, see, &s);
		cJSON *before;
		ok(store_events(p->store, 0, 0, 100000, &before, &err));
		usleep(500);
		hub_unsubscribe(sub);
		int n = cJSON_GetArraySize(before);
		int64_t last = n ? json_int_or(cJSON_GetArrayItem(before, n - 1), "id", 0) : 0;
		int64_t first_seen = s.last - (s.count - s.unnumbered) + 1;
		if (s.count > s.unnumbered && first_seen > last + 1)
			atomic_fetch_add(p->gaps, 1);
		if (n != last)
			atomic_fetch_add(p->gaps, 1);
		cJSON_Delete(before);
	}
	return NULL;
}

static void many_at_once(void **state)
{
	struct store *st = open_store("state.db");
	struct hub *h = hub_new(st);
	atomic_int gaps = 0;
	struct seen all = { 0 };
	struct publisher p = { h, st, &gaps };
	struct hub_sub *sub = hub_subscribe(h, NULL, see, &all);
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, i < 5 ? publish_many : i < 7 ? come_and_go : follow, &p);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	hub_unsubscribe(sub);
	assert_int_equal(all.count, 1000);
	assert_int_equal(all.wrong, 0);
	assert_int_equal(all.last, 750);
	assert_int_equal(atomic_load(&gaps), 0);
	hub_free(h);
	store_close(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(numbers_and_filters), T(many_at_once) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
