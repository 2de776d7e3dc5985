/* Names in headers. The encoded texts are what Go's mime.QEncoding gives, as tailscaled uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tailnet/rfc2047.h"
#include "base/mem.h"

static void decoded(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "anna@example.com", "anna@example.com" },
		{ "a  b", "a  b" },
		{ "=?utf-8?q?J=C3=B6rg_M=C3=BCller?=", "Jörg Müller" },
		{ "=?UTF-8?Q?a=3Db?=", "a=b" },
		{ "=?utf-8?b?SsO2cmc=?=", "Jörg" },
		/* A long one is cut in two; blanks between are none of its text, others are. */
		{ "=?utf-8?q?=C3=A4?= =?utf-8?q?=C3=B6?=", "äö" },
		{ "=?utf-8?q?=C3=A4?= x =?utf-8?q?=C3=B6?=", "ä x ö" },
		/* What is no proper encoding stays as it is: it equals no login then. */
		{ "=?utf-8?q?=C3?=", "=?utf-8?q?=C3?=" },
		{ "=?utf-8?q?=00?=", "=?utf-8?q?=00?=" },
		{ "=?utf-8?q?=4?=", "=?utf-8?q?=4?=" },
		{ "=?utf-8?q?abc", "=?utf-8?q?abc" },
		{ "=?utf-8?q?a b?=", "=?utf-8?q?a b?=" },
		{ "=?iso-8859-1?q?a?=", "=?iso-8859-1?q?a?=" },
		{ "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
		{ "=?utf-8?b?***?=", "=?utf-8?b?***?=" },
		{ "=?utf-8?b?AAAA?=", "=?utf-8?b?AAAA?=" },
		{ "=?utf-8?", "=?utf-8?" },
		{ "=?", "=?" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *got = rfc2047_decode(cases[i][0]);
		assert_string_equal(got, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decoded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
