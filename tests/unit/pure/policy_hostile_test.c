/* Hostile hooks: the ways out that others' sandboxes had, by hand, and programs out of a generator. Each ends with an
 * error that has a name (or, harmlessly, with an answer) within its limit; the process that asked is unharmed.
 *   PERRY_HOSTILE_RUNS (40) how many the generator makes, PERRY_HOSTILE_SEED (1) from where; a failure prints its seed.
 */

#include "policy/session.h"
#include "policy_help.h"

/* -- by hand -- */

#define STUCK_IN_C "CPU time" /* Lua counts nothing there */

static void every_known_way_out_is_closed(void **state)
{
	static const struct {
		const char *code, *wanted; /* NULL: the hook goes on and answers "held" */
	} cases[] = {
		/* state that outlives a hook, or reaches another's (redis #1724, #1725) */
		{ "string.evil = function() end", "'string' is read-only" },
		{ "_ENV.evil = 1", "assignment to undefined global 'evil'" },
		{ "local _ENV = { evil = 1 } evil = 2", NULL },
		{ "getmetatable(_ENV).__index = nil", "attempt to index a string value" },
		{ "setmetatable(_ENV, {})", "cannot change a protected metatable" },
		{ "ws.name = 'x'", "'ws' is read-only" },
		{ "ws.labels.x = 'x'", "'ws.labels' is read-only" },
		{ "table.insert(ws.labels, 'x')", "'ws.labels' is read-only" },
		{ "table.move({ 1 }, 1, 1, 1, ws)", "'ws' is read-only" },
		{ "setmetatable(getmetatable('') and {} or {}, nil)", NULL },
		{ "perry.kv.get = function() return 'x' end", "'perry.kv' is read-only" },
		{ "local m = getmetatable(perry) if type(m) == 'table' then m.__newindex = nil end perry.x = 1",
		  "is read-only" },
		/* libraries that came along (CVE-2022-0543) and code from texts or bytes (CVE-2024-46981,
		   CVE-2025-49844) */
		{ "package.loadlib('x', 'y')", "'package' is not available in hooks" },
		{ "load('return 1')", "'load' is not available in hooks" },
		{ "load('\\27Lua')", "'load' is not available in hooks" },
		{ "string.dump(print)", "'string' has no field 'dump'" },
		{ "('x').dump(print)", "attempt to call a nil value (field 'dump')" },
		{ "require '/etc/passwd'", "no such file in the lib folder" },
		{ "require 'perry'", "no such file in the lib folder" },
		{ "require(setmetatable({}, { __tostring = function() return 'x' end }))",
		  "string expected, got table" },
		{ "debug.getregistry()", "'debug' is not available" },
		{ "coroutine.wrap(function() end)()", "'coroutine' is not available" },
		{ "collectgarbage 'stop'", "'collectgarbage' is not available" },
		{ "os.getenv 'HOME'", "'os' is not available" },
		{ "io.open '/etc/passwd'", "'io' is not available" },
		{ "rawset(ws, 'name', 'x')", "'rawset' is not available" },
		/* code that would run outside of the limits */
		{ "setmetatable({}, { __gc = function() while true do end end })", "'__gc' is not available" },
		{ "local m = {} setmetatable({}, m) m.__gc = function() while true do end end", NULL },
		{ "xpcall(error, function() while true do end end)", "'xpcall' is not available" },
		{ "error(setmetatable({}, { __tostring = function() while true do end end }))",
		  "the error is a table, not a text" },
		{ "error(setmetatable({}, { __name = ('x'):rep(1e6) }))", "not a text" },
		{ "local x <close> = setmetatable({}, { __close = function() while true do end end })",
		  "more than 2 million instructions of Lua" },
		{ "for _ in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end",
		  "more than 2 million instructions of Lua" },
		{ "return setmetatable({}, { __index = function() while true do end end })",
		  "expected an image reference" },
		{ "perry.log(setmetatable({}, { __tostring = function() while true do end end }))",
		  "more than 2 million instructions of Lua" },
		{ "perry.json.encode(setmetatable({}, { __len = function() while true do end end }))", NULL },
		{ "table.sort({ 3, 2, 1, 4, 5, 9, 8 }, function() return true end)", "invalid order function" },
		{ "table.concat(setmetatable({}, { __len = function() return 1 << 40 end, __index = function() return "
		  "'x' end }))",
		  "more than 2 million instructions of Lua" },
		/* C code with numbers that it should not take */
		{ "select(-1 << 62, 1)", "index out of range" },
		{ "table.unpack({}, 1, 1e8)", "too many results to unpack" },
		{ "table.unpack({}, 1, 1e6 // 1 | 0)", "too many results to unpack" },
		{ "('x'):rep(-1)", NULL },
		{ "('x'):rep(1 << 62)", "resulting string too large" },
		{ "('xx'):rep((1 << 62) + 1)", "resulting string too large" },
		{ "('x'):rep(1, ('y'):rep(1e6)) ", NULL },
		{ "('%99999d'):format(1)", "invalid conversion" },
		{ "('%s'):rep(1e5):format()", "bad argument #2 to 'format'" },
		/* addresses, which differ from run to run and tell where things lie */
		{ "assert(tostring({}) == 'table' and tostring(print) == 'function')", NULL },
		{ "assert(('%s %5s'):format({}, print) == 'table function')", NULL },
		{ "assert(tostring(setmetatable({}, { __tostring = function() return 'x' end })) == 'x')", NULL },
		{ "('%%%-5p'):format({})", "'%p' is not available in hooks" },
		{ "('%q'):format(0/0)", NULL },
		{ "string.pack('!17i4', 1)", "out of limits" },
		{ "string.pack('s8', ('x'):rep(3e7))", "more than 32 MiB of memory" },
		{ "string.unpack('s8', '\\255\\255\\255\\255\\255\\255\\255\\127')", "data string too short" },
		{ "('x'):byte(1, 1 << 62)", NULL },
		{ "('x'):rep(1e7):byte(1, -1)", "string slice too long" },
		{ "utf8.char(1 << 40)", "value out of range" },
		{ "utf8.codepoint(('x'):rep(1e7), 1, -1)", "string slice too long" },
		{ "('a'):rep(1e5):gsub('', ('b'):rep(1e4))", "more than 32 MiB of memory" },
		{ "('('):rep(1000):find(('('):rep(1000))", "too many captures" },
		{ "('x'):find(('[a'):rep(1000))", "malformed pattern" },
		{ "('x'):find('%f')", "missing '['" },
		{ "('x'):rep(3e5):find(('.-'):rep(4) .. 'y')", STUCK_IN_C },
		{ "tostring(1e308 * 10 - 1e308 * 10)", NULL },
		{ "math.tointeger(2^53) ", NULL },
		{ "return math.maxinteger // 0", "attempt to divide by zero" },
		{ "for i = math.mininteger, math.maxinteger do end", "more than 2 million instructions of Lua" },
		/* depth */
		{ "local function f() return pcall(f) end f()", NULL },
		{ "local s = 'x' for i = 1, 300 do s = '(' .. s .. ')' end s:find(s)", "" },
		{ "local t = {} for i = 1, 1e5 do t = { t } end return t", "more than 64 levels" },
		{ "local t = {} for i = 1, 1e5 do t = setmetatable({}, { __index = t }) end return t.x", "" },
		{ "perry.json.decode(('['):rep(1e5))", "more than 64 levels" },
		{ "perry.json.decode('\"\\\\ud800\"')", "half of a surrogate pair" },
		/* answers */
		{ "return 0/0", "answer: not a number (nan)" },
		{ "return -1/0", "answer: an infinite number" },
		{ "local t = {} t[1] = t return t", "a table that contains itself" },
		{ "local a, b = {}, {} a.b = b b.a = a return a", "a table that contains itself" },
		{ "return ('x'):rep(100 * 1024 * 1024)", "more than 32 MiB of memory" },
		{ "return ('x'):rep(5 * 1024 * 1024)", "answer: a text of more than 1 MiB" },
		{ "return 'debian:\\xff'", "answer: a text that is not UTF-8" },
		{ "return '\\xed\\xa0\\x80'", "answer: a text that is not UTF-8" },
		{ "return 'debian\\0'", "answer: a text with a NUL byte" },
		{ "return function() end", "answer" },
		{ "return { [1] = 'a', x = 'b' }", "answer" },
		{ "return { [{}] = 1 }", "answer" },
		{ "return { ['$secret'] = 'auth.token' }", "answer" },
		{ "return { ['$concat'] = { 'a' } }", "answer" },
		{ "return perry.secret 'slack'", "answer" },
		/* secrets are not texts */
		{ "return 'x:' .. #(perry.secret 'slack' .. '')", "a reference has no fields" },
		{ "return (perry.secret 'slack').x", "a reference has no fields" },
		{ "local r = perry.secret 'slack' r['$secret'] = 'auth.token' return r", "" },
		{ "return tostring(perry.secret 'slack'):upper()", "answer" },
		{ "return perry.json.encode { perry.secret 'slack' }", "a secret cannot be encoded here" },
		{ "return perry.key.config().kind", "a reference has no fields" },
	};
	size_t held = 0;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct perry_err *err = NULL;
		cleanup_free char *hook =
			xasprintf("return function(ws, base)\n  do %s end\n  do return 'held' end\nend", cases[i].code);
		user_hook("image", hook);
		if (cases[i].wanted && strcmp(cases[i].wanted, STUCK_IN_C) == 0)
			limit_cpu_ms(50);
		else
			limit_instructions(2000000);
		cleanup_json cJSON *answer = ask("image", NULL, &err);
		if (cases[i].wanted ? !err || !strstr(perry_msg(err), cases[i].wanted)
				    : !str_eq(cJSON_GetStringValue(answer), "held"))
			print_error("%s\n  got:    %s\n  wanted: %s\n", cases[i].code,
				    err ? perry_msg(err) : cJSON_GetStringValue(answer),
				    cases[i].wanted ? cases[i].wanted : "held");
		else if (err && err->code != PERRY_EPOLICY)
			print_error("%s: %s is no refusal of the policy\n", cases[i].code, perry_msg(err));
		else
			held++;
		perry_err_free(err);
	}
	assert_int_equal(held, ARRAY_LEN(cases));
}

static void what_one_hook_does_the_next_does_not_see(void **state)
{
	struct perry_err *err = NULL;
	(void)state;
	/* Through all that is shared: the layer's state within one session, modules, the string metatable. */
	user_hook("image", "local kept = 0 return function() kept = kept + 1 return 'debian:' .. kept end");
	for (int i = 0; i < 2; i++) {
		cleanup_json cJSON *answer = ask("image", NULL, &err);
		assert_string_equal(cJSON_GetStringValue(answer), "debian:1"); /* each operation begins anew */
	}
	write_to(pack_dir, "image.lua", "return function() return string.mine and 'seen' or tostring(mine == nil) end",
		 0644);
	user_hook("image", "return function(ws, base) pcall(function() string.mine = 1 end) pcall(function() mine = 1 "
			   "end) return base() end");
	cleanup_json cJSON *answer = ask("image", NULL, &err);
	assert_null(answer);
	assert_non_null(strstr(perry_msg(err), "has no field 'mine'"));
	perry_err_free(err);
}

/* -- out of a generator -- */

static uint64_t random_state;

static unsigned pick(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % n);
}

static void expression(struct buf *out, int depth)
{
	static const char *const leaves[] = { "nil",
					      "true",
					      "1",
					      "-1",
					      "0/0",
					      "1/0",
					      "1 << 62",
					      "math.mininteger",
					      "1e308",
					      "'x'",
					      "'\\xff'",
					      "'\\0'",
					      "('x'):rep(1e6)",
					      "{}",
					      "ws",
					      "ws.name",
					      "ws.labels",
					      "base",
					      "perry",
					      "perry.secret 's'",
					      "perry.key.config()",
					      "string",
					      "table",
					      "_ENV",
					      "v1",
					      "v2",
					      "function(...) return ... end",
					      "setmetatable({}, { __index = function(t, k) return t end })",
					      "setmetatable({}, { __call = function(f, ...) return f(...) end })",
					      "perry.json.array {}",
					      "ws.request" };
	static const char *const calls[] = { "tostring",
					     "type",
					     "pcall",
					     "select",
					     "rawlen",
					     "next",
					     "pairs",
					     "ipairs",
					     "getmetatable",
					     "setmetatable",
					     "require",
					     "error",
					     "assert",
					     "tonumber",
					     "string.rep",
					     "string.format",
					     "string.find",
					     "string.gsub",
					     "string.pack",
					     "string.unpack",
					     "string.byte",
					     "table.concat",
					     "table.unpack",
					     "table.sort",
					     "table.move",
					     "table.insert",
					     "table.remove",
					     "utf8.char",
					     "utf8.codepoint",
					     "math.floor",
					     "math.tointeger",
					     "perry.label",
					     "perry.bytes",
					     "perry.json.encode",
					     "perry.json.decode",
					     "perry.kv.get",
					     "perry.docker.inspect",
					     "perry.http.get",
					     "perry.http.request",
					     "perry.run",
					     "perry.refuse",
					     "perry.config",
					     "perry.setting",
					     "base",
					     "perry.key.mint",
					     "perry.json.array",
					     "v1",
					     "v2" };
	static const char *const operators[] = { "..", "+", "//", "<<", "==", "<", "and", "or", "%" };
	if (depth <= 0) {
		buf_adds(out, leaves[pick(ARRAY_LEN(leaves))]);
		return;
	}
	switch (pick(6)) {
	case 0:
	case 1: {
		unsigned n = pick(4);
		buf_addf(out, "%s(", calls[pick(ARRAY_LEN(calls))]);
		for (unsigned i = 0; i < n; i++) {
			buf_adds(out, i ? ", " : "");
			expression(out, depth - 1);
		}
		buf_addc(out, ')');
		return;
	}
	case 2:
		buf_addc(out, '(');
		expression(out, depth - 1);
		buf_addf(out, ") %s (", operators[pick(ARRAY_LEN(operators))]);
		expression(out, depth - 1);
		buf_addc(out, ')');
		return;
	case 3:
		buf_adds(out, "{ a = ");
		expression(out, depth - 1);
		buf_adds(out, ", ");
		expression(out, depth - 1);
		buf_adds(out, " }");
		return;
	case 4:
		buf_addc(out, '(');
		expression(out, depth - 1);
		buf_addf(out, ")%s", pick(2) ? ".x" : "[1]");
		return;
	default:
		expression(out, 0);
	}
}

static void statements(struct buf *out, int depth, int n)
{
	for (int i = 0; i < n; i++) {
		switch (pick(depth > 0 ? 9 : 4)) {
		case 0:
			buf_addf(out, "v%u = ", 1 + pick(2));
			expression(out, 3);
			break;
		case 1:
			buf_adds(out, "pcall(function() return ");
			expression(out, 3);
			buf_adds(out, " end)");
			break;
		case 2:
			buf_adds(out, "if type(v1) == 'table' then v1[");
			expression(out, 1);
			buf_adds(out, " or 1] = ");
			expression(out, 2);
			buf_adds(out, " end");
			break;
		case 3:
			buf_adds(out, "v2 = { v2, v1 }");
			break;
		case 4:
			buf_adds(out, "for i = 1, 1e9 do ");
			statements(out, depth - 1, 2);
			buf_adds(out, " end");
			break;
		case 5:
			buf_adds(out, "while true do ");
			statements(out, depth - 1, 2);
			buf_adds(out, pick(2) ? " break end" : " end");
			break;
		case 6:
			buf_adds(out, "pcall(function() ");
			statements(out, depth - 1, 2);
			buf_adds(out, " end)");
			break;
		case 7:
			buf_adds(out, "local function f(n) ");
			statements(out, depth - 1, 1);
			buf_adds(out, " return f(n + 1) end f(1)");
			break;
		default:
			buf_adds(out, "do local c <close> = setmetatable({}, { __close = function() ");
			statements(out, depth - 1, 1);
			buf_adds(out, " end }) end");
		}
		buf_adds(out, "\n");
	}
}

static int answers(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		   struct perry_err **err)
{
	(void)ctx, (void)layer, (void)args;
	if (pick(3) == 0)
		return perry_fail(err, PERRY_EUNAVAILABLE, "not now");
	*out = strcmp(name, "kv.get") == 0 ? cJSON_CreateNull() : cJSON_CreateObject();
	return 0;
}

static long from_environment(const char *name, long dflt)
{
	const char *s = getenv(name);
	return s && atol(s) > 0 ? atol(s) : dflt;
}

#define LIMIT_CPU_MS 50

static void generated_hooks_end_within_their_limit(void **state)
{
	static const char *const points[] = { "image", "env", "container", "review", "hostname", "on_created", "idle" };
	long runs = from_environment("PERRY_HOSTILE_RUNS", 40), seed = from_environment("PERRY_HOSTILE_SEED", 1),
	     refused = 0;
	int before = open_fds();
	int64_t cpu = children_cpu_ms();
	pid_t zygote = policy_zygote_pid(policy);
	(void)state;
	for (long i = seed; i < seed + runs; i++) {
		struct perry_err *err = NULL;
		cleanup_buf struct buf code = { 0 };
		cJSON *answer = NULL;
		random_state = (uint64_t)i * 0x9e3779b97f4a7c15u;
		help_clean(NULL);
		limit_to(2000000, LIMIT_CPU_MS, ample.wall_ms);
		const char *point = points[pick(ARRAY_LEN(points))];
		buf_adds(&code, "local v1, v2\nreturn function(ws, base)\n");
		statements(&code, 3, 4);
		buf_adds(&code, "do return ");
		expression(&code, 3);
		buf_adds(&code, " end\nend\n");
		user_hook(point, buf_str(&code));
		cleanup_json cJSON *facts = facts_of("web"),
				   *extra = parse("{\"plan\":{\"container\":{}},\"ev\":{\"kind\":\"x\"},\"activity\":{"
						  "\"idle_seconds\":1}}"),
				   *config = parse("{\"secrets\":{\"s\":{\"$secret\":\"secrets.s\"}}}"),
				   *rows = cJSON_CreateArray();
		cleanup_free char *config_text = json_print(config);
		struct policy_session *s = begin(config_text, answers, NULL);
		int rc = policy_ask(s, point, facts, extra, &answer, rows, &err);
		refused += rc < 0;
		if ((rc < 0 && (err->code != PERRY_EPOLICY || !*perry_msg(err))) || (rc == 0) != (err == NULL) ||
		    (err && strstr(perry_msg(err), "no answer within")))
			fail_msg("seed %ld: %s\n%s", i, err ? perry_msg(err) : "no error", buf_str(&code));
		/* It may only be a mistake in the program that the generator wrote: then it tests nothing. */
		if (err && strstr(perry_msg(err), "near '"))
			fail_msg("seed %ld: %s\n%s", i, perry_msg(err), buf_str(&code));
		cJSON_Delete(answer);
		perry_err_free(err);
		policy_close(s);
	}
	print_message("# %ld hooks from seed %ld: %ld refused or ended\n", runs, seed, refused);
	assert_true(runs < 20 || refused > runs / 4);
	int64_t most = runs * LIMIT_CPU_MS * (SANITIZED ? 10 : 2);
	assert_in_range(children_cpu_ms() - cpu, 0, most);
	assert_int_equal(open_fds(), before);
	assert_int_equal(policy_zygote_pid(policy), zygote);
	user_hook("image", "return function() return 'fine' end");
	help_clean(NULL);
	user_hook("image", "return function() return 'fine' end");
	cleanup_json cJSON *next = ask("image", NULL, NULL);
	assert_string_equal(cJSON_GetStringValue(next), "fine");
}

int main(int argc, char **argv)
{
	help_main(argc, argv);
#define T(f) cmocka_unit_test_setup(f, help_clean)
	const struct CMUnitTest tests[] = {
		T(every_known_way_out_is_closed),
		T(what_one_hook_does_the_next_does_not_see),
		T(generated_hooks_end_within_their_limit),
	};
	return cmocka_run_group_tests(tests, NULL, help_end);
}
