/* The idle hook's scheduler on a clock that the test turns. The workspace is made up: a list of what goes on in it and
 * when; its samples, counters and events follow from that. The policy is the real one: the built-in hook and the pack
 * of examples/, asked in the real policy process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/idle/idle.h"
#include "agent_idle_trace.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "policy/policy.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define PACK   "examples/packs/idle-stop"
#define LIMIT  (4 * HOUR) /* the pack's default */

enum what { CPU, NET, DISK, TAILNET, CONNECTED, SSH, AGENT, BUILD, TERMINAL, EXEC, TYPING };
struct span {
	int64_t from, to;
	enum what what;
	double n; /* share of a processor, bytes a second */
};

static struct world {
	const struct span *spans;
	size_t n;
	int64_t now, jumped;      /* monotonic; the wall clock is that much ahead */
	int64_t started, stopped; /* 0: it runs */
	bool blind, unhooked, broken_policy, busy;
	int64_t ttl, ttl_from, used;
	int asked, samples, warned, wakes, stops;
	int64_t warned_at;
	char reason[200];
	void (*in_the_last_moment)(struct world *w);
	struct idle *idle;
	cJSON *activity; /* of the newest question */
	int (*policy)(const cJSON *activity, struct idle_answer *out);
} w;

static struct policy *policy;

/* --- the world --- */

static bool goes_on(enum what what)
{
	for (size_t i = 0; i < w.n; i++)
		if (w.spans[i].what == what && w.spans[i].from <= w.now && w.now < w.spans[i].to)
			return true;
	return false;
}

static int64_t passed(const struct span *s)
{
	return w.now <= s->from ? 0 : (w.now < s->to ? w.now : s->to) - s->from;
}

/* What a counter reads that idles at base a second. */
static double counted(enum what what, double base)
{
	double sum = base * (double)(w.now - w.started) / 1000;
	for (size_t i = 0; i < w.n; i++)
		if (w.spans[i].what == what)
			sum += w.spans[i].n * (double)passed(&w.spans[i]) / 1000;
	return sum;
}

static void list(cJSON *out, const char *key, bool has, const char *text)
{
	cleanup_json cJSON *all = has ? json_parse(text, strlen(text), "test", NULL) : cJSON_CreateArray();
	json_set(out, key, take_ptr(all));
}

static int64_t now(void *ctx)
{
	return w.now;
}

static int64_t wall_s(void *ctx)
{
	return 1700000000 + (w.now + w.jumped) / 1000;
}

static cJSON *sample(void *ctx, const char *ws)
{
	w.samples++;
	if (w.blind)
		return NULL;
	cJSON *out = cJSON_CreateObject();
	char builds[80];
	int64_t typed = -1, since = 0, ended = 0;
	for (size_t i = 0; i < w.n; i++) {
		const struct span *s = &w.spans[i];
		if (s->what == TYPING && s->from <= w.now && (w.now < s->to ? w.now : s->to) > typed)
			typed = w.now < s->to ? w.now : s->to;
		if (s->what == BUILD && s->from <= w.now && w.now < s->to)
			since = s->from;
		ended += s->what == SSH && s->to <= w.now ? 700 : 0;
	}
	snprintf(builds, sizeof builds, "[{\"name\":\"make\",\"seconds\":%d}]", (int)((w.now - since) / 1000));
	json_set_num(out, "cpuUsec", counted(CPU, 0.008) * 1e6); /* sshd, tailscaled, a server that waits */
	json_set_num(out, "ioBytes", counted(DISK, 800));
	json_set_num(out, "netRx", counted(NET, 60));
	json_set_num(out, "netTx", counted(NET, 60));
	json_set_num(out, "tailnetRx", counted(TAILNET, 0));
	json_set_num(out, "accepted", (double)(w.now / MINUTE)); /* a health check */
	list(out, "connections", goes_on(CONNECTED), "[{\"port\":3000,\"count\":1}]");
	list(out, "agents", goes_on(AGENT), "[\"claude\"]");
	list(out, "builds", goes_on(BUILD), builds);
	list(out, "processes", false, NULL);
	json_set_int(out, "ssh", goes_on(SSH));
	json_set_int(out, "sshEnded", ended);
	if (typed >= 0)
		json_set_int(out, "typed", (w.now - typed) / 1000);
	return out;
}

static cJSON *own(void *ctx, const char *ws)
{
	cJSON *out = cJSON_CreateObject();
	json_set_int(out, "terminals", goes_on(TERMINAL));
	json_set_int(out, "execs", goes_on(EXEC));
	json_set_int(out, "used", w.used);
	return out;
}

static bool look(void *ctx, const char *ws, struct idle_subject *out)
{
	*out = (struct idle_subject){ .ttl = w.ttl,
				      .ttl_from = w.ttl_from,
				      .ttl_left_ms = w.ttl * 1000 - (w.now + w.jumped - w.ttl_from) };
	snprintf(out->life, sizeof out->life, "%lld", (long long)w.started);
	return !w.stopped;
}

static bool hooked(void *ctx)
{
	return !w.unhooked;
}

static void wake(void *ctx)
{
	w.wakes++;
}

static void warn(void *ctx, const char *ws, int64_t ttl, int64_t left_ms)
{
	w.warned++;
	w.warned_at = w.now;
	assert_true(left_ms > 0);
}

static int ask(void *ctx, const char *ws, const cJSON *activity, struct idle_answer *out, struct perry_err **err)
{
	w.asked++;
	cJSON_Delete(w.activity);
	w.activity = cJSON_Duplicate(activity, 1);
	if (w.broken_policy)
		return perry_fail(err, PERRY_EPOLICY, "made to fail by the test");
	return w.policy(activity, out);
}

static int stop(void *ctx, const char *ws, const char *reason, struct perry_err **err)
{
	w.stops++;
	if (w.busy)
		return perry_fail(err, PERRY_ECONFLICT, "made to be busy by the test");
	w.stopped = w.now;
	snprintf(w.reason, sizeof w.reason, "%s", reason);
	return 0;
}

/* --- policies --- */

static int take_answer(const cJSON *answer, struct idle_answer *out)
{
	out->stop = strcmp(json_str_or(answer, "action", ""), "stop") == 0;
	out->reason = xstrdup(json_str(answer, "reason"));
	out->next = json_num_or(answer, "next", -1);
	return 0;
}

/* A copy: a checkout may be writable to a group, and such hooks are not used. */
static char *pack_dir, *pack_hooks;

static bool copy_pack(struct perry_err **err)
{
	if (dir_temp("perry-idle", &pack_dir, err) < 0)
		return false;
	pack_hooks = path_join(pack_dir, "hooks");
	cleanup_free char *cmd = xasprintf("cp -r " PACK "/. %s && chmod -R go-w %s", pack_dir, pack_dir);
	return system(cmd) == 0;
}

/* The real hooks, in the real process; with the pack or the built-in one alone. */
static int ask_hooks(const cJSON *activity, struct idle_answer *out, bool with_pack)
{
	static const char facts_text[] =
		"{\"ws\":{\"name\":\"web\",\"labels\":{},\"reason\":\"idle\",\"state\":\"running\"}}",
			  settings_text[] = "{\"hours\":4,\"build_hours\":12}";
	cleanup_json cJSON *facts = json_parse(facts_text, sizeof facts_text - 1, "test", NULL),
			   *extra = cJSON_CreateObject(), *answer = NULL,
			   *settings = json_parse(settings_text, sizeof settings_text - 1, "test", NULL),
			   *config = cJSON_CreateObject();
	const struct policy_layer layer = {
		.name = "idle-stop", .dir = pack_hooks, .owner = getuid(), .settings = settings
	};
	const struct policy_setup setup = { .layers = &layer, .nlayers = with_pack, .config = config };
	struct policy_session *s = NULL;
	struct perry_err *err = NULL;
	json_set(extra, "activity", cJSON_Duplicate(activity, 1));
	if (policy_open(policy, &setup, &s, &err) < 0 || policy_ask(s, "idle", facts, extra, &answer, NULL, &err) < 0)
		fail_msg("%s", perry_msg(err));
	policy_close(s);
	return take_answer(answer, out);
}

static int the_pack(const cJSON *activity, struct idle_answer *out)
{
	return ask_hooks(activity, out, true);
}

static int the_builtin(const cJSON *activity, struct idle_answer *out)
{
	return ask_hooks(activity, out, false);
}

/* As the pack without its exceptions, for many runs. */
static int plain_limit(const cJSON *activity, struct idle_answer *out)
{
	int64_t idle = json_int_or(activity, "idle_seconds", 0);
	*out = (struct idle_answer){ .stop = idle >= LIMIT / SECOND, .next = (double)(LIMIT / SECOND - idle) };
	return 0;
}

static int always_stop(const cJSON *activity, struct idle_answer *out)
{
	*out = (struct idle_answer){ .stop = true, .next = -1 };
	return 0;
}

/* --- running --- */

static const struct idle_ops ops = { now, wall_s, look, hooked, sample, own, ask, stop, warn, wake };

static void begin(const struct span *spans, size_t n, int (*how)(const cJSON *, struct idle_answer *))
{
	idle_free(w.idle);
	cJSON_Delete(w.activity);
	w = (struct world){ .spans = spans, .n = n, .now = HOUR, .started = HOUR, .policy = how };
	w.idle = idle_new(&ops, NULL);
	idle_started(w.idle, "web");
}

/* When the agent sees something of its own begin or end, after the moment now. */
static int64_t next_event(enum idle_kind *kind)
{
	int64_t next = INT64_MAX;
	for (size_t i = 0; i < w.n; i++) {
		const struct span *s = &w.spans[i];
		if (s->what != TERMINAL && s->what != EXEC)
			continue;
		int64_t at = s->from > w.now ? s->from : s->to > w.now ? s->to : INT64_MAX;
		if (at < next) {
			next = at;
			*kind = s->what == TERMINAL ? IDLE_TERMINAL : IDLE_EXEC;
		}
	}
	return next;
}

/* Until then, or until it is stopped. */
static void run_until(int64_t end)
{
	while (!w.stopped) {
		enum idle_kind kind = IDLE_STARTED;
		int64_t due = idle_run(w.idle), event = next_event(&kind), next = due < event ? due : event;
		if (next > end || w.stopped)
			break;
		w.now = next;
		if (next == event)
			idle_note(w.idle, "web", kind);
	}
	if (!w.stopped)
		w.now = end;
}

static void stops_between(int64_t from, int64_t to)
{
	if (!w.stopped)
		fail_msg("it still runs after %lld minutes", (long long)((w.now - w.started) / MINUTE));
	if (w.stopped < w.started + from || w.stopped > w.started + to)
		fail_msg("stopped after %.1f minutes, not between %lld and %lld",
			 (double)(w.stopped - w.started) / (double)MINUTE, (long long)(from / MINUTE),
			 (long long)(to / MINUTE));
}

#define SPANS(...) \
	(const struct span[]){ __VA_ARGS__ }, sizeof((const struct span[]){ __VA_ARGS__ }) / sizeof(struct span)
/* Hours and minutes after the start. */
#define T(h, m) (HOUR + (h)*HOUR + (m)*MINUTE)

/* --- tests: what keeps it --- */

static void nobody_ever(void **state)
{
	begin(NULL, 0, the_pack);
	run_until(T(10, 0));
	stops_between(LIMIT, LIMIT + 11 * MINUTE);
	assert_non_null(strstr(w.reason, "quiet for 4"));
	assert_true(w.asked < 40);
}

static void hours_of_build(void **state)
{
	begin(SPANS({ T(0, 5), T(9, 0), BUILD, 0 }, { T(0, 5), T(9, 0), CPU, 1.9 }), the_pack);
	run_until(T(20, 0));
	stops_between(8 * HOUR + 50 * MINUTE + LIMIT, 9 * HOUR + LIMIT + 21 * MINUTE);
}

/* A download that hardly uses the processor. */
static void a_build_that_waits(void **state)
{
	begin(SPANS({ T(0, 5), T(9, 0), BUILD, 0 }), the_pack);
	run_until(T(20, 0));
	stops_between(9 * HOUR + LIMIT - 10 * MINUTE, 9 * HOUR + LIMIT + 21 * MINUTE);
}

static void an_agent_that_waits_for_its_model(void **state)
{
	begin(SPANS({ T(0, 5), T(30, 0), AGENT, 0 }, { T(0, 5), T(30, 0), CPU, 0.001 }), the_pack);
	run_until(T(40, 0));
	stops_between(30 * HOUR + LIMIT - 10 * MINUTE, 30 * HOUR + LIMIT + 21 * MINUTE);
}

static void a_phone_that_holds_a_connection(void **state)
{
	begin(SPANS({ T(0, 5), T(7, 0), CONNECTED, 0 }), the_pack);
	run_until(T(20, 0));
	stops_between(7 * HOUR + LIMIT - 10 * MINUTE, 7 * HOUR + LIMIT + 21 * MINUTE);
}

/* One that asks a server on a loopback address every now and then, and is gone when the sample is taken. */
static void a_phone_that_polls(void **state)
{
	struct span polls[100];
	for (int i = 0; i < 100; i++)
		polls[i] = (struct span){ T(0, 7 * i), T(0, 7 * i) + 200, TAILNET, 4000 };
	begin(polls, 100, the_pack);
	run_until(T(30, 0));
	stops_between(11 * HOUR + 33 * MINUTE + LIMIT, 11 * HOUR + 33 * MINUTE + LIMIT + 21 * MINUTE);
}

static void an_idle_ssh_session(void **state)
{
	begin(SPANS({ T(0, 5), T(6, 0), SSH, 0 }, { T(0, 5), T(0, 9), TYPING, 0 }), the_pack);
	run_until(T(20, 0));
	stops_between(6 * HOUR + LIMIT - 10 * MINUTE, 6 * HOUR + LIMIT + 21 * MINUTE);
}

/* Between two samples, three minutes before it would have been stopped. */
static void a_short_ssh_session_that_nobody_saw(void **state)
{
	begin(SPANS({ T(3, 51), T(3, 53), SSH, 0 }), the_pack);
	run_until(T(20, 0));
	stops_between(3 * HOUR + 53 * MINUTE + LIMIT, 3 * HOUR + 53 * MINUTE + LIMIT + 21 * MINUTE);
}

static void a_terminal_over_websocket(void **state)
{
	begin(SPANS({ T(0, 5), T(8, 0), TERMINAL, 0 }), the_pack);
	run_until(T(20, 0));
	stops_between(8 * HOUR + LIMIT, 8 * HOUR + LIMIT + 21 * MINUTE);
	assert_true(w.asked < 100);
}

static void a_short_command_now_and_then(void **state)
{
	struct span runs[30];
	for (int i = 0; i < 30; i++)
		runs[i] = (struct span){ T(0, 30 * i + 3), T(0, 30 * i + 3) + 300, EXEC, 0 };
	begin(runs, 30, the_pack);
	run_until(T(40, 0));
	stops_between(14 * HOUR + 33 * MINUTE + LIMIT, 14 * HOUR + 33 * MINUTE + LIMIT + 21 * MINUTE);
}

static void a_burst_each_hour(void **state)
{
	struct span bursts[12];
	for (int i = 0; i < 12; i++)
		bursts[i] = (struct span){ T(i, 20), T(i, 20) + 20 * SECOND, CPU, 1 };
	begin(bursts, 12, the_pack);
	run_until(T(40, 0));
	stops_between(11 * HOUR + 20 * MINUTE + LIMIT, 11 * HOUR + 20 * MINUTE + LIMIT + 21 * MINUTE);
}

/* npm run dev, for days: no processor, no client. */
static void a_server_that_is_called_like_a_build(void **state)
{
	begin(SPANS({ T(0, 1), T(400, 0), BUILD, 0 }), the_pack);
	run_until(T(30, 0));
	stops_between(12 * HOUR, 12 * HOUR + 21 * MINUTE);
}

static void nobody_can_look(void **state)
{
	begin(NULL, 0, the_pack);
	w.blind = true;
	run_until(T(500, 0));
	assert_int_equal(w.stopped, 0);
	assert_false(json_bool_or(w.activity, "known", true));
	w.blind = false;
	run_until(T(520, 0));
	stops_between(500 * HOUR + LIMIT - 10 * MINUTE, 500 * HOUR + LIMIT + 21 * MINUTE);
}

/* One sample that fails counts as if somebody had been there. */
static void a_gap_in_the_watch(void **state)
{
	begin(NULL, 0, the_pack);
	run_until(T(3, 0));
	w.blind = true;
	run_until(T(3, 20));
	w.blind = false;
	run_until(T(20, 0));
	stops_between(3 * HOUR + 10 * MINUTE + LIMIT, 3 * HOUR + 20 * MINUTE + LIMIT + 21 * MINUTE);
}

/* What was recorded in a real workspace. */
static void a_recorded_build(void **state)
{
	struct idle_track t = { 0 };
	cleanup_json cJSON *nothing = cJSON_CreateObject();
	int64_t at = HOUR;
	(void)state;
	idle_track_begin(&t, at);
	for (size_t i = 0; i < ARRAY_LEN(trace); i++, at += TRACE_STEP_S * SECOND) {
		cleanup_json cJSON *one = json_parse(trace[i], strlen(trace[i]), "trace", NULL);
		idle_track_take(&t, at, one, nothing);
		cleanup_json cJSON *facts = idle_track_facts(&t, at, 0, 0, 0);
		int64_t idle = json_int_or(facts, "idle_seconds", -1), rest = (int64_t)i - TRACE_REST;
		assert_true(json_bool_or(facts, "known", false));
		if (i < TRACE_BUILD)
			assert_int_equal(idle, (int64_t)i * TRACE_STEP_S); /* nothing since its start */
		else if (rest <= 0)
			assert_int_equal(idle, 0);
		else
			assert_true(idle >= (rest - 1) * TRACE_STEP_S);
		if (i > TRACE_BUILD && rest < 0) /* also by the processor alone */
			assert_int_equal(json_int_or(facts, "quiet.cpu", -1), 0);
	}
	idle_track_free(&t);
}

/* --- tests: clocks and lives --- */

static void the_wall_clock_jumps(void **state)
{
	begin(NULL, 0, the_pack);
	run_until(T(1, 0));
	w.jumped = 400 * 24 * HOUR;
	run_until(T(3, 50));
	assert_int_equal(w.stopped, 0);
	w.jumped = -100 * 24 * HOUR;
	run_until(T(10, 0));
	stops_between(LIMIT, LIMIT + 11 * MINUTE);
}

/* The machine slept for two days: nobody could use it meanwhile, and its user is back. */
static void the_machine_sleeps(void **state)
{
	begin(NULL, 0, the_pack);
	run_until(T(2, 0));
	w.now += 48 * HOUR;
	run_until(w.now + MINUTE);
	assert_int_equal(w.stopped, 0);
	run_until(T(80, 0));
	stops_between(50 * HOUR + LIMIT, 50 * HOUR + LIMIT + 21 * MINUTE);
}

/* What the agent knew of the time before is gone with it. */
static void the_agent_starts_again(void **state)
{
	begin(NULL, 0, the_pack);
	run_until(T(3, 50));
	idle_free(w.idle);
	w.idle = idle_new(&ops, NULL);
	idle_started(w.idle, "web");
	run_until(T(20, 0));
	stops_between(3 * HOUR + 50 * MINUTE + LIMIT, 3 * HOUR + 50 * MINUTE + LIMIT + 21 * MINUTE);
}

static void the_workspace_starts_again(void **state)
{
	begin(NULL, 0, the_pack);
	run_until(T(3, 50));
	w.started = w.now; /* its counters begin anew, too */
	idle_started(w.idle, "web");
	run_until(T(20, 0));
	stops_between(LIMIT, LIMIT + 21 * MINUTE);
}

static void a_counter_that_goes_back(void **state)
{
	begin(NULL, 0, the_pack);
	run_until(T(3, 0));
	w.n = 1;
	w.spans = (const struct span[]){ { T(0, 0), T(0, 1), CPU, -1 } };
	run_until(T(20, 0));
	stops_between(3 * HOUR + LIMIT, 3 * HOUR + LIMIT + 21 * MINUTE);
}

/* --- tests: the moment of stopping --- */

static int stop_once_then_somebody_comes(const cJSON *activity, struct idle_answer *out)
{
	int rc = plain_limit(activity, out);
	if (out->stop && w.in_the_last_moment)
		w.in_the_last_moment(&w);
	return rc;
}

static const struct span comes_late[] = { { T(4, 0), T(6, 0), CONNECTED, 0 } };

static void a_phone_comes(struct world *world)
{
	world->in_the_last_moment = NULL;
	world->spans = comes_late;
	world->n = 1;
	world->now = T(4, 0) > world->now ? T(4, 0) : world->now;
}

static void somebody_comes_before_it_is_stopped(void **state)
{
	begin(NULL, 0, stop_once_then_somebody_comes);
	w.in_the_last_moment = a_phone_comes;
	run_until(T(5, 30));
	assert_int_equal(w.stopped, 0);
	assert_int_equal(w.stops, 0);
	run_until(T(20, 0));
	stops_between(6 * HOUR + LIMIT - 10 * MINUTE, 6 * HOUR + LIMIT + 21 * MINUTE);
}

static bool noted;
static int stop_and_note(const cJSON *activity, struct idle_answer *out)
{
	plain_limit(activity, out);
	if (out->stop && !noted)
		idle_note(w.idle, "web", IDLE_EXEC); /* it has ended again before anybody counts */
	noted |= out->stop;
	return 0;
}

static void a_command_comes_and_goes_in_that_moment(void **state)
{
	noted = false;
	begin(NULL, 0, stop_and_note);
	run_until(T(7, 50));
	assert_int_equal(w.stops, 0);
	run_until(T(20, 0));
	stops_between(2 * LIMIT - 10 * MINUTE, 2 * LIMIT + 21 * MINUTE);
}

static void an_operation_is_under_way(void **state)
{
	begin(NULL, 0, always_stop);
	w.busy = true;
	run_until(T(0, 35));
	assert_int_equal(w.stopped, 0);
	assert_in_range(w.stops, 3, 5); /* tried again, without haste */
	w.busy = false;
	run_until(T(1, 0));
	assert_true(w.stopped);
}

static void the_policy_fails(void **state)
{
	begin(NULL, 0, always_stop);
	w.broken_policy = true;
	run_until(T(100, 0));
	assert_int_equal(w.stopped, 0);
	assert_in_range(w.asked, 590, 610);
}

/* --- tests: ttl --- */

static void the_ttl_is_over(void **state)
{
	begin(SPANS({ T(0, 0), T(9, 0), CONNECTED, 0 }), the_builtin);
	w.unhooked = true;
	w.ttl = 7200;
	w.ttl_from = w.now;
	run_until(T(20, 0));
	stops_between(2 * HOUR, 2 * HOUR + SECOND);
	assert_string_equal(w.reason, "its time is over (--ttl 2h)");
	assert_int_equal(w.warned, 1);
	assert_int_equal(w.warned_at, T(1, 50));
	assert_int_equal(w.samples, 0); /* nobody needs to look into it for that */
	assert_int_equal(w.asked, 1);
}

static void a_ttl_that_is_given_again(void **state)
{
	begin(NULL, 0, the_builtin);
	w.unhooked = true;
	w.ttl = 7200;
	w.ttl_from = w.now;
	run_until(T(1, 55));
	assert_int_equal(w.warned, 1);
	w.ttl_from = w.now;
	idle_started(w.idle, "web");
	run_until(T(3, 50));
	assert_int_equal(w.stopped, 0);
	w.ttl = 0;
	idle_started(w.idle, "web");
	run_until(T(100, 0));
	assert_int_equal(w.stopped, 0);
}

/* However wrong the wall clock is, ten minutes are left after the warning. */
static void a_ttl_and_a_clock_that_jumps(void **state)
{
	begin(NULL, 0, the_builtin);
	w.unhooked = true;
	w.ttl = 7200;
	w.ttl_from = w.now;
	run_until(T(1, 0));
	w.jumped = 1000 * HOUR;
	run_until(T(1, 30));
	assert_int_equal(w.stopped, 0);
	idle_free(w.idle); /* only the next agent looks at the wall clock */
	w.idle = idle_new(&ops, NULL);
	idle_started(w.idle, "web");
	run_until(T(20, 0));
	stops_between(100 * MINUTE, 101 * MINUTE);
	assert_int_equal(w.stopped - w.warned_at, 10 * MINUTE);
}

static void a_ttl_of_seconds(void **state)
{
	begin(NULL, 0, the_builtin);
	w.unhooked = true;
	w.ttl = 4;
	w.ttl_from = w.now;
	run_until(T(1, 0));
	stops_between(4 * SECOND, 5 * SECOND);
	assert_int_equal(w.stopped - w.warned_at, 2 * SECOND);
}

/* A hook of somebody's that knows nothing of ttl lets it run on; it is asked again, without haste. */
static void a_hook_that_ignores_the_ttl(void **state)
{
	begin(NULL, 0, plain_limit);
	w.ttl = 3600;
	w.ttl_from = w.now;
	run_until(T(3, 50));
	assert_int_equal(w.stopped, 0);
	assert_int_equal(w.warned, 1);
	assert_in_range(w.asked, 10, 40);
}

/* --- tests: who is asked, and how often --- */

static void nobody_wants_to_know(void **state)
{
	begin(NULL, 0, always_stop);
	w.unhooked = true;
	w.now += MINUTE;
	assert_true(idle_run(w.idle) == INT64_MAX);
	int wakes = w.wakes;
	for (int i = 0; i < 1000; i++) {
		w.now += SECOND;
		idle_note(w.idle, "web", IDLE_EXEC);
	}
	assert_int_equal(w.wakes, wakes);
	assert_true(idle_run(w.idle) == INT64_MAX);
	assert_int_equal(w.asked + w.samples, 0);
}

/* What happened while nobody wanted to know is not known: the hours before the hook came do not count. */
static void a_hook_that_comes_later(void **state)
{
	begin(NULL, 0, the_pack);
	w.unhooked = true;
	run_until(T(30, 0));
	w.unhooked = false;
	idle_changed(w.idle);
	run_until(T(60, 0));
	stops_between(30 * HOUR + LIMIT, 30 * HOUR + LIMIT + 21 * MINUTE);
}

static void many_changes_are_few_questions(void **state)
{
	begin(NULL, 0, plain_limit);
	run_until(T(0, 1));
	int asked = w.asked;
	for (int i = 0; i < 6000; i++) {
		w.now += 10;
		idle_note(w.idle, "web", IDLE_EXEC);
		if (idle_run(w.idle) <= w.now)
			fail_msg("idle_run leaves something that is due");
	}
	assert_in_range(w.asked - asked, 4, 8); /* in a minute */
}

static int asks_at_once(const cJSON *activity, struct idle_answer *out)
{
	*out = (struct idle_answer){ .next = 0 };
	return 0;
}

static void a_hook_in_a_hurry(void **state)
{
	begin(NULL, 0, asks_at_once);
	run_until(w.now + 100 * SECOND);
	assert_in_range(w.asked, 90, 101);
}

static void sessions_are_told(void **state)
{
	struct idle_track t = { 0 };
	cleanup_json cJSON *mine = cJSON_CreateObject(), *none = cJSON_CreateObject();
	(void)state;
	json_set_int(mine, "sessions", 3);
	json_set_int(mine, "busySessions", 2);
	idle_track_begin(&t, HOUR);
	idle_track_take(&t, HOUR, NULL, mine);
	cleanup_json cJSON *facts = idle_track_facts(&t, HOUR, 0, 0, 0);
	assert_int_equal(json_int_or(facts, "sessions", -1), 3);
	assert_int_equal(json_int_or(facts, "busySessions", -1), 2);
	idle_track_take(&t, 2 * HOUR, NULL, none);
	cleanup_json cJSON *later = idle_track_facts(&t, 2 * HOUR, 0, 0, 0);
	assert_int_equal(json_int_or(later, "sessions", -1), 0);
	assert_int_equal(json_int_or(later, "busySessions", -1), 0);
	idle_track_free(&t);
}

static void it_is_gone(void **state)
{
	begin(NULL, 0, plain_limit);
	run_until(T(0, 1));
	w.stopped = w.now;
	idle_started(w.idle, "web");
	w.now += SECOND;
	assert_true(idle_run(w.idle) == INT64_MAX);
	w.stopped = 0;
	idle_started(w.idle, "web");
	w.now += SECOND;
	assert_true(idle_run(w.idle) < INT64_MAX);
}

/* --- tests: many days --- */

static uint64_t seed;
static int64_t below(int64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (int64_t)((seed >> 33) % (uint64_t)n);
}

/* Which of them nobody can miss, however short: events and counters tell. The others are looked for every ten minutes.
 */
static struct span any_span(int64_t end)
{
	static const double amount[] = { 0.3, 20000, 40000, 500, 0, 0, 0, 0, 0, 0, 0 };
	struct span s = { .what = (enum what)below(TYPING + 1) };
	bool counted_for =
		s.what == TAILNET || s.what == SSH || s.what == TERMINAL || s.what == EXEC || s.what == TYPING;
	int64_t least = counted_for ? SECOND : s.what <= DISK ? 5 * MINUTE : 11 * MINUTE;
	s.from = HOUR + SECOND + below(end);
	s.to = s.from + least + below(below(4) ? 20 * MINUTE : 5 * HOUR);
	s.n = amount[s.what];
	if (s.what == BUILD && s.to - s.from > 3 * HOUR)
		s.to = s.from + 3 * HOUR;
	return s;
}

/* When nothing has gone on for so long for the first time. */
static int64_t first_rest(const struct span *spans, size_t n, int64_t rest)
{
	int64_t last = HOUR;
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < n; i++)
			if (spans[i].from <= last + rest && spans[i].to > last) {
				last = spans[i].to;
				more = true;
			}
	}
	return last + rest;
}

static void days(int runs, int (*how)(const cJSON *, struct idle_answer *))
{
	const int64_t slack = 25 * MINUTE;
	int64_t worst = 0;
	for (int run = 0; run < runs; run++) {
		struct span spans[24];
		seed = (uint64_t)run * 7919 + 17;
		size_t n = (size_t)below(24) + 1;
		for (size_t i = 0; i < n; i++)
			spans[i] = any_span(36 * HOUR);
		begin(spans, n, how);
		run_until(first_rest(spans, n, LIMIT + slack));
		if (!w.stopped)
			fail_msg("run %d: it still runs", run);
		int64_t last = HOUR;
		for (size_t i = 0; i < n; i++)
			if (spans[i].from <= w.stopped && spans[i].to > last)
				last = spans[i].to;
		if (w.stopped < last + LIMIT)
			fail_msg("run %d: stopped %.1f minutes too early", run,
				 (double)(last + LIMIT - w.stopped) / (double)MINUTE);
		worst = w.stopped - last > worst ? w.stopped - last : worst;
	}
	print_message("%d runs, no false stop; the latest stop came %.1f minutes after its time\n", runs,
		      (double)(worst - LIMIT) / (double)MINUTE);
}

static void made_up_days(void **state)
{
	days(2000, plain_limit);
}

static void made_up_days_with_the_pack(void **state)
{
	days(15, the_pack);
}

static int end(void **state)
{
	idle_free(w.idle);
	cJSON_Delete(w.activity);
	policy_free(policy);
	dir_remove(pack_dir);
	free(pack_dir);
	free(pack_hooks);
	return 0;
}

int main(int argc, char **argv)
{
	struct perry_err *err = NULL;
	policy_main(argc, argv);
	log_set_level(LOG_ERROR_);
	if (!copy_pack(&err) || policy_new(&policy, &err) < 0) {
		fprintf(stderr, "%s\n", perry_msg(err));
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_ever),
		cmocka_unit_test(hours_of_build),
		cmocka_unit_test(a_build_that_waits),
		cmocka_unit_test(an_agent_that_waits_for_its_model),
		cmocka_unit_test(a_phone_that_holds_a_connection),
		cmocka_unit_test(a_phone_that_polls),
		cmocka_unit_test(an_idle_ssh_session),
		cmocka_unit_test(a_short_ssh_session_that_nobody_saw),
		cmocka_unit_test(a_terminal_over_websocket),
		cmocka_unit_test(a_short_command_now_and_then),
		cmocka_unit_test(a_burst_each_hour),
		cmocka_unit_test(a_server_that_is_called_like_a_build),
		cmocka_unit_test(nobody_can_look),
		cmocka_unit_test(a_gap_in_the_watch),
		cmocka_unit_test(a_recorded_build),
		cmocka_unit_test(the_wall_clock_jumps),
		cmocka_unit_test(the_machine_sleeps),
		cmocka_unit_test(the_agent_starts_again),
		cmocka_unit_test(the_workspace_starts_again),
		cmocka_unit_test(a_counter_that_goes_back),
		cmocka_unit_test(somebody_comes_before_it_is_stopped),
		cmocka_unit_test(a_command_comes_and_goes_in_that_moment),
		cmocka_unit_test(an_operation_is_under_way),
		cmocka_unit_test(the_policy_fails),
		cmocka_unit_test(the_ttl_is_over),
		cmocka_unit_test(a_ttl_that_is_given_again),
		cmocka_unit_test(a_ttl_and_a_clock_that_jumps),
		cmocka_unit_test(a_ttl_of_seconds),
		cmocka_unit_test(a_hook_that_ignores_the_ttl),
		cmocka_unit_test(nobody_wants_to_know),
		cmocka_unit_test(a_hook_that_comes_later),
		cmocka_unit_test(many_changes_are_few_questions),
		cmocka_unit_test(a_hook_in_a_hurry),
		cmocka_unit_test(sessions_are_told),
		cmocka_unit_test(it_is_gone),
		cmocka_unit_test(made_up_days),
		cmocka_unit_test(made_up_days_with_the_pack),
	};
	return cmocka_run_group_tests(tests, NULL, end);
}
