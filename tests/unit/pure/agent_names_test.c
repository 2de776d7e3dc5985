/* What may be the name of a workspace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/names.h"
#include "base/mem.h"

static void hostile_names(void **state)
{
	static const char *const bad[] = { "../x",     "a/b",  "-a", "a-",  "A",   "a b", "a.b",
					   "\xc3\xa9", "a\nb", ".*", "a_b", "%zz", "-" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_non_null(name_problem(bad[i], true));
	assert_non_null(name_problem("@host", false));
	assert_null(name_problem("a", false));
	assert_null(name_problem("0", false));
	assert_null(name_problem("a--b", false));
	assert_null(name_problem("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false));
	assert_non_null(name_problem("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false));
	assert_null(name_problem("@host", true));
	assert_non_null(name_problem("", true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
