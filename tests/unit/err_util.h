/* What a test says of a call that takes &err. Behind cmocka.h; err is the test's own variable. */
#ifndef TESTS_ERR_UTIL_H
#define TESTS_ERR_UTIL_H
#include "base/err.h"

/* Fails the test with the error's text. */
#define ok(call) ok_at((call), &err, #call, __FILE__, __LINE__)
static inline void ok_at(int rc, struct perry_err *const *e, const char *what, const char *file, int line)
{
	if (rc != 0) {
		print_error("%s: %s\n", what, perry_msg(*e));
		_fail(file, line);
	}
}

/* The call must fail with this code; the text goes to *err for more looks. */
#define fails(expected, call) \
	do { \
		perry_err_free(err); \
		err = NULL; \
		assert_int_equal((call), -1); \
		assert_non_null(err); \
		if (err->code != (expected)) \
			print_error("%s\n", err->msg); \
		assert_int_equal(err->code, (expected)); \
	} while (0)

#endif
