/* perry.spec: which containers are made anew. A machine with IPv6 and one without are STAND-INS, the rest is as it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/embed.h"
#include "lua/internal.h"

static const char setting[] =
	"package.loaded['perry.names'] = {}\n"
	"package.loaded.files = { stat = function() return six and {} or nil end }\n"
	"tun = { { host = '/dev/net/tun', container = '/dev/net/tun' } }\n"
	"function plan(join, devices, network, sysctls)\n"
	"  return { join = join, container = { network = network or 'own', devices = devices, sysctls = sysctls } }\n"
	"end\n"
	"function differs(...)\n"
	"  six = true; local with = spec.hash(plan(...), 'tools')\n"
	"  six = false; return spec.hash(plan(...), 'tools') ~= with\n"
	"end\n";

static lua_State *begin(void)
{
	static struct run run;
	const struct embedded *f = embed_find("lua/perry/spec.lua");
	lua_State *L = luaL_newstate();
	*(struct run **)lua_getextraspace(L) = &run;
	luaL_openlibs(L);
	box_open(L);
	json_open(L);
	luaL_requiref(L, "base", lib_base, 0);
	assert_non_null(f);
	if (luaL_dostring(L, setting) || luaL_loadbuffer(L, f->data, (size_t)(f->end - f->data), "=spec") ||
	    lua_pcall(L, 0, 1, 0))
		fail_msg("%s", lua_tostring(L, -1));
	lua_setglobal(L, "spec");
	return L;
}

static void is(lua_State *L, const char *expression, bool expected)
{
	lua_pushfstring(L, "return %s", expression);
	if (luaL_dostring(L, lua_tostring(L, -1)))
		fail_msg("%s", lua_tostring(L, -1));
	if (lua_toboolean(L, -1) != expected)
		fail_msg("%s is %s", expression, expected ? "false" : "true");
}

/* Of what the agent adds to the plan, too: a container that was made without IPv6 is not the one that is wanted. */
static void a_container_that_lacks_ipv6_is_made_anew(void **state)
{
	(void)state;
	lua_State *L = begin();
	is(L, "differs(true, tun)", true);
	is(L, "differs(true, tun, 'own', { ['net.ipv4.ip_unprivileged_port_start'] = '0' })", true);
	/* no tailnet, userspace networking, a network of somebody else's */
	is(L, "differs(nil, tun)", false);
	is(L, "differs(true, {})", false);
	is(L, "differs(true, tun, 'bridge')", false);
	lua_close(L);
}

static void a_container_was_made_to_join_or_not(void **state)
{
	(void)state;
	lua_State *L = begin();
	is(L, "spec.joins({ Config = { Env = { 'A=1', 'TS_AUTHKEY=file:/run/perry/ts/authkey' } } })", true);
	is(L, "spec.joins({ Config = { Env = { 'TS_AUTHKEY=', 'NOT_TS_AUTHKEY=1' } } })", false);
	is(L, "spec.joins({ Config = {} })", false);
	is(L, "spec.joins(nil)", false);
	lua_close(L);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_container_that_lacks_ipv6_is_made_anew),
					    cmocka_unit_test(a_container_was_made_to_join_or_not) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
