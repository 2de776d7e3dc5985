/* A private dockerd (tests/engine/private_dockerd) that is killed, frozen and asked over TLS. */
#include "docker_util.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SH(script) ((const char *const[]){ "sh", "-c", (script), NULL })

static struct {
	char dir[64], sock[100];
	struct docker *d;
} own;

static int script(const char *action)
{
	const char *tool = access("tests/engine/private_dockerd", X_OK) == 0 ? "tests/engine/private_dockerd" : NULL;
	if (!tool)
		return 77;
	char command[200];
	snprintf(command, sizeof command, "%s %s %s", tool, action, own.dir);
	int rc = system(command);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static bool had_docker0;

static int start_own(void **state)
{
	struct perry_err *err = NULL;
	snprintf(own.dir, sizeof own.dir, "/tmp/pdk-engine-%d", (int)getpid());
	snprintf(own.sock, sizeof own.sock, "unix://%s/docker.sock", own.dir);
	had_docker0 = access("/sys/class/net/docker0", F_OK) == 0;
	int rc = script("start");
	if (rc == 0)
		ok(docker_open(&own.d, own.sock, &err));
	else
		print_message("skipped: no private dockerd (%d)\n", rc);
	return rc == 0 || rc == 77 ? 0 : -1;
}

static int stop_own(void **state)
{
	docker_close(own.d);
	own.d = NULL;
	script("stop");
	/* The engine that the machine shares must not have been touched. */
	return had_docker0 && access("/sys/class/net/docker0", F_OK) != 0 ? -1 : 0;
}

#define own_or_skip() \
	do { \
		if (!own.d) \
			skip(); \
	} while (0)

static void own_container(char id[65], const char *text)
{
	struct perry_err *err = NULL;
	cleanup_json cJSON *spec = cJSON_CreateObject();
	json_set_str(spec, "Image", "pdk:tiny");
	json_set(spec, "Cmd", cJSON_CreateStringArray((const char *[]){ "sh", "-c", text }, 3));
	json_set_str(json_obj(spec, "HostConfig"), "NetworkMode", "none");
	ok(docker_container_create(own.d, NULL, spec, id, &err));
	ok(docker_container_start(own.d, id, &err));
}

/* The things that hang on the engine when it dies. */
struct hanger {
	pthread_t thread;
	char id[65];
	int kind;
	atomic_int bytes;
	int rc;
	int64_t ended;
	struct perry_err *err;
};

static int got_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	atomic_fetch_add(&((struct hanger *)ctx)->bytes, (int)n);
	return 0;
}

static void got_ready(void *ctx)
{
	got_bytes(ctx, 1, "", 1);
}

static void got_event(void *ctx, const cJSON *event)
{
}

static void *hang(void *ctx)
{
	struct hanger *h = ctx;
	int code;
	switch (h->kind) {
	case 0:
		h->rc = docker_container_logs(own.d, h->id, &(struct docker_logs){ .tail = -1, .follow = true },
					      got_bytes, h, NULL, &h->err);
		break;
	case 1:
		h->rc = docker_exec(own.d, h->id,
				    &(struct docker_exec){ .argv = SH("while :; do echo x; sleep 0.1; done") },
				    got_bytes, h, NULL, &code, &h->err);
		break;
	case 2:
		h->rc = docker_exec(own.d, h->id, &(struct docker_exec){ .argv = SH("echo x; sleep 60") }, got_bytes, h,
				    NULL, &code, &h->err);
		break;
	case 3:
		h->rc = docker_events(own.d, NULL, got_ready, got_event, h, NULL, &h->err);
		break;
	default: /* one that has not been answered yet */
		got_bytes(h, 1, "", 1);
		h->rc = docker_container_stop(own.d, h->id, 60, &h->err);
	}
	h->ended = clock_mono_ms();
	return NULL;
}

static void the_engine_dies_under_everything(void **state)
{
	struct perry_err *err = NULL;
	struct hanger h[5] = { 0 };
	char stubborn[65];
	own_or_skip();
	ok(docker_version(own.d, NULL, &err));
	own_container(h[0].id, "trap '' TERM; while :; do echo x; sleep 0.1; done");
	own_container(stubborn, "trap '' TERM; while :; do sleep 1; done");
	for (int i = 0; i < 5; i++) {
		memcpy(h[i].id, i == 4 ? stubborn : h[0].id, 65);
		h[i].kind = i;
		pthread_create(&h[i].thread, NULL, hang, &h[i]);
	}
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 500 && !atomic_load(&h[i].bytes); k++)
			usleep(10000);
	usleep(200000);
	int64_t killed = clock_mono_ms();
	assert_int_equal(script("kill"), 0);
	for (int i = 0; i < 5; i++) {
		pthread_join(h[i].thread, NULL);
		print_message("%d after %lld ms: %s\n", i, (long long)(h[i].ended - killed), perry_msg(h[i].err));
		assert_true(atomic_load(&h[i].bytes) > 0);
		assert_int_equal(h[i].rc, -1);
		assert_int_equal(h[i].err->code, PERRY_EUNAVAILABLE);
		assert_true(h[i].ended - killed < 1000);
		perry_err_free(h[i].err);
	}
	fails(PERRY_EUNAVAILABLE, docker_container_list(own.d, NULL, NULL, &err));
	perry_err_free(err);
	err = NULL;
	/* It comes back, and the same client goes on. */
	assert_int_equal(script("restart"), 0);
	ok(docker_container_list(own.d, NULL, NULL, &err));
	ok(docker_container_remove(own.d, h[0].id, true, &err));
	ok(docker_container_remove(own.d, stubborn, true, &err));
}

static void *cancel_soon(void *ctx)
{
	struct docker_cancel *c = ctx;
	usleep(300000);
	atomic_store(&c->set, true);
	eventfd_write(c->fd, 1);
	return NULL;
}

/* The real one, stopped with a signal: it accepts connections and says nothing. */
static void the_engine_is_frozen(void **state)
{
	struct perry_err *err = NULL;
	char path[100], id[65];
	int pid = 0, code;
	own_or_skip();
	own_container(id, "sleep 1000");
	snprintf(path, sizeof path, "%s/pid", own.dir);
	FILE *f = fopen(path, "re");
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	kill(pid, SIGSTOP);
	int64_t start = clock_mono_ms();
	int rc = docker_call(own.d, "GET", "/info", NULL, 300, NULL, &err);
	int64_t took = clock_mono_ms() - start;
	struct docker_cancel c = { .fd = eventfd(0, EFD_CLOEXEC) };
	struct perry_err *err2 = NULL;
	pthread_t t;
	pthread_create(&t, NULL, cancel_soon, &c);
	int64_t start2 = clock_mono_ms();
	int rc2 = docker_exec(own.d, id, &(struct docker_exec){ .argv = SH("true") }, NULL, NULL, &c, &code, &err2);
	int64_t took2 = clock_mono_ms() - start2;
	pthread_join(t, NULL);
	kill(pid, SIGCONT);
	assert_int_equal(rc, -1);
	assert_int_equal(err->code, PERRY_ETIMEOUT);
	assert_non_null(strstr(err->msg, own.sock));
	assert_in_range(took, 290, 10000); /* what it says itself would never come */
	assert_int_equal(rc2, -1);
	assert_int_equal(err2->code, PERRY_ECANCELLED);
	assert_in_range(took2, 200, 10000);
	close(c.fd);
	perry_err_free(err);
	perry_err_free(err2);
	err = NULL;
	ok(docker_container_remove(own.d, id, true, &err));
}

static void tls(void **state)
{
	struct perry_err *err = NULL;
	struct docker *d = NULL;
	struct docker_exec_result r;
	char host[64], certs[100], port[16] = "", id[65];
	own_or_skip();
	snprintf(certs, sizeof certs, "%s/port", own.dir);
	FILE *f = fopen(certs, "re");
	assert_int_equal(fscanf(f, "%15s", port), 1);
	fclose(f);
	snprintf(certs, sizeof certs, "%s/certs", own.dir);
	snprintf(host, sizeof host, "tcp://127.0.0.1:%s", port);
	own_container(id, "sleep 1000");
	int before = open_fds();

	setenv("DOCKER_CERT_PATH", certs, 1);
	ok(docker_open(&d, host, &err)); /* without TLS: refused, and said so */
	assert_int_equal(docker_version(d, NULL, &err), -1);
	print_message("%s\n", err->msg);
	docker_close(d);
	perry_err_free(err);
	err = NULL;

	setenv("DOCKER_TLS_VERIFY", "1", 1);
	setenv("DOCKER_HOST", host, 1);
	ok(docker_open(&d, NULL, &err));
	assert_string_equal(docker_host(d), host);
	ok(docker_version(d, NULL, &err));
	/* The end of the input must pass through TLS, or cat never ends. */
	const size_t n = 3u << 20;
	char *in = xmalloc(n);
	for (size_t i = 0; i < n; i++)
		in[i] = (char)(i * 2654435761u >> 11);
	ok(docker_exec_collect(
		d, id,
		&(struct docker_exec){
			.argv = SH("cat; echo end >&2; exit 3"), .input = in, .input_len = n, .timeout_ms = 20000 },
		n, NULL, &r, &err));
	assert_int_equal(r.exit_code, 3);
	assert_string_equal(buf_str(&r.err), "end\n");
	assert_int_equal(r.out.len, n);
	assert_memory_equal(r.out.data, in, n);
	free(in);
	buf_free(&r.out);
	buf_free(&r.err);
	ok(docker_exec_collect(d, id, &(struct docker_exec){ .argv = SH("head -c 30000000 /dev/zero") }, 100, NULL, &r,
			       &err));
	assert_int_equal(r.dropped, 30000000 - 100);
	buf_free(&r.out);
	docker_close(d);

	/* A name that the certificate does not have. */
	snprintf(host, sizeof host, "tcp://localhost:%s", port);
	ok(docker_open(&d, host, &err));
	fails(PERRY_EUNAVAILABLE, docker_version(d, NULL, &err));
	print_message("%s\n", err->msg);
	docker_close(d);
	setenv("DOCKER_CERT_PATH", "/tmp/pdk-no-such-dir", 1);
	fails(PERRY_ENOTFOUND, docker_open(&d, host, &err));
	assert_non_null(strstr(err->msg, "/tmp/pdk-no-such-dir/ca.pem"));
	unsetenv("DOCKER_CERT_PATH");
	unsetenv("DOCKER_TLS_VERIFY");
	unsetenv("DOCKER_HOST");
	assert_int_equal(open_fds(), before);
	perry_err_free(err);
	err = NULL;
	ok(docker_container_remove(own.d, id, true, &err));
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_engine_dies_under_everything),
		cmocka_unit_test(the_engine_is_frozen),
		cmocka_unit_test(tls),
	};
	return cmocka_run_group_tests(tests, start_own, stop_own);
}
