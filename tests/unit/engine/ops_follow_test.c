/* The fleet following the real engine. What that cannot be made to do here without hurting others (go away and come
 * back) is done by a relay in front of its socket. Containers are called pop-... */
#include "ops_fleet_util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define IMAGE "debian:bookworm"

/* Passes connections on to the engine's socket while it is up; taken down it cuts them all, as an engine that stops
 * does. */
struct relay {
	char path[108], target[108];
	pthread_t thread;
	int listener, wake[2];
	atomic_bool up;
};

struct pipe_pair {
	int a, b;
};

static void relay_loop(struct relay *r)
{
	struct pipe_pair conn[64];
	int n = 0;
	while (atomic_load(&r->up)) {
		struct pollfd p[130] = { { .fd = r->wake[0], .events = POLLIN },
					 { .fd = r->listener, .events = POLLIN } };
		for (int i = 0; i < n; i++) {
			p[2 + 2 * i] = (struct pollfd){ .fd = conn[i].a, .events = POLLIN };
			p[3 + 2 * i] = (struct pollfd){ .fd = conn[i].b, .events = POLLIN };
		}
		if (poll(p, (nfds_t)(2 + 2 * n), -1) < 0)
			break;
		for (int i = n - 1; i >= 0; i--) {
			bool gone = false;
			for (int side = 0; side < 2; side++) {
				char block[16384];
				if (!p[2 + 2 * i + side].revents)
					continue;
				ssize_t got = read(p[2 + 2 * i + side].fd, block, sizeof block);
				if (got <= 0 ||
				    send(side ? conn[i].a : conn[i].b, block, (size_t)got, MSG_NOSIGNAL) != got)
					gone = true;
			}
			if (gone) {
				close(conn[i].a);
				close(conn[i].b);
				conn[i] = conn[--n];
			}
		}
		if (p[1].revents & POLLIN && n < 64) {
			struct sockaddr_un to = { .sun_family = AF_UNIX };
			snprintf(to.sun_path, sizeof to.sun_path, "%s", r->target);
			struct pipe_pair c = { accept(r->listener, NULL, NULL), socket(AF_UNIX, SOCK_STREAM, 0) };
			if (connect(c.b, (struct sockaddr *)&to, sizeof to) == 0) {
				conn[n++] = c;
			} else {
				close(c.a);
				close(c.b);
			}
		}
	}
	for (int i = 0; i < n; i++) {
		close(conn[i].a);
		close(conn[i].b);
	}
}

static void *relay_main(void *arg)
{
	relay_loop(arg);
	return NULL;
}

static void relay_up(struct relay *r)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof at.sun_path, "%s", r->path);
	r->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(r->listener, 16), 0);
	assert_int_equal(pipe(r->wake), 0);
	atomic_store(&r->up, true);
	assert_int_equal(pthread_create(&r->thread, NULL, relay_main, r), 0);
}

static void relay_down(struct relay *r)
{
	atomic_store(&r->up, false);
	assert_int_equal(write(r->wake[1], "x", 1), 1);
	pthread_join(r->thread, NULL);
	close(r->listener);
	close(r->wake[0]);
	close(r->wake[1]);
	unlink(r->path);
}

/* The engine that everybody shares, through a relay; false (with the reason) when there is none to be had. */
static bool relay_open(struct relay *r)
{
	struct docker *d = NULL;
	struct perry_err *err = NULL;
	cJSON *image = NULL;
	bool there = docker_open(&d, NULL, &err) == 0 && docker_image_inspect(d, IMAGE, &image, &err) == 0;
	if (there && !str_starts(docker_host(d), "unix://"))
		there = perry_fail(&err, PERRY_ESTATE, "the engine is not on a unix socket") == 0;
	if (there) {
		snprintf(r->target, sizeof r->target, "%s", docker_host(d) + strlen("unix://"));
		snprintf(r->path, sizeof r->path, "%s", test_path("docker.sock"));
		relay_up(r);
	} else {
		print_message("skipped: %s\n", perry_msg(err));
	}
	cJSON_Delete(image);
	perry_err_free(err);
	docker_close(d);
	return there;
}

static void container(struct scene *s, const char *agent, const char *workspace, const char *name, char id[65])
{
	cJSON *spec = J("{'Image':'%s','Cmd':['sleep','600'],'Labels':{'perry.agent':'%s','perry.workspace':'%s'},"
			"'HostConfig':{'NetworkMode':'none'},'StopSignal':'SIGKILL'}",
			IMAGE, agent, workspace);
	ok(docker_container_create(s->docker, name, spec, id, &err));
	cJSON_Delete(spec);
}

/* How long until the status is the wanted one; fails after limit_ms. */
static int await_status(struct scene *s, const char *name, const char *want, int limit_ms)
{
	int64_t start = clock_mono_ms();
	while (clock_mono_ms() - start < limit_ms) {
		char *now = status(s->fleet, name);
		bool there = strcmp(now, want) == 0;
		free(now);
		if (there)
			return (int)(clock_mono_ms() - start);
		usleep(1000);
	}
	char *now = status(s->fleet, name);
	print_error("%s: %s instead of %s after %d ms\n", name, now, want, limit_ms);
	free(now);
	fail();
	return -1;
}

static void ready_record(struct scene *s, const char *name)
{
	cJSON *ws = J("{'name':'%s','state':'ready'}", name);
	ok(store_ws_create(s->store, ws, &err));
	cJSON_Delete(ws);
}

static void record_container(struct scene *s, const char *name, const char *id)
{
	cJSON *patch = J("{'containerId':'%s'}", id), *record;
	ok(store_ws_patch(s->store, name, patch, &record, &err));
	fleet_put(s->fleet, name, record);
	cJSON_Delete(record);
	cJSON_Delete(patch);
}

static void follows(void **state)
{
	struct relay r;
	struct scene s;
	char host[128], id[4][65], name[4][64];
	if (!relay_open(&r))
		skip();
	snprintf(host, sizeof host, "unix://%s", r.path);
	scene_open(&s, host);
	const char *agent = store_agent_id(s.store);
	for (int i = 0; i < 4; i++)
		snprintf(name[i], sizeof name[i], "pop-%d-%d", (int)getpid(), i);
	ready_record(&s, "a");
	ready_record(&s, "b");
	ready_record(&s, "c");
	container(&s, agent, "a", name[0], id[0]);
	ok(docker_container_start(s.docker, id[0], &err));
	container(&s, agent, "b", name[1], id[1]);
	container(&s, "another", "c", name[2], id[2]);
	scene_fleet(&s);
	assert_true(fleet_wait_ready(s.fleet, 5000));
	assert_true(fleet_engine_up(s.fleet, NULL));
	assert_status(s.fleet, "a", "running");
	assert_status(s.fleet, "b", "stopped");
	assert_status(s.fleet, "c", "stopped"); /* another agent's container is none of ours, also when it starts */
	record_container(&s, "a", id[0]);
	record_container(&s, "b", id[1]);

	/* Behind our back. */
	ok(docker_container_start(s.docker, id[1], &err));
	int ms = await_status(&s, "b", "running", 1000);
	ok(docker_container_kill(s.docker, id[1], "KILL", &err));
	int most = await_status(&s, "b", "stopped", 1000);
	most = most > ms ? most : ms;
	cJSON *got;
	ok(fleet_get(s.fleet, "b", &got, &err));
	assert_int_equal(json_int_or(got, "container.exitCode", 0), 137);
	cJSON_Delete(got);
	ok(docker_container_start(s.docker, id[2], &err));
	ok(docker_container_remove(s.docker, id[0], true, &err));
	ms = await_status(&s, "a", "missing", 1000);
	most = most > ms ? most : ms;
	assert_status(s.fleet, "c", "stopped");
	/* A list asks nobody. */
	uint64_t before = docker_requests(s.docker);
	for (int i = 0; i < 10; i++) {
		cJSON_Delete(fleet_list(s.fleet));
		free(fleet_list_text(s.fleet));
		assert_status(s.fleet, "a", "missing");
	}
	assert_true(docker_requests(s.docker) == before);

	/* A new container beside the one of the record counts only when the record's is gone, and by its usual name. */
	container(&s, agent, "b", name[3], id[3]);
	ok(docker_container_start(s.docker, id[3], &err));
	usleep(200000);
	assert_status(s.fleet, "b", "stopped");
	record_container(&s, "b", id[3]);
	cJSON *inspect;
	ok(docker_container_inspect(s.docker, id[3], &inspect, &err));
	fleet_put_container(s.fleet, "b", inspect);
	cJSON_Delete(inspect);
	assert_status(s.fleet, "b", "running");

	/* The engine goes away: the last known state stays, the reason is told. While it is away things change. */
	struct docker *direct;
	ok(docker_open(&direct, NULL, &err));
	relay_down(&r);
	for (int i = 0; i < 1000 && fleet_engine_up(s.fleet, NULL); i++)
		usleep(1000);
	char *why = NULL;
	assert_false(fleet_engine_up(s.fleet, &why));
	assert_non_null(why);
	free(why);
	assert_status(s.fleet, "b", "running");
	ok(docker_container_remove(direct, id[3], true, &err));
	ok(docker_container_start(direct, id[1], &err));
	usleep(700000);
	assert_status(s.fleet, "b", "running");
	relay_up(&r);
	ms = await_status(&s, "b", "missing", 1000);
	most = most > ms ? most : ms;
	assert_true(fleet_wait_ready(s.fleet, 1000));
	/* And it is followed again. */
	ok(docker_container_stop(s.docker, id[1], 1, &err));
	record_container(&s, "b", id[1]);
	ok(docker_container_start(s.docker, id[1], &err));
	await_status(&s, "b", "running", 1000);
	print_message("slowest change seen: %d ms\n", most);

	int up = 0, down = 0;
	char last[16] = "running";
	cJSON *events;
	const cJSON *ev;
	ok(store_events(s.store, 0, 0, 1000, &events, &err));
	cJSON_ArrayForEach(ev, events) {
		up += str_eq(json_str(ev, "kind"), "engine") && str_eq(json_str(ev, "state"), "up");
		down += str_eq(json_str(ev, "kind"), "engine") && str_eq(json_str(ev, "state"), "down");
		if (str_eq(json_str(ev, "kind"), "state") && str_eq(json_str(ev, "workspace"), "a")) {
			/* Perhaps over "stopped", and each once. */
			assert_string_equal(json_str(ev, "was"), last);
			snprintf(last, sizeof last, "%s", json_str(ev, "status"));
		}
	}
	cJSON_Delete(events);
	assert_int_equal(up, 2);
	assert_int_equal(down, 1);
	assert_string_equal(last, "missing");
	scene_close(&s);
	relay_down(&r);
	ok(docker_container_remove(direct, id[1], true, &err));
	ok(docker_container_remove(direct, id[2], true, &err));
	docker_close(direct);
}

/* Four that change, two that look, while containers come and go in a hurry. */
struct hurry {
	struct scene *s;
	int n;
	atomic_bool *stop;
};

static void *change(void *arg)
{
	struct hurry *h = arg;
	char name[16];
	snprintf(name, sizeof name, "h%d", h->n);
	for (int i = 0; i < 300; i++) {
		char record[128];
		snprintf(record, sizeof record, "{'name':'%s','id':'%d-%d','rev':%d,'state':'ready'}", name, h->n,
			 i / 50, i);
		put(h->s->fleet, name, record);
		put_container(h->s->fleet, name, "c1", i % 2 ? "running" : "exited", "2026-11-23T17:10:26Z",
			      "0001-01-01T00:00:00Z");
		if (i % 50 == 49)
			fleet_put(h->s->fleet, name, NULL);
	}
	return NULL;
}

static void *look(void *arg)
{
	struct hurry *h = arg;
	while (!atomic_load(h->stop)) {
		cJSON_Delete(fleet_list(h->s->fleet));
		char *text = fleet_list_text(h->s->fleet);
		cJSON_Delete(J("%s", text));
		free(text);
	}
	return NULL;
}

static void in_a_hurry(void **state)
{
	struct scene s;
	struct relay r;
	char host[128];
	bool engine = relay_open(&r);
	snprintf(host, sizeof host, "unix://%s", engine ? r.path : test_path("nobody.sock"));
	scene_open(&s, host);
	scene_fleet(&s);
	atomic_bool stop = false;
	struct hurry h[6];
	pthread_t t[6];
	for (int i = 0; i < 6; i++) {
		h[i] = (struct hurry){ &s, i, &stop };
		pthread_create(&t[i], NULL, i < 4 ? change : look, &h[i]);
	}
	for (int round = 0; engine && round < 5; round++) {
		relay_down(&r);
		usleep(20000);
		relay_up(&r);
		fleet_wait_ready(s.fleet, 2000);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	atomic_store(&stop, true);
	pthread_join(t[4], NULL);
	pthread_join(t[5], NULL);
	char *text = fleet_list_text(s.fleet);
	assert_string_equal(text, "[]");
	free(text);
	scene_close(&s);
	if (engine)
		relay_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(follows), T(in_a_hurry) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
