#include "base_util.h"

#include <math.h>

#include "base/json.h"

static cJSON *parse(const char *text)
{
	cleanup_err struct perry_err *err = NULL;
	cJSON *j = json_parse(text, strlen(text), "t", &err);
	if (!j)
		fail_msg("%s", perry_msg(err));
	return j;
}

static void refused_with(enum perry_code code, const char *text, size_t n, const char *msg)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *j = json_parse(text, n, "a.json", &err);
	assert_null(j);
	assert_msg(err, msg);
	assert_int_equal(err->code, code);
	assert_null(json_parse(text, n, "a.json", NULL)); /* nobody has to care */
}

static void refused(const char *text, size_t n, const char *msg)
{
	refused_with(PERRY_EINPUT, text, n, msg);
}

static void prints(const cJSON *j, const char *text)
{
	cleanup_free char *got = json_print(j);
	assert_string_equal(got, text);
}

static void positions(void **state)
{
	static const struct {
		const char *text, *msg;
	} cases[] = {
		{ "", "a.json:1:1: unexpected end, expected a value" },
		{ " \n ", "a.json:2:2: unexpected end, expected a value" },
		{ "{\n  \"a\": 1,\n  \"b\" 2\n}", "a.json:3:7: unexpected '2', expected ':'" },
		{ "{\"a\":1 \"b\":2}", "a.json:1:8: unexpected '\"', expected ',' or '}'" },
		{ "[1,2", "a.json:1:5: unexpected end, expected ',' or ']'" },
		{ "{\"a\":[1,\n2,\n]}", "a.json:2:2: comma after the last element" },
		{ "{\"a\":1,}", "a.json:1:7: comma after the last member" },
		{ "{a:1}", "a.json:1:2: unexpected 'a', expected a key in double quotes" },
		{ "{'a':1}", "a.json:1:2: expected a key in double quotes (strings need double quotes)" },
		{ "// x\n1", "a.json:1:1: expected a value (JSON has no comments)" },
		{ "{} {}", "a.json:1:4: text after the end of the value" },
		{ "1 2", "a.json:1:3: text after the end of the value" },
		{ "truex", "a.json:1:5: text after the end of the value" },
		{ "nul", "a.json:1:1: unexpected 'n', expected a value" },
		{ "NaN", "a.json:1:1: unexpected 'N', expected a value" },
		{ "-", "a.json:1:2: unexpected end, expected a digit" },
		{ "01", "a.json:1:1: a number may not start with 0" },
		{ "1.", "a.json:1:3: unexpected end, expected a digit" },
		{ "1e", "a.json:1:3: unexpected end, expected a digit" },
		{ "[1e999]", "a.json:1:2: number out of range" },
		{ "1111111111222222222233333333334444444444555555555566666666667777",
		  "a.json:1:1: number of more than 63 characters" },
		{ "[\"abc", "a.json:1:2: string without an end" },
		{ "\"a\nb\"", "a.json:1:3: line break in a string, write it as an escape" },
		{ "\"a\tb\"", "a.json:1:3: control character in a string, write it as an escape" },
		{ "\"\\x\"", "a.json:1:2: unknown escape in a string" },
		{ "\"\\u12g4\"", "a.json:1:2: \\u needs four hexadecimal digits" },
		{ "\"\\u12", "a.json:1:2: \\u needs four hexadecimal digits" },
		{ "\"a\\u0000\"", "a.json:1:3: \\u0000 is not allowed in a string" },
		{ "{\"\\u0000\":1}", "a.json:1:3: \\u0000 is not allowed in a string" },
		{ "\"\\ud800\"", "a.json:1:2: half of a surrogate pair in a string" },
		{ "\"\\ud800\\u0041\"", "a.json:1:2: half of a surrogate pair in a string" },
		{ "\"\\udc00\"", "a.json:1:2: half of a surrogate pair in a string" },
		/* Columns count characters: two of two bytes go before. */
		{ "[\"\xc3\xa4\xc3\xb6\", x]", "a.json:1:8: unexpected 'x', expected a value" },
		{ "\"\\", "a.json:1:3: unexpected end in a string" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refused(cases[i].text, strlen(cases[i].text), cases[i].msg);
}

static void bytes(void **state)
{
	refused("[1\0]", 4, "a.json:1:3: unexpected byte 0x00, expected ',' or ']'");
	refused("1\0", 2, "a.json:1:2: text after the end of the value");
	refused("\"\0\"", 3, "a.json:1:2: control character in a string, write it as an escape");
	refused("[\"a\xff\"]", 6, "a.json:1:4: invalid UTF-8");
	refused("\n\"\xc3\"", 4, "a.json:2:2: invalid UTF-8");
	refused("\"\xed\xa0\x80\"", 5, "a.json:1:2: invalid UTF-8"); /* a surrogate */
	refused("\"\xc0\xaf\"", 4, "a.json:1:2: invalid UTF-8");     /* overlong */
	refused("[1] \xe2\x82", 6, "a.json:1:5: invalid UTF-8");
	refused(NULL, 0, "a.json:1:1: unexpected end, expected a value");
	/* Not a byte beyond n is read: no terminator here. */
	char *exact = xmalloc(7);
	memcpy(exact, "[true]x", 7);
	cleanup_json cJSON *j = json_parse(exact, 6, "t", NULL);
	prints(j, "[true]");
	for (size_t n = 0; n < 6; n++) {
		char *part = xmalloc(n);
		memcpy(part, exact, n);
		assert_null(json_parse(part, n, "t", NULL));
		free(part);
	}
	free(exact);
	cleanup_json cJSON *bom = parse("\xef\xbb\xbf{}");
	prints(bom, "{}");
}

static void depth(void **state)
{
	cleanup_buf struct buf b = { 0 };
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		buf_adds(&b, i % 2 ? "{\"a\":" : "[");
	buf_adds(&b, "1");
	for (int i = JSON_MAX_DEPTH - 1; i >= 0; i--)
		buf_adds(&b, i % 2 ? "}" : "]");
	cleanup_json cJSON *deepest = parse(b.data);
	prints(deepest, b.data);
	cleanup_buf struct buf more = { 0 };
	buf_addf(&more, "[%s]", b.data);
	cleanup_err struct perry_err *err = NULL;
	assert_null(json_parse(more.data, more.len, "t", &err));
	assert_int_equal(err->code, PERRY_ETOOLARGE);
	assert_non_null(strstr(perry_msg(err), ": more than 64 levels"));
	/* Side by side is not deep. */
	cleanup_json cJSON *wide = parse("[[[]],[[]],{\"a\":{}},[[]]]");
	assert_int_equal(cJSON_GetArraySize(wide), 4);
	/* A million brackets end at the 65th. */
	cleanup_free char *many = xmalloc(1000001);
	memset(many, '[', 1000000);
	many[1000000] = '\0';
	refused_with(PERRY_ETOOLARGE, many, 1000000, "a.json:1:65: more than 64 levels");
}

static void lines(void **state)
{
	static const char text[] = "\xef\xbb\xbf\n{\"a\": 1,\n\"b\\\"\": \"}]\",\n \"list\":\n[{\"x\": [[1], {}]},\n"
				   " {\"type\" :\n 2, \"type\": 3}\n],\n\"ab\": {}}";
	static const struct {
		const char *path;
		int line;
	} cases[] = {
		{ "", 2 },
		{ "a", 2 },
		{ "ab", 9 },
		{ "list", 5 },
		{ "list[0]", 5 },
		{ "list[0].x[1]", 5 },
		{ "list[1]", 6 },
		{ "list[1].type", 7 }, /* the first of that name */
		{ "list[2]", 5 },
		{ "list[1].none", 6 }, /* nothing there: what it misses in */
		{ "list[1].a.b", 6 },
		{ "a.b", 2 },
		{ "none", 2 },
		{ "[0]", 2 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(json_line(text, sizeof text - 1, cases[i].path), cases[i].line);
	assert_int_equal(json_line("[\n1,\n2]", 7, "[1]"), 3);
	/* Not a byte beyond n is read, even of a text that ends too early. */
	for (size_t n = 0; n < sizeof text; n++) {
		char *part = xmalloc(n);
		memcpy(part, text, n);
		for (size_t i = 0; i < ARRAY_LEN(cases); i++)
			assert_true(json_line(part, n, cases[i].path) <= cases[i].line);
		free(part);
	}
}

static void numbers(void **state)
{
	static const char *const same[] = { "0",
					    "1",
					    "-1",
					    "1.5",
					    "9007199254740992",
					    "-9007199254740992",
					    "2147483648",
					    "0.1",
					    "1e+300",
					    "1.7976931348623157e+308",
					    "4.94065645841247e-324",
					    "3.141592653589793",
					    "1e-07" };
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		cleanup_json cJSON *j = parse(same[i]);
		prints(j, same[i]);
	}
	cleanup_json cJSON *j = parse("[1e3,1E+2,100000000000000000000,-0,1.0]");
	prints(j, "[1000,100,1e+20,0,1]");
	cleanup_json cJSON *o = cJSON_CreateObject();
	json_set_num(o, "a", NAN);
	json_set_num(o, "b", INFINITY);
	json_set_num(o, "c", 0.1 + 0.2);
	json_set_int(o, "d", INT64_C(9007199254740993));
	json_set_int(o, "e", -INT64_C(9007199254740992));
	prints(o,
	       "{\"a\":null,\"b\":null,\"c\":0.30000000000000004,\"d\":\"9007199254740993\",\"e\":-9007199254740992}");
	assert_true(json_int_or(o, "d", 0) == INT64_C(9007199254740993));
	assert_true(json_int_or(o, "e", 0) == -INT64_C(9007199254740992));
	assert_int_equal(json_int_or(o, "a", 7), 7);
	cleanup_json cJSON *big = parse("{\"max\":1e300,\"min\":-1e300}");
	assert_true(json_int_or(big, "max", 0) == INT64_MAX);
	assert_true(json_int_or(big, "min", 0) == INT64_MIN);
}

static void strings(void **state)
{
	cleanup_json cJSON *j = parse("\"\\u00e4\\ud83d\\ude00\\n\\\"\\\\\\/\\b\"");
	assert_string_equal(j->valuestring, "\xc3\xa4\xf0\x9f\x98\x80\n\"\\/\b");
	prints(j, "\"\xc3\xa4\xf0\x9f\x98\x80\\n\\\"\\\\/\\b\"");
	/* What is not text comes out as text all the same, keys too. */
	cleanup_json cJSON *o = cJSON_CreateObject();
	json_set_str(o, "k\xff",
		     "a\x80"
		     "b\x01\x7f");
	json_set_strn(o, "n", "ab\xc3\0cd", 6);
	prints(o, "{\"k\xef\xbf\xbd\":\"a\xef\xbf\xbd"
		  "b\\u0001\x7f\",\"n\":\"ab\xef\xbf\xbd\"}");
	cleanup_buf struct buf b = { 0 };
	json_quote(&b, "a\0b\xff", 4);
	assert_string_equal(b.data, "\"a\\u0000b\xef\xbf\xbd\"");
	buf_consume(&b, b.len);
	json_quote(&b, "", 0);
	assert_string_equal(b.data, "\"\"");
	cleanup_json cJSON *raw = cJSON_CreateRaw("{not json");
	prints(raw, "null");
	prints(NULL, "null");
}

static void pretty_and_canonical(void **state)
{
	cleanup_json cJSON *j = parse("{\"b\":[1,{}],\"a\":{\"d\":[],\"c\":null}}");
	cleanup_free char *pretty = json_pretty(j);
	assert_string_equal(
		pretty, "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": {\n    \"d\": [],\n    \"c\": null\n  }\n}\n");
	cleanup_free char *canonical = json_canonical(j);
	assert_string_equal(canonical, "{\"a\":{\"c\":null,\"d\":[]},\"b\":[1,{}]}");
	prints(j, "{\"b\":[1,{}],\"a\":{\"d\":[],\"c\":null}}"); /* sorting left the value alone */
	cleanup_json cJSON *other = parse("{\"a\":{\"c\":null,\"d\":[]},\"b\":[1,{}]}");
	cleanup_json cJSON *swapped = parse("{\"a\":{\"c\":null,\"d\":[]},\"b\":[{},1]}");
	assert_true(json_equal(j, other));
	assert_false(json_equal(j, swapped));
	assert_false(json_equal(j, NULL));
	assert_true(json_equal(NULL, NULL));
	cleanup_json cJSON *x = parse("9007199254740992"), *y = parse("9007199254740991");
	assert_false(json_equal(x, y));
	cleanup_json cJSON *upper = parse("{\"A\":1,\"a\":2}");
	cleanup_json cJSON *lower = parse("{\"a\":2,\"A\":1}");
	assert_true(json_equal(upper, lower));
}

static void looks(void **state)
{
	cleanup_json cJSON *j = parse(
		"{\"Config\":{\"Labels\":{\"perry.agent\":\"x\",\"perry\":{\"agent\":\"no\",\"id\":\"y\"}},\"N\":3,"
		"\"Tty\":true,\"f\":1.5},\"a\":{\"b\":1}}");
	assert_string_equal(json_str(j, "Config.Labels.perry.agent"), "x");
	assert_string_equal(json_str(j, "Config.Labels.perry.id"), "y");
	assert_int_equal(json_int_or(j, "Config.N", 0), 3);
	assert_int_equal(json_int_or(j, "Config.f", 0), 1);
	assert_true(json_num_or(j, "Config.f", 0) == 1.5);
	assert_true(json_bool_or(j, "Config.Tty", false));
	assert_null(json_str(j, "Config.N"));
	assert_null(json_str(j, "Config.Labels.none.there"));
	assert_null(json_str(j, "Config.N.x"));
	assert_null(json_at(j, "config")); /* case counts */
	assert_null(json_at(j, "Conf"));
	assert_null(json_at(NULL, "a"));
	assert_string_equal(json_str_or(j, "no", "d"), "d");
	assert_int_equal(json_int_or(j, "Config.Tty", 9), 9);
	assert_false(json_bool_or(j, "Config.N", false));
	assert_ptr_equal(json_at(j, ""), j);
}

static void list_members(void **state)
{
	cleanup_json cJSON *j = parse("[1, null, \"a\", \"b.c\"]"), *text = parse("\"a\"");
	assert_true(json_list_has(j, "a"));
	assert_true(json_list_has(j, "b.c")); /* a member, not a path */
	assert_false(json_list_has(j, "A"));
	assert_false(json_list_has(j, "1"));
	assert_false(json_list_has(j, NULL)); /* not the null either */
	assert_false(json_list_has(text, "a"));
	assert_false(json_list_has(NULL, "a"));
}

static void getters(void **state)
{
	cleanup_json cJSON *j =
		parse("{\"s\":\"t\",\"n\":1.5,\"i\":70000,\"b\":false,\"o\":{\"x\":[]},\"z\":null,\"big\":1e300}");
	cleanup_err struct perry_err *err = NULL;
	const char *s = "dflt";
	bool b = true;
	int64_t i = 5;
	assert_int_equal(json_get_str(j, "c.json", "none", &s, &err), 0);
	assert_string_equal(s, "dflt");
	assert_int_equal(json_get_str(j, "c.json", "s", &s, &err), 0);
	assert_string_equal(s, "t");
	assert_int_equal(json_get_str(j, "c.json", "n", &s, &err), -1);
	assert_msg(err, "c.json: n: expected string, got number");
	assert_string_equal(s, "t");
	assert_int_equal(json_get_bool(j, "c.json", "o.x", &b, &err), -1);
	assert_msg(err, "c.json: o.x: expected boolean, got array");
	assert_true(b);
	assert_int_equal(json_get_bool(j, "c.json", "b", &b, &err), 0);
	assert_false(b);
	assert_int_equal(json_get_int(j, "c.json", "z", 0, 9, &i, &err), -1);
	assert_msg(err, "c.json: z: expected number, got null");
	assert_int_equal(json_get_int(j, "c.json", "i", 1, 65535, &i, &err), -1);
	assert_msg(err, "c.json: i: expected a whole number from 1 to 65535, got 70000");
	assert_int_equal(json_get_int(j, "c.json", "n", 1, 65535, &i, &err), -1);
	assert_msg(err, "c.json: n: expected a whole number from 1 to 65535, got 1.5");
	assert_int_equal(json_get_int(j, "c.json", "big", INT64_MIN, INT64_MAX, &i, &err), -1);
	assert_int_equal(i, 5);
	assert_int_equal(json_get_int(j, "c.json", "i", 70000, 70000, &i, NULL), 0);
	assert_int_equal(i, 70000);
	assert_string_equal(json_type_name(NULL), "undefined");
}

static void builders(void **state)
{
	cleanup_json cJSON *o = cJSON_CreateObject();
	json_set_str(o, "a", "1");
	json_set_bool(o, "b", true);
	json_set_str(o, "a", "2"); /* keeps its place */
	json_set_num(json_obj(json_obj(o, "c"), "d"), "e", 1);
	json_set_num(json_obj(json_obj(o, "c"), "d"), "f", 2);
	cJSON *list = cJSON_AddArrayToObject(o, "l");
	json_push_str(list, "x");
	json_push(list, cJSON_CreateNull());
	prints(o, "{\"a\":\"2\",\"b\":true,\"c\":{\"d\":{\"e\":1,\"f\":2}},\"l\":[\"x\",null]}");
	json_set_str(o, "a", NULL);
	json_set(o, "none", NULL);
	json_obj(o, "b"); /* another type gives way */
	prints(o, "{\"b\":{},\"c\":{\"d\":{\"e\":1,\"f\":2}},\"l\":[\"x\",null]}");
	json_set(list, "k", cJSON_CreateString("freed")); /* no object: nothing happens, nothing leaks */
	json_set(NULL, "k", cJSON_CreateString("freed"));
	json_push(o, cJSON_CreateString("freed"));
	json_set(o, "c", cJSON_GetObjectItemCaseSensitive(o, "c"));
	/* A key that was there twice is there once. */
	cleanup_json cJSON *twice = parse("{\"a\":1,\"b\":0,\"a\":2,\"a\":3}");
	json_set_num(twice, "a", 4);
	prints(twice, "{\"a\":4,\"b\":0}");
	cleanup_json cJSON *gone = parse("{\"a\":1,\"b\":0,\"a\":2}");
	json_set(gone, "a", NULL);
	prints(gone, "{\"b\":0}");
}

static void merge(void **state)
{
	cleanup_json cJSON *dst =
		parse("{\"keep\":1,\"gone\":2,\"o\":{\"x\":1,\"y\":{\"z\":1}},\"l\":[1,2],\"s\":\"t\"}");
	cleanup_json cJSON *src = parse("{\"gone\":null,\"never\":null,\"o\":{\"x\":null,\"y\":{\"w\":2}},\"l\":[3],"
					"\"s\":{\"a\":1,\"n\":null}}");
	json_merge(dst, src);
	prints(dst, "{\"keep\":1,\"o\":{\"y\":{\"z\":1,\"w\":2}},\"l\":[3],\"s\":{\"a\":1}}");
	cJSON_Delete(src); /* dst borrows nothing from it */
	src = NULL;
	prints(dst, "{\"keep\":1,\"o\":{\"y\":{\"z\":1,\"w\":2}},\"l\":[3],\"s\":{\"a\":1}}");
	json_merge(dst, NULL);
	json_merge(NULL, dst);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(positions), cmocka_unit_test(bytes),        cmocka_unit_test(depth),
		cmocka_unit_test(numbers),   cmocka_unit_test(strings),      cmocka_unit_test(pretty_and_canonical),
		cmocka_unit_test(looks),     cmocka_unit_test(getters),      cmocka_unit_test(builders),
		cmocka_unit_test(merge),     cmocka_unit_test(list_members), cmocka_unit_test(lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
