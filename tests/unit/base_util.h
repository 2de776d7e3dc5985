/* What the tests of the base share: cmocka with its includes, and a folder of its own for each test. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

static char test_dir[64];

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline int test_dir_make(void **state)
{
	snprintf(test_dir, sizeof test_dir, "/tmp/perry-test-XXXXXX");
	return mkdtemp(test_dir) ? 0 : -1;
}

static inline int test_dir_remove(void **state)
{
	return nftw(test_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The error's message; fails the test when there is none. */
#define assert_msg(err, text) \
	do { \
		assert_non_null(err); \
		assert_string_equal(perry_msg(err), text); \
	} while (0)

#endif
