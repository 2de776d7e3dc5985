/* Lines of perry-step watch, as the agent takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/watch/line.h"
#include "base/mem.h"
#include "base/utf8.h"

static struct watch_line line;

static int parse(const char *text)
{
	cleanup_err struct perry_err *err = NULL;
	int rc = watch_line_parse(text, strlen(text), &line, &err);
	assert_int_equal(rc < 0, err != NULL);
	return rc;
}

static void listeners(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"ports\":[{\"number\":8000,\"address\":\"0.0.0.0\",\"loopback\":false,\"pid\":7,"
			       "\"process\":\"node\"},"
			       "{\"number\":22,\"address\":\"::1\",\"loopback\":true}],\"more\":3}"),
			 0);
	assert_int_equal(line.kind, WATCH_PORTS);
	assert_int_equal(line.nports, 2);
	assert_int_equal(line.more, 3);
	assert_int_equal(line.ports[0].number, 22); /* by number */
	assert_true(line.ports[0].loopback);
	assert_string_equal(line.ports[0].process, "");
	assert_string_equal(line.ports[1].process, "node");
	assert_int_equal(line.ports[1].pid, 7);
	watch_line_free(&line);
	assert_int_equal(parse("{\"ports\":[]}"), 0);
	assert_int_equal(line.nports, 0);
	watch_line_free(&line);
}

static void what_it_would_not_write(void **state)
{
	static const char *const bad[] = {
		"",
		"nonsense",
		"[]",
		"7",
		"{\"ports\":{}}",
		"{\"ports\":[1]}",
		"{\"ports\":[{}]}",
		"{\"ports\":[{\"number\":0,\"address\":\"1.2.3.4\"}]}",
		"{\"ports\":[{\"number\":70000,\"address\":\"1.2.3.4\"}]}",
		"{\"ports\":[{\"number\":1.5,\"address\":\"1.2.3.4\"}]}",
		"{\"ports\":[{\"number\":\"5\",\"address\":\"1.2.3.4\"}]}",
		"{\"ports\":[{\"number\":5,\"address\":\"here\"}]}",
		"{\"ports\":[{\"number\":5}]}",
		"{\"ports\":[{\"number\":5,\"address\":\"1.2.3.4\",\"process\":7}]}",
		"{\"tailnet\":[]}",
		"{\"serve\":\"x\"}",
		"{\"ports\":[]} more",
		"{\"ports\":[{\"number\":5,\"address\":\"1.2.3.4\",\"process\":\"\\u0000\"}]}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (parse(bad[i]) == 0)
			fail_msg("taken: %s", bad[i]);
	struct buf many = { 0 };
	buf_adds(&many, "{\"ports\":[");
	for (int i = 0; i <= WATCH_PORTS_MAX; i++)
		buf_addf(&many, "%s{\"number\":%d,\"address\":\"0.0.0.0\"}", i ? "," : "", i + 1);
	buf_adds(&many, "]}");
	assert_int_equal(parse(many.data), -1);
	buf_free(&many);
	cleanup_free char *longer = xmalloc(WATCH_LINE_MAX + 2);
	memset(longer, ' ', WATCH_LINE_MAX + 1);
	longer[WATCH_LINE_MAX + 1] = 0;
	longer[0] = '{', longer[1] = '}';
	assert_int_equal(parse(longer), -1);
}

static void texts_are_cut_and_clean(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"ports\":[{\"number\":5,\"address\":\"::\",\"process\":\"\\u001b["
			       "31mred\\n\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4"
			       "\\u00e4\\u00e4\\u00e4\"}]}"),
			 0);
	assert_memory_equal(line.ports[0].process, "?[31mred?", 9);
	assert_in_range(strlen(line.ports[0].process), 20, sizeof line.ports[0].process - 1);
	assert_true(utf8_valid(line.ports[0].process, strlen(line.ports[0].process)));
	watch_line_free(&line);
}

/* They go into links that the user opens. */
static void names_that_are_none(void **state)
{
	static const char *const names[] = { "evil.example/x?", "a b", "-a", "a@b", "\\u202ea", "" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cleanup_free char *text = xasprintf(
			"{\"tailnet\":{\"state\":\"Running\",\"dnsName\":\"%s\",\"ip\":\"%s\"}}", names[i], names[i]);
		assert_int_equal(parse(text), 0);
		assert_null(json_str(line.object, "dnsName"));
		assert_null(json_str(line.object, "ip"));
		watch_line_free(&line);
	}
}

static void the_tailnet_and_its_forwards(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"tailnet\":{\"state\":\"Running\",\"dnsName\":\"web.ws.test\",\"ip\":5,\"keyExpiry\":"
			       "1795619484733,\"tun\":false,"
			       "\"health\":[\"a\",7,\"b\"],\"secret\":\"x\"}}"),
			 0);
	assert_int_equal(line.kind, WATCH_TAILNET);
	cleanup_free char *text = json_print(line.object);
	assert_string_equal(text, "{\"state\":\"Running\",\"dnsName\":\"web.ws.test\",\"keyExpiry\":1795619484733,"
				  "\"health\":[\"a\",\"b\"],\"tun\":false}");
	watch_line_free(&line);
	assert_int_equal(parse("{\"serve\":{\"tcp\":[5173,0,\"x\",70000,8000],\"web\":[{\"port\":443,\"scheme\":"
			       "\"https\",\"target\":3000},{\"port\":1}],\"error\":\"e\"}}"),
			 0);
	assert_int_equal(line.kind, WATCH_SERVE);
	cleanup_free char *serve = json_print(line.object);
	assert_string_equal(
		serve,
		"{\"tcp\":[5173,8000],\"web\":[{\"port\":443,\"target\":3000,\"scheme\":\"https\"}],\"error\":\"e\"}");
	watch_line_free(&line);
	/* Of a later version: nothing to do. */
	assert_int_equal(parse("{\"weather\":{}}"), 0);
	assert_int_equal(line.kind, WATCH_OTHER);
}

static void a_sample_of_the_activity(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"activity\":{\"cpuUsec\":12,\"ioBytes\":-1,\"netRx\":\"9\",\"connections\":[{"
			       "\"port\":22,\"count\":1},{\"port\":3},7],"
			       "\"builds\":[{\"name\":\"ma\\u001bke\",\"seconds\":3,\"x\":1}],\"agents\":[\"claude\",{}"
			       "],\"evil\":[1]}}"),
			 0);
	assert_int_equal(line.kind, WATCH_ACTIVITY);
	cleanup_free char *text = json_print(line.object);
	assert_string_equal(text, "{\"cpuUsec\":12,\"connections\":[{\"port\":22,\"count\":1}],\"builds\":[{\"name\":"
				  "\"ma?ke\",\"seconds\":3}],"
				  "\"agents\":[\"claude\"],\"processes\":[]}");
	watch_line_free(&line);
	/* A list that is missing stays missing: then nobody could look. */
	assert_int_equal(parse("{\"activity\":{\"connections\":5}}"), 0);
	assert_null(json_at(line.object, "connections"));
	watch_line_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listeners),
		cmocka_unit_test(what_it_would_not_write),
		cmocka_unit_test(texts_are_cut_and_clean),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(the_tailnet_and_its_forwards),
		cmocka_unit_test(a_sample_of_the_activity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
