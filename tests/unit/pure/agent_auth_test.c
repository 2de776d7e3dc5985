/* Who may call: each row is a way in that must be open, or one that must be shut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/who/auth.h"
#include "base/mem.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

/* The machine's clock, which nobody can put forward for a test: instead of libc's. */
static int64_t later_ms;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long rc = syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec += later_ms / 1000;
	return (int)rc;
}

static struct auth *make(const char *token)
{
	struct auth *a = auth_new();
	cleanup_json cJSON *hosts = cJSON_Parse("[\"box.example\"]"),
			   *origins = cJSON_Parse("[\"https://app.example\"]");
	auth_configure(a, token, 7391, hosts, origins);
	return a;
}

static bool tcp(struct auth *a, const char *authorization, const char *cookie, const char *site, struct caller *c)
{
	const struct auth_request r = { .listener = LISTENER_TCP,
					.loopback = true,
					.uid = geteuid(),
					.method = "POST",
					.host = "localhost:7391",
					.authorization = authorization,
					.cookie = cookie,
					.fetch_site = site };
	return auth_check(a, &r, c);
}

static bool tcp_session(struct auth *a, const char *cookie, const char *key, const char *site, struct caller *c)
{
	const struct auth_request r = { .listener = LISTENER_TCP,
					.loopback = true,
					.method = "POST",
					.host = "localhost:7391",
					.cookie = cookie,
					.session_key = key,
					.fetch_site = site };
	return auth_check(a, &r, c);
}

static void tokens(void **state)
{
	struct auth *a = make(TOKEN);
	struct caller c;
	(void)state;
	assert_true(tcp(a, "Bearer " TOKEN, NULL, NULL, &c));
	assert_int_equal(c.rights, RIGHT_ALL);
	assert_true(c.owner);
	static const char *const wrong[] = { NULL,
					     "",
					     TOKEN,
					     "bearer " TOKEN,
					     "Bearer",
					     "Bearer ",
					     "Bearer  " TOKEN,
					     "Bearer " TOKEN " ",
					     "Bearer wrong",
					     "Bearer 0123456789abcdef0123456789abcdeF",
					     "Basic " TOKEN };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(tcp(a, wrong[i], NULL, NULL, &c));
	auth_free(a);
}

static void unix_socket(void **state)
{
	struct auth *a = make(TOKEN);
	struct auth_request r = { .listener = LISTENER_SOCKET, .uid = geteuid(), .method = "POST" };
	struct caller c;
	(void)state;
	assert_true(auth_check(a, &r, &c));
	assert_string_equal(c.kind, "local");
	assert_true(auth_host_ok(a, &r)); /* no Host needed: no browser gets here */
	r.uid = geteuid() + 1;
	r.authorization = "Bearer " TOKEN;
	assert_false(auth_check(a, &r, &c)); /* another user of this machine */
	auth_free(a);
}

static void authentication_off(void **state)
{
	struct auth *a = make("");
	struct caller c;
	struct session cookie;
	const struct auth_request plain = { .listener = LISTENER_TCP };
	(void)state;
	assert_true(tcp(a, NULL, NULL, NULL, &c));
	assert_int_equal(c.rights & RIGHT_ADMIN, 0);
	assert_false(c.owner);
	assert_false(auth_login_token(a, &plain, "", &cookie));
	auth_free(a);
}

static void hosts(void **state)
{
	struct auth *a = make(TOKEN);
	char own[300], name[256] = "";
	(void)state;
	gethostname(name, sizeof name - 1);
	snprintf(own, sizeof own, "%s:7391", name);
	const char *good[] = { "localhost",  "localhost:7391", "LOCALHOST:1", "localhost.:7391",  "127.0.0.1:7391",
			       "[::1]:7391", "[::1]",          "box.example", "Box.Example:7391", own };
	const char *bad[] = { NULL,
			      "",
			      ":7391",
			      "evil.example",
			      "localhost.evil.example",
			      "127.0.0.1.evil.example",
			      "localhost:7391:1",
			      "localhost@evil",
			      "127.0.0.2",
			      "[::1",
			      "[::2]:7391",
			      "localhost:80a",
			      "0.0.0.0:7391" };
	struct auth_request r = { .listener = LISTENER_TCP };
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		r.host = good[i];
		if (!auth_host_ok(a, &r))
			fail_msg("%s", good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		r.host = bad[i];
		if (auth_host_ok(a, &r))
			fail_msg("%s", bad[i]);
	}
	auth_free(a);
}

static void origins(void **state)
{
	struct auth *a = make(TOKEN);
	static const struct {
		const char *method, *origin;
		bool websocket, ok;
	} rows[] = {
		{ "POST", NULL, false, true },
		{ "POST", "http://localhost:7391", false, true },
		{ "POST", "https://localhost:7391", false, true },
		{ "POST", "https://app.example", false, true },
		{ "POST", "http://localhost:3000", false, false }, /* a workspace's page, forwarded here */
		{ "POST", "http://localhost", false, false },
		{ "POST", "http://evil.example", false, false },
		{ "POST", "http://app.example", false, false },
		{ "POST", "https://app.example.evil", false, false },
		{ "POST", "null", false, false },
		{ "POST", "file://localhost:7391", false, false },
		{ "POST", "", false, false },
		{ "DELETE", "http://evil.example", false, false },
		{ "GET", "http://evil.example", false, true }, /* it cannot read the answer */
		{ "GET", "http://evil.example", true, false },
		{ "GET", "http://localhost:7391", true, true },
		{ "GET", NULL, true, true },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct auth_request r = { .listener = LISTENER_TCP,
					  .method = rows[i].method,
					  .host = "localhost:7391",
					  .origin = rows[i].origin,
					  .upgrade = rows[i].websocket };
		if (auth_origin_ok(a, &r) != rows[i].ok)
			fail_msg("%s %s", rows[i].method, rows[i].origin ? rows[i].origin : "-");
	}
	assert_true(auth_origin_allowed(a, "https://app.example"));
	assert_false(auth_origin_allowed(a, "null"));
	auth_free(a);
}

static char *cookie_of(const char *line)
{
	return xstrndup(line, strcspn(line, ";"));
}

static void sessions(void **state)
{
	struct auth *a = make(TOKEN);
	struct caller c;
	struct session first, second;
	char gone[192];
	const struct auth_request plain = { .listener = LISTENER_TCP };
	(void)state;
	assert_false(auth_login_token(a, &plain, "wrong", &first));
	assert_true(auth_login_token(a, &plain, TOKEN, &first));
	assert_non_null(strstr(first.cookie, "HttpOnly"));
	assert_non_null(strstr(first.cookie, "SameSite=Strict"));
	assert_null(strstr(first.cookie, "Secure"));
	cleanup_free char *cookie = cookie_of(first.cookie), *among = xasprintf("a=b; %s; c=d", cookie),
			  *longer = xasprintf("%s0", first.key);
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
	cleanup_free char *other = xasprintf("perry_7392=%s", zeros), *wrong = xasprintf("perry_7391=%s", zeros);
	assert_null(strstr(cookie, first.key));
	const struct {
		const char *cookie, *key, *site;
		bool ok;
	} rows[] = {
		{ cookie, first.key, NULL, true },
		{ among, first.key, "same-origin", true },
		{ cookie, first.key, "none", true },
		{ cookie, NULL, NULL, false }, /* all that another port of the host gets */
		{ cookie, NULL, "same-origin", false },
		{ cookie, "", NULL, false },
		{ cookie, longer, NULL, false },
		{ cookie, zeros, NULL, false },
		{ cookie, strchr(cookie, '=') + 1, NULL, false },
		{ NULL, first.key, NULL, false },
		{ wrong, first.key, NULL, false },
		{ cookie, first.key, "same-site", false }, /* a page of localhost:3000 */
		{ cookie, first.key, "cross-site", false },
		{ "perry_7391=", first.key, NULL, false },
		{ other, first.key, NULL, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (tcp_session(a, rows[i].cookie, rows[i].key, rows[i].site, &c) != rows[i].ok)
			fail_msg("row %zu", i);
	assert_true(auth_login_token(a, &plain, TOKEN, &second));
	assert_string_not_equal(first.key, second.key);
	assert_false(tcp_session(a, cookie, second.key, NULL, &c)); /* the halves of two sessions */
	const struct auth_request r = { .listener = LISTENER_TCP, .cookie = cookie };
	auth_logout(a, &r, gone);
	assert_non_null(strstr(gone, "Max-Age=0"));
	assert_false(tcp_session(a, cookie, first.key, NULL, &c));
	/* A new token ends what the old one opened; the same one does not. */
	cleanup_free char *kept = cookie_of(second.cookie);
	auth_configure(a, TOKEN, 7391, NULL, NULL);
	assert_true(tcp_session(a, kept, second.key, NULL, &c));
	auth_configure(a, "another-token-of-some-length", 7391, NULL, NULL);
	assert_false(tcp_session(a, kept, second.key, NULL, &c));
	/* Over https the cookie is for https. */
	const struct auth_request served = { .listener = LISTENER_SERVE };
	assert_true(auth_login_token(a, &served, "another-token-of-some-length", &first));
	assert_non_null(strstr(first.cookie, "; Secure"));
	auth_free(a);
}

static void sessions_end(void **state)
{
	struct auth *a = make(TOKEN);
	struct caller c;
	struct session s;
	const struct auth_request plain = { .listener = LISTENER_TCP };
	(void)state;
	assert_true(auth_login_token(a, &plain, TOKEN, &s));
	cleanup_free char *cookie = cookie_of(s.cookie);
	assert_true(tcp_session(a, cookie, s.key, NULL, &c));
	assert_int_equal(c.rights, RIGHT_ALL);
	assert_true(c.owner);
	later_ms = SESSION_ADMIN_S * 1000LL;
	assert_true(tcp_session(a, cookie, s.key, NULL, &c));
	assert_int_equal(c.rights, RIGHT_READ | RIGHT_USE | RIGHT_MANAGE);
	assert_false(c.owner);
	assert_string_not_equal(c.why, "");
	/* Used again and again it lives, but not for ever. */
	int64_t end = SESSION_MAX_S * 1000LL;
	for (; later_ms < end; later_ms += SESSION_IDLE_S * 1000LL - 60000)
		assert_true(tcp_session(a, cookie, s.key, NULL, &c));
	later_ms = end + 1000;
	assert_false(tcp_session(a, cookie, s.key, NULL, &c));
	assert_true(auth_login_token(a, &plain, TOKEN, &s));
	cleanup_free char *idle = cookie_of(s.cookie);
	later_ms += SESSION_IDLE_S * 1000LL;
	assert_false(tcp_session(a, idle, s.key, NULL, &c));
	later_ms = 0;
	auth_free(a);
}

static int changes;

static void on_change(void *ctx)
{
	(void)ctx;
	changes++;
}

/* Another agent after this one: what was kept of the sessions is no secret, and lets in whom it let in before. */
static void sessions_outlive_the_agent(void **state)
{
	struct auth *a = make(TOKEN), *b = make(TOKEN);
	struct caller c;
	struct session s, gone;
	char line[192];
	const struct auth_request plain = { .listener = LISTENER_TCP };
	(void)state;
	changes = 0;
	auth_on_change(a, on_change, NULL);
	assert_true(auth_login_token(a, &plain, TOKEN, &s));
	assert_true(auth_login_token(a, &plain, TOKEN, &gone));
	cleanup_free char *cookie = cookie_of(s.cookie), *ended = cookie_of(gone.cookie);
	const struct auth_request out = { .listener = LISTENER_TCP, .cookie = ended };
	assert_int_equal(changes, 2);
	auth_logout(a, &out, line);
	assert_int_equal(changes, 3);
	assert_true(tcp_session(a, cookie, s.key, NULL, &c));
	assert_int_equal(changes, 3); /* not for every request */
	later_ms = SESSION_IDLE_S * 500LL;
	assert_true(tcp_session(a, cookie, s.key, NULL, &c));
	assert_int_equal(changes, 4);
	cleanup_json cJSON *kept = auth_sessions(a);
	cleanup_free char *text = cJSON_PrintUnformatted(kept);
	assert_int_equal(cJSON_GetArraySize(kept), 1);
	assert_null(strstr(text, s.key));
	assert_null(strstr(text, strchr(cookie, '=') + 1));
	later_ms += SESSION_IDLE_S * 500LL + 60000;
	auth_restore(b, kept);
	assert_false(tcp_session(b, ended, gone.key, NULL, &c));
	assert_false(tcp_session(b, cookie, gone.key, NULL, &c));
	assert_true(tcp_session(b, cookie, s.key, NULL, &c));
	assert_false(c.rights & RIGHT_ADMIN); /* it was signed in long ago */
	/* What has ended meanwhile, is from the future or no hash is left out. */
	struct auth *later = make(TOKEN);
	later_ms += SESSION_MAX_S * 1000LL;
	auth_restore(later, kept);
	later_ms = -3600 * 1000LL;
	auth_restore(later, kept);
	cleanup_json cJSON *broken =
		cJSON_Parse("[{\"cookie\":\"\",\"key\":\"\",\"opened\":0,\"until\":9e15},1,null,{}]");
	auth_restore(later, broken);
	auth_restore(later, NULL);
	later_ms = 0;
	cleanup_json cJSON *none = auth_sessions(later);
	assert_int_equal(cJSON_GetArraySize(none), 0);
	auth_free(a);
	auth_free(b);
	auth_free(later);
}

static void once_only(void **state)
{
	struct auth *a = make(TOKEN);
	struct caller c = { .kind = "token", .rights = RIGHT_USE }, got;
	char link[65], ticket[65];
	struct session line;
	const struct auth_request plain = { .listener = LISTENER_TCP };
	(void)state;
	auth_new_link(a, link);
	assert_false(auth_use_ticket(a, link, "w", &got)); /* a link is no ticket */
	assert_true(auth_login_link(a, &plain, link, &line));
	assert_false(auth_login_link(a, &plain, link, &line));
	auth_new_ticket(a, &c, NULL, ticket);
	assert_true(auth_use_ticket(a, ticket, "w", &got));
	assert_int_equal(got.rights, RIGHT_USE);
	assert_false(auth_use_ticket(a, ticket, "w", &got));
	assert_false(auth_use_ticket(a, "", "w", &got));
	/* Of one name: for it alone, and gone when another was tried. */
	static const struct {
		const char *made_for, *used_for;
		bool ok;
	} rows[] = {
		{ "w", "w", true },
		{ "w", "@host", false },
		{ "w", "v", false },
		{ "w", "", false },
		{ "@host", "w", false },
		{ "@host", "@host", true },
		{ NULL, "w", true },
		{ NULL, "@host", false },
		{ AUTH_TICKET_STREAM, AUTH_TICKET_STREAM, true },
		{ AUTH_TICKET_STREAM, "w", false },
		{ NULL, AUTH_TICKET_STREAM, false },
		{ "w", AUTH_TICKET_STREAM, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auth_new_ticket(a, &c, rows[i].made_for, ticket);
		if (auth_use_ticket(a, ticket, rows[i].used_for, &got) != rows[i].ok)
			fail_msg("a ticket for %s, used for %s", rows[i].made_for, rows[i].used_for);
		assert_false(auth_use_ticket(a, ticket, "w", &got));
	}
	/* Many tickets push out the oldest, never a newer one. */
	char first[65], last[65];
	auth_new_ticket(a, &c, NULL, first);
	for (int i = 0; i < 64; i++)
		auth_new_ticket(a, &c, NULL, last);
	assert_true(auth_use_ticket(a, last, "w", &got));
	auth_free(a);
}

/* The names of this machine on its tailnet come and go with tailscaled. */
static void tailnet_names(void **state)
{
	struct auth *a = make(TOKEN);
	cleanup_json cJSON *names = cJSON_Parse("[\"box.tail.ts.net\",\"box\",\"100.64.0.1\",\"[fd7a:115c:a1e0::1]\"]"),
			   *none = cJSON_CreateArray();
	static const char *const good[] = { "box.tail.ts.net", "BOX:8443", "100.64.0.1:7391",
					    "[fd7a:115c:a1e0::1]:7391", "box.tail.ts.net." };
	static const char *const bad[] = { "box.tail.ts.net.evil.example", "100.64.0.2", "[fd7a:115c:a1e0::2]",
					   "other.tail.ts.net" };
	(void)state;
	auth_set_tailnet_names(a, names);
	for (int listener = LISTENER_TCP; listener <= LISTENER_SERVE; listener++) {
		struct auth_request r = { .listener = (enum listener)listener };
		for (size_t i = 0; i < ARRAY_LEN(good); i++) {
			r.host = good[i];
			assert_true(auth_host_ok(a, &r));
		}
		for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
			r.host = bad[i];
			assert_false(auth_host_ok(a, &r));
		}
	}
	auth_set_tailnet_names(a, none);
	assert_false(auth_host_ok(a, &(struct auth_request){ .listener = LISTENER_SERVE, .host = "box" }));
	auth_free(a);
}

/* With authentication off this machine is let in, and nobody whom a proxy or the tailnet brings. */
static void off_is_for_this_machine(void **state)
{
	struct auth *a = make(NULL);
	struct caller c;
	(void)state;
	struct auth_request r = { .listener = LISTENER_TCP,
				  .loopback = true,
				  .method = "POST",
				  .host = "localhost",
				  .authorization = "Bearer " };
	assert_true(auth_check(a, &r, &c));
	assert_string_equal(c.kind, "open");
	r.forwarded = true;
	assert_false(auth_check(a, &r, &c));
	r.forwarded = false;
	r.loopback = false; /* what "bind" listens on */
	assert_false(auth_check(a, &r, &c));
	r.loopback = true;
	r.listener = LISTENER_TAILNET;
	assert_false(auth_check(a, &r, &c));
	r.listener = LISTENER_SERVE;
	r.uid = geteuid();
	assert_false(auth_check(a, &r, &c));
	auth_free(a);
}

static void callers(void **state)
{
	struct caller c = { .kind = "token", .rights = RIGHT_READ | RIGHT_USE, .login = "token" };
	cleanup_json cJSON *j = caller_json(&c);
	(void)state;
	assert_true(caller_json_may(j, RIGHT_READ));
	assert_true(caller_json_may(j, RIGHT_USE));
	assert_false(caller_json_may(j, RIGHT_ADMIN));
	assert_false(caller_json_may(NULL, RIGHT_READ));
	const struct caller t = { .kind = "tailnet",
				  .login = "tag:a tag:b",
				  .tags = "tag:a tag:b",
				  .node_id = "n1",
				  .address = "100.64.0.2" };
	cleanup_json cJSON *k = caller_json(&t);
	cleanup_free char *text = json_print(k);
	assert_string_equal(
		text,
		"{\"kind\":\"tailnet\",\"login\":\"tag:a tag:b\",\"tags\":[\"tag:a\",\"tag:b\"],\"node_id\":\"n1\","
		"\"address\":\"100.64.0.2\",\"rights\":[],\"owner\":false}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),
		cmocka_unit_test(unix_socket),
		cmocka_unit_test(authentication_off),
		cmocka_unit_test(hosts),
		cmocka_unit_test(origins),
		cmocka_unit_test(sessions),
		cmocka_unit_test(sessions_end),
		cmocka_unit_test(sessions_outlive_the_agent),
		cmocka_unit_test(once_only),
		cmocka_unit_test(callers),
		cmocka_unit_test(tailnet_names),
		cmocka_unit_test(off_is_for_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
