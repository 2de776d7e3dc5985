/* JSON to Lua and back, and errors between C and Lua. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "lua/internal.h"

static lua_State *L;

static int setup(void **state)
{
	(void)state;
	L = luaL_newstate();
	luaL_openlibs(L);
	box_open(L);
	json_open(L);
	luaL_requiref(L, "base", lib_base, 1);
	lua_pop(L, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lua_close(L);
	return 0;
}

static void round_trip(const char *text)
{
	cleanup_json cJSON *j = json_parse(text, strlen(text), "test", NULL), *back = NULL;
	struct perry_err *err = NULL;
	assert_non_null(j);
	int top = lua_gettop(L);
	json_push_value(L, j);
	assert_int_equal(json_of_value(L, -1, &back, &err), 0);
	lua_settop(L, top);
	cleanup_free char *a = json_canonical(j), *b = json_canonical(back);
	assert_string_equal(a, b);
}

static void there_and_back(void **state)
{
	(void)state;
	static const char *const texts[] = { "null",
					     "true",
					     "0",
					     "-1.5",
					     "9007199254740991",
					     "1e300",
					     "\"\"",
					     "\"\\u00e4\\n\\\"\"",
					     "[]",
					     "{}",
					     "[[],{},[{}]]",
					     "{\"a\":null,\"b\":[null,1],\"c\":{\"1\":2}}",
					     "[1,2.5,\"x\",false]" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		round_trip(texts[i]);
}

/* What a piece of Lua gives as JSON, or the reason why it is none. */
static void lua_gives(const char *code, const char *expected)
{
	cleanup_json cJSON *j = NULL;
	cleanup_err struct perry_err *err = NULL;
	assert_int_equal(luaL_dostring(L, code), LUA_OK);
	int rc = json_of_value(L, -1, &j, &err);
	cleanup_free char *text = rc == 0 ? json_canonical(j) : xstrdup(perry_msg(err));
	lua_settop(L, 0);
	if (!strstr(text, expected))
		fail_msg("%s: %s", code, text);
}

static void from_lua(void **state)
{
	(void)state;
	lua_gives("return {}", "{}");
	lua_gives("return base.list()", "[]");
	lua_gives("return base.list{1,2}", "[1,2]");
	lua_gives("return {1,2}", "[1,2]");
	lua_gives("return {a=base.null}", "{\"a\":null}");
	lua_gives("return 2^53", "9007199254740992");
	lua_gives("return '\\xff\\0a'", "\xef\xbf\xbd a");
	lua_gives("return {1, 2, a=3}", "a list and has names");
	lua_gives("return {x={y=print}}", "x: y: a function is no JSON");
	lua_gives("return {x={1,{[{}]=1}}}", "x: [2]: a key of type table");
	lua_gives("return 0/0", "not finite");
	lua_gives("local t = {}; t.t = t; return t", "too deeply");
	lua_gives("local t = {}; t[1] = t; return t", "too deeply");
}

static struct perry_err *raised(const char *code)
{
	assert_int_not_equal(luaL_dostring(L, code), LUA_OK);
	struct perry_err *e = err_of_value(L, -1);
	lua_settop(L, 0);
	return e;
}

static void errors(void **state)
{
	(void)state;
	cleanup_err struct perry_err *
		a = raised("base.fail('NOT_FOUND', 'gone', {x=1})"),
	       *b = raised("local x = nil; x.y = 1"), *c = raised("error({})"), *d = raised("base.canonical(print)"),
	       *e = raised("local ok, e = pcall(base.fail, 'CONFLICT', 'a'); e.message = 'b: ' .. e.message; error(e)");
	assert_int_equal(a->code, PERRY_ENOTFOUND);
	assert_string_equal(a->msg, "gone");
	assert_int_equal(json_int_or(a->data, "x", 0), 1);
	assert_int_equal(b->code, PERRY_EINTERNAL);
	assert_non_null(strstr(b->msg, "attempt to index a nil value"));
	assert_non_null(strstr(c->msg, "type table"));
	assert_int_equal(d->code, PERRY_EINTERNAL);
	assert_int_equal(e->code, PERRY_ECONFLICT);
	assert_string_equal(e->msg, "b: a");
}

/* Every n-th allocation of Lua fails, inside bindings too: an error each time, no leak, no crash. */
struct failing {
	long left;
};

static void *failing_alloc(void *ctx, void *p, size_t old, size_t n)
{
	struct failing *f = ctx;
	(void)old;
	if (n == 0) {
		free(p);
		return NULL;
	}
	/* Lua tries once more after collecting: from the n-th on all fail. */
	if (n > (p ? old : 0) && f->left > 0 && (f->left == 1 || --f->left == 1))
		return NULL;
	return realloc(p, n);
}

static int work(lua_State *l)
{
	box_open(l);
	json_open(l);
	luaL_requiref(l, "base", lib_base, 0);
	lua_pop(l, 1);
	for (int i = 0; i < 3; i++) {
		lua_pushcfunction(l, lib_base);
		lua_call(l, 0, 1);
		lua_getfield(l, -1, "decode");
		lua_pushliteral(l, "{\"a\":[1,2,{\"b\":\"some text that is longer than forty characters, so it is no "
				   "short string\"}],\"c\":{}}");
		lua_call(l, 1, 1);
		lua_getfield(l, -2, "canonical");
		lua_insert(l, -2);
		lua_call(l, 1, 1);
		lua_getfield(l, -2, "fail");
		lua_pushliteral(l, "NOT_FOUND");
		lua_pushvalue(l, -3);
		lua_pcall(l, 2, 0, 0);
		lua_settop(l, 0);
	}
	return 0;
}

static void allocation_fails(void **state)
{
	(void)state;
	int failed = 0, succeeded = 0;
	for (long n = 1; n < 2000 && succeeded < 3; n++) {
		struct failing f = { 0 };
		lua_State *l = lua_newstate(failing_alloc, &f);
		f.left = n + 1;
		lua_pushcfunction(l, work);
		int rc = lua_pcall(l, 0, 0, 0);
		rc == LUA_OK ? succeeded++ : failed++;
		if (rc != LUA_OK)
			assert_int_equal(rc, LUA_ERRMEM);
		f.left = 0;
		lua_close(l);
	}
	assert_in_range(failed, 50, 2000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(there_and_back), T(from_lua), T(errors), T(allocation_fails) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
