/* Validation: every complaint byte for byte as existing clients know it (captured from the original), and what a
 * handler gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/rpc/schema.h"
#include "agent/rpc/schemas.h"
#include "base/mem.h"

static cJSON *parse(const char *text)
{
	return text ? cJSON_Parse(text) : NULL;
}

/* The issues that the schema of that name gives, as text; "[]" when valid. *value gets the result's text. */
static char *check(const char *schema, const char *input, char **value)
{
	cleanup_json cJSON *in = parse(input), *issues = cJSON_CreateArray();
	cleanup_json cJSON *out = schema_apply(schemas_get(schema), in, issues);
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
		cleanup_free char *issues = check("StartInput", input, NULL);
		assert_string_equal(issues, "[]");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *input = xasprintf("{\"name\":\"a\",\"clone\":\"%s\"}", bad[i]);
		cleanup_free char *issues = check("StartInput", input, NULL);
		assert_non_null(strstr(issues, "\"path\":[\"clone\"]"));
		assert_null(strstr(issues, "secret"));
		assert_null(strstr(issues, "ghp_"));
	}
}

static void captured_messages(void **state)
{
	(void)state;
	assert_issues("StartInput", "{\"name\":\"Bad_Name\"}",
		      "[{\"code\":\"custom\",\"message\":\"Use lowercase letters, numbers, and hyphens; start/end with "
		      "a letter or number\",\"path\":[\"name\"]}]");
	assert_issues("StartInput", "{\"name\":\"\"}",
		      "[{\"code\":\"custom\",\"message\":\"Workspace name is required\",\"path\":[\"name\"]}]");
	assert_issues("StartInput", "{\"name\":\"@host\"}",
		      "[{\"code\":\"custom\",\"message\":\"Workspace name is reserved\",\"path\":[\"name\"]}]");
	assert_issues("StartInput", "{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
		      "[{\"code\":\"custom\",\"message\":\"Workspace name must be 63 characters or "
		      "less\",\"path\":[\"name\"]}]");
	assert_issues("StartInput", "{}",
		      "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"name\"],\"message\":\"Invalid "
		      "input: expected string, received undefined\"}]");
	assert_issues("StartInput", "{\"name\":5}",
		      "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"name\"],\"message\":\"Invalid "
		      "input: expected string, received number\"}]");
	assert_issues("StartInput", NULL,
		      "[{\"expected\":\"object\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected object, received undefined\"}]");
	assert_issues("ForwardsInput", "{\"name\":\"wire1\",\"forwards\":[{\"host\":0,\"container\":70000}]}",
		      "[{\"origin\":\"number\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":["
		      "\"forwards\",0,\"host\"],\"message\":\"Too small: expected number to be >=1\"},"
		      "{\"origin\":\"number\",\"code\":\"too_big\",\"maximum\":65535,\"inclusive\":true,\"path\":["
		      "\"forwards\",0,\"container\"],\"message\":\"Too big: expected number to be <=65535\"}]");
	assert_issues("Credentials", "{\"env\":{\"K\":1},\"files\":{}}",
		      "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"env\",\"K\"],\"message\":"
		      "\"Invalid input: expected string, received number\"}]");
	assert_issues("Credentials", "{\"env\":{}}",
		      "[{\"expected\":\"record\",\"code\":\"invalid_type\",\"path\":[\"files\"],\"message\":\"Invalid "
		      "input: expected record, received undefined\"}]");
	assert_issues("ModelsInput", "{\"agentType\":\"codex\"}",
		      "[{\"code\":\"invalid_value\",\"values\":[\"claude-code\",\"opencode\"],\"path\":[\"agentType\"],"
		      "\"message\":\"Invalid option: expected one of \\\"claude-code\\\"|\\\"opencode\\\"\"}]");
	assert_issues("Skills",
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
	assert_issues("McpServers",
		      "[{\"id\":\"m1\",\"name\":\"srv\",\"enabled\":true,\"type\":\"local\",\"extra\":1}]",
		      "[{\"code\":\"unrecognized_keys\",\"keys\":[\"extra\"],\"path\":[0],\"message\":\"Unrecognized "
		      "key: \\\"extra\\\"\"}]");
}

static void what_the_handler_gets(void **state)
{
	(void)state;
	assert_value("NameInput", "{\"name\":\"  wire1  \",\"more\":1}", "{\"name\":\"wire1\"}");
	assert_value("LogsInput", "{\"name\":\"a\"}", "{\"name\":\"a\",\"tail\":100}");
	assert_value("LogsInput", "{\"tail\":2,\"name\":\"a\"}", "{\"name\":\"a\",\"tail\":2}");
	assert_value("Agents", "{\"github\":{\"token\":\"t\"},\"opencode\":{\"server\":{\"hostname\":\"0.0.0.0\"}}}",
		     "{\"opencode\":{\"server\":{\"hostname\":\"0.0.0.0\"}},\"github\":{\"token\":\"t\"}}");
	assert_value("ExecInput", "{\"name\":\"a\",\"command\":[\"x\",\"y\"]}",
		     "{\"name\":\"a\",\"command\":[\"x\",\"y\"]}");
	assert_value("WorkspaceOrHost", "\"@host\"", "\"@host\"");
	assert_value("McpServer", "{\"id\":\"m\",\"name\":\"n\",\"enabled\":false,\"type\":\"remote\",\"oauth\":false}",
		     "{\"id\":\"m\",\"name\":\"n\",\"enabled\":false,\"type\":\"remote\",\"oauth\":false}");
	assert_value("OperationsInput", NULL, "{\"limit\":50}");
	assert_value("StartInput", "{\"name\":\"a\",\"name\":\"b\"}",
		     "{\"name\":\"b\"}"); /* the last of two, as JSON.parse has it */
}

static void unions_that_are_nearly_right(void **state)
{
	(void)state;
	assert_issues("ExecInput", "{\"name\":\"a\",\"command\":[]}",
		      "[{\"origin\":\"array\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":["
		      "\"command\"],\"message\":\"Too small: expected array to have >=1 items\"}]");
	assert_issues("ExecInput", "{\"name\":\"a\",\"command\":\"\"}",
		      "[{\"origin\":\"string\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":["
		      "\"command\"],\"message\":\"Too small: expected string to have >=1 characters\"}]");
	assert_issues("ExecInput", "{\"name\":\"a\",\"command\":{\"a\":1}}",
		      "[{\"code\":\"invalid_union\",\"errors\":[[{\"expected\":\"string\",\"code\":\"invalid_type\","
		      "\"path\":[],\"message\":\"Invalid input: expected string, received object\"}],"
		      "[{\"expected\":\"array\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected array, received object\"}]],\"path\":[\"command\"],\"message\":\"Invalid input\"}]");
}

static void numbers(void **state)
{
	(void)state;
	assert_issues("Port", "1.5",
		      "[{\"expected\":\"int\",\"format\":\"safeint\",\"code\":\"invalid_type\",\"path\":[],\"message\":"
		      "\"Invalid input: expected int, received number\"}]");
	assert_issues("Port", "\"1\"",
		      "[{\"expected\":\"number\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected number, received string\"}]");
	assert_issues("Port", "null",
		      "[{\"expected\":\"number\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: "
		      "expected number, received null\"}]");
	assert_value("Port", "65535", "65535");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured_messages),
		cmocka_unit_test(a_url_to_clone_holds_no_secret),
		cmocka_unit_test(what_the_handler_gets),
		cmocka_unit_test(unions_that_are_nearly_right),
		cmocka_unit_test(numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
