/* JSON to Lua and back, in a plain Lua state of this process. */
#include <lualib.h>

#include "policy/child/luajson.h"
#include "policy/child/luapairs.h"
#include "policy_help.h"

static lua_State *L;

static int open_state(void **state)
{
	(void)state;
	L = luaL_newstate();
	luaL_openlibs(L);
	lj_open(L);
	lua_register(L, "spairs", lj_pairs);
	lua_register(L, "snext", lj_next);
	return 0;
}

static int close_state(void **state)
{
	(void)state;
	lua_close(L);
	return 0;
}

/* The value of a Lua expression as canonical JSON, or the reason why not. */
static char *value_of(const char *expression)
{
	struct buf why = { 0 };
	cleanup_free char *code = xasprintf("return %s", expression);
	if (luaL_dostring(L, code))
		fail_msg("%s", lua_tostring(L, -1));
	int top = lua_gettop(L);
	cleanup_json cJSON *j = lj_get(L, -1, "v", &why);
	assert_int_equal(lua_gettop(L), top);
	lua_settop(L, 0);
	assert_true(!j == (why.len > 0));
	char *text = j ? json_canonical(j) : xstrdup(buf_str(&why));
	buf_free(&why);
	return text;
}

static void values_become_json(void **state)
{
	static const char *const cases[][2] = {
		{ "nil", "null" },
		{ "true", "true" },
		{ "1", "1" },
		{ "-0.5", "-0.5" },
		{ "2^53", "9007199254740992" },
		{ "9007199254740992", "9007199254740992" },
		{ "9007199254740993", "v: the number is too large to be exact in JSON; pass it as text" },
		{ "math.mininteger", "v: the number is too large to be exact in JSON; pass it as text" },
		{ "0/0", "v: not a number (nan)" },
		{ "-math.huge", "v: an infinite number" },
		{ "'\\u{e9}\\n'", "\"\xc3\xa9\\n\"" },
		{ "'\\xed\\xa0\\x80'", "v: a text that is not UTF-8" },
		{ "'a\\0'", "v: a text with a NUL byte" },
		{ "{ ['a\\0'] = 1 }", "v: a text with a NUL byte" },
		{ "{}", "{}" },
		{ "{ {}, { 1 } }", "[{},[1]]" },
		{ "{ b = 1, a = { x = true } }", "{\"a\":{\"x\":true},\"b\":1}" },
		{ "{ [1] = 1, [2.0] = 2 }", "[1,2]" },
		{ "{ [1] = 1, [3] = 3 }", "v: a list with gaps" },
		{ "{ [0] = 1 }", "v: a key that is neither a text nor a position" },
		{ "{ [1.5] = 1 }", "v: a key that is neither a text nor a position" },
		{ "{ [true] = 1 }", "v: a key that is neither a text nor a position" },
		{ "{ 1, x = 1 }", "v: both a list and named fields" },
		{ "{ a = { b = { print } } }", "v.a.b[1]: a function cannot be passed on" },
		{ "io.stdout", "v: a userdata cannot be passed on" },
		{ "(function() local t = {} t.a = { b = t } return t end)()", "v.a.b: a table that contains itself" },
		{ "(function() local t = {} return { t, t } end)()", "[{},{}]" },
		{ "(function() local t = {} for i = 1, 64 do t = { t } end return t end)() and 1", "1" },
		{ "{ ['$secret'] = 'x' }", "v.$secret: names that begin with $ are for perry.secret and perry.key" },
		{ "('x'):rep(2^20 + 1)", "v: a text of more than 1 MiB" },
		{ "setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error })", "{\"a\":1}" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *got = value_of(cases[i][0]);
		assert_string_equal(got, cases[i][1]);
	}
	cleanup_free char *deep = value_of("(function() local t = {} for i = 1, 65 do t = { t } end return t end)()");
	assert_non_null(strstr(deep, ": more than 64 levels"));
	cleanup_free char *wide =
		value_of("(function() local t = {} for i = 1, 300000 do t[i] = 1 end return t end)()");
	assert_string_equal(wide, "v: more than 4 MiB in all");
}

static int push_in(lua_State *l)
{
	lj_push(l, lua_touserdata(l, 1), true);
	return 1;
}

static int push_view(lua_State *l)
{
	lj_push_facts(l, lua_touserdata(l, 1), true, "ws");
	return 1;
}

static void push_json(const char *text, lua_CFunction how)
{
	cleanup_json cJSON *j = parse(text);
	lua_pushcfunction(L, how);
	lua_pushlightuserdata(L, j);
	if (lua_pcall(L, 1, 1, 0))
		fail_msg("%s", lua_tostring(L, -1));
}

static void json_comes_back(void **state)
{
	static const char *const cases[] = { "[]",
					     "{}",
					     "[[],{}]",
					     "{\"a\":[],\"b\":{}}",
					     "[1,2.5,-3,1e+300]",
					     "\"x\"",
					     "true",
					     "{\"a\":{\"$secret\":\"s\"}}",
					     "{\"$concat\":[\"a\",{\"$secret\":\"s\"}]}",
					     "9007199254740992",
					     "{\"1\":1}" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int view = 0; view < 2; view++) {
			struct buf why = { 0 };
			push_json(cases[i], view ? push_view : push_in);
			cleanup_json cJSON *want = parse(cases[i]), *got = lj_get(L, -1, "v", &why);
			if (!got || !json_equal(want, got))
				fail_msg("%s: %s", cases[i], buf_str(&why));
			buf_free(&why);
			lua_settop(L, 0);
		}
	}
}

static void run(const char *code)
{
	if (luaL_dostring(L, code))
		fail_msg("%s", lua_tostring(L, -1));
	lua_settop(L, 0);
}

static void iteration_is_sorted(void **state)
{
	(void)state;
	run("local t = { z = 1, a = 2, [10] = 3, [2] = 4, [true] = 5, [1.5] = 6, b = 7 }\n"
	    "local seen = {}\n"
	    "for k, v in spairs(t) do assert(t[k] == v) seen[#seen + 1] = tostring(k) end\n"
	    "assert(table.concat(seen, ' ') == '1.5 2 10 a b z true', table.concat(seen, ' '))\n"
	    "local k, n = nil, {}\n"
	    "repeat k = snext(t, k) n[#n + 1] = tostring(k) until k == nil\n"
	    "assert(table.concat(n, ' ') == '1.5 2 10 a b z true nil', table.concat(n, ' '))\n"
	    "assert(snext({}) == nil)");
	/* what is removed meanwhile is passed over; what is changed is seen changed */
	run("local t = { a = 1, b = 2, c = 3 }\n"
	    "local s = ''\n"
	    "for k, v in spairs(t) do s = s .. k .. v t.b = nil t.c = 9 end\n"
	    "assert(s == 'a1c9', s)");
	run("local ok, e = pcall(spairs, { [{}] = 1 }) assert(not ok and e:find('a table as key'))");
	run("local s = '' for k, v in spairs(setmetatable({}, { __pairs = function() return next, { x = 1 }, nil end "
	    "})) do s = s .. k end assert(s == 'x')");
	run("assert(not pcall(spairs, 1)) assert(not pcall(spairs))");
}

static void views_read_and_do_not_write(void **state)
{
	(void)state;
	push_json("{\"name\":\"web\",\"labels\":{\"b\":1,\"a\":2},\"user\":{\"tags\":[\"x\",\"y\"]}}", push_view);
	lua_setglobal(L, "ws");
	run("assert(ws.name == 'web' and #ws.user.tags == 2 and ws.user.tags[3] == nil)\n"
	    "local s = '' for k, v in spairs(ws.labels) do s = s .. k .. v end assert(s == 'a2b1', s)\n"
	    "s = '' for i, v in ipairs(ws.user.tags) do s = s .. i .. v end assert(s == '1x2y')\n"
	    "assert(table.concat(ws.user.tags, ',') == 'x,y')\n"
	    "assert(ws.labels.none == nil and ws.repo == nil)\n"
	    "local ok, e = pcall(function() return ws.lables end) assert(not ok and e:find(\"'ws' has no field "
	    "'lables' %(did you mean 'labels'%?%)\"), e)\n"
	    "ok, e = pcall(function() ws.user.tags[1] = 'z' end) assert(not ok and e:find(\"'ws.user.tags' is "
	    "read%-only\"), e)\n"
	    "assert(getmetatable(ws) == 'read-only')");
}

static void references_say_nothing(void **state)
{
	(void)state;
	push_json("{\"$secret\":\"slack\"}", push_in);
	lua_setglobal(L, "s");
	run("assert(tostring(s) == 'secret(slack)')\n"
	    "assert(not pcall(function() return s.x end)) assert(not pcall(function() s.x = 1 end)) assert(not "
	    "pcall(function() return #s end))\n"
	    "assert(getmetatable(s) == 'reference')\n"
	    "local ok, e = pcall(function() return s .. {} end) assert(not ok and e:find('joined to text only'))");
	cleanup_free char *text = value_of("'a' .. s .. 1");
	assert_string_equal(text, "{\"$concat\":[\"a\",{\"$concat\":[{\"$secret\":\"slack\"},\"1\"]}]}");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)
	const struct CMUnitTest tests[] = { T(values_become_json), T(json_comes_back), T(iteration_is_sorted),
					    T(views_read_and_do_not_write), T(references_say_nothing) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
