/* The event stream of the real engine. */
#include "docker_shared.h"

#include <pthread.h>
#include <sys/eventfd.h>

struct watch {
	struct docker_cancel cancel;
	const char *container; /* NULL: the first one that is made */
	char id[65];
	atomic_int ready, events, seen_create, seen_start, seen_die, seen_destroy;
	pthread_mutex_t lock;
	char time_nano[40], time[40];
	struct perry_err *err;
	int rc;
};

static void on_ready(void *ctx)
{
	atomic_fetch_add(&((struct watch *)ctx)->ready, 1);
}

static void on_event(void *ctx, const cJSON *e)
{
	struct watch *w = ctx;
	const char *action = json_str_or(e, "Action", ""), *id = json_str_or(e, "Actor.ID", "");
	const char *nano = json_str_or(e, "timeNano", "not text");
	pthread_mutex_lock(&w->lock);
	snprintf(w->time_nano, sizeof w->time_nano, "%s", nano);
	snprintf(w->time, sizeof w->time, "%lld", (long long)json_int_or(e, "time", 0));
	bool mine = w->id[0] && strcmp(id, w->id) == 0;
	pthread_mutex_unlock(&w->lock);
	atomic_fetch_add(&w->events, 1);
	if (!mine)
		return;
	if (strcmp(action, "create") == 0)
		atomic_store(&w->seen_create, 1);
	if (strcmp(action, "start") == 0)
		atomic_store(&w->seen_start, 1);
	if (strcmp(action, "die") == 0)
		atomic_store(&w->seen_die, 1);
	if (strcmp(action, "destroy") == 0 || strcmp(action, "remove") == 0) /* Docker's, Podman's */
		atomic_store(&w->seen_destroy, 1);
}

static void *follow(void *ctx)
{
	struct watch *w = ctx;
	cleanup_json cJSON *filters = cJSON_CreateObject();
	json_set(filters, "type", cJSON_CreateStringArray((const char *[]){ "container" }, 1));
	json_set(filters, "label", cJSON_CreateStringArray((const char *[]){ "pdk=1" }, 1));
	w->rc = docker_events(d, filters, on_ready, on_event, w, &w->cancel, &w->err);
	return NULL;
}

static void start_watch(struct watch *w, pthread_t *t)
{
	memset(w, 0, sizeof *w);
	pthread_mutex_init(&w->lock, NULL);
	w->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_create(t, NULL, follow, w);
	for (int i = 0; i < 500 && !atomic_load(&w->ready); i++)
		usleep(10000);
	assert_int_equal(atomic_load(&w->ready), 1);
}

static void stop_watch(struct watch *w, pthread_t t)
{
	atomic_store(&w->cancel.set, true);
	eventfd_write(w->cancel.fd, 1);
	pthread_join(t, NULL); /* the events themselves never end */
	assert_int_equal(w->rc, -1);
	assert_int_equal(w->err->code, PERRY_ECANCELLED);
	perry_err_free(w->err);
	close(w->cancel.fd);
}

static bool comes(atomic_int *flag)
{
	for (int i = 0; i < 300 && !atomic_load(flag); i++)
		usleep(10000);
	return atomic_load(flag) != 0;
}

static void set_id(struct watch *w, const char *id)
{
	pthread_mutex_lock(&w->lock);
	memcpy(w->id, id, 65);
	pthread_mutex_unlock(&w->lock);
}

static void events_of_a_life(void **state)
{
	struct perry_err *err = NULL;
	struct watch w;
	pthread_t t;
	char id[65];
	if (!d)
		skip();
	start_watch(&w, &t);
	test_container(d, id, NULL, false);
	set_id(&w, id);
	ok(docker_container_start(d, id, &err));
	assert_true(comes(&w.seen_start));
	ok(docker_container_kill(d, id, "KILL", &err));
	assert_true(comes(&w.seen_die));
	test_remove(d, id);
	assert_true(comes(&w.seen_destroy));
	pthread_mutex_lock(&w.lock);
	/* All digits: "1763942400" and then nine more. */
	assert_int_equal(strlen(w.time_nano), strlen(w.time) + 9);
	assert_memory_equal(w.time_nano, w.time, strlen(w.time));
	pthread_mutex_unlock(&w.lock);
	stop_watch(&w, t);
}

/* Whatever happens from the moment of ready on is seen: the caller lists then. Many times, because it is a race. */
static void nothing_is_lost_after_ready(void **state)
{
	if (!d)
		skip();
	for (int i = 0; i < 15; i++) {
		struct watch w;
		pthread_t t;
		char id[65];
		start_watch(&w, &t);
		int before = atomic_load(&w.events);
		test_container(d, id, NULL, false);
		for (int k = 0; k < 300 && atomic_load(&w.events) == before; k++)
			usleep(10000);
		assert_true(atomic_load(&w.events) > before);
		test_remove(d, id);
		stop_watch(&w, t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_of_a_life),
		cmocka_unit_test(nothing_is_lost_after_ready),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
