/* The words that run perry-step inside a workspace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "docker/step_argv.h"

static void assert_words(const char *const *argv, const char *expected)
{
	cleanup_buf struct buf text = { 0 };
	for (; *argv; argv++)
		buf_addf(&text, "%s%s", text.len ? "|" : "", *argv);
	assert_string_equal(buf_str(&text), expected);
}

static void a_command(void **state)
{
	const char *const command[] = { "ls", "-l", "", NULL };
	(void)state;
	cleanup_free const char **plain = step_exec_argv(&(struct step_exec){ .id = "x1", .command = command });
	assert_words(plain, STEP_PATH "|exec|--id|x1|--user|workspace|--|ls|-l|");
	cleanup_free const char **all = step_exec_argv(&(struct step_exec){ .id = "x1",
									    .user = "root",
									    .cwd = "/srv",
									    .cols = 10000,
									    .rows = 10000,
									    .shell = "/bin/zsh",
									    .command = command });
	assert_words(all, STEP_PATH "|exec|--id|x1|--user|root|--cwd|/srv|--size|10000x10000|--|ls|-l|");
}

static void a_login_shell(void **state)
{
	(void)state;
	cleanup_free const char **own = step_exec_argv(&(struct step_exec){ .id = "x1", .cols = 80, .rows = 24 });
	assert_words(own, STEP_PATH "|exec|--id|x1|--user|workspace|--size|80x24|--login");
	cleanup_free const char **chosen = step_exec_argv(&(struct step_exec){ .id = "x1", .shell = "/bin/zsh" });
	assert_words(chosen, STEP_PATH "|exec|--id|x1|--user|workspace|--login|--shell|/bin/zsh");
}

/* However many words there are, none is lost. */
static void many_words(void **state)
{
	cleanup_json cJSON *list = cJSON_CreateArray();
	(void)state;
	for (int i = 0; i < 5000; i++)
		json_push_str(list, "w");
	cJSON_AddItemToArray(list, cJSON_CreateNumber(7));
	cleanup_free const char **words = step_words(list);
	cleanup_free const char **argv =
		step_exec_argv(&(struct step_exec){ .id = "x1", .cwd = "/", .cols = 1, .rows = 1, .command = words });
	size_t n = 0;
	while (argv[n])
		n++;
	assert_int_equal(n, 6 + 2 + 2 + 1 + 5001);
	assert_string_equal(argv[n - 1], ""); /* it is no text */
	assert_string_equal(argv[9], "1x1");
	cleanup_free const char **none = step_words(NULL);
	assert_null(none[0]);
}

static void ending_it(void **state)
{
	const char *argv[8];
	(void)state;
	step_kill_argv(argv, "x1", NULL, NULL);
	assert_words(argv, STEP_PATH "|kill|x1");
	step_kill_argv(argv, "x1", "HUP", "2");
	assert_words(argv, STEP_PATH "|kill|--signal|HUP|--grace|2|x1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command),
		cmocka_unit_test(a_login_shell),
		cmocka_unit_test(many_words),
		cmocka_unit_test(ending_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
