/* Files of variables, as people and their editors write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/env_file.h"

static void gives(const char *text, const char *expected)
{
	cleanup_json cJSON *into = cJSON_CreateObject();
	cleanup_err struct perry_err *err = NULL;
	if (env_file_parse("f", text, strlen(text), into, &err) < 0)
		fail_msg("%s: %s", text, perry_msg(err));
	cleanup_free char *got = cJSON_PrintUnformatted(into);
	assert_string_equal(got, expected);
}

static void refused(const char *text, size_t n, const char *why)
{
	cleanup_json cJSON *into = cJSON_CreateObject();
	cleanup_err struct perry_err *err = NULL;
	assert_int_equal(env_file_parse("f", text, n, into, &err), -1);
	if (!strstr(perry_msg(err), why))
		fail_msg("%s", perry_msg(err));
}

static void lines(void **state)
{
	(void)state;
	gives("A=1\n\n# no\n  export B = 2 \r\nC=\"x y\"\nD='x'\nE=\nF=a=b\nG=\"a\"b\"",
	      "{\"A\":\"1\",\"B\":\"2\",\"C\":\"x "
	      "y\",\"D\":\"x\",\"E\":\"\",\"F\":\"a=b\","
	      "\"G\":\"a\\\"b\"}");
	gives("\xef\xbb\xbf"
	      "A=1\n",
	      "{\"A\":\"1\"}");
	gives("\xef\xbb\xbf", "{}");
	gives("KEY=\"-----BEGIN-----\r\n  abc  \r\n-----END-----\"  \nB=1",
	      "{\"KEY\":\"-----BEGIN-----\\n  abc  \\n-----END-----\","
	      "\"B\":\"1\"}");
	gives("A='x\n# not a comment\n\n'\n", "{\"A\":\"x\\n# not a comment\\n\\n\"}");
}

static void what_is_none(void **state)
{
	(void)state;
	refused("x\n", 2, "f:1: expected KEY=VALUE");
	refused("A=1\n=2\n", 7, "f:2: expected KEY=VALUE");
	refused("A=1\nB=\"x\ny\n", 11, "f:2: the quote that begins here has no end");
	refused("A=\"x\nB=\"y\"\n", 11, "f:2: nothing may follow the quote");
	refused("A\0=1", 4, "expected text in UTF-8");
	refused("\xff\xfe"
		"A",
		3, "expected text in UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines), cmocka_unit_test(what_is_none) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
