/* Threads for blocking calls: all work is done once, the limit holds, the end waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/jobs.h"

static atomic_int done, now, most, idles;

static void work(void *arg)
{
	int n = atomic_fetch_add(&now, 1) + 1, seen = atomic_load(&most);
	while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
		;
	usleep(*(int *)arg);
	atomic_fetch_sub(&now, 1);
	atomic_fetch_add(&done, 1);
}

static void idle(void *ctx)
{
	atomic_fetch_add((atomic_int *)ctx, 1);
}

static void all_of_it(void **state)
{
	struct jobs *j = jobs_new(8, idle, &idles);
	int pause = 500;
	(void)state;
	for (int i = 0; i < 500; i++)
		assert_true(jobs_run(j, work, &pause));
	assert_int_equal(jobs_stop(j, 30000), 0);
	assert_int_equal(done, 500);
	assert_true(most <= 8);
	assert_true(most >= 2);
	assert_false(jobs_run(j, work, &pause));
	jobs_free(j);
	assert_int_equal(done, 500);
}

static atomic_bool began, let_go;

static void stay(void *arg)
{
	began = true;
	while (!let_go)
		usleep(1000);
	atomic_fetch_add(&done, 1);
}

static void a_job_that_stays(void **state)
{
	struct jobs *j = jobs_new(2, NULL, NULL);
	(void)state;
	done = 0;
	assert_true(jobs_run(j, stay, NULL));
	while (!began)
		usleep(1000);
	assert_true(jobs_stop(j, 20) > 0);
	let_go = true;
	assert_int_equal(jobs_stop(j, 30000), 0);
	assert_int_equal(done, 1);
	jobs_free(j);
}

static void goes_home(void **state)
{
	struct jobs *j = jobs_new(4, idle, &idles);
	int pause = 10;
	(void)state;
	idles = 0;
	done = 0;
	for (int i = 0; i < 20; i++)
		jobs_run(j, work, &pause);
	for (int i = 0; i < 300 && idles == 0; i++)
		usleep(100000);
	assert_int_equal(done, 20);
	assert_int_equal(idles, 1); /* once for the burst */
	jobs_run(j, work, &pause);  /* and it still works */
	assert_int_equal(jobs_stop(j, 30000), 0);
	assert_int_equal(done, 21);
	jobs_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_of_it), cmocka_unit_test(a_job_that_stays),
					    cmocka_unit_test(goes_home) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
