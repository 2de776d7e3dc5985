#include "base_util.h"

#include "base/percent.h"

static void decoding(void **state)
{
	char out[64];
	assert_int_equal(percent_decode("/a%2fb+%C3%A4", 13, false, out), 0);
	assert_string_equal(out, "/a/b+\xc3\xa4");
	assert_int_equal(percent_decode("a+b", 3, true, out), 0);
	assert_string_equal(out, "a b");
	static const char *const bad[] = { "%", "%1", "%zz", "%2", "%%41", "a%0", "%00", "%4g", "% 1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(percent_decode(bad[i], strlen(bad[i]), false, out), -1);
}

static void digits(void **state)
{
	assert_int_equal(hex_value('0'), 0);
	assert_int_equal(hex_value('a'), 10);
	assert_int_equal(hex_value('F'), 15);
	static const char none[] = "/:@G`g \0\x10\xff";
	for (size_t i = 0; i < sizeof none; i++)
		assert_int_equal(hex_value(none[i]), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decoding), cmocka_unit_test(digits) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
