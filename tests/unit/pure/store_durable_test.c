/* What a crash, a full disk and fifty writers must not do to the store. */
#include "store_util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "small_disk.h"

/* SQLite calls these through the dynamic linker, so the test sees each request to the disk. */
static atomic_int syncs;
static atomic_bool sync_fails;

static int count_sync(long call, int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&sync_fails)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(call, fd);
}

int fsync(int fd)
{
	return count_sync(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return count_sync(SYS_fdatasync, fd);
}

static void begin_op(struct store *s, const char *id)
{
	cJSON *op = J("{'id':'%s','kind':'start','workspace':'web','state':'running'}", id);
	ok(store_op_begin(s, op, &err));
	cJSON_Delete(op);
}

static void acknowledged_means_synced(void **state)
{
	struct store *s = open_store("state.db");
	begin_op(s, "o1");
	for (int i = 0; i < 20; i++) {
		int before = atomic_load(&syncs);
		ok(store_op_step(s, "o1", "prepare", NULL, i % 2 ? "done" : "running", NULL, NULL, &err));
		assert_true(atomic_load(&syncs) > before);
	}
	/* What could not be made durable is not acknowledged, and the store goes on afterwards. */
	atomic_store(&sync_fails, true);
	refused(store_op_step(s, "o1", "start", NULL, "running", NULL, NULL, &err), PERRY_EINTERNAL, "state.db");
	atomic_store(&sync_fails, false);
	cJSON *got;
	ok(store_op_get(s, "o1", &got, &err));
	assert_int_equal(cJSON_GetArraySize(json_at(got, "steps")), 1);
	cJSON_Delete(got);
	ok(store_op_step(s, "o1", "start", NULL, "running", NULL, NULL, &err));
	store_close(s);
}

#define THREADS 50
#define COMMITS 16

static pthread_barrier_t gate;
struct writer {
	struct store *s;
	int n, failed;
};

static void *journal_many(void *arg)
{
	struct writer *w = arg;
	char id[16];
	snprintf(id, sizeof id, "op%d", w->n);
	pthread_barrier_wait(&gate);
	for (int i = 0; i < COMMITS; i++) {
		char step[16];
		snprintf(step, sizeof step, "step%d", i);
		if (store_op_step(w->s, id, step, NULL, "done", NULL, NULL, NULL))
			w->failed++;
		/* A request that fails shares its batch with others and takes none of them along. */
		if (store_op_step(w->s, "no such", step, NULL, "done", NULL, NULL, NULL) == 0)
			w->failed++;
	}
	return NULL;
}

static void fifty_at_once(void **state)
{
	struct store *s = open_store("state.db");
	struct writer w[THREADS];
	pthread_t t[THREADS];
	for (int i = 0; i < THREADS; i++) {
		char id[16];
		snprintf(id, sizeof id, "op%d", i);
		begin_op(s, id);
		w[i] = (struct writer){ s, i, 0 };
	}
	int before = atomic_load(&syncs);
	pthread_barrier_init(&gate, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, journal_many, &w[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].failed, 0);
	}
	int used = atomic_load(&syncs) - before;
	pthread_barrier_destroy(&gate);
	/* Grouped: far fewer than one for each of the 800 commits. */
	assert_in_range(used, 1, THREADS * COMMITS / 2);
	store_close(s);
	s = open_store("state.db");
	for (int i = 0; i < THREADS; i++) {
		char id[16];
		cJSON *got;
		snprintf(id, sizeof id, "op%d", i);
		ok(store_op_get(s, id, &got, &err));
		assert_int_equal(cJSON_GetArraySize(json_at(got, "steps")), COMMITS);
		cJSON_Delete(got);
	}
	store_close(s);
}

/* The child: four threads, each writes the next number into its key and tells the parent once it is acknowledged. */
struct counter {
	struct store *s;
	int thread, fd;
	int64_t next;
};

static void *count_on(void *arg)
{
	struct counter *c = arg;
	char key[16];
	snprintf(key, sizeof key, "t%d", c->thread);
	for (;; c->next++) {
		int64_t note[2] = { c->thread, c->next };
		cJSON *v = cJSON_CreateNumber((double)c->next);
		if (store_kv_set(c->s, "kill", key, v, NULL) || write(c->fd, note, sizeof note) != sizeof note)
			_exit(1);
		cJSON_Delete(v);
	}
	return NULL;
}

#define KILL_THREADS 4

static void write_until_killed(const char *path, const int64_t *from, int fd)
{
	struct store *s;
	struct perry_err *err = NULL;
	if (store_open(&s, path, &err)) {
		fprintf(stderr, "%s\n", perry_msg(err));
		_exit(2);
	}
	pthread_t t[KILL_THREADS];
	struct counter c[KILL_THREADS];
	for (int i = 0; i < KILL_THREADS; i++) {
		c[i] = (struct counter){ s, i, fd, from[i] + 1 };
		pthread_create(&t[i], NULL, count_on, &c[i]);
	}
	pthread_join(t[0], NULL);
}

static void killed_fifty_times(void **state)
{
	int64_t acked[KILL_THREADS] = { 0 };
	int64_t total = 0;
	unsigned seed = 7;
	for (int round = 0; round < 50; round++) {
		int p[2], status;
		assert_int_equal(pipe(p), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(p[0]);
			write_until_killed(test_path("state.db"), acked, p[1]);
			_exit(3);
		}
		close(p[1]);
		int64_t note[2], seen = 0, until = 1 + rand_r(&seed) % 40;
		while (seen < until && read(p[0], note, sizeof note) == sizeof note) {
			acked[note[0]] = note[1];
			seen++;
		}
		usleep((useconds_t)(rand_r(&seed) % 3000));
		kill(pid, SIGKILL);
		while (read(p[0], note, sizeof note) == sizeof note) {
			acked[note[0]] = note[1];
			seen++;
		}
		close(p[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_true(seen >= until);
		total += seen;
		struct store *s = open_store("state.db");
		for (int i = 0; i < KILL_THREADS; i++) {
			char key[16];
			cJSON *v = NULL;
			snprintf(key, sizeof key, "t%d", i);
			ok(store_kv_get(s, "kill", key, &v, &err));
			/* The last one may be in although nobody was told any more. */
			int64_t have = v ? (int64_t)v->valuedouble : 0;
			if (have < acked[i] || have > acked[i] + 1)
				fail_msg("round %d thread %d: acknowledged %lld, found %lld", round, i,
					 (long long)acked[i], (long long)have);
			acked[i] = have;
			cJSON_Delete(v);
		}
		store_close(s);
	}
	print_message("%lld acknowledged writes\n", (long long)total);
}

/* In a child with a mount namespace of its own: a disk of 1 MiB that fills up. Gives a text on failure. */
#define check(cond) \
	do { \
		if (!(cond)) \
			return "line " AS_TEXT(__LINE__) ": " #cond; \
	} while (0)
#define AS_TEXT(x)  AS_TEXT_(x)
#define AS_TEXT_(x) #x
#define NO_MOUNT    "cannot mount"

static const char *fill_disk(const char *file, size_t *left)
{
	FILE *f = fopen(file, "w");
	check(f);
	setvbuf(f, NULL, _IONBF, 0);
	char block[4096] = { 1 };
	*left = 0;
	while (fwrite(block, 1, sizeof block, f) == sizeof block)
		*left += sizeof block;
	fclose(f);
	return NULL;
}

struct full_writer {
	struct store *s;
	int done, failed, wrong;
};

static void *write_into_full(void *arg)
{
	struct full_writer *w = arg;
	char text[20000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	for (int i = 0; i < 20; i++) {
		struct perry_err *err = NULL;
		char key[32];
		snprintf(key, sizeof key, "%p-%d", (void *)w, i);
		cJSON *v = cJSON_CreateString(text);
		if (store_kv_set(w->s, "late", key, v, &err) == 0)
			w->done++;
		else if (strstr(perry_msg(err), "no space left on the device"))
			w->failed++;
		else
			w->wrong++;
		perry_err_free(take_ptr(err));
		cJSON_Delete(v);
	}
	return NULL;
}

static const char *disk_full(const char *dir)
{
	if (!small_disk(dir, "1m"))
		return NO_MOUNT;
	char path[128], filler[128], name[32];
	snprintf(path, sizeof path, "%s/state.db", dir);
	snprintf(filler, sizeof filler, "%s/filler", dir);
	struct store *s;
	struct perry_err *err = NULL;
	check(store_open(&s, path, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		cJSON *ws = cJSON_CreateObject();
		snprintf(name, sizeof name, "w%d", i);
		json_set_str(ws, "name", name);
		check(store_ws_create(s, ws, NULL) == 0);
		cJSON_Delete(ws);
	}
	size_t left;
	const char *why = fill_disk(filler, &left);
	if (why)
		return why;
	/* Several at once, so that whole batches fail; the text says what is wrong and with which file. */
	struct full_writer w[4] = { 0 };
	pthread_t t[4];
	int done = 0, failed = 0;
	for (int i = 0; i < 4; i++) {
		w[i].s = s;
		check(pthread_create(&t[i], NULL, write_into_full, &w[i]) == 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		check(w[i].wrong == 0);
		done += w[i].done;
		failed += w[i].failed;
	}
	check(failed > 0);
	cJSON *patch = cJSON_CreateObject(), *all;
	char big[30000];
	memset(big, 'y', sizeof big);
	big[sizeof big - 1] = 0;
	json_set_str(patch, "error", big);
	check(store_ws_patch(s, "w3", patch, NULL, &err) == -1);
	check(strstr(perry_msg(err), "state.db: no space left on the device; nothing was changed"));
	perry_err_free(take_ptr(err));
	/* Reading goes on, and nothing is lost: neither the first twenty nor what was acknowledged meanwhile. */
	check(store_ws_list(s, &all, NULL) == 0 && cJSON_GetArraySize(all) == 20);
	cJSON_Delete(all);
	check(store_kv_list(s, "late", NULL, &all, NULL) == 0 && cJSON_GetArraySize(all) == done);
	cJSON_Delete(all);
	/* Space returned: the same store takes the same write. */
	check(unlink(filler) == 0);
	check(store_ws_patch(s, "w3", patch, NULL, NULL) == 0);
	cJSON_Delete(patch);
	store_close(s);
	check(store_open(&s, path, NULL) == 0);
	check(store_ws_list(s, &all, NULL) == 0 && cJSON_GetArraySize(all) == 20);
	check(strlen(json_str_or(cJSON_GetArrayItem(all, 3), "error", "")) == sizeof big - 1);
	cJSON_Delete(all);
	store_close(s);

	/* Opened on a full disk: what is there is readable or the error is clear, and nothing is lost. */
	why = fill_disk(filler, &left);
	if (why)
		return why;
	if (store_open(&s, path, &err) == 0) {
		check(store_ws_list(s, &all, NULL) == 0 && cJSON_GetArraySize(all) == 20);
		cJSON_Delete(all);
		store_close(s);
	} else {
		check(strstr(perry_msg(err), "no space left"));
		perry_err_free(take_ptr(err));
	}
	check(unlink(filler) == 0);
	check(store_open(&s, path, NULL) == 0);
	check(store_ws_list(s, &all, NULL) == 0 && cJSON_GetArraySize(all) == 20);
	cJSON_Delete(all);
	store_close(s);
	return NULL;
}

static void full_disk(void **state)
{
	int p[2], status;
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		const char *why = disk_full(test_dir);
		if (why && write(p[1], why, strlen(why)) < 0)
			_exit(2);
		_exit(0);
	}
	close(p[1]);
	char why[256];
	ssize_t n = read(p[0], why, sizeof why - 1);
	close(p[0]);
	waitpid(pid, &status, 0);
	why[n > 0 ? n : 0] = 0;
	if (strcmp(why, NO_MOUNT) == 0) {
		print_message("skipped: no right to mount a small disk here\n");
		skip();
	}
	if (*why)
		fail_msg("%s", why);
	assert_int_equal(status, 0);
}

static void journal(void **state)
{
	struct store *s = open_store("state.db");
	cJSON *got, *j = J("{'id':'o1','kind':'start','workspace':'web','state':'queued','request':{'clone':'u'},'"
			   "started':5,"
			   "'steps':[{'id':'prepare','label':'Preparing container'},{'id':'start','label':'Starting "
			   "container'}]}");
	ok(store_op_begin(s, j, &err));
	refused(store_op_begin(s, j, &err), PERRY_EINTERNAL, "UNIQUE");
	cJSON_Delete(j);
	begin_op(s, "o2");
	j = J("{'id':'c1'}");
	ok(store_op_step(s, "o1", "start", NULL, "running", NULL, j, &err));
	cJSON_Delete(j);
	ok(store_op_step(s, "o1", "start", NULL, "error", "no image", NULL, &err));
	ok(store_op_step(s, "o1", "extra", "Something more", "skipped", NULL, NULL, &err));
	refused(store_op_step(s, "o9", "x", NULL, "done", NULL, NULL, &err), PERRY_ENOTFOUND, "Operation not found");
	j = J("{'state':'running','plan':{'image':'i'},'steps':[{'id':'sync','label':'Syncing'},{'id':'start'}]}");
	ok(store_op_patch(s, "o1", j, &err));
	cJSON_Delete(j);
	ok(store_ops_open(s, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 2);
	const cJSON *op = cJSON_GetArrayItem(got, 0), *steps = json_at(op, "steps"),
		    *step = cJSON_GetArrayItem(steps, 1);
	assert_string_equal(json_str(op, "id"), "o1");
	assert_string_equal(json_str(op, "plan.image"), "i");
	assert_string_equal(json_str(op, "request.clone"), "u");
	assert_int_equal(cJSON_GetArraySize(steps), 4);
	assert_string_equal(json_str(cJSON_GetArrayItem(steps, 0), "status"), "pending");
	assert_string_equal(json_str(step, "label"), "Starting container");
	assert_string_equal(json_str(step, "status"), "error");
	assert_string_equal(json_str(step, "message"), "no image");
	assert_string_equal(json_str(step, "data.id"), "c1");
	assert_true(json_int_or(step, "ended", 0) >= json_int_or(step, "started", 1) &&
		    json_int_or(step, "started", 0) > 0);
	assert_string_equal(json_str(cJSON_GetArrayItem(steps, 3), "id"), "sync");
	cJSON_Delete(got);
	j = J("{'state':'failed','ended':9,'error':{'message':'m'}}");
	ok(store_op_patch(s, "o1", j, &err));
	refused(store_op_patch(s, "o9", j, &err), PERRY_ENOTFOUND, "Operation not found");
	cJSON_Delete(j);
	ok(store_ops_open(s, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 1);
	cJSON_Delete(got);
	ok(store_ops_of(s, "web", 10, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 2);
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "id"), "o2");
	cJSON_Delete(got);
	/* Bounded: what ended long ago is dropped with its steps, what is open never. */
	for (int i = 0; i < 2200; i++) {
		cJSON *e = J("{'id':'e%d','kind':'stop','workspace':'api','state':'done','steps':[{'id':'stop'}]}", i);
		ok(store_op_begin(s, e, &err));
		cJSON_Delete(e);
	}
	refused(store_op_get(s, "o1", &got, &err), PERRY_ENOTFOUND, "not found");
	refused(store_op_get(s, "e0", &got, &err), PERRY_ENOTFOUND, "not found");
	ok(store_op_get(s, "o2", &got, &err));
	cJSON_Delete(got);
	ok(store_op_get(s, "e2199", &got, &err));
	assert_int_equal(cJSON_GetArraySize(json_at(got, "steps")), 1);
	cJSON_Delete(got);
	store_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_dir_make, test_dir_remove)

int main(void)
{
	const struct CMUnitTest tests[] = { T(journal), T(acknowledged_means_synced), T(fifty_at_once),
					    T(killed_fifty_times), T(full_disk) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
