/* What is said to do when a join did not succeed: the words of the control servers as they are. Those that Headscale
 * has are heard from a real one in tests/tailnet/join_workspace.bats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/embed.h"

static lua_State *begin(void)
{
	const struct embedded *f = embed_find("lua/perry/refusals.lua");
	lua_State *L = luaL_newstate();
	luaL_openlibs(L);
	assert_non_null(f);
	if (luaL_loadbuffer(L, f->data, (size_t)(f->end - f->data), "=refusals") != LUA_OK ||
	    lua_pcall(L, 0, 1, 0) != LUA_OK)
		fail_msg("%s", lua_tostring(L, -1));
	return L;
}

static void check(lua_State *L, const char *reason, const char *kind, bool refused)
{
	lua_getfield(L, -1, "kind");
	lua_pushstring(L, reason);
	lua_call(L, 1, 1);
	const char *got = lua_tostring(L, -1);
	if (strcmp(got ? got : "-", kind))
		fail_msg("\"%s\" is \"%s\", not \"%s\"", reason, got ? got : "-", kind);
	lua_pop(L, 1);
	lua_getfield(L, -1, "is_refusal");
	lua_pushstring(L, reason);
	lua_call(L, 1, 1);
	if (lua_toboolean(L, -1) != refused)
		fail_msg("\"%s\" is %s refusal", reason, refused ? "a" : "no");
	lua_pop(L, 1);
}

static void kinds(void **state)
{
	static const struct {
		const char *reason, *kind;
		bool refused;
	} all[] = {
		/* The helper in the workspace: nothing was asked of a control server, whatever else it says. */
		{ "perry-step join gave no answer", "helper", false },
		{ "perry-step join: no answer", "helper", false },
		{ "perry-step join: exec failed: no such file or directory", "helper", false },
		/* Headscale */
		{ "authkey already used", "key used", true },
		{ "authkey expired", "key expired", true },
		{ "invalid pre auth key", "key unknown", true },
		{ "failed to parse auth-key: generated prefix has invalid length", "key unknown", true },
		{ "requested tags [tag:x] are invalid or not permitted", "tags", true },
		{ "https://hs.example answers 500: auth-key must be either tagged or owned by user", "tags missing",
		  true },
		{ "node exist with different machine key", "same state twice", true },
		/* Tailscale */
		{ "invalid key: API key does not exist", "key unknown", true },
		{ "invalid key: API key kX1 not valid", "key unknown", true },
		{ "invalid key: unable to validate API key", "key unknown", true },
		{ "key cannot be used for node auth", "key of another kind", true },
		{ "the device waits for an admin of the tailnet to approve it", "approval", false },
		{ "rate limited: node registration rate limited; will retry after 30s (retry after 30s)", "rate limit",
		  false },
		{ "https://api.tailscale.com does not accept tailscale.credentials.main for this (403: calling actor "
		  "does not have enough permissions to perform this function)",
		  "credential", false },
		/* The network. An address has the words of a key in it. */
		{ "POST https://hs.example/api/v1/preauthkey: connection refused", "unreachable", false },
		{ "https://invalid-key.example answers 503: in maintenance", "unreachable", false },
		{ "no answer from the control server in time", "unreachable", false },
		{ "fetch control key: Get \"https://hs.example/key?v=142\": dial tcp: lookup hs.example on "
		  "127.0.0.11:53: no such host",
		  "name", false },
		{ "fetch control key: Get \"http://no-such.invalid/key?v=142\": failed to resolve \"no-such.invalid\": "
		  "no DNS "
		  "fallback candidates remain for \"no-such.invalid\"",
		  "name", false },
		{ "Tailscale could not establish an encrypted connection with '\"hs.example\"': tls: failed to verify "
		  "certificate: x509: certificate signed by unknown authority",
		  "certificate", false },
		{ "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time "
		  "2021-01-01T00:00:00Z is before 2026-01-01T00:00:00Z",
		  "clock", false },
		{ "tls: first record does not look like a TLS handshake", "certificate", false },
		{ "fetch control key response: invalid character '<' looking for beginning of value",
		  "a proxy or portal", false },
		{ "Unable to connect to the Tailscale coordination server to synchronize the state of your tailnet.",
		  "unreachable", false },
		{ "something that nobody has said before", "-", false },
	};
	(void)state;
	lua_State *L = begin();
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		check(L, all[i].reason, all[i].kind, all[i].refused);
	lua_close(L);
}

static char *mend(lua_State *L, const char *reason, const char *server)
{
	lua_getfield(L, -1, "mend");
	lua_pushstring(L, reason);
	lua_newtable(L);
	lua_pushliteral(L, "web");
	lua_setfield(L, -2, "name");
	lua_pushliteral(L, "workspace-web");
	lua_setfield(L, -2, "container");
	lua_pushstring(L, server);
	lua_setfield(L, -2, "login_server");
	lua_call(L, 2, 1);
	char *text = (char *)lua_tostring(L, -1); /* the state's */
	lua_pop(L, 1);
	return text;
}
#define says(reason, server, part) \
	if (!strstr(mend(L, reason, server), part)) \
	fail_msg("\"%s\" is not in \"%s\"", part, mend(L, reason, server))

static void whose_console(void **state)
{
	(void)state;
	lua_State *L = begin();
	says("authkey expired", "https://hs.example", "headscale preauthkeys create");
	says("invalid key: API key does not exist", NULL, "https://login.tailscale.com/admin/settings/keys");
	says("connection refused", "https://hs.example", "then: perry start web");
	says("something new", NULL, "docker exec workspace-web tailscale status");
	if (strstr(mend(L, "the device waits for an admin of the tailnet to approve it", "https://hs.example"),
		   "tailscale.com"))
		fail_msg("Headscale's users are sent to Tailscale's console");
	lua_close(L);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kinds), cmocka_unit_test(whose_console) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
