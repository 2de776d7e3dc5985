/* Hooks that run away, escape, crash; and the agent's process, which lives on and leaks nothing. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "policy_help.h"

/* Children of this process and of the zygote, by the kernel's count. */
static int processes_below(pid_t pid)
{
	cleanup_free char *path = xasprintf("/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *f = fopen(path, "re");
	int n = 0, child;
	while (f && fscanf(f, "%d", &child) == 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

static bool settles(pid_t pid, int wanted)
{
	for (int i = 0; i < 6000 && processes_below(pid) != wanted; i++)
		usleep(10000);
	return processes_below(pid) == wanted;
}

/* Asks, expects this error, and that afterwards everything works and nothing is left. */
static void ends_in(const char *hook, const char *wanted)
{
	struct perry_err *err = NULL;
	int before = open_fds();
	user_hook("image", hook);
	cleanup_json cJSON *answer = ask("image", NULL, &err);
	if (!err)
		fail_msg("%s: no error", hook);
	if (!strstr(perry_msg(err), wanted))
		fail_msg("%s\ngot:    %s\nwanted: %s", hook, perry_msg(err), wanted);
	assert_int_equal(err->code, PERRY_EPOLICY);
	assert_non_null(err->data);
	perry_err_free(take_ptr(err));
	assert_int_equal(open_fds(), before);
	assert_true(settles(policy_zygote_pid(policy), 0));
	assert_int_equal(processes_below(getpid()), 1);
	user_hook("image", "return function() return 'fine' end");
	cleanup_json cJSON *next = ask("image", NULL, &err);
	assert_string_equal(cJSON_GetStringValue(next), "fine");
}

static void a_busy_hook_is_ended_with_its_place(void **state)
{
	static const char wanted[] = "the hook used more than 2 million instructions of Lua";
	(void)state;
	limit_instructions(2000000);
	ends_in("return function()\n  while true do end\nend",
		"image.lua:2: the hook used more than 2 million instructions of Lua · while deciding image for "
		"workspace "
		"web");
	ends_in("local function f()\n  while true do end\nend\nreturn function()\n  while true do pcall(f) end\nend",
		wanted);
	ends_in("return function() local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) return "
		"pcall(function() return t[1] end) and 'x' end",
		"expected an image reference");
	ends_in("local function f() return pcall(f) end\nreturn function() while true do f() end end", wanted);
	ends_in("return function() while true do local x <close> = setmetatable({}, { __close = function() while true "
		"do end end }) end end",
		wanted);
	ends_in("return function() table.sort({1,2,3,4,5}, function() while true do end end) end", wanted);
	ends_in("while true do end", "image.lua:1: the hook used more than 2 million instructions of Lua");
	ends_in("return function(ws, base) while not pcall(error) do end end", wanted);
}

/* Instructions that cost a lot each: CPU time is up first, seen between two of them. */
static void cpu_time_is_limited_in_lua_too(void **state)
{
	(void)state;
	limit_cpu_ms(100);
	ends_in("return function()\n  while true do end\nend",
		"image.lua:2: the hook used more than 100 ms of CPU time · while deciding image for workspace web");
	ends_in("local function f()\n  while true do end\nend\nreturn function()\n  while true do pcall(f) end\nend",
		"the hook used more than 100 ms of CPU time");
}

/* What no count hook can interrupt: the signal ends it, and says where. */
static void a_hook_stuck_in_c_is_ended(void **state)
{
#ifdef PERRY_SAN_thread /* no handler runs, see limits_signals */
	static const char wanted[] = "the hook used more than its CPU time (inside a library function)";
#else
	static const char wanted[] = "image.lua:2: the hook used more than 100 ms of CPU time (inside a library "
				     "function) · while deciding image for workspace web";
#endif
	(void)state;
	limit_cpu_ms(100);
	ends_in("return function()\n  return (\"a\"):rep(1e5):find((\"a*\"):rep(9) .. \"b\")\nend", wanted);
	ends_in("return function()\n  table.move({}, 1, 1 << 40, 2, {})\nend", wanted);
	ends_in("return function()\n  (\"\"):rep(1 << 40)\nend", wanted);
}

static void memory_is_limited(void **state)
{
	static const char wanted[] = "the hook used more than 32 MiB of memory";
	(void)state;
	ends_in("return function()\n  local s = ('x'):rep(1 << 30)\n  return s\nend",
		"image.lua:2: the hook used more than 32 MiB of memory");
	ends_in("return function()\n  local t = {}\n  for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end\nend", wanted);
	ends_in("return function() local s = 'x' while true do s = s .. s end end", wanted);
	ends_in("local function f() return f() + 1 end return function() return f() end", wanted);
	/* who catches that goes on, for as long as everybody */
	limit_instructions(20000);
	ends_in("return function()\n  local x, t = ('x'):rep(1e6), {}\n  while true do\n    pcall(function() while "
		"true "
		"do t[#t + 1] = x .. #t end end)\n  end\nend",
		"the hook used more than 20000 instructions of Lua");
}

static void answers_are_limited(void **state)
{
	(void)state;
	ends_in("return function() return ('x'):rep(2 << 20) end", "answer: a text of more than 1 MiB");
	ends_in("return function() local t = {} for i = 1, 60 do t[i] = ('x'):rep(1 << 17) end return t end",
		"more than 4 MiB in all");
	ends_in("return function() local t = {} t.t = t return t end", "answer.t: a table that contains itself");
	ends_in("return function() local t = {} for i = 1, 100 do t = { t } end return t end", "more than 64 levels");
	ends_in("return function() return 0/0 end", "answer: not a number (nan)");
	ends_in("return function() return math.huge end", "answer: an infinite number");
	ends_in("return function() return 'a\\0b' end", "answer: a text with a NUL byte");
	ends_in("return function() return '\\xff' end", "answer: a text that is not UTF-8");
	ends_in("return function() return 1 << 60 end", "too large to be exact in JSON");
	ends_in("return function() return ('('):rep(1000):find(('('):rep(1000)) end", "too many captures");
}

/* What docs/hooks/confinement.md says that a decision can count on, with the limits that it has. */
static void what_is_promised_fits(void **state)
{
	static const char *const work[] = {
		"for i = 1, 29e6 do end",
		"local n = 0 for i = 1, 9e6 do n = n + i % 7 end",
		"local t = {} for i = 1, 9000 do t[i] = { name = 'workspace-' .. i, n = i, tags = { 'a', 'b', 'c' }, "
		"on "
		"= true, x = ('0123456789'):rep(4) } end local s = perry.json.encode(t) assert(#s > 1e6 and "
		"#perry.json.decode(s) == #t)",
		"local t = {} for i = 1, 100000 do t[i] = 'k' .. i * 7919 % 100003 end table.sort(t)",
		"local t = {} for i = 1, 100000 do t[i] = ('piece %06d'):format(i) end assert(#table.concat(t) > 1e6)",
		"local s, n = ('hello world '):rep(87382):gsub('%w+', string.upper) assert(n > 1e5)",
		"local s = '' for i = 1, 10000 do s = s .. '0123456789' end",
		"local t = {} for i = 1, 230 do t[i] = ('x'):rep(1 << 17) .. i end",
		"for i = 1, 10000 do perry.label('Some Name ' .. i) end",
		"local n = 0 for i = 1, 100000 do n = n + #ws.labels.team end",
	};
	(void)state;
	limit_to(DECISION_LIMITS.instructions, DECISION_LIMITS.cpu_ms, ample.wall_ms);
	for (size_t i = 0; i < ARRAY_LEN(work); i++) {
		struct perry_err *err = NULL;
		cleanup_free char *hook = xasprintf("return function(ws) %s return 'fine' end", work[i]);
		user_hook("image", hook);
		cleanup_json cJSON *answer = ask("image", NULL, &err);
		if (!answer)
			fail_msg("%s: %s", work[i], perry_msg(err));
		assert_string_equal(cJSON_GetStringValue(answer), "fine");
	}
	/* and not more */
	user_hook("image", "return function(ws) for i = 1, 31e6 do end return 'fine' end");
	struct perry_err *err = NULL;
	assert_null(ask("image", NULL, &err));
	assert_non_null(strstr(perry_msg(err), "the hook used more than 30 million instructions of Lua"));
	perry_err_free(err);
}

static void nothing_of_lua_leads_out(void **state)
{
	static const char *const forbidden[] = { "os",         "io",        "load",
						 "loadstring", "dofile",    "loadfile",
						 "debug",      "coroutine", "collectgarbage",
						 "xpcall",     "rawget",    "rawset",
						 "package",    "_G",        "setfenv" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		cleanup_free char *hook = xasprintf("return function() return %s end", forbidden[i]);
		cleanup_free char *wanted = xasprintf("'%s' is not available in hooks: ", forbidden[i]);
		ends_in(hook, wanted);
	}
	ends_in("return function() return string.dump(function() end) end", "'string' has no field 'dump'");
	ends_in("return function() return math.random() end", "'math' has no field 'random'");
	ends_in("return function() return math.randomseed(1) end", "'math' has no field 'randomseed'");
	ends_in("return function() return ('x').dump end", "expected an image reference");
	ends_in("return function() return setmetatable({}, { __gc = function() end }) end",
		"'__gc' is not available in hooks");
	ends_in("return function() return getmetatable('').__index end", "expected an image reference");
	ends_in("return function() getmetatable('').__index = nil return 'x y' end", "attempt to index a string value");
	ends_in("return function() string.rep = nil end", "'string' is read-only");
	ends_in("return function() perry.http.get = nil end", "'perry.http' is read-only");
	ends_in("return function() table.insert(string, 1) end", "'string' is read-only");
	ends_in("return function() setmetatable(string, {}) end", "cannot change a protected metatable");
	ends_in("return function(ws) setmetatable(ws, {}) end", "cannot change a protected metatable");
	ends_in("return function(ws) getmetatable(ws).__index = nil end", "attempt to index a string value");
	ends_in("x = 1 return function() end", "assignment to undefined global 'x' (write 'local x')");
	ends_in("return function() return prerry end", "undefined global 'prerry' (did you mean 'perry'?)");
	ends_in("return function() return perry.confg 'x' end",
		"'perry' has no field 'confg' (did you mean 'config'?)");
	ends_in("return function() return _ENV.os end", "'os' is not available");
	ends_in("return function() return require 'os' end",
		"require 'os': no such file in the lib folder of layer 'user'");
	ends_in("return function() return require '../x' end", "no such file in the lib folder");
	ends_in("return function() for k in pairs({ [{}] = 1 }) do end end",
		"a table as key has no place in the order of pairs()");
	ends_in("return function() return perry.http.request { url = 'http://x' } end",
		"a decision may look, not touch");
	ends_in("return function() return perry.kv.set('a', 1) end", "a decision may look, not touch");
	ends_in("return function() return perry.docker.exec {} end", "a decision may look, not touch");
	ends_in("return function() return perry.http.get 'http://x' end",
		"perry.http.get: not available here: no agent");
	/* compiled code, even in a text that load() would have taken */
	write_to(user_dir, "image.lua", "\033LuaT", 0644);
	struct perry_err *err = NULL;
	assert_null(ask("image", NULL, &err));
	assert_non_null(strstr(perry_msg(err), "image.lua: compiled Lua (bytecode); hooks are text"));
	perry_err_free(err);
}

static void the_kernel_holds_too(void **state)
{
	(void)state;
	cleanup_json cJSON *c = policy_confinement(policy);
	cleanup_free char *text = json_print(c);
	assert_true(json_bool_or(c, "no_new_privs", false));
#if !SANITIZED
	const cJSON *f;
	cJSON_ArrayForEach(f, json_at(c, "forbidden")) {
		if (!cJSON_IsTrue(f))
			fail_msg("%s was not ended: %s", f->string, text);
	}
	assert_true(json_bool_or(c, "seccomp", false));
#endif
	if (geteuid() == 0)
		assert_int_equal(json_int_or(c, "uid", 0), 65534);
}

/* -- processes that are lost -- */

/* Gone, or dead and waiting for its parent, which may be init by now. */
static bool ends(pid_t pid)
{
	for (int i = 0; i < 6000; i++) {
		char line[512] = "";
		cleanup_free char *path = xasprintf("/proc/%d/stat", (int)pid);
		FILE *f = fopen(path, "re");
		bool gone = !f || !fgets(line, sizeof line, f) || strstr(line, ") Z ");
		if (f)
			fclose(f);
		if (gone)
			return true;
		usleep(10000);
	}
	return false;
}

static int kill_asker(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		      struct perry_err **err)
{
	int pid = 0;
	(void)layer, (void)name, (void)args, (void)out, (void)err;
	cleanup_free char *path =
		xasprintf("/proc/%d/task/%d/children", (int)policy_zygote_pid(policy), (int)policy_zygote_pid(policy));
	FILE *f = fopen(path, "re");
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	assert_true(pid > 1);
	assert_int_equal(kill(ctx ? policy_zygote_pid(policy) : pid, SIGKILL), 0);
	assert_true(ends(pid)); /* an answer that was on its way would be a fine answer */
	return 0;
}

static void lost_in(void *whom, const char *wanted)
{
	struct perry_err *err = NULL;
	cJSON *answer = NULL;
	cleanup_json cJSON *facts = facts_of("web");
	int before = open_fds();
	user_hook("image", "return function() return perry.kv.get 'x' or 'none' end");
	struct policy_session *s = begin(NULL, kill_asker, whom);
	assert_int_equal(policy_ask(s, "image", facts, NULL, &answer, NULL, &err), -1);
	if (!strstr(perry_msg(err), wanted))
		fail_msg("%s", perry_msg(err));
	perry_err_free(take_ptr(err));
	assert_int_equal(policy_ask(s, "image", facts, NULL, &answer, NULL, &err), -1);
	perry_err_free(take_ptr(err));
	policy_close(s);
	assert_int_equal(open_fds(), before);
	user_hook("image", "return function() return 'fine' end");
	cleanup_json cJSON *next = ask("image", NULL, &err);
	if (!next)
		fail_msg("%s", perry_msg(err));
	assert_string_equal(cJSON_GetStringValue(next), "fine");
	assert_int_equal(processes_below(getpid()), 1);
}

static void a_killed_process_is_an_error(void **state)
{
	(void)state;
	lost_in(NULL, "the policy process was ended by signal 9 (Killed) · while deciding image for workspace web");
}

static void a_killed_zygote_is_replaced(void **state)
{
	pid_t before = policy_zygote_pid(policy);
	(void)state;
	lost_in(&before, "the policy process is gone · while deciding image");
	assert_int_not_equal(policy_zygote_pid(policy), before);
	/* and once more, between two sessions: nobody notices */
	before = policy_zygote_pid(policy);
	kill(before, SIGKILL);
	struct perry_err *err = NULL;
	cleanup_json cJSON *answer = ask("image", NULL, &err);
	if (!answer)
		fail_msg("%s", perry_msg(err));
	assert_int_not_equal(policy_zygote_pid(policy), before);
	/* an environment of its own, empty */
	char text[64];
	cleanup_free char *path = xasprintf("/proc/%d/environ", (int)policy_zygote_pid(policy));
	FILE *f = fopen(path, "re");
	assert_true(!f || fread(text, 1, sizeof text, f) == 0);
	if (f)
		fclose(f);
}

/* kill -9 of the agent: neither the zygote nor a session's process stays behind. */
static void nothing_outlives_the_agent(void **state)
{
	int pipes[2];
	pid_t told[2] = { 0, 0 };
	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid_t agent = fork();
	if (agent == 0) {
		struct policy *own = NULL;
		struct policy_setup setup = { 0 };
		struct policy_session *s = NULL;
		cleanup_json cJSON *facts = facts_of("web");
		cJSON *plan = NULL;
		if (policy_new(&own, NULL) < 0 || policy_open(own, &setup, &s, NULL) < 0 ||
		    policy_plan(s, facts, &plan, NULL, NULL) < 0)
			_exit(1);
		told[0] = policy_zygote_pid(own);
		cleanup_free char *path = xasprintf("/proc/%d/task/%d/children", (int)told[0], (int)told[0]);
		FILE *f = fopen(path, "re");
		if (!f || fscanf(f, "%d", &told[1]) != 1 || write(pipes[1], told, sizeof told) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(pipes[0], told, sizeof told), sizeof told);
	assert_int_equal(kill(told[0], 0), 0);
	assert_int_equal(kill(told[1], 0), 0);
	kill(agent, SIGKILL);
	waitpid(agent, NULL, 0);
	for (int i = 0; i < 2; i++)
		assert_true(ends(told[i]));
	close(pipes[0]);
	close(pipes[1]);
}

static void a_session_that_is_closed_ends_its_process(void **state)
{
	struct policy_session *list[8];
	(void)state;
	for (int i = 0; i < 8; i++)
		list[i] = begin(NULL, NULL, NULL);
	assert_true(settles(policy_zygote_pid(policy), 8));
	for (int i = 0; i < 8; i++)
		policy_close(list[i]);
	assert_true(settles(policy_zygote_pid(policy), 0));
}

/* -- time -- */

/* In CPU time, which other programs do not change much: a runaway uses no more than it may. How soon it is over by the
 * clock is for the bench. */
static void runaways_use_no_more_than_they_may(void **state)
{
	static const char *const hooks[] = { "return function() while true do end end",
					     "return function() while true do pcall(error) end end",
					     "return function() return (\"a\"):rep(1e5):find((\"a*\"):rep(9) .. \"b\") "
					     "end" };
	(void)state;
	limit_cpu_ms(100);
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
		struct perry_err *err = NULL;
		int64_t before = children_cpu_ms();
		user_hook("image", hooks[i]);
		assert_null(ask("image", NULL, &err));
		perry_err_free(err);
		assert_true(settles(policy_zygote_pid(policy), 0));
		int64_t used = children_cpu_ms() - before;
		print_message("# runaway %zu: over after %d ms of CPU\n", i, (int)used);
		assert_in_range(used, 50, SANITIZED ? 1500 : 300);
	}
}

static pid_t busy(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
	return pid;
}

/* CPU time is what counts, not the clock: beside eight busy loops honest hooks take long and still answer, also one
 * that works for 30 ms and offers the processor again and again meanwhile. */
static void innocents_live_beside_busy_loops(void **state)
{
	pid_t pids[8];
	(void)state;
	policy_limit(policy, NULL);
	for (int i = 0; i < 8; i++)
		pids[i] = busy();
	for (int i = 0; i < 10; i++) {
		cleanup_free char *hook =
			xasprintf("return function(ws)\n  local n = 0\n  for i = 1, %d do n = n + i %% "
				  "7 end\n  return 'n' .. n\nend",
				  i ? 100000 : 3000000);
		user_hook("image", hook);
		struct perry_err *err = NULL;
		cleanup_json cJSON *answer = ask("image", NULL, &err);
		if (!answer) {
			for (int k = 0; k < 8; k++)
				kill(pids[k], SIGKILL);
			fail_msg("%s", perry_msg(err));
		}
	}
	for (int i = 0; i < 8; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

static int slow_answer(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		       struct perry_err **err)
{
	(void)ctx, (void)layer, (void)name, (void)args, (void)err;
	usleep(3000000);
	*out = cJSON_CreateString("slow");
	return 0;
}

/* Waiting for the agent is not the hook's time. */
static void waiting_is_not_counted(void **state)
{
	cleanup_json cJSON *facts = facts_of("web");
	cJSON *answer = NULL;
	struct perry_err *err = NULL;
	(void)state;
	limit_wall_ms(5000);
	user_hook("image", "return function() return perry.kv.get 'x' .. perry.kv.get 'y' end");
	struct policy_session *s = begin(NULL, slow_answer, NULL);
	if (policy_ask(s, "image", facts, NULL, &answer, NULL, &err) < 0)
		fail_msg("%s", perry_msg(err));
	assert_string_equal(cJSON_GetStringValue(answer), "slowslow");
	cJSON_Delete(answer);
	policy_close(s);
}

static int count_calls(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		       struct perry_err **err)
{
	(void)layer, (void)name, (void)args, (void)out, (void)err;
	++*(int *)ctx;
	return 0;
}

/* A loop of requests costs the hook little and the agent much. */
static void requests_are_counted(void **state)
{
	cleanup_json cJSON *facts = facts_of("web");
	cJSON *answer = NULL;
	struct perry_err *err = NULL;
	int calls = 0;
	(void)state;
	user_hook("image", "return function() for i = 1, 1000 do perry.log(i) perry.kv.get 'x' end return 'x' end");
	struct policy_session *s = begin(NULL, count_calls, &calls);
	assert_int_equal(policy_ask(s, "image", facts, NULL, &answer, NULL, &err), -1);
	assert_non_null(strstr(perry_msg(err), "perry.kv.get: more than 256 requests in one exchange"));
	assert_int_equal(calls, 256);
	perry_err_free(err);
	policy_close(s);
}

/* Says something that is no message, too much, or nothing at all: the agent does not wait for ever and does not believe
 * it. */
static void a_stopped_process_is_given_up(void **state)
{
	(void)state;
	limit_wall_ms(2000);
	/* the zygote stopped: no process comes into being */
	pid_t zygote = policy_zygote_pid(policy);
	struct perry_err *err = NULL;
	cleanup_json cJSON *facts = facts_of("web");
	cJSON *answer = NULL;
	kill(zygote, SIGSTOP);
	struct policy_session *s = begin(NULL, NULL, NULL);
	assert_int_equal(policy_ask(s, "image", facts, NULL, &answer, NULL, &err), -1);
	assert_non_null(strstr(perry_msg(err), "no answer within 2 s · while deciding image"));
	perry_err_free(err);
	policy_close(s);
	kill(zygote, SIGCONT);
	policy_limit(policy, &ample);
	cleanup_json cJSON *next = ask("image", NULL, NULL);
	assert_non_null(next);
	assert_true(settles(policy_zygote_pid(policy), 0));
}

int main(int argc, char **argv)
{
	help_main(argc, argv);
#define T(f) cmocka_unit_test_setup(f, help_clean)
	const struct CMUnitTest tests[] = {
		T(a_busy_hook_is_ended_with_its_place),
		T(cpu_time_is_limited_in_lua_too),
		T(a_hook_stuck_in_c_is_ended),
		T(memory_is_limited),
		T(answers_are_limited),
		T(what_is_promised_fits),
		T(nothing_of_lua_leads_out),
		T(the_kernel_holds_too),
		T(a_killed_process_is_an_error),
		T(a_killed_zygote_is_replaced),
		T(nothing_outlives_the_agent),
		T(a_session_that_is_closed_ends_its_process),
		T(runaways_use_no_more_than_they_may),
		T(innocents_live_beside_busy_loops),
		T(waiting_is_not_counted),
		T(requests_are_counted),
		T(a_stopped_process_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, help_end);
}
