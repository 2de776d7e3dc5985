/* Commands in containers of the real engine. */
#include "docker_util.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

static struct docker *d;
static char box[65]; /* one running container for all */

static int set_up(void **state)
{
	d = test_docker();
	if (d)
		test_container(d, box, NULL, true);
	return 0;
}

static int tear_down(void **state)
{
	if (d)
		test_remove(d, box);
	docker_close(d);
	return 0;
}

static void free_result(struct docker_exec_result *r)
{
	buf_free(&r->out);
	buf_free(&r->err);
}

static void exit_codes(void **state)
{
	static const struct {
		const char *script;
		int code;
	} cases[] = {
		{ "exit 0", 0 }, { "exit 1", 1 }, { "exit 255", 255 }, { "kill -9 $$", 137 }, { "exec /no/such", 127 }
	};
	struct perry_err *err = NULL;
	struct docker_exec_result r;
	engine_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ok(docker_exec_collect(d, box, &(struct docker_exec){ .argv = SH(cases[i].script) }, 1000, NULL, &r,
				       &err));
		assert_int_equal(r.exit_code, cases[i].code);
		free_result(&r);
	}
	/* No such program: the engine says so in the output, with the shell's code. */
	ok(docker_exec_collect(d, box, &(struct docker_exec){ .argv = (const char *const[]){ "/no/such", NULL } }, 1000,
			       NULL, &r, &err));
	assert_true(r.exit_code == 126 || r.exit_code == 127); /* Docker's, Podman's */
	assert_true(test_is_podman(d) || strstr(buf_str(&r.out), "no such file or directory"));
	free_result(&r);
	fails(PERRY_EINPUT, docker_exec(d, box, &(struct docker_exec){ .argv = (const char *const[]){ NULL } }, NULL,
					NULL, NULL, &r.exit_code, &err));
	perry_err_free(err);
}

static void surroundings(void **state)
{
	struct perry_err *err = NULL;
	struct docker_exec_result r;
	engine_or_skip();
	struct docker_exec e = { .argv = SH("id -u; pwd; printf '%s\\n' \"$A\""),
				 .env = (const char *const[]){ "A=x y\nz", NULL },
				 .user = "nobody",
				 .cwd = "/tmp" };
	ok(docker_exec_collect(d, box, &e, 1000, NULL, &r, &err));
	assert_string_equal(buf_str(&r.out), "65534\n/tmp\nx y\nz\n");
	free_result(&r);
}

static void every_byte_passes(void **state)
{
	struct perry_err *err = NULL;
	struct docker_exec_result r;
	char all[3 * 256];
	engine_or_skip();
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)i;
	struct docker_exec e = { .argv = SH("cat; printf '\\000\\377' >&2"), .input = all, .input_len = sizeof all };
	ok(docker_exec_collect(d, box, &e, 10000, NULL, &r, &err));
	assert_int_equal(r.out.len, sizeof all);
	assert_memory_equal(r.out.data, all, sizeof all);
	assert_int_equal(r.err.len, 2);
	assert_memory_equal(r.err.data, "\0\377", 2);
	free_result(&r);
	/* Empty input is an end of file, not a terminal that waits. */
	e = (struct docker_exec){ .argv = SH("cat; echo end"), .input = "", .input_len = 0 };
	ok(docker_exec_collect(d, box, &e, 100, NULL, &r, &err));
	assert_string_equal(buf_str(&r.out), "end\n");
	free_result(&r);
}

static void large_input_and_output_at_once(void **state)
{
	struct perry_err *err = NULL;
	struct docker_exec_result r;
	const size_t n = 20u << 20;
	engine_or_skip();
	char *in = xmalloc(n);
	for (size_t i = 0; i < n; i++)
		in[i] = (char)(i * 2654435761u >> 13);
	ok(docker_exec_collect(d, box, &(struct docker_exec){ .argv = SH("exec cat"), .input = in, .input_len = n },
			       n + 1, NULL, &r, &err));
	assert_int_equal(r.out.len, n);
	assert_memory_equal(r.out.data, in, n);
	free_result(&r);
	/* A process that does not read: its end is the end, the input is dropped. */
	ok(docker_exec_collect(
		d, box, &(struct docker_exec){ .argv = SH("exec <&-; sleep 0.2; exit 4"), .input = in, .input_len = n },
		n, NULL, &r, &err));
	assert_int_equal(r.exit_code, 4);
	free_result(&r);
	free(in);
}

/* Of this program alone; getrusage's peak would have that of whoever started it. */
static long peak_kib(void)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	fclose(f);
	assert_true(kib > 0);
	return kib;
}

static int count_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	*(uint64_t *)ctx += n;
	return 0;
}

static void streams_150_mb_in_constant_memory(void **state)
{
	struct perry_err *err = NULL;
	uint64_t total = 0;
	int code = -1;
	engine_or_skip();
	long before = peak_kib();
	int64_t start = clock_mono_ms();
	ok(docker_exec(d, box, &(struct docker_exec){ .argv = SH("exec head -c 150000000 /dev/zero") }, count_bytes,
		       &total, NULL, &code, &err));
	print_message("150 MB in %lld ms, peak memory grew %ld KiB\n", (long long)(clock_mono_ms() - start),
		      peak_kib() - before);
	assert_int_equal(total, 150000000);
	assert_int_equal(code, 0);
	assert_true(peak_kib() - before < 4096);
}

static void collecting_drops_beyond_the_limit(void **state)
{
	struct perry_err *err = NULL;
	struct docker_exec_result r;
	engine_or_skip();
	ok(docker_exec_collect(d, box,
			       &(struct docker_exec){ .argv = SH("head -c 5000 /dev/zero; echo x >&2; exit 7") }, 1000,
			       NULL, &r, &err));
	assert_int_equal(r.out.len, 1000);
	assert_string_equal(buf_str(&r.err), "x\n");
	assert_int_equal(r.dropped, 4000);
	assert_int_equal(r.exit_code, 7);
	free_result(&r);
}

static void output_closed_early_is_not_the_end(void **state)
{
	struct perry_err *err = NULL;
	struct docker_exec_result r;
	engine_or_skip();
	int64_t start = clock_mono_ms();
	ok(docker_exec_collect(d, box, &(struct docker_exec){ .argv = SH("echo a; exec >&- 2>&-; sleep 1; exit 9") },
			       100, NULL, &r, &err));
	assert_int_equal(r.exit_code, 9);
	assert_string_equal(buf_str(&r.out), "a\n");
	assert_true(clock_mono_ms() - start >= 900);
	free_result(&r);
}

static void timeout(void **state)
{
	struct perry_err *err = NULL;
	struct docker_exec_result r;
	engine_or_skip();
	int64_t start = clock_mono_ms();
	fails(PERRY_ETIMEOUT,
	      docker_exec_collect(d, box,
				  &(struct docker_exec){ .argv = SH("echo before; sleep 20"), .timeout_ms = 500 }, 100,
				  NULL, &r, &err));
	assert_in_range(clock_mono_ms() - start, 490, 1000);
	assert_string_equal(buf_str(&r.out), "before\n"); /* what came is kept */
	free_result(&r);
	perry_err_free(err);
}

struct canceller {
	struct docker_cancel cancel;
	int after_ms;
	int64_t at;
};

static void *cancel_later(void *ctx)
{
	struct canceller *c = ctx;
	poll(NULL, 0, c->after_ms);
	c->at = clock_mono_ms();
	atomic_store(&c->cancel.set, true);
	if (c->cancel.fd >= 0)
		eventfd_write(c->cancel.fd, 1);
	return NULL;
}

static void cancel_from_another_thread(void **state)
{
	struct perry_err *err = NULL;
	engine_or_skip();
	for (int with_fd = 0; with_fd < 2; with_fd++) {
		struct canceller c = { .cancel.fd = with_fd ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1,
				       .after_ms = 300 };
		pthread_t t;
		int code;
		pthread_create(&t, NULL, cancel_later, &c);
		fails(PERRY_ECANCELLED, docker_exec(d, box, &(struct docker_exec){ .argv = SH("sleep 60") }, NULL, NULL,
						    &c.cancel, &code, &err));
		int64_t now = clock_mono_ms();
		pthread_join(t, NULL);
		print_message("cancelled after %lld ms\n", (long long)(now - c.at));
		assert_true(now - c.at < 30000); /* the command goes on for a minute */
		/* Set beforehand: nothing is begun. */
		uint64_t before = docker_requests(d);
		fails(PERRY_ECANCELLED, docker_exec(d, box, &(struct docker_exec){ .argv = SH("sleep 20") }, NULL, NULL,
						    &c.cancel, &code, &err));
		assert_true(docker_requests(d) - before <= 1);
		if (with_fd)
			close(c.cancel.fd);
	}
	perry_err_free(err);
}

static int refuse(void *ctx, int fd, const char *bytes, size_t n)
{
	return 1;
}

static void the_receiver_may_end_it(void **state)
{
	struct perry_err *err = NULL;
	int code;
	engine_or_skip();
	fails(PERRY_ECANCELLED,
	      docker_exec(d, box, &(struct docker_exec){ .argv = SH("while :; do echo x; sleep 0.1; done") }, refuse,
			  NULL, NULL, &code, &err));
	perry_err_free(err);
}

static void wrong_states(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	int code;
	engine_or_skip();
	test_container(d, id, NULL, false);
	fails(PERRY_ESTATE,
	      docker_exec(d, id, &(struct docker_exec){ .argv = SH("true") }, NULL, NULL, NULL, &code, &err));
	assert_true(strstr(err->msg, "is not running") || strstr(err->msg, "on running containers"));
	test_remove(d, id);
	fails(PERRY_ENOTFOUND,
	      docker_exec(d, id, &(struct docker_exec){ .argv = SH("true") }, NULL, NULL, NULL, &code, &err));
	perry_err_free(err);
}

static void container_dies_under_it(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	int code = -1;
	engine_or_skip();
	test_container(d, id, "sleep 1", true);
	ok(docker_exec(d, id, &(struct docker_exec){ .argv = SH("sleep 20") }, NULL, NULL, NULL, &code, &err));
	assert_int_equal(code, 137);
	test_remove(d, id);
}

static void detached(void **state)
{
	struct perry_err *err = NULL;
	struct docker_exec_result r = { .exit_code = -1 };
	engine_or_skip();
	int64_t start = clock_mono_ms();
	ok(docker_exec_detached(d, box, &(struct docker_exec){ .argv = SH("echo there > /tmp/detached; sleep 60") },
				&err));
	assert_true(clock_mono_ms() - start < 30000);
	for (int i = 0; i < 300 && r.exit_code != 0; i++) {
		ok(docker_exec_collect(d, box, &(struct docker_exec){ .argv = SH("cat /tmp/detached") }, 100, NULL, &r,
				       &err));
		if (r.exit_code == 0)
			assert_string_equal(buf_str(&r.out), "there\n");
		free_result(&r);
	}
	assert_int_equal(r.exit_code, 0);
}

/* --- attached, for an event loop --- */

static int keep(void *ctx, int fd, const char *bytes, size_t n)
{
	assert_true(fd == 1 || fd == 2);
	buf_add(ctx, bytes, n);
	return 0;
}

/* Reads until the text appears (true) or the stream ends (false). */
static bool read_until(struct docker_stream *s, struct buf *got, const char *text)
{
	struct perry_err *err = NULL;
	for (int64_t end = clock_mono_ms() + 10000; clock_mono_ms() < end;) {
		int rc = docker_stream_read(s, keep, got, &err);
		if (rc < 0)
			fail_msg("%s", perry_msg(err));
		if (text && got->len && memmem(got->data, got->len, text, strlen(text)))
			return true;
		if (rc == 0) {
			if (text)
				print_error("the stream ended with: %s\n", buf_str(got));
			return false;
		}
		struct pollfd p = { .fd = docker_stream_fd(s), .events = POLLIN };
		poll(&p, 1, 1000);
	}
	fail_msg("nothing came within 10 s; so far: %s", buf_str(got));
	return false;
}

static void a_terminal(void **state)
{
	struct perry_err *err = NULL;
	struct docker_stream *s = NULL;
	cleanup_buf struct buf got = { 0 };
	int code = -1;
	engine_or_skip();
	ok(docker_exec_open(
		d, box,
		&(struct docker_exec){
			.argv = SH("sleep 0.5; stty size; read x; stty size; echo \"<$x>\" | od -c; exit 5"),
			.tty = true,
			.cols = 101,
			.rows = 37 },
		&s, &err));
	assert_true(fcntl(docker_stream_fd(s), F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(docker_stream_fd(s), F_GETFD) & FD_CLOEXEC);
	assert_true(read_until(s, &got, "37 101"));
	ok(docker_stream_resize(s, 132, 50, &err));
	/* ctrl-p must arrive although it begins the engine's default keys for detaching; alone, without a key behind
	 * it. */
	assert_int_equal(docker_stream_write(s, "a\x10\x11", 3), 3);
	assert_true(read_until(s, &got, "a^P"));
	assert_int_equal(docker_stream_write(s, "\n", 1), 1);
	assert_true(read_until(s, &got, "50 132"));
	assert_false(read_until(s, &got, NULL));
	assert_non_null(strstr(buf_str(&got), "020"));
	ok(docker_stream_exit_code(s, &code, &err));
	assert_int_equal(code, 5);
	docker_stream_free(s);
}

static void pipes_with_half_close(void **state)
{
	struct perry_err *err = NULL;
	struct docker_stream *s = NULL;
	cleanup_buf struct buf got = { 0 };
	int code = -1;
	engine_or_skip();
	ok(docker_exec_open(d, box, &(struct docker_exec){ .argv = SH("cat; echo end; exit 6") }, &s, &err));
	assert_int_equal(docker_stream_write(s, "one", 3), 3);
	assert_true(read_until(s, &got, "one"));
	assert_int_equal(docker_stream_write(s, "two", 3), 3);
	docker_stream_close_input(s);
	assert_int_equal(docker_stream_write(s, "x", 1), -1);
	assert_true(read_until(s, &got, "onetwoend"));
	assert_false(read_until(s, &got, NULL));
	ok(docker_stream_exit_code(s, &code, &err));
	assert_int_equal(code, 6);
	docker_stream_free(s);
}

static void a_writer_is_told_to_wait(void **state)
{
	struct perry_err *err = NULL;
	struct docker_stream *s = NULL;
	static char block[65536];
	size_t taken = 0;
	engine_or_skip();
	ok(docker_exec_open(d, box, &(struct docker_exec){ .argv = SH("sleep 1; wc -c") }, &s, &err));
	ssize_t n = 1;
	while (n > 0) {
		n = docker_stream_write(s, block, sizeof block);
		taken += n > 0 ? (size_t)n : 0;
		assert_true(taken < 64u << 20); /* nobody reads: it must end */
	}
	assert_int_equal(n, 0);
	cleanup_buf struct buf got = { 0 };
	char expected[32];
	docker_stream_close_input(s);
	snprintf(expected, sizeof expected, "%zu\n", taken);
	assert_true(read_until(s, &got, expected));
	docker_stream_free(s);
}

static void *eight_execs(void *ctx)
{
	for (int i = 0; i < 5; i++) {
		struct perry_err *err = NULL;
		struct docker_exec_result r;
		char in[32];
		snprintf(in, sizeof in, "%p %d", (void *)&r, i);
		ok(docker_exec_collect(d, box,
				       &(struct docker_exec){ .argv = SH("cat"), .input = in, .input_len = strlen(in) },
				       100, NULL, &r, &err));
		assert_string_equal(buf_str(&r.out), in);
		free_result(&r);
	}
	return NULL;
}

static void many_threads_share_one_client(void **state)
{
	pthread_t t[8];
	engine_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, eight_execs, NULL);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
}

static void no_descriptor_is_left(void **state)
{
	engine_or_skip();
	struct docker *first = d;
	d = test_docker();
	eight_execs(NULL);
	docker_close(d);
	int before = open_fds();
	d = test_docker();
	eight_execs(NULL);
	cancel_from_another_thread(NULL);
	timeout(NULL);
	docker_close(d);
	d = first;
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			streams_150_mb_in_constant_memory), /* first: it looks at the peak of the whole process */
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(surroundings),
		cmocka_unit_test(every_byte_passes),
		cmocka_unit_test(large_input_and_output_at_once),
		cmocka_unit_test(collecting_drops_beyond_the_limit),
		cmocka_unit_test(output_closed_early_is_not_the_end),
		cmocka_unit_test(timeout),
		cmocka_unit_test(cancel_from_another_thread),
		cmocka_unit_test(the_receiver_may_end_it),
		cmocka_unit_test(wrong_states),
		cmocka_unit_test(container_dies_under_it),
		cmocka_unit_test(detached),
		cmocka_unit_test(a_terminal),
		cmocka_unit_test(pipes_with_half_close),
		cmocka_unit_test(a_writer_is_told_to_wait),
		cmocka_unit_test(many_threads_share_one_client),
		cmocka_unit_test(no_descriptor_is_left),
	};
	cmocka_set_test_filter(getenv("CMOCKA_FILTER"));
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
