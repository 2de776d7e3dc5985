/* What a workspace says of its sessions, as the agent takes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/stream/sessions.h"
#include "base/buf.h"
#include "base/mem.h"

static char *parse(const char *text)
{
	cleanup_json cJSON *list = sessions_parse(text, strlen(text));
	return list ? json_print(list) : NULL;
}

static void takes(const char *text, const char *want)
{
	cleanup_free char *got = parse(text);
	assert_non_null(got);
	assert_string_equal(got, want);
}

static void what_it_writes(void **state)
{
	(void)state;
	takes("{\"sessions\":[]}", "[]");
	takes("{\"sessions\":[{\"id\":\"k3f9\",\"name\":\"t\xc3\xa4st\",\"command\":\"npm "
	      "test\",\"created\":1764400000,"
	      "\"input\":1764400001,\"output\":1764400100,\"cols\":80,\"rows\":24,\"attached\":1,\"busy\":true,"
	      "\"program\":\"node\",\"bell\":7,\"more\":{\"x\":1}}],\"more\":1}",
	      "[{\"id\":\"k3f9\",\"name\":\"t\xc3\xa4st\",\"command\":\"npm test\",\"program\":\"node\","
	      "\"created\":1764400000,\"input\":1764400001,\"output\":1764400100,\"bell\":7,\"cols\":80,\"rows\":24,"
	      "\"attached\":1,\"busy\":true}]");
}

static void what_is_no_list(void **state)
{
	static const char *const bad[] = { "",
					   "nonsense",
					   "[]",
					   "7",
					   "null",
					   "{}",
					   "{\"sessions\":{}}",
					   "{\"sessions\":\"[]\"}",
					   "{\"sessions\":[]} x",
					   "{\"sessions\":[",
					   "{\"sessions\":[{\"id\":\"a\\u0000b\"}]}",
					   "{\"sessions\":[{\"id\":\"a\",\"name\":\"\xff\"}]}" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *got = parse(bad[i]);
		if (got)
			fail_msg("%s gives %s", bad[i], got);
	}
}

static void too_deep(void **state)
{
	cleanup_buf struct buf text = { 0 };
	(void)state;
	buf_adds(&text, "{\"sessions\":");
	for (int i = 0; i < 20000; i++)
		buf_addc(&text, '[');
	assert_null(sessions_parse(text.data, text.len));
}

#define ZEROS "\"created\":0,\"input\":0,\"output\":0,\"bell\":0,\"cols\":0,\"rows\":0,\"attached\":0,\"busy\":false"
#define EMPTY "\"name\":\"\",\"command\":\"\",\"program\":\"\"," ZEROS

static void ids(void **state)
{
	static const char *const bad[] = { "",         "..",        "a/b", "a b",
					   "\xc3\xa4", "\\u001b[m", "<b>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *text = xasprintf("{\"sessions\":[{\"id\":\"%s\"}]}", bad[i]);
		takes(text, "[]");
	}
	takes("{\"sessions\":[{},1,null,[],\"x\",{\"id\":5},{\"id\":\"a-_Z9\"}]}", "[{\"id\":\"a-_Z9\"," EMPTY "}]");
	assert_false(sessions_id_ok(NULL));
	assert_true(sessions_id_ok("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	/* One of them is one of them. */
	takes("{\"sessions\":[{\"id\":\"a\"},{\"id\":\"a\",\"name\":\"other\"}]}", "[{\"id\":\"a\"," EMPTY "}]");
}

static void wrong_types_are_nothing(void **state)
{
	(void)state;
	takes("{\"sessions\":[{\"id\":\"a\",\"name\":{\"x\":1},\"command\":[1],\"program\":7,\"created\":\"x\","
	      "\"input\":null,\"output\":-5,\"bell\":{},\"cols\":-1,\"rows\":[],\"attached\":false,\"busy\":\"true\"}]"
	      "}",
	      "[{\"id\":\"a\"," EMPTY "}]");
}

static void numbers_are_bounded(void **state)
{
	(void)state;
	takes("{\"sessions\":[{\"id\":\"a\",\"created\":1e300,\"input\":9007199254740993,\"output\":-1e300,"
	      "\"bell\":4503599627370497,\"cols\":1e9,\"rows\":10001,\"attached\":10000}]}",
	      "[{\"id\":\"a\",\"name\":\"\",\"command\":\"\",\"program\":\"\",\"created\":4503599627370496,"
	      "\"input\":4503599627370496,\"output\":0,\"bell\":4503599627370496,\"cols\":10000,\"rows\":10000,"
	      "\"attached\":10000,\"busy\":false}]");
}

static void texts_are_cut_and_clean(void **state)
{
	cleanup_buf struct buf text = { 0 };
	cleanup_json cJSON *list = NULL;
	(void)state;
	buf_adds(&text, "{\"sessions\":[{\"id\":\"a\",\"name\":\"x");
	for (int i = 0; i < 5000; i++)
		buf_adds(&text, "\xf0\x9f\x98\x80"); /* cut between characters */
	buf_adds(&text, "\",\"command\":\"\\u001b]0;x\\u0007 \xc2\x9b[m \xe2\x80\xaegnp.exe \xe2\x80\x8b\xef\xbb\xbf"
			"\\n\x7f\",\"program\":\"<script>\"}]}");
	list = sessions_parse(text.data, text.len);
	assert_non_null(list);
	const cJSON *row = cJSON_GetArrayItem(list, 0);
	assert_int_equal(strlen(json_str(row, "name")), 61);
	assert_string_equal(json_str(row, "command"), "?]0;x? ?[m ?gnp.exe ????");
	assert_string_equal(json_str(row, "program"), "<script>"); /* text, which is never markup */
}

static void many(void **state)
{
	cleanup_buf struct buf text = { 0 };
	cleanup_json cJSON *list = NULL;
	(void)state;
	buf_adds(&text, "{\"sessions\":[");
	for (int i = 0; i < 3000; i++)
		buf_addf(&text, "%s{\"id\":\"s%d\"}", i ? "," : "", i);
	buf_adds(&text, "]}");
	list = sessions_parse(text.data, text.len);
	assert_int_equal(cJSON_GetArraySize(list), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_writes),
		cmocka_unit_test(what_is_no_list),
		cmocka_unit_test(too_deep),
		cmocka_unit_test(ids),
		cmocka_unit_test(wrong_types_are_nothing),
		cmocka_unit_test(numbers_are_bounded),
		cmocka_unit_test(texts_are_cut_and_clean),
		cmocka_unit_test(many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
