#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/full.h"
#include "cli/git.h"
#include "cli/label.h"
#include "cli/next.h"

static int parse(struct args *a, struct perry_err **err, const char *name, int argc, ...)
{
	static char *words[16];
	int used;
	cleanup_free char *text = xstrdup(name);
	char *copy[4], *save = NULL;
	int ncopy = 0;
	for (char *w = strtok_r(text, " ", &save); w && ncopy < 4; w = strtok_r(NULL, " ", &save))
		copy[ncopy++] = w;
	va_list ap;
	va_start(ap, argc);
	for (int i = 0; i < argc; i++)
		words[i] = va_arg(ap, char *);
	va_end(ap);
	const struct command *c = command_find(ncopy, copy, &used);
	assert_non_null(c);
	return args_parse(c, argc, words, a, err);
}

static void options_are_read_by_the_table(void **state)
{
	struct args a;
	(void)state;
	assert_int_equal(
		parse(&a, NULL, "start", 8, "web", "--clone=u", "-eA=1", "-e", "B=2", "--memory", "4g", "--docker"), 0);
	assert_string_equal(a.words[0], "web");
	assert_string_equal(args_str(&a, "clone"), "u");
	assert_int_equal(cJSON_GetArraySize(args_list(&a, "env")), 2);
	assert_string_equal(args_str(&a, "memory"), "4g");
	assert_true(args_has(&a, "docker"));
	assert_false(args_has(&a, "dry-run"));
	args_free(&a);
	assert_int_equal(parse(&a, NULL, "exec", 5, "web", "--", "ls", "-l", "--help"), 0);
	assert_int_equal(a.nrest, 3);
	assert_string_equal(a.rest[2], "--help");
	assert_false(args_has(&a, "help"));
	args_free(&a);
}

/* Values, files and folders may begin with "-"; names after "--" were dropped. */
static void words_go_on_after_two_dashes(void **state)
{
	struct args a;
	(void)state;
	assert_int_equal(parse(&a, NULL, "agent config set", 3, "tailscale.hostnamePrefix", "--", "-x-"), 0);
	assert_int_equal(a.nwords, 2);
	assert_string_equal(a.words[1], "-x-");
	args_free(&a);
	assert_int_equal(parse(&a, NULL, "cp", 3, "--", "--help", "web:"), 0);
	assert_string_equal(a.words[0], "--help");
	assert_false(args_has(&a, "help"));
	args_free(&a);
	assert_int_equal(parse(&a, NULL, "delete", 4, "-y", "a", "--", "b"), 0);
	assert_int_equal(a.nwords, 2);
	args_free(&a);
	assert_int_equal(parse(&a, NULL, "delete", 2, "--", "--"), 0);
	assert_string_equal(a.words[0], "--");
	args_free(&a);
}

static void refused(const char *part, const char *name, int argc, const char *one, const char *two)
{
	struct args a;
	struct perry_err *err = NULL;
	assert_int_equal(parse(&a, &err, name, argc, one, two), -1);
	assert_int_equal(err->code, PERRY_EUSAGE);
	if (!strstr(perry_msg(err), part))
		fail_msg("expected \"%s\" in \"%s\"", part, perry_msg(err));
	perry_err_free(err);
	args_free(&a);
}

static void wrong_usage_is_named(void **state)
{
	(void)state;
	refused("did you mean --clone", "start", 1, "--clon", NULL);
	refused("there is no option --zzzzzzz", "start", 1, "--zzzzzzz", NULL);
	refused("--clone needs URL", "start", 2, "web", "--clone");
	refused("--docker takes no value", "start", 1, "--docker=yes", NULL);
	refused("something is missing", "stop", 0, NULL, NULL);
	refused("too many words", "start", 2, "a", "b");
	refused("too many words", "list", 2, "--", "a");
	refused("perry agent config set ... -- -x-", "agent config set", 2, "k", "-x-");
	refused("perry agent config set ... -- -1", "agent config set", 2, "limits.cpus", "-1");
	refused("perry access add ... -- --x=y", "access add", 2, "--x=y", NULL);
	refused("perry cp ... -- -f", "cp", 2, "-f", "web:");
}

static void the_longest_name_wins(void **state)
{
	int used;
	(void)state;
	char agent[] = "agent", auth[] = "auth", config[] = "config", get[] = "get", x[] = "x", rm[] = "rm";
	char *a[] = { agent, config, get, x }, *b[] = { rm, x }, *c[] = { agent }, *d[] = { auth };
	assert_string_equal(command_find(4, a, &used)->name, "agent config get");
	assert_int_equal(used, 3);
	assert_string_equal(command_find(2, b, &used)->name, "delete");
	assert_string_equal(command_find(1, c, &used)->name, "agent");
	assert_null(command_find(1, d, &used));
}

static void advice(enum perry_code code, const char *message, const char *wanted)
{
	static const char *const names[] = { "db", "website", NULL };
	struct perry_err *err = NULL;
	perry_fail(&err, code, "%s", message);
	next_add_of(err, "webiste", names);
	next_add_of(err, "webiste", names); /* once is enough */
	cleanup_free char *whole = xasprintf("%s%s", message, wanted);
	assert_string_equal(perry_msg(err), whole);
	perry_err_free(err);
}

static void errors_say_what_is_next(void **state)
{
	(void)state;
	advice(PERRY_ENOTFOUND, "Workspace not found", "\n  did you mean website?");
	advice(PERRY_ESTATE, "Workspace is not running", "\n  start it with: perry start webiste");
	advice(PERRY_ESTATE, "Workspace 'a' is not running", "\n  start it with: perry start webiste");
	advice(PERRY_ECONFLICT, "Workspace 'a' is busy: start since 1",
	       "\n  that ends by itself; watch it with: perry events -f");
	advice(PERRY_ECONFLICT, "Workspace 'a' already exists", "\n  take another name; see: perry list");
	advice(PERRY_EUNAVAILABLE, "Docker is unreachable: it has not answered yet", "\n  see: perry doctor");
	advice(PERRY_EUNAVAILABLE, "the agent went away", "\n  on its machine: perry agent status, perry agent logs");
	advice(PERRY_EINTERNAL, "failed\nnext: this", "");
	advice(PERRY_EINTERNAL, "the agent is odd", "");
}

static void what_a_command_is_about(void **state)
{
	static const struct {
		const char *command, *word, *more, *name;
	} all[] = {
		{ "stop", "web", NULL, "web" },
		{ "clone", "web", "two", "web" },
		{ "cp", "/a:b", "web:x", "web" },
		{ "cp", "web:x", "-", "web" },
		{ "cp", "a", "b", NULL },
		{ "access add", "tag:x", NULL, NULL },
		{ "agent config get", "x", NULL, NULL },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct args a;
		int used;
		char *words[3] = { strdup(all[i].command), NULL, NULL }, *rest = words[0];
		int n = 0;
		for (char *w; n < 3 && (w = strsep(&rest, " "));)
			words[n++] = w;
		const struct command *c = command_find(n, words, &used);
		assert_int_equal(parse(&a, NULL, all[i].command, all[i].more ? 2 : 1, all[i].word, all[i].more), 0);
		cleanup_free char *name = next_subject(c, &a);
		if (!str_eq(name, all[i].name))
			fail_msg("%s %s: %s", all[i].command, all[i].word, name ? name : "(none)");
		args_free(&a);
		free(words[0]);
	}
}

static int answers_seven(const struct args *a, struct perry_err **err)
{
	return 7;
}

/* A name that is in no list must not lead the full executable to become itself for ever. */
static void the_full_executable_has_its_own_list(void **state)
{
	static const struct full_command list[] = { { "hooks check", answers_seven }, { NULL, NULL } };
	struct perry_err *err = NULL;
	struct args a = { 0 };
	(void)state;
	full_commands = list;
	assert_int_equal(full_run("hooks check", &a, &err), 7);
	assert_int_equal(full_run("hooks test", &a, &err), -1);
	assert_int_equal(err->code, PERRY_EINTERNAL);
	assert_non_null(strstr(perry_msg(err), "hooks test"));
	perry_err_free(err);
	full_commands = NULL;
}

static void agents_are_named_in_every_form(void **state)
{
	static const struct {
		const char *text, *host;
		int port;
		bool tls;
	} good[] = {
		{ "box", "box", 7391, false },
		{ "box:80", "box", 80, false },
		{ "https://box.ts.net", "box.ts.net", 443, true },
		{ "http://box:7391/", "box", 7391, false },
		{ "[::1]:99", "::1", 99, false },
	};
	static const char *const bad[] = { "", "a b", "box:0", "box:x", "http://", "u@box", "box:99999" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct client *c = NULL;
		assert_int_equal(client_for(good[i].text, &c, NULL), 0);
		assert_string_equal(c->host, good[i].host);
		assert_int_equal(c->port, good[i].port);
		assert_int_equal(c->tls, good[i].tls);
		client_free(c);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct client *c = NULL;
		struct perry_err *err = NULL;
		if (client_for(bad[i], &c, &err) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(err->code, PERRY_EUSAGE);
		perry_err_free(err);
	}
}

static void a_checkout_tells_remote_and_branch(void **state)
{
	char dir[] = "/tmp/perry-git-XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(dir));
	cleanup_free char *cmd = xasprintf("cd %s && git init -q -b feature/x . && git remote add up https://h/up && "
					   "git remote add origin https://h/me/app.git && mkdir -p a/b",
					   dir);
	assert_int_equal(system(cmd), 0);
	cleanup_free char *sub = path_join(dir, "a/b");
	cleanup_free char *top = NULL, *remote = NULL, *branch = NULL;
	assert_int_equal(git_describe(sub, &top, &remote, &branch), 0);
	assert_string_equal(top, dir);
	assert_string_equal(remote, "https://h/me/app.git");
	assert_string_equal(branch, "feature/x");
	cleanup_free char *t2 = NULL, *r2 = NULL, *b2 = NULL;
	assert_int_equal(git_describe("/proc", &t2, &r2, &b2), -1);
	cleanup_free char *rm = xasprintf("rm -rf %s", dir);
	assert_int_equal(system(rm), 0);
}

static void a_folder_gives_a_name(void **state)
{
	static const char *const rows[][2] = {
		{ "/home/me/My App_2", "my-app-2" }, { "--x--", "x" },
		{ "a/\xc3\xa9t\xc3\xa9", "t" },      { "abcdefghijkl", "abcdefghij" },
		{ "123456789-0", "123456789" },      { "/", "" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *name = label_of(rows[i][0], 10);
		assert_string_equal(name, rows[i][1]);
	}
}

int main(void)
{
	char dir[] = "/tmp/perry-cli-XXXXXX";
	if (!mkdtemp(dir))
		return 1;
	setenv("PERRY_CONFIG_DIR", dir, 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_read_by_the_table),
		cmocka_unit_test(errors_say_what_is_next),
		cmocka_unit_test(what_a_command_is_about),
		cmocka_unit_test(words_go_on_after_two_dashes),
		cmocka_unit_test(wrong_usage_is_named),
		cmocka_unit_test(the_longest_name_wins),
		cmocka_unit_test(the_full_executable_has_its_own_list),
		cmocka_unit_test(agents_are_named_in_every_form),
		cmocka_unit_test(a_folder_gives_a_name),
		cmocka_unit_test(a_checkout_tells_remote_and_branch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
