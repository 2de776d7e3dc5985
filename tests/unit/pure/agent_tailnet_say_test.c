/* What the agent says of Tailscale: where one is sent depends on whose the control server is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tailnet/say.h"
#include "base/mem.h"

static const struct tailnet_node tailscales = { .running = true, .name = "h.x.ts.net" };
static const struct tailnet_node headscales = { .running = true, .name = "h.ws", .control = "https://hs.example" };

static void lines(const struct tailnet_node *n, const struct outcome *o, struct buf *said)
{
	cleanup_buf struct buf after = { 0 };
	outcome_lines(n, o, 7391, said, &after);
}

static void an_own_control_server_is_known_by_its_url(void **state)
{
	(void)state;
	assert_true(control_is_tailscales(""));
	assert_true(control_is_tailscales("https://controlplane.tailscale.com"));
	assert_false(control_is_tailscales("https://headscale.example.com"));
}

static void users_of_headscale_are_not_sent_to_tailscales_console(void **state)
{
	static const enum reach all[] = { REACH_UNKNOWN, REACH_NOT_RUNNING,  REACH_LOGGED_OUT,
					  REACH_STOPPED, REACH_NOT_APPROVED, REACH_RUNNING };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct outcome o = { .reach = all[i] };
		cleanup_buf struct buf said = { 0 };
		lines(&headscales, &o, &said);
		if (strstr(buf_str(&said), "login.tailscale.com"))
			fail_msg("%s", buf_str(&said));
	}
	assert_null(strstr(places_of(&headscales)->magic_dns, "tailscale.com"));
}

static void users_of_tailscale_are(void **state)
{
	struct outcome unapproved = { .reach = REACH_NOT_APPROVED }, running = { .reach = REACH_RUNNING };
	cleanup_buf struct buf one = { 0 }, two = { 0 };
	(void)state;
	lines(&tailscales, &unapproved, &one);
	assert_non_null(strstr(buf_str(&one), "https://login.tailscale.com/admin/machines"));
	lines(&tailscales, &running, &two);
	assert_non_null(strstr(buf_str(&two),
			       "Tailscale HTTPS not enabled in tailnet\nTo enable: HTTPS certificates at "
			       "https://login.tailscale.com/admin/dns\n"));
	assert_non_null(strstr(places_of(&tailscales)->magic_dns, "https://login.tailscale.com/admin/dns"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_own_control_server_is_known_by_its_url),
		cmocka_unit_test(users_of_headscale_are_not_sent_to_tailscales_console),
		cmocka_unit_test(users_of_tailscale_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
