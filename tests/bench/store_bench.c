/* Fifty threads that journal at once, 16 durable commits each: median and slowest commit. Beside it the price of one
 * fdatasync on the same disk. Usage: store_bench [FOLDER [ROUNDS]]; exit 1 when the slowest of the median round is
 * above 20 ms. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/store.h"

#define THREADS  50
#define COMMITS  16
#define LIMIT_US 20000

struct writer {
	struct store *s;
	char op[16];
	int64_t us[COMMITS];
};

static pthread_barrier_t gate;

static void die(struct perry_err *err)
{
	fprintf(stderr, "store_bench: %s\n", perry_msg(err));
	exit(2);
}

static void *run(void *arg)
{
	struct writer *w = arg;
	struct perry_err *err = NULL;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < COMMITS; i++) {
		char step[16];
		snprintf(step, sizeof step, "step%d", i);
		int64_t start = clock_mono_us();
		if (store_op_step(w->s, w->op, step, "A step of an operation", "done", NULL, NULL, &err))
			die(err);
		w->us[i] = clock_mono_us() - start;
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static int64_t sync_cost(const char *dir)
{
	cleanup_free char *path = xasprintf("%s/sync-probe", dir);
	int64_t us[20];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char block[4096] = { 0 };
	for (int i = 0; i < 20; i++) {
		int64_t start = clock_mono_us();
		if (pwrite(fd, block, sizeof block, i * 4096L) != sizeof block || fdatasync(fd))
			perror(path);
		us[i] = clock_mono_us() - start;
	}
	close(fd);
	unlink(path);
	qsort(us, 20, sizeof *us, by_value);
	return us[10];
}

static void round_of(struct store *s, int round, int64_t *median, int64_t *slowest)
{
	static struct writer w[THREADS];
	static int64_t all[THREADS * COMMITS];
	pthread_t t[THREADS];
	struct perry_err *err = NULL;
	pthread_barrier_init(&gate, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		w[i].s = s;
		snprintf(w[i].op, sizeof w[i].op, "op%d-%d", round, i);
		cJSON *op = cJSON_CreateObject();
		json_set_str(op, "id", w[i].op);
		json_set_str(op, "kind", "start");
		if (store_op_begin(s, op, &err))
			die(err);
		cJSON_Delete(op);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, run, &w[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		for (int c = 0; c < COMMITS; c++)
			all[i * COMMITS + c] = w[i].us[c];
	}
	pthread_barrier_destroy(&gate);
	qsort(all, THREADS * COMMITS, sizeof *all, by_value);
	*median = all[THREADS * COMMITS / 2];
	*slowest = all[THREADS * COMMITS - 1];
}

int main(int argc, char **argv)
{
	char made[] = "/tmp/perry-bench-XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(made);
	int rounds = argc > 2 ? atoi(argv[2]) : 7;
	if (!dir || rounds < 1 || rounds > 100)
		return 2;
	cleanup_free char *path = xasprintf("%s/bench.db", dir);
	struct store *s;
	struct perry_err *err = NULL;
	if (store_open(&s, path, &err))
		die(err);
	int64_t medians[100], slowest[100];
	for (int i = 0; i < rounds; i++)
		round_of(s, i, &medians[i], &slowest[i]);
	store_close(s);
	int64_t sync_us = sync_cost(dir);
	qsort(medians, (size_t)rounds, sizeof *medians, by_value);
	qsort(slowest, (size_t)rounds, sizeof *slowest, by_value);
	printf("store: %d threads x %d commits, %d rounds: median %.2f ms, slowest %.2f ms (worst round %.2f ms); one "
	       "fdatasync %.2f ms\n",
	       THREADS, COMMITS, rounds, (double)medians[rounds / 2] / 1e3, (double)slowest[rounds / 2] / 1e3,
	       (double)slowest[rounds - 1] / 1e3, (double)sync_us / 1e3);
	unlink(path);
	if (argc <= 1)
		rmdir(dir);
	return slowest[rounds / 2] > LIMIT_US;
}
