/* Hooks without an agent: check, run, test; and that points, primitives and facts are documented, typed and shown by
 * examples. Runs in the project's folder. */
#include "policy/child/facts.h"
#include "policy/contract/points.h"
#include "policy/tool/fixture.h"
#include "policy/tool/tool.h"
#include "policy/tool/tool_test.h"
#include "policy_help.h"

static cJSON *check(bool strict)
{
	const char *dirs[] = { user_dir, NULL };
	cJSON *out = NULL;
	assert_int_equal(policy_check(policy, dirs, strict, &out, NULL), 0);
	return out;
}

static const cJSON *file_row(const cJSON *out, const char *name)
{
	const cJSON *f;
	cJSON_ArrayForEach(f, json_at(out, "files"))
		if (strstr(json_str(f, "file"), name))
			return f;
	return NULL;
}

static void check_finds_what_is_wrong(void **state)
{
	(void)state;
	user_hook("image", "-- perry: api=1\nreturn function() return 'fine' end");
	user_hook("hostname", "-- perry: api=1\nreturn function() return 'x' en");
	user_hook("env", "-- perry: api=1\nreturn {}");
	user_hook("idle", "return function() return 'keep' end");
	user_hook("container", "-- perry: api=1\nreturn function(ws) return { memory = ws.nmae } end");
	user_hook("admit", "-- perry: api=1\nreturn function() perry.refuse 'never' end");
	user_hook("review", "-- perry: api=1\nreturn function() return perry.docker.list() ~= nil end");
	user_hook("hostnam", "");
	cleanup_json cJSON *out = check(false), *strict = check(true);
	assert_false(json_bool_or(out, "ok", true));
	assert_true(json_bool_or(file_row(out, "image"), "ok", false));
	assert_true(json_bool_or(file_row(out, "idle"), "ok", false));
	assert_int_equal(cJSON_GetArraySize(json_at(file_row(out, "idle"), "notes")), 1);
	assert_true(json_bool_or(file_row(out, "container"), "ok", false));
	assert_non_null(strstr(json_str(file_row(out, "hostname"), "error"), "hostname.lua:2: 'end' expected near"));
	assert_int_equal(json_int_or(file_row(out, "hostname"), "line", 0), 2);
	assert_non_null(strstr(json_str(file_row(out, "env"), "error"), "a hook file returns a function"));
	assert_string_equal(json_str(cJSON_GetArrayItem(json_at(out, "problems"), 0), "nearest"), "hostname");
	/* strict asks each about a made-up workspace; a refusal and what only an agent can answer are no mistakes */
	assert_false(json_bool_or(file_row(strict, "idle"), "ok", true));
	assert_non_null(strstr(json_str(file_row(strict, "container"), "error"), "container.lua:2: 'ws' has no field "
										 "'nmae'"));
	assert_true(json_bool_or(file_row(strict, "admit"), "ok", false));
	assert_true(json_bool_or(file_row(strict, "review"), "ok", false));
}

static void run_shows_each_layer(void **state)
{
	struct policy_layer layer = { .name = "user", .dir = user_dir, .owner = geteuid(), .follow_links = true };
	struct policy_setup setup = { .layers = &layer, .nlayers = 1 };
	cJSON *out = NULL;
	struct perry_err *err = NULL;
	(void)state;
	user_hook("hostname", "return function(ws, base) return 'a-' .. base() end");
	assert_int_equal(policy_run(policy, &setup, "hostname", NULL, NULL, &out, NULL), 0);
	assert_string_equal(json_str(out, "answer"), "a-web");
	assert_int_equal(cJSON_GetArraySize(json_at(out, "layers")), 2);
	cJSON_Delete(out);
	user_hook("hostname", "return function(ws, base) return ws.x end");
	assert_int_equal(policy_run(policy, &setup, "hostname", NULL, NULL, &out, NULL), 0);
	assert_non_null(strstr(json_str(out, "error.message"), "hostname.lua:1: 'ws' has no field 'x'"));
	assert_string_equal(json_str(cJSON_GetArrayItem(json_at(out, "layers"), 1), "answer"), "web");
	cJSON_Delete(out);
	assert_int_equal(policy_run(policy, &setup, "nothing", NULL, NULL, &out, &err), -1);
	assert_int_equal(err->code, PERRY_EINPUT);
	perry_err_free(err);
}

static void expect_test(const char *hook, const char *table, const char *wanted)
{
	cJSON *out = NULL;
	user_hook("image", hook);
	write_to(user_dir, "image_test.lua", table, 0644);
	assert_int_equal(policy_test(policy, user_dir, &out, NULL), 0);
	const cJSON *first = cJSON_GetArrayItem(json_at(out, "tests"), 0);
	const char *message = json_str(first, "message");
	if (!wanted != json_bool_or(out, "ok", false) || (wanted && !strstr(message, wanted)))
		fail_msg("%s: %s", table, message ? message : "passed");
	cJSON_Delete(out);
}

static void table_tests_can_fail(void **state)
{
	static const char hook[] = "return function(ws, base) if ws.name == 'bad' then error 'no' end return "
				   "perry.kv.get('image') or base() end";
	(void)state;
	expect_test(hook, "return { { expect = 'perry:latest' } }", NULL);
	expect_test(hook, "return { { expect = 'x' } }", "answer: expected \"x\", got \"perry:latest\"");
	expect_test(hook, "return { { base = 'b:1', expect = 'b:1' } }", NULL);
	expect_test(hook,
		    "return { { replies = { ['kv.get'] = 'k:1' }, expect = 'k:1', calls = { { name = 'kv.get', args = "
		    "{ key = 'image' } } } } }",
		    NULL);
	expect_test(hook, "return { { calls = { { name = 'kv.set' } } } }",
		    "calls[1].name: expected \"kv.set\", got \"kv.get\"");
	expect_test(hook, "return { { calls = {} } }", "calls: expected");
	/* what is below may hold references */
	user_hook("env", "return function(ws, base) local e = base() e.B = '1' return e end");
	expect_test(hook,
		    "return { { point = 'env', base = { A = perry.secret 'a' }, expect = { A = perry.secret 'a', B = "
		    "'1' } } }",
		    NULL);
	expect_test(hook,
		    "return { { point = 'env', base = { A = perry.secret 'a' }, expect = { A = perry.secret 'b' } } }",
		    "expected \"b\"");
	help_clean(state);
	expect_test(hook, "return { { ws = { name = 'bad' }, error = 'no' } }", NULL);
	expect_test(hook, "return { { ws = { name = 'bad' } } }", "no");
	expect_test(hook, "return { { error = 'no' } }", "expected an error with \"no\", got an answer");
	expect_test(hook, "return { { refused = 'no' } }", "expected a refusal with \"no\"");
	expect_test(hook, "return { { expct = 1 } }", "no such field: expct");
	expect_test(hook, "return { { point = 'imge' } }", "there is no hook point 'imge'");
	expect_test(hook, "return { { point = 'env' } }", "there is no hook file for this point");
	expect_test(hook, "return 1", "a test file returns a list of cases");
	expect_test(hook, "return {", "image_test.lua:1: unexpected symbol");
	expect_test(hook, "return { { expect = os.time() } }", "image_test.lua:1: 'os' is not available in hooks");
	limit_instructions(2000000);
	expect_test("while true do end", "return { {} }", "the hook used more than 2 million instructions of Lua");
}

/* The lines with code, whether a test calls their function or not; a file without a test counts too. */
static void tests_say_which_lines_they_ran(void **state)
{
	/* 2 and 7 are not run; 3, 11 and 12 make functions; 4, 5 and 8 have no code */
	static const char hook[] = "local function never(x)\n  return x + 1\nend\n-- a comment\nreturn function(ws)\n"
				   "  if ws.name == 'bad' then\n    return never(1)\n  end\n  return (function(...)\n"
				   "    return select(1, ...)\n  end)('x')\nend";
	cleanup_json cJSON *out = NULL;
	(void)state;
	user_hook("image", hook);
	user_hook("env", "return function(ws, base)\n\n  return base()\nend");
	write_to(user_dir, "image_test.lua", "return { { expect = 'x' } }", 0644);
	assert_int_equal(policy_test(policy, user_dir, &out, NULL), 0);
	const cJSON *c = json_at(out, "coverage"), *f;
	assert_int_equal(json_int_or(c, "points", 0), 2);
	assert_int_equal(json_int_or(c, "tested", 0), 1);
	cJSON_ArrayForEach(f, json_at(c, "files")) {
		cleanup_free char *missed = json_print(json_at(f, "missed"));
		assert_string_equal(missed, strstr(json_str(f, "file"), "image.lua") ? "[2,7]" : "[3]");
	}
	assert_int_equal(json_int_or(c, "lines", 0), 10); /* a function counts where it is made, at its end */
	assert_int_equal(json_int_or(c, "run", 0), 7);
	/* long functions, whose lines do not follow each other by a byte's reach */
	struct buf text = { 0 };
	buf_adds(&text, "return function(ws)\n");
	for (int i = 0; i < 400; i++)
		buf_addf(&text, "  local v = ws.name%s\n  if v == 'no' then v = 1 end\n",
			 i == 200 ? "\n\n\n\n\n\n" : "");
	for (int i = 0; i < 300; i++)
		buf_adds(&text, "\n");
	buf_adds(&text, "  return 'x'\nend");
	for (char *p = text.data; (p = strstr(p, "local v")); p += 7)
		memcpy(p, "      w", 7); /* no more than 200 locals */
	cleanup_free char *long_hook = xasprintf("local w, v\n%s", buf_str(&text));
	buf_free(&text);
	cJSON_Delete(out);
	user_hook("image", long_hook);
	assert_int_equal(policy_test(policy, user_dir, &out, NULL), 0);
	c = json_at(out, "coverage");
	assert_int_equal(json_int_or(c, "lines", 0), 803 + 2);
	assert_int_equal(json_int_or(c, "run", 0), 803 + 1);
}

static void the_examples_pass_their_tests(void **state)
{
	cJSON *out = NULL;
	struct perry_err *err = NULL;
	const char *dirs[] = { "examples/hooks", NULL };
	(void)state;
	if (policy_test(policy, "examples/hooks", &out, &err) < 0)
		fail_msg("%s", perry_msg(err));
	const cJSON *t;
	cJSON_ArrayForEach(t, json_at(out, "tests")) {
		if (!json_bool_or(t, "ok", false))
			fail_msg("%s: %s: %s", json_str(t, "file"), json_str(t, "name"), json_str(t, "message"));
	}
	assert_true(json_int_or(out, "passed", 0) >= 50);
	assert_int_equal(json_int_or(out, "coverage.tested", 0), json_int_or(out, "coverage.points", -1));
	assert_int_equal(json_int_or(out, "coverage.run", 0), json_int_or(out, "coverage.lines", -1));
	cJSON_Delete(out);
	/* what is shown to everybody passes the strict check, and so do the built-in hooks */
	assert_int_equal(policy_check(policy, dirs, true, &out, NULL), 0);
	cleanup_free char *text = json_print(out);
	if (!json_bool_or(out, "ok", false))
		fail_msg("%s", text);
	cJSON_Delete(out);
	dirs[0] = "hooks";
	assert_int_equal(policy_check(policy, dirs, true, &out, NULL), 0);
	cleanup_free char *builtin = json_print(out);
	if (!json_bool_or(out, "ok", false))
		fail_msg("%s", builtin);
	cJSON_Delete(out);
}

static void mentioned(const struct buf *text, const char *where, const char *format, const char *name)
{
	char wanted[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(wanted, sizeof wanted, format, name);
#pragma GCC diagnostic pop
	if (!strstr(buf_str(text), wanted))
		fail_msg("%s has no '%s'", where, wanted);
}

static void every_point_is_answered_documented_and_typed(void **state)
{
	cleanup_buf struct buf docs = { 0 }, types = { 0 };
	(void)state;
	assert_int_equal(file_read("docs/hooks/reference.md", 1 << 20, &docs, NULL), 0);
	assert_int_equal(file_read("lua/types/perry.d.lua", 1 << 20, &types, NULL), 0);
	for (const struct point *p = policy_point_table; p->name; p++) {
		mentioned(&docs, "docs/hooks/reference.md", "\n### %s\n", p->name);
		mentioned(&types, "perry.d.lua", "---@alias perry.hook.%s fun(", p->name);
		if (p->kind != POINT_ACTION && !policy_builtin_source(p->name))
			fail_msg("%s has no built-in answer", p->name);
		cleanup_json cJSON *extra = policy_fixture_extra(p->name);
		if (*p->extra && !json_at(extra, p->extra))
			fail_msg("%s has no fixture", p->name);
		assert_true(strlen(p->summary) > 10);
		for (int i = 0; i < 2; i++) {
			cleanup_free char *example = xasprintf("examples/hooks/%s%s.lua", p->name, i ? "_test" : "");
			if (access(example, R_OK) < 0)
				fail_msg("%s has no example: %s", p->name, example);
		}
	}
	for (const struct call_row *c = policy_call_table; c->name; c++) {
		mentioned(&docs, "docs/hooks/reference.md", "`perry.%s", c->name);
		mentioned(&types, "perry.d.lua", "function perry.%s(", c->name);
	}
	for (const struct local_row *l = policy_local_table; l->name; l++) {
		mentioned(&docs, "docs/hooks/reference.md", "`perry.%s", l->name);
		mentioned(&types, "perry.d.lua", "function perry.%s(", l->name);
	}
}

/* "ws.repo.url" is the field url of the class perry.ws.repo. */
static void every_fact_is_typed(void **state)
{
	static const char *const facts[] = {
#define X(path) path,
		POLICY_FACTS(X)
#undef X
	};
	cleanup_buf struct buf types = { 0 };
	(void)state;
	assert_int_equal(file_read("lua/types/perry.d.lua", 1 << 20, &types, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		char path[128];
		size_t n = 0;
		for (const char *c = facts[i]; *c; c++)
			if (*c != '[' && *c != ']')
				path[n++] = *c;
		path[n] = 0;
		char *field = strrchr(path, '.');
		*field++ = 0;
		if (strcmp(field, "*") == 0)
			continue;
		cleanup_free char *class = xasprintf("---@class perry.%s\n", path);
		const char *at = strstr(buf_str(&types), class), *end = at ? strstr(at, "\n\n") : NULL;
		cleanup_free char *line = xasprintf("---@field %s", field);
		bool found = false;
		for (const char *f = at; f && (f = strstr(f, line)) && f < end; f++)
			found = found || f[strlen(line)] == ' ' || f[strlen(line)] == '?';
		if (!found)
			fail_msg("perry.d.lua: the class perry.%s has no field %s", path, field);
	}
}

static bool is_fact(const char *class, const char *field)
{
	static const char *const facts[] = {
#define X(path) path,
		POLICY_FACTS(X)
#undef X
	};
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		/* "ws.labels.*" and "plan.container.mounts[].type" name the same classes without the marks */
		char path[128];
		size_t n = 0;
		for (const char *c = facts[i]; *c; c++)
			if (*c != '[' && *c != ']')
				path[n++] = *c;
		path[n] = 0;
		size_t k = strlen(class);
		if (strncmp(path, class, k) == 0 && path[k] == '.' && strcmp(path + k + 1, field) == 0)
			return true;
	}
	return false;
}

/* Editors offer nothing that is not there. */
static void the_types_have_nothing_else(void **state)
{
	static const char *const subjects[] = { "ws", "plan", "ev", "port", "activity", "req" };
	cleanup_buf struct buf types = { 0 };
	char class[128] = "", name[128];
	int fields = 0, functions = 0;
	(void)state;
	assert_int_equal(file_read("lua/types/perry.d.lua", 1 << 20, &types, NULL), 0);
	for (char *at = types.data, *line; (line = strsep(&at, "\n"));) {
		if (sscanf(line, "---@class perry.%127s", class) == 1)
			continue;
		if (sscanf(line, "function perry.%127[a-z_.](", name) == 1) {
			bool known = call_find(name) != NULL;
			for (const struct local_row *l = policy_local_table; l->name; l++)
				known = known || strcmp(l->name, name) == 0;
			if (!known)
				fail_msg("perry.d.lua has perry.%s, which no table has", name);
			functions++;
			continue;
		}
		bool subject = false;
		for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
			subject =
				subject || (str_starts(class, subjects[i]) && strchr(".", class[strlen(subjects[i])]));
		if (!subject || sscanf(line, "---@field %127[a-zA-Z_]", name) != 1)
			continue;
		if (!is_fact(class, name))
			fail_msg("perry.d.lua has %s.%s, which is no fact", class, name);
		fields++;
	}
	assert_true(fields > 80 && functions > 20);
}

/* Each primitive of the tables is really there, and nothing else is. */
static void the_tables_are_what_hooks_find(void **state)
{
	cleanup_json cJSON *facts = facts_of("web");
	struct perry_err *err = NULL;
	(void)state;
	user_hook("env",
		  "return function()\n  local env = {}\n  for k, v in pairs(perry) do\n    if type(v) == 'function' "
		  "then env[k] = k\n"
		  "    else for n in pairs(v) do env[k .. '_' .. n] = k .. '.' .. n end end\n  end\n  return env\nend");
	cleanup_json cJSON *env = ask("env", NULL, &err);
	if (!env)
		fail_msg("%s", perry_msg(err));
	for (const cJSON *v = env->child; v; v = v->next) {
		bool known = call_find(v->valuestring) != NULL;
		for (const struct local_row *l = policy_local_table; l->name; l++)
			known = known || strcmp(l->name, v->valuestring) == 0;
		if (!known)
			fail_msg("perry.%s is in no table", v->valuestring);
	}
	int n = 0;
	for (const struct call_row *c = policy_call_table; c->name; c++)
		n++;
	for (const struct local_row *l = policy_local_table; l->name; l++)
		n++;
	assert_int_equal(cJSON_GetArraySize(env), n);
}

static void primitives_answer(void **state)
{
	static const char *const cases[][2] = {
		{ "perry.label('Hello, W\\u{f6}rld!')", "hello-w-rld" },
		{ "perry.label('--a--b--')", "a-b" },
		{ "perry.label(('x'):rep(63))", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
		{ "tostring(#perry.label(('x'):rep(64))) .. tostring(perry.label(('x'):rep(64)) ~= "
		  "perry.label(('x'):rep(65)))",
		  "63true" },
		{ "'l' .. tostring(#perry.label(''))", "l9" },
		{ "'b' .. perry.bytes '4GiB' .. perry.bytes(7)", "b42949672967" },
		{ "'j' .. perry.json.encode({ a = {}, b = perry.json.array {} }):gsub('[^%w]', '')", "jab" },
		{ "perry.json.decode('{\"a\":[1,{\"b\":\"x\"}]}').a[2].b", "x" },
		{ "'n' .. #perry.json.decode '[]'", "n0" },
		{ "'t' .. (perry.time() > 1600000000 and 1 or 0)", "t1" },
		{ "perry.config 'nested.value'", "deep" },
		{ "perry.config 'none' or 'nil'", "nil" },
		{ "select(2, pcall(perry.json.decode, '{\"a\":')):match 'JSON:1:%d+' and 'parse' or 'x'", "parse" },
	};
	cleanup_json cJSON *facts = facts_of("web");
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct perry_err *err = NULL;
		cJSON *answer = NULL;
		cleanup_free char *hook = xasprintf("return function() local v = %s return v end", cases[i][0]);
		user_hook("image", hook);
		struct policy_session *s = begin("{\"nested\":{\"value\":\"deep\"}}", NULL, NULL);
		if (policy_ask(s, "image", facts, NULL, &answer, NULL, &err) < 0)
			fail_msg("%s: %s", cases[i][0], perry_msg(err));
		assert_string_equal(cJSON_GetStringValue(answer), cases[i][1]);
		cJSON_Delete(answer);
		policy_close(s);
	}
}

int main(int argc, char **argv)
{
	help_main(argc, argv);
	umask(022);
#define T(f) cmocka_unit_test_setup(f, help_clean)
	const struct CMUnitTest tests[] = {
		T(check_finds_what_is_wrong),
		T(run_shows_each_layer),
		T(table_tests_can_fail),
		T(tests_say_which_lines_they_ran),
		T(the_examples_pass_their_tests),
		T(every_point_is_answered_documented_and_typed),
		T(every_fact_is_typed),
		T(the_types_have_nothing_else),
		T(the_tables_are_what_hooks_find),
		T(primitives_answer),
	};
	return cmocka_run_group_tests(tests, NULL, help_end);
}
