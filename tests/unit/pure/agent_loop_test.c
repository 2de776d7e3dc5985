/* The event loop: what is dropped stays silent, calls keep their order, timers are exact, the end waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/loop.h"
#include "base/clock.h"
#include "base/mem.h"
#include "open_fds.h"

#define FOREVER_S 60

static struct loop *loop;
static atomic_int rounds, stopping_rounds;
static atomic_bool hold; /* settle says that something is left */

static bool settle(void *ctx, bool stopping)
{
	assert_ptr_equal(ctx, &rounds);
	atomic_fetch_add(&rounds, 1);
	if (stopping)
		atomic_fetch_add(&stopping_rounds, 1);
	return !atomic_load(&hold);
}

static int begin(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	rounds = stopping_rounds = 0;
	hold = false;
	return loop_open(&loop, settle, &rounds, NULL);
}

static int end(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void await(sem_t *sem)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FOREVER_S;
	assert_int_equal(sem_timedwait(sem, &until), 0);
}

/* Calls fn on the loop and waits until it was called. */
struct sync_call {
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void run_sync_call(void *arg)
{
	struct sync_call *c = arg;
	c->fn(c->arg);
	sem_post(&c->done);
}

static void on_loop(void (*fn)(void *arg), void *arg)
{
	struct sync_call c = { .fn = fn, .arg = arg };
	sem_init(&c.done, 0, 0);
	assert_true(loop_post(loop, run_sync_call, &c));
	await(&c.done);
	sem_destroy(&c.done);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void until_reached(atomic_int *n, int least)
{
	for (int64_t give_up = clock_mono_ms() + FOREVER_S * 1000; atomic_load(n) < least; usleep(1000))
		assert_true(clock_mono_ms() < give_up);
}

static void note_round(void *arg)
{
	*(int *)arg = atomic_load(&rounds);
}

/* How many rounds there were when the loop had nothing to do any more. */
static int rounds_at_rest(void)
{
	int in_round = 0;
	on_loop(note_round, &in_round);
	until_reached(&rounds, in_round + 1); /* that one is over */
	return in_round + 1;
}

/* --- descriptors --- */

struct end_of {
	int fd, far; /* a socket and the other side of it */
	struct loop_watch *watch;
	struct end_of *other;
	int called;
	uint32_t events;
	sem_t told;
};

static void pair_open(struct end_of *e, struct end_of *other)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*e = (struct end_of){ .fd = fds[0], .far = fds[1], .other = other };
	sem_init(&e->told, 0, 0);
}

static void pair_close(struct end_of *e)
{
	if (e->fd >= 0)
		close(e->fd);
	if (e->far >= 0)
		close(e->far);
	sem_destroy(&e->told);
}

static void drops_both(void *owner, uint32_t events)
{
	struct end_of *e = owner;
	(void)events;
	e->called++;
	loop_watch_drop(&e->watch);
	assert_null(e->watch);
	loop_watch_drop(&e->watch); /* harmless */
	loop_watch_drop(&e->other->watch);
	close(e->other->fd);
	e->other->fd = -1;
	sem_post(&e->told);
	sem_post(&e->other->told);
}

static void silences_both(void *owner, uint32_t events)
{
	struct end_of *e = owner;
	(void)events;
	e->called++;
	loop_watch_set(e->watch, 0);
	loop_watch_set(e->other->watch, 0);
	sem_post(&e->told);
	sem_post(&e->other->told);
}

/* Both are readable before the loop looks at either, so that one round sees both. */
static void watch_two(struct end_of ends[2], void (*fn)(void *owner, uint32_t events))
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(ends[i].far, "x", 1), 1);
		ends[i].watch = loop_watch_new(loop, ends[i].fd, fn, &ends[i]);
		loop_watch_set(ends[i].watch, EPOLLIN);
	}
}

static void watch_two_that_drop(void *arg)
{
	watch_two(arg, drops_both);
}

static void watch_two_that_silence(void *arg)
{
	watch_two(arg, silences_both);
}

static void drop_two(void *arg)
{
	struct end_of *ends = arg;
	for (int i = 0; i < 2; i++)
		loop_watch_drop(&ends[i].watch);
}

static void dropped_in_the_same_round(void **state)
{
	struct end_of ends[2];
	(void)state;
	pair_open(&ends[0], &ends[1]);
	pair_open(&ends[1], &ends[0]);
	on_loop(watch_two_that_drop, ends);
	await(&ends[0].told);
	on_loop(nothing, NULL); /* that round is over */
	assert_int_equal(ends[0].called + ends[1].called, 1);
	loop_stop(loop);
	pair_close(&ends[0]);
	pair_close(&ends[1]);
}

static void silenced_in_the_same_round(void **state)
{
	struct end_of ends[2];
	(void)state;
	pair_open(&ends[0], &ends[1]);
	pair_open(&ends[1], &ends[0]);
	on_loop(watch_two_that_silence, ends);
	await(&ends[0].told);
	on_loop(nothing, NULL);
	assert_int_equal(ends[0].called + ends[1].called, 1);
	on_loop(drop_two, ends);
	loop_stop(loop);
	pair_close(&ends[0]);
	pair_close(&ends[1]);
}

static void notes_and_silences(void *owner, uint32_t events)
{
	struct end_of *e = owner;
	e->called++;
	e->events = events;
	loop_watch_set(e->watch, 0);
	sem_post(&e->told);
}

static void watch_one(void *arg)
{
	struct end_of *e = arg;
	e->watch = loop_watch_new(loop, e->fd, notes_and_silences, e);
	assert_int_equal(loop_watch_events(e->watch), 0);
}

static void look_for_input(void *arg)
{
	struct end_of *e = arg;
	loop_watch_set(e->watch, EPOLLIN);
	assert_int_equal(loop_watch_events(e->watch), EPOLLIN);
}

static void look_for_room(void *arg)
{
	loop_watch_set(((struct end_of *)arg)->watch, EPOLLOUT);
}

static void drop_one(void *arg)
{
	loop_watch_drop(&((struct end_of *)arg)->watch);
}

static void hang_up_and_error(void **state)
{
	struct end_of e;
	int fds[2];
	(void)state;
	pair_open(&e, NULL);
	on_loop(watch_one, &e);
	close(e.far);
	e.far = -1;
	/* Nobody asks: nothing is told, and no round is made for it. */
	int before = rounds_at_rest();
	usleep(50000);
	assert_int_equal(atomic_load(&rounds), before);
	assert_int_equal(e.called, 0);
	on_loop(look_for_input, &e);
	await(&e.told);
	assert_int_equal(e.called, 1);
	assert_true(e.events & EPOLLHUP);
	assert_true(e.events & EPOLLIN);
	on_loop(drop_one, &e);
	pair_close(&e);

	/* A pipe that nobody reads. */
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	e = (struct end_of){ .fd = fds[1], .far = -1 };
	sem_init(&e.told, 0, 0);
	on_loop(watch_one, &e);
	on_loop(look_for_room, &e);
	await(&e.told);
	assert_true(e.events & EPOLLERR);
	on_loop(drop_one, &e);
	pair_close(&e);
	loop_stop(loop);
}

static void reads_and_writes(void **state)
{
	struct end_of e;
	(void)state;
	pair_open(&e, NULL);
	on_loop(watch_one, &e);
	on_loop(look_for_room, &e);
	await(&e.told);
	assert_int_equal(e.events, EPOLLOUT);
	on_loop(look_for_input, &e);
	on_loop(nothing, NULL);
	assert_int_equal(e.called, 1); /* nothing came yet */
	on_loop(nothing, NULL);        /* a thread checker does not follow what goes through a socket */
	assert_int_equal(write(e.far, "x", 1), 1);
	await(&e.told);
	assert_int_equal(e.events, EPOLLIN);
	on_loop(drop_one, &e);
	loop_stop(loop);
	pair_close(&e);
}

/* --- calls --- */

enum { POSTERS = 8, POSTS = 5000 };
static int last_of[POSTERS], posted; /* the loop's */

static void take_post(void *arg)
{
	int n = (int)(intptr_t)arg, who = n / POSTS;
	assert_int_equal(n % POSTS, last_of[who]);
	last_of[who]++;
	posted++;
}

static void *post_many(void *arg)
{
	for (int i = 0; i < POSTS; i++)
		if (!loop_post(loop, take_post, (void *)((intptr_t)arg * POSTS + i)))
			return arg ? arg : &posted; /* refused */
	return NULL;
}

static void posts_of_many_threads(void **state)
{
	pthread_t t[POSTERS];
	void *problem;
	(void)state;
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, post_many, (void *)(intptr_t)i), 0);
	for (int i = 0; i < POSTERS; i++) {
		pthread_join(t[i], &problem);
		assert_null(problem);
	}
	loop_stop(loop); /* all that was posted is called first */
	assert_int_equal(posted, POSTERS * POSTS);
	assert_false(loop_post(loop, take_post, NULL));
}

struct again {
	atomic_bool enough;
	sem_t over;
};

static void post_again(void *arg)
{
	struct again *a = arg;
	if (atomic_load(&a->enough))
		sem_post(&a->over);
	else
		assert_true(loop_post(loop, post_again, a));
}

/* One that posts itself anew, and a timer that is due at once for ever, leave a turn to the others. */
static struct loop_timer restless;

static void set_again(void *owner)
{
	struct again *a = owner;
	if (!atomic_load(&a->enough))
		loop_timer_set(loop, &restless, clock_mono_ms() - 1, set_again, a);
	else
		sem_post(&a->over);
}

static void nobody_starves(void **state)
{
	struct again a = { .enough = false };
	struct end_of e;
	(void)state;
	sem_init(&a.over, 0, 0);
	pair_open(&e, NULL);
	assert_true(loop_post(loop, post_again, &a));
	on_loop(set_again, &a);
	on_loop(watch_one, &e);
	on_loop(look_for_input, &e);
	assert_int_equal(write(e.far, "x", 1), 1);
	await(&e.told);
	atomic_store(&a.enough, true);
	await(&a.over);
	await(&a.over);
	on_loop(drop_one, &e);
	loop_stop(loop);
	pair_close(&e);
	sem_destroy(&a.over);
}

/* --- timers --- */

struct moment {
	struct loop_timer timer;
	struct moment *ends[2]; /* stopped by it */
	int64_t due, called_at;
	int nth;
};
static int moments; /* called so far */
static sem_t moment_came;

static void on_moment(void *owner)
{
	struct moment *m = owner;
	assert_false(loop_timer_is_set(&m->timer));
	m->called_at = clock_mono_ms();
	m->nth = ++moments;
	for (int i = 0; i < 2; i++)
		if (m->ends[i]) {
			loop_timer_stop(&m->ends[i]->timer);
			assert_false(loop_timer_is_set(&m->ends[i]->timer));
		}
	sem_post(&moment_came);
}

static void set_moment(struct moment *m)
{
	loop_timer_set(loop, &m->timer, m->due, on_moment, m);
	assert_true(loop_timer_is_set(&m->timer));
}

static void set_three(void *arg)
{
	struct moment *m = arg;
	int64_t now = clock_mono_ms();
	m[0].due = now + 90;
	m[1].due = now + 30;
	m[2].due = now + 60;
	for (int i = 0; i < 3; i++)
		set_moment(&m[i]);
	/* Moved behind all, and back. */
	int64_t due = m[1].due;
	m[1].due = now + 100000;
	set_moment(&m[1]);
	m[1].due = due;
	set_moment(&m[1]);
}

static void due_in_order(void **state)
{
	struct moment m[3] = { 0 };
	(void)state;
	moments = 0;
	sem_init(&moment_came, 0, 0);
	int before = rounds_at_rest();
	on_loop(set_three, m);
	for (int i = 0; i < 3; i++)
		await(&moment_came);
	int after = rounds_at_rest();
	assert_int_equal(m[1].nth, 1);
	assert_int_equal(m[2].nth, 2);
	assert_int_equal(m[0].nth, 3);
	for (int i = 0; i < 3; i++)
		assert_true(m[i].called_at >= m[i].due);
	assert_in_range(after - before, 2, 5); /* one for each call and each timer; on a slow machine some share one */
	loop_stop(loop);
	sem_destroy(&moment_came);
}

static void set_all_past(void *arg)
{
	struct moment *m = arg;
	int64_t now = clock_mono_ms();
	for (int i = 0; i < 4; i++) {
		m[i].due = now - 10 + i;
		set_moment(&m[i]);
	}
}

/* All are due in one round; the first ends its neighbour and the last, the third then has itself and the first. */
static void timers_that_remove_each_other(void **state)
{
	struct moment m[4] = { 0 };
	(void)state;
	moments = 0;
	sem_init(&moment_came, 0, 0);
	m[0].ends[0] = &m[1];
	m[0].ends[1] = &m[3];
	m[2].ends[0] = &m[2];
	m[2].ends[1] = &m[0];
	on_loop(set_all_past, m);
	await(&moment_came);
	await(&moment_came);
	on_loop(nothing, NULL);
	assert_int_equal(m[0].nth, 1);
	assert_int_equal(m[2].nth, 2);
	assert_int_equal(moments, 2);
	/* What was stopped can be set again. */
	m[0].ends[0] = m[0].ends[1] = NULL;
	on_loop(set_all_past, m);
	for (int i = 0; i < 4; i++)
		await(&moment_came);
	on_loop(nothing, NULL);
	assert_int_equal(m[3].nth, 6);
	loop_stop(loop);
	sem_destroy(&moment_came);
}

static void no_round_without_a_reason(void **state)
{
	struct moment far = { 0 };
	(void)state;
	far.due = clock_mono_ms() + 3600000;
	on_loop((void (*)(void *))set_moment, &far);
	int before = rounds_at_rest();
	usleep(700000);
	assert_int_equal(atomic_load(&rounds), before);
	loop_stop(loop);
	loop_timer_stop(&far.timer); /* allowed now */
}

/* --- work and the end --- */

struct task {
	pthread_t worked_on, done_on;
	sem_t go;
	atomic_bool started;
	bool worked, posted, done; /* no lock: the loop orders them */
};

static void note_posted(void *arg)
{
	((struct task *)arg)->posted = true;
}

static void work(void *arg)
{
	struct task *t = arg;
	atomic_store(&t->started, true);
	await(&t->go);
	t->worked_on = pthread_self();
	t->worked = true;
	assert_true(loop_post(loop, note_posted, t));
}

static void done(void *arg)
{
	struct task *t = arg;
	assert_true(t->worked);
	assert_true(t->posted);
	t->done_on = pthread_self();
	t->done = true;
}

static void start_work(void *arg)
{
	loop_work(loop, work, done, arg);
}

static void note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void *stop_it(void *arg)
{
	loop_stop(loop);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void work_that_ends_after_stop(void **state)
{
	struct task t = { 0 };
	atomic_bool stopped = false;
	pthread_t stopper, its;
	(void)state;
	sem_init(&t.go, 0, 0);
	on_loop(note_thread, &its);
	on_loop(start_work, &t);
	assert_int_equal(pthread_create(&stopper, NULL, stop_it, &stopped), 0);
	until_reached(&stopping_rounds, 1);
	/* It has settled, and waits for the work. */
	usleep(20000);
	assert_false(atomic_load(&stopped));
	assert_true(loop_post(loop, nothing, NULL));
	sem_post(&t.go);
	pthread_join(stopper, NULL);
	assert_true(t.done);
	assert_true(pthread_equal(t.done_on, its));
	assert_false(pthread_equal(t.worked_on, its));
	assert_false(loop_post(loop, nothing, NULL));
	sem_destroy(&t.go);
}

static void let_go(void *owner)
{
	(void)owner;
	atomic_store(&hold, false);
}

static struct loop_timer last_timer;

static void set_last(void *arg)
{
	loop_timer_set(loop, &last_timer, *(int64_t *)arg, let_go, NULL);
}

/* The owner has something left, which a timer ends. */
static void stop_waits_for_the_owner(void **state)
{
	int64_t due = clock_mono_ms() + 100;
	(void)state;
	atomic_store(&hold, true);
	on_loop(set_last, &due);
	loop_stop(loop);
	assert_true(clock_mono_ms() >= due);
	assert_false(atomic_load(&hold));
}

static void without_an_owner(void **state)
{
	struct loop *l = NULL;
	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(loop_open(&l, NULL, NULL, NULL), 0);
		assert_true(loop_post(l, nothing, NULL));
		loop_stop(l);
		loop_free(l);
	}
	loop_free(NULL);
}

static void nothing_is_left(void **state)
{
	(void)state;
	int before = open_fds();
	for (int i = 0; i < 20; i++) {
		begin(NULL);
		dropped_in_the_same_round(NULL);
		end(NULL);
	}
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dropped_in_the_same_round, begin, end),
		cmocka_unit_test_setup_teardown(silenced_in_the_same_round, begin, end),
		cmocka_unit_test_setup_teardown(hang_up_and_error, begin, end),
		cmocka_unit_test_setup_teardown(reads_and_writes, begin, end),
		cmocka_unit_test_setup_teardown(posts_of_many_threads, begin, end),
		cmocka_unit_test_setup_teardown(nobody_starves, begin, end),
		cmocka_unit_test_setup_teardown(due_in_order, begin, end),
		cmocka_unit_test_setup_teardown(timers_that_remove_each_other, begin, end),
		cmocka_unit_test_setup_teardown(no_round_without_a_reason, begin, end),
		cmocka_unit_test_setup_teardown(work_that_ends_after_stop, begin, end),
		cmocka_unit_test_setup_teardown(stop_waits_for_the_owner, begin, end),
		cmocka_unit_test(without_an_owner),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
