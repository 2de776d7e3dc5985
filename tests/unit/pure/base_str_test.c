#include "base_util.h"

#include "base/encode.h"
#include "base/number.h"
#include "base/quote.h"
#include "base/utf8.h"

static void buffers(void **state)
{
	struct buf b = { 0 };
	assert_string_equal(buf_str(&b), "");
	buf_add(&b, NULL, 0);
	assert_null(b.data);
	for (int i = 0; i < 1000; i++) {
		buf_addf(&b, "%d,", i % 10);
		assert_int_equal(b.data[b.len], '\0');
		assert_true(b.cap > b.len);
	}
	assert_int_equal(b.len, 2000);
	buf_consume(&b, 1996);
	assert_string_equal(b.data, "8,9,");
	buf_consume(&b, 99);
	assert_string_equal(buf_str(&b), "");
	buf_add(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	char *s = buf_take(&b);
	assert_memory_equal(s, "a\0b", 4);
	free(s);
	assert_null(b.data);
	s = buf_take(&b);
	assert_string_equal(s, "");
	free(s);
	/* Room without an end gets one when it is taken. */
	memcpy(buf_reserve(&b, 3), "xyz", 3);
	b.len = 3;
	b.data[3] = '!';
	s = buf_take(&b);
	assert_string_equal(s, "xyz");
	free(s);
	buf_free(&b);
}

static void small_helpers(void **state)
{
	assert_true(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("a", "ab"));
	assert_true(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("c", "bc"));
	assert_true(str_eq(NULL, NULL) && str_eq("a", "a") && !str_eq("a", NULL) && !str_eq(NULL, ""));
	char text[] = " \t a b \n";
	assert_string_equal(str_trim(text), "a b");
	char blank[] = "  ";
	assert_string_equal(str_trim(blank), "");
	cleanup_buf struct buf q = { 0 };
	shell_quote(&q, "it's $HOME");
	assert_string_equal(q.data, "'it'\\''s $HOME'");
}

static void nearest(void **state)
{
	static const char *const words[] = { "start", "stop", "status", "shell", "list", "rm", NULL };
	assert_string_equal(str_nearest("strat", words), "start");
	assert_string_equal(str_nearest("statsu", words), "status");
	assert_string_equal(str_nearest("lst", words), "list");
	assert_string_equal(str_nearest("stop", words), "stop");
	assert_null(str_nearest("frobnicate", words));
	assert_null(str_nearest("xx", words));
	assert_null(str_nearest("stop", NULL));
	/* The same word wins over one that is only near and comes first. */
	static const char *const near[] = { "ports", "port", NULL };
	assert_string_equal(str_nearest("port", near), "port");
	char longer[200];
	memset(longer, 'a', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	assert_null(str_nearest(longer, words));
}

static void integers(void **state)
{
	long long v = 42;
	static const char *const bad[] = { "",    " 1",  "1 ", "x", "1x", "0x10", "99999999999999999999",
					   "101", "-11", "1.0" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (str_to_int(bad[i], -10, 100, &v) == 0)
			fail_msg("\"%s\" passed", bad[i]);
	assert_int_equal(str_to_int(NULL, 0, 9, &v), -1);
	assert_int_equal(v, 42);
	assert_int_equal(str_to_int("-10", -10, 100, &v), 0);
	assert_int_equal(v, -10);
	assert_int_equal(str_to_int("100", -10, 100, &v), 0);
	assert_int_equal(v, 100);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		long long bytes; /* -1: refused */
	} cases[] = {
		{ "0", 0 },
		{ "1024", 1024 },
		{ "1b", 1 },
		{ "1k", 1024 },
		{ "512m", 512LL << 20 },
		{ "1.5g", 3LL << 29 },
		{ "4GiB", 4LL << 30 },
		{ "4GB", 4LL << 30 },
		{ "4 GiB", 4LL << 30 },
		{ "2T", 2LL << 40 },
		{ ".5k", 512 },
		{ "", -1 },
		{ "g", -1 },
		{ "-1", -1 },
		{ "1x", -1 },
		{ "1gg", -1 },
		{ "1bb", -1 },
		{ "0x10", -1 },
		{ "1e3", -1 },
		{ "1.2.3", -1 },
		{ "nan", -1 },
		{ "inf", -1 },
		{ ".", -1 },
		{ "99999999999t", -1 },
		{ "1g ", -1 },
		{ " 1g", -1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		long long v = -1;
		int rc = str_to_bytes(cases[i].text, &v);
		if (v != cases[i].bytes || rc != (cases[i].bytes < 0 ? -1 : 0))
			fail_msg("\"%s\": %d %lld", cases[i].text, rc, v);
	}
	long long v;
	assert_int_equal(str_to_bytes(NULL, &v), -1);
}

static void utf8(void **state)
{
	static const struct {
		const char *text, *scrubbed; /* NULL: valid */
	} cases[] = {
		{ "", NULL },
		{ "abc", NULL },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", NULL },
		{ "\xf4\x8f\xbf\xbf", NULL },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* beyond U+10FFFF */
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },                                 /* overlong NUL */
		{ "\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
		{ "a\x80z", "a\xef\xbf\xbdz" },
		{ "a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc3"
		  "a",
		  "\xef\xbf\xbd"
		  "a" },
		{ "\xff", "\xef\xbf\xbd" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_buf struct buf b = { 0 };
		size_t n = strlen(cases[i].text);
		utf8_scrub(&b, cases[i].text, n);
		assert_int_equal(utf8_valid(cases[i].text, n), cases[i].scrubbed == NULL);
		assert_string_equal(buf_str(&b), cases[i].scrubbed ? cases[i].scrubbed : cases[i].text);
		assert_true(utf8_valid(buf_str(&b), b.len));
	}
	cleanup_buf struct buf b = { 0 };
	utf8_scrub(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	utf8_scrub(&b, NULL, 0);
	assert_int_equal(b.len, 3);
}

static void base64(void **state)
{
	static const char *const pairs[][2] = { { "", "" },
						{ "f", "Zg==" },
						{ "fo", "Zm8=" },
						{ "foo", "Zm9v" },
						{ "foob", "Zm9vYg==" },
						{ "fooba", "Zm9vYmE=" },
						{ "foobar", "Zm9vYmFy" },
						{ "\xff\xfe\xfb", "//77" } };
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		cleanup_buf struct buf e = { 0 }, d = { 0 };
		base64_encode(&e, pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(buf_str(&e), pairs[i][1]);
		assert_int_equal(base64_decode(&d, pairs[i][1], strlen(pairs[i][1])), 0);
		assert_string_equal(buf_str(&d), pairs[i][0]);
	}
	static const char *const bad[] = { "Z", "Zg=", "Zg", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm-v", "Zm9vZ=g=" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_buf struct buf d = { 0 };
		buf_adds(&d, "before");
		assert_int_equal(base64_decode(&d, bad[i], strlen(bad[i])), -1);
		assert_string_equal(d.data, "before");
		assert_int_equal(d.len, 6);
	}
	cleanup_buf struct buf d = { 0 };
	assert_int_equal(base64_decode(&d, "Zm\0v", 4), -1);
	char hex[9];
	hex_encode(hex, (const unsigned char *)"\x00\x7f\x80\xff", 4);
	assert_string_equal(hex, "007f80ff");
}

static void errors(void **state)
{
	struct perry_err *err = NULL;
	assert_int_equal(perry_fail(&err, PERRY_ECONFLICT, "%s exists", "a"), -1);
	assert_int_equal(perry_wrap(&err, "start %d", 1), -1);
	assert_msg(err, "start 1: a exists");
	assert_int_equal(err->code, PERRY_ECONFLICT);
	perry_fail(&err, PERRY_EINPUT, "again: %s", perry_msg(err)); /* its own old text as an argument */
	assert_msg(err, "again: start 1: a exists");
	perry_fail_errno(&err, ENOENT, "open %s", "x");
	assert_msg(err, "open x: No such file or directory");
	assert_int_equal(err->code, PERRY_ENOTFOUND);
	struct perry_err *copy = perry_err_copy(err), *moved = NULL;
	perry_err_free(err);
	assert_msg(copy, "open x: No such file or directory");
	perry_move(&moved, copy);
	assert_ptr_equal(moved, copy);
	perry_move(&moved, moved);
	perry_move(NULL, moved);
	assert_int_equal(perry_fail(NULL, PERRY_EINPUT, "nobody cares"), -1);
	assert_int_equal(perry_wrap(NULL, "nobody cares"), -1);
	assert_string_equal(perry_msg(NULL), "unknown error");
	/* What the API says comes back as the same code where the API has a name of its own for it. */
	for (int c = PERRY_EINTERNAL; c <= PERRY_ECANCELLED; c++)
		assert_int_equal(perry_code_from_api(perry_code_row((enum perry_code)c)->api_code), c);
	assert_int_equal(perry_code_from_http(404), PERRY_ENOTFOUND);
	assert_int_equal(perry_code_from_http(418), PERRY_EINPUT);
	assert_int_equal(perry_code_from_http(599), PERRY_EINTERNAL);
	assert_int_equal(perry_code_from_api(NULL), PERRY_EINTERNAL);
	assert_int_equal(perry_code_row((enum perry_code)99)->http_status, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers),  cmocka_unit_test(small_helpers), cmocka_unit_test(nearest),
		cmocka_unit_test(integers), cmocka_unit_test(sizes),         cmocka_unit_test(utf8),
		cmocka_unit_test(base64),   cmocka_unit_test(errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
