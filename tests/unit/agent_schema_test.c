/* Validation: every complaint byte for byte as existing clients know it (captured from the original), and what a
 * handler gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/rpc/procedures.h"
#include "agent/rpc/schema.h"
#include "base/mem.h"

static cJSON *parse(const char *text)
{
	return text ? cJSON_Parse(text) : NULL;
}

/* The issues as text; "[]" when valid. *value gets the result's text. */
static char *check(const char *schema, const char *input, char **value)
{
	cleanup_json cJSON *s = schema_text(schema), *in = parse(input), *issues = cJSON_CreateArray();
	cleanup_json cJSON *out = schema_apply(s, in, issues);
	if (value)
		*value = out ? json_print(out) : xstrdup("undefined");
	return json_print(issues);
}

static void assert_issues(const char *schema, const char *input, const char *wanted)
{
	cleanup_free char *got = check(schema, input, NULL);
	assert_string_equal(got, wanted);
}

static void assert_value(const char *schema, const char *input, const char *wanted)
{
	cleanup_free char *value = NULL, *issues = check(schema, input, &value);
	assert_string_equal(issues, "[]");
	assert_string_equal(value, wanted);
}

static void a_url_to_clone_holds_no_secret(void **state)
{
	static const char *const good[] = { "https://github.com/me/app", "git@github.com:me/app.git",
					    "ssh://git@host/a.git",      "https://host/a@b",
					    "https://host?x=a@b",        "/srv/a@b.git" };
	static const char *const bad[] = { "https://ghp_abcdefgh@github.com/me/app", "https://me:secret@host/a.git",
					   "HTTP://x@host" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		cleanup_free char *input = xasprintf("{\"name\":\"a\",\"clone\":\"%s\"}", good[i]);
		cleanup_free char *issues = check(START_INPUT, input, NULL);
		assert_string_equal(issues, "[]");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *input = xasprintf("{\"name\":\"a\",\"clone\":\"%s\"}", bad[i]);
		cleanup_free char *issues = check(START_INPUT, input, NULL);
		assert_non_null(strstr(issues, "\"path\":[\"clone\"]"));
		assert_null(strstr(issues, "secret"));
		assert_null(strstr(issues, "ghp_"));
	}
}

static void captured_messages(void **state)
{
	(void)state;
	assert_issues(START_INPUT, "{\"name\":\"Bad_Name\"}",
		      "[{\"code\":\"custom\",\"message\":\"Use lowercase letters, numbers, and hyphens; start/end with "
		      "a letter or number\",\"path\":[\"name\"]}]");
	assert_issues(START_INPUT, "{\"name\":\"\"}",
		      "[{\"code\":\"custom\",\"message\":\"Workspace name is required\",\"path\":[\"name\"]}]");
	assert_issues(START_INPUT, "{\"name\":\"@host\"}",
		      "[{\"code\":\"custom\",\"message\":\"Workspace name is reserved\",\"path\":[\"name\"]}]");
	assert_issues(START_INPUT, "{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
		      "[{\"code\":\"custom\",\"message\":\"Workspace name must be 63 characters or "
		      "less\",\"path\":[\"name\"]}]");
	assert_issues(START_INPUT, "{}",
		      "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"name\"],\"message\":\"Invalid "
		      "input: expected string, received undefined\"}]");
	assert_issues(START_INPUT, "{\"name\":5}",
		      "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"name\"],\"message\":\"Invalid "
		      "input: expected string, received number\"}]");
	assert_issues(START_INPUT, NULL,
		      "[{\"expected\":\"object\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected object, received undefined\"}]");
	assert_issues(FORWARDS_INPUT, "{\"name\":\"wire1\",\"forwards\":[{\"host\":0,\"container\":70000}]}",
		      "[{\"origin\":\"number\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":["
		      "\"forwards\",0,\"host\"],\"message\":\"Too small: expected number to be >=1\"},"
		      "{\"origin\":\"number\",\"code\":\"too_big\",\"maximum\":65535,\"inclusive\":true,\"path\":["
		      "\"forwards\",0,\"container\"],\"message\":\"Too big: expected number to be <=65535\"}]");
	assert_issues(CREDENTIALS, "{\"env\":{\"K\":1},\"files\":{}}",
		      "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"env\",\"K\"],\"message\":"
		      "\"Invalid input: expected string, received number\"}]");
	assert_issues(CREDENTIALS, "{\"env\":{}}",
		      "[{\"expected\":\"record\",\"code\":\"invalid_type\",\"path\":[\"files\"],\"message\":\"Invalid "
		      "input: expected record, received undefined\"}]");
	assert_issues(OBJ_REQ("'agentType':{'enum':['claude-code','opencode']}", "'agentType'"),
		      "{\"agentType\":\"codex\"}",
		      "[{\"code\":\"invalid_value\",\"values\":[\"claude-code\",\"opencode\"],\"path\":[\"agentType\"],"
		      "\"message\":\"Invalid option: expected one of \\\"claude-code\\\"|\\\"opencode\\\"\"}]");
	assert_issues(ARRAY(SKILL),
		      "[{\"id\":\"s1\",\"name\":\"Bad "
		      "Name\",\"description\":\"d\",\"enabled\":true,\"appliesTo\":[\"x\"],\"skillMd\":\"\"}]",
		      "[{\"origin\":\"string\",\"code\":\"invalid_format\",\"format\":\"regex\",\"pattern\":\"/"
		      "^[a-z0-9][a-z0-9-]*[a-z0-9]$|^[a-z0-9]$/\",\"path\":[0,\"name\"],\"message\":\"Invalid string: "
		      "must match pattern /^[a-z0-9][a-z0-9-]*[a-z0-9]$|^[a-z0-9]$/\"},"
		      "{\"code\":\"invalid_union\",\"errors\":[[{\"code\":\"invalid_value\",\"values\":[\"all\"],"
		      "\"path\":[],\"message\":\"Invalid input: expected "
		      "\\\"all\\\"\"}],[{\"code\":\"invalid_value\",\"values\":[\"claude-code\",\"opencode\",\"codex\"]"
		      ",\"path\":[0],\"message\":\"Invalid option: expected one of "
		      "\\\"claude-code\\\"|\\\"opencode\\\"|\\\"codex\\\"\"}]],\"path\":[0,\"appliesTo\"],\"message\":"
		      "\"Invalid input\"}]");
	assert_issues(ARRAY(MCP_SERVER),
		      "[{\"id\":\"m1\",\"name\":\"srv\",\"enabled\":true,\"type\":\"local\",\"extra\":1}]",
		      "[{\"code\":\"unrecognized_keys\",\"keys\":[\"extra\"],\"path\":[0],\"message\":\"Unrecognized "
		      "key: \\\"extra\\\"\"}]");
}

static void what_the_handler_gets(void **state)
{
	(void)state;
	assert_value(NAMED, "{\"name\":\"  wire1  \",\"more\":1}", "{\"name\":\"wire1\"}");
	assert_value(LOGS_INPUT, "{\"name\":\"a\"}", "{\"name\":\"a\",\"tail\":100}");
	assert_value(LOGS_INPUT, "{\"tail\":2,\"name\":\"a\"}", "{\"name\":\"a\",\"tail\":2}");
	assert_value(AGENTS, "{\"github\":{\"token\":\"t\"},\"opencode\":{\"server\":{\"hostname\":\"0.0.0.0\"}}}",
		     "{\"opencode\":{\"server\":{\"hostname\":\"0.0.0.0\"}},\"github\":{\"token\":\"t\"}}");
	assert_value(EXEC_INPUT, "{\"name\":\"a\",\"command\":[\"x\",\"y\"]}",
		     "{\"name\":\"a\",\"command\":[\"x\",\"y\"]}");
	assert_value(ANY_NAME, "\"@host\"", "\"@host\"");
	assert_value(MCP_SERVER, "{\"id\":\"m\",\"name\":\"n\",\"enabled\":false,\"type\":\"remote\",\"oauth\":false}",
		     "{\"id\":\"m\",\"name\":\"n\",\"enabled\":false,\"type\":\"remote\",\"oauth\":false}");
	assert_value(LIST_OPERATIONS, NULL, "{\"limit\":50}");
	assert_value(START_INPUT, "{\"name\":\"a\",\"name\":\"b\"}",
		     "{\"name\":\"b\"}"); /* the last of two, as JSON.parse has it */
}

static void unions_that_are_nearly_right(void **state)
{
	(void)state;
	assert_issues(EXEC_INPUT, "{\"name\":\"a\",\"command\":[]}",
		      "[{\"origin\":\"array\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":["
		      "\"command\"],\"message\":\"Too small: expected array to have >=1 items\"}]");
	assert_issues(EXEC_INPUT, "{\"name\":\"a\",\"command\":\"\"}",
		      "[{\"origin\":\"string\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":["
		      "\"command\"],\"message\":\"Too small: expected string to have >=1 characters\"}]");
	assert_issues(EXEC_INPUT, "{\"name\":\"a\",\"command\":{\"a\":1}}",
		      "[{\"code\":\"invalid_union\",\"errors\":[[{\"expected\":\"string\",\"code\":\"invalid_type\","
		      "\"path\":[],\"message\":\"Invalid input: expected string, received object\"}],"
		      "[{\"expected\":\"array\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected array, received object\"}]],\"path\":[\"command\"],\"message\":\"Invalid input\"}]");
}

static void numbers(void **state)
{
	(void)state;
	assert_issues(PORT, "1.5",
		      "[{\"expected\":\"int\",\"format\":\"safeint\",\"code\":\"invalid_type\",\"path\":[],\"message\":"
		      "\"Invalid input: expected int, received number\"}]");
	assert_issues(PORT, "\"1\"",
		      "[{\"expected\":\"number\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected number, received string\"}]");
	assert_issues(PORT, "null",
		      "[{\"expected\":\"number\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected number, received null\"}]");
	assert_value(PORT, "65535", "65535");
}

/* Every schema of the table is JSON, and uses nothing that the interpreter does not know. */
static void known_words_only(const cJSON *s)
{
	static const char *const words[] = {
		"type",     "enum",    "const",   "anyOf",   "properties", "required",  "additionalProperties",
		"items",    "default", "minimum", "maximum", "minLength",  "maxLength", "minItems",
		"maxItems", "pattern", "format"
	};
	const cJSON *m;
	cJSON_ArrayForEach(m, s) {
		bool known = false;
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			known |= strcmp(m->string, words[i]) == 0;
		if (!known)
			fail_msg("the interpreter does not know \"%s\"", m->string);
		const cJSON *inner;
		if (strcmp(m->string, "properties") == 0)
			cJSON_ArrayForEach(inner, m)
				known_words_only(inner);
		if (strcmp(m->string, "anyOf") == 0)
			cJSON_ArrayForEach(inner, m)
				known_words_only(inner);
		if ((strcmp(m->string, "items") == 0 || strcmp(m->string, "additionalProperties") == 0) &&
		    cJSON_IsObject(m))
			known_words_only(m);
	}
}

static void the_table(void **state)
{
	(void)state;
#define INPUT(path, class, right, input, output, fn, summary) \
	do { \
		const char *in = input; \
		cleanup_json cJSON *s = in ? schema_text(in) : NULL, *o = schema_text(output); \
		if (s) \
			known_words_only(s); \
		assert_non_null(o); \
	} while (0);
	PROCEDURES(INPUT)
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured_messages),
		cmocka_unit_test(a_url_to_clone_holds_no_secret),
		cmocka_unit_test(what_the_handler_gets),
		cmocka_unit_test(unions_that_are_nearly_right),
		cmocka_unit_test(numbers),
		cmocka_unit_test(the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
