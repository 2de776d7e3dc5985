/* Hook files on disk: whose they are, who may write to them, links, names; what a pack may ask for. */
#include <errno.h>

#include "policy/contract/access.h"
#include "policy/layers.h"
#include "policy_help.h"

static void refused(const char *wanted)
{
	struct perry_err *err = NULL;
	struct policy_session *s = NULL;
	assert_int_equal(try_begin(NULL, NULL, NULL, NULL, &s, &err), -1);
	if (!strstr(perry_msg(err), wanted))
		fail_msg("got:    %s\nwanted: %s", perry_msg(err), wanted);
	assert_int_equal(err->code, PERRY_EPOLICY);
	assert_non_null(json_str(err->data, "file"));
	perry_err_free(err);
}

static void accepted(void)
{
	policy_close(begin(NULL, NULL, NULL));
}

static const char fine[] = "return function() return 'fine' end";

static void files_that_others_write_are_refused(void **state)
{
	(void)state;
	write_to(user_dir, "image.lua", fine, 0644);
	accepted();
	write_to(user_dir, "image.lua", fine, 0666);
	refused("~/.config/perry/hooks/image.lua: others may write to it (mode 0666); it is not used (chmod go-w)");
	write_to(user_dir, "image.lua", fine, 0664);
	refused("others may write to it (mode 0664)");
	write_to(user_dir, "image.lua", fine, 0600);
	accepted();
	assert_int_equal(chmod(user_dir, 0777), 0);
	refused("hooks: others may write to it (mode 0777)");
	assert_int_equal(chmod(user_dir, 0700), 0);
	/* a file that is switched off or of no point is not opened at all */
	write_to(user_dir, "image.lua.off", fine, 0666);
	write_to(user_dir, "nothing.lua", fine, 0666);
	accepted();
}

static void files_of_others_are_refused(void **state)
{
	(void)state;
	cleanup_free char *path = path_join(user_dir, "image.lua");
	write_to(user_dir, "image.lua", fine, 0644);
	if (geteuid() != 0) {
		print_message("skip: only root can give a file away\n");
		skip();
	}
	assert_int_equal(chown(path, 12345, 12345), 0);
	refused("image.lua: belongs to uid 12345, not to uid 0 or root");
}

static void links_count_by_their_target(void **state)
{
	(void)state;
	cleanup_free char *target = path_join(home, "real.lua"), *link = path_join(user_dir, "image.lua"),
			  *in_pack = path_join(pack_dir, "image.lua");
	write_to(home, "real.lua", fine, 0644);
	assert_int_equal(symlink(target, link), 0);
	accepted();
	assert_int_equal(chmod(target, 0646), 0);
	refused("others may write to it (mode 0646)");
	assert_int_equal(chmod(target, 0644), 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(target, in_pack), 0);
	refused("~/pack/image.lua: a link; the layer 'acme' may not have any");
	assert_int_equal(unlink(in_pack), 0);
	assert_int_equal(symlink("/nowhere", link), 0);
	refused("image.lua: No such file or directory");
	unlink(target);
}

static void what_is_no_hook_is_refused(void **state)
{
	(void)state;
	cleanup_free char *path = path_join(user_dir, "image.lua");
	write_to(user_dir, "image.lua", "\033Lua", 0644);
	refused("image.lua: compiled Lua (bytecode); hooks are text");
	write_to(user_dir, "image.lua", "return '\xff'", 0644);
	refused("image.lua: is not UTF-8");
	write_to(user_dir, "image.lua", "-- perry: api=2\nreturn 1", 0644);
	refused("image.lua:1: this perry serves api=1");
	write_to(user_dir, "image.lua", "-- perry: ap=1\nreturn 1", 0644);
	refused("image.lua:1: expected '-- perry: api=1'");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused("image.lua: not a regular file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused("image.lua: not a regular file");
	unlink(path);
	FILE *f = fopen(path, "w");
	for (int i = 0; i < 300; i++)
		fprintf(f, "--%01022d\n", 0);
	fclose(f);
	refused("image.lua: more than 256 KiB; it is not used");
}

static void headers(void **state)
{
	static const struct {
		const char *text;
		int result, api;
		bool stated;
	} cases[] = {
		{ "", 0, 1, false },
		{ "return 1", 0, 1, false },
		{ "-- perry: api=1", 0, 1, true },
		{ "--perry:api=1\r\nx", 0, 1, true },
		{ "--  perry:  api=1  \n", 0, 1, true },
		{ "-- perry: api=0", -1, 0, true },
		{ "-- perry: api=2", -1, 2, true },
		{ "-- perry: api=", -1, 1, false },
		{ "-- perry: api=1x", -1, 1, false },
		{ "-- perry: api=99999999999", -1, 1, false },
		{ "-- a comment", 0, 1, false },
		{ "-- perry", 0, 1, false },
		{ "--", 0, 1, false },
		{ "\n-- perry: api=9", 0, 1, false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int api;
		bool stated;
		const char *why = NULL;
		int r = hook_header(cases[i].text, strlen(cases[i].text), &api, &stated, &why);
		if (r != cases[i].result || api != cases[i].api || stated != cases[i].stated ||
		    (r < 0) != (why != NULL))
			fail_msg("'%s': %d api=%d stated=%d", cases[i].text, r, api, stated);
	}
}

static const cJSON *problem_with(const cJSON *inventory, const char *text)
{
	const cJSON *p;
	cJSON_ArrayForEach(p, json_at(inventory, "problems"))
		if (strstr(json_str(p, "message"), text))
			return p;
	cleanup_free char *all = json_print(json_at(inventory, "problems"));
	fail_msg("no problem with '%s' in %s", text, all);
	return NULL;
}

static const cJSON *layers_of(const cJSON *inventory, const char *point)
{
	const cJSON *p;
	cJSON_ArrayForEach(p, json_at(inventory, "points"))
		if (strcmp(json_str(p, "point"), point) == 0)
			return json_at(p, "layers");
	return NULL;
}

static void the_inventory_says_what_answers_and_what_does_not(void **state)
{
	static const char *const disabled[] = { "acme/on_deleted", "acme/image", "nobody/on_deleted", "plain", NULL };
	(void)state;
	write_to(user_dir, "hostnam.lua", fine, 0644);
	write_to(user_dir, "zzzzzzzzzzzz.lua", fine, 0644);
	write_to(user_dir, "image_test.lua", fine, 0644);
	write_to(user_dir, "README.md", fine, 0644);
	write_to(user_dir, "image.lua", fine, 0644);
	write_to(user_dir, "env.lua", fine, 0666);
	write_to(user_dir, "idle.lua.off", fine, 0644);
	write_to(pack_dir, "on_deleted.lua", fine, 0644);
	struct policy_layer layers[2] = {
		{ .name = "user", .dir = user_dir, .owner = geteuid(), .follow_links = true },
		{ .name = "acme", .dir = pack_dir, .owner = geteuid() },
	};
	struct policy_setup setup = { .layers = layers, .nlayers = 2, .disabled = disabled };
	cleanup_json cJSON *got = policy_inventory(&setup);
	assert_true(policy_others_have(got, "image"));
	assert_false(policy_others_have(got, "authorize"));
	assert_string_equal(
		json_str(problem_with(got, "hostnam.lua: no hook point has this name (did you mean hostname.lua?)"),
			 "nearest"),
		"hostname");
	problem_with(got, "zzzzzzzzzzzz.lua: no hook point has this name; the file does nothing");
	problem_with(got, "env.lua: others may write to it");
	problem_with(got, "\"acme/image\" mutes nothing: only actions");
	problem_with(got, "\"nobody/on_deleted\" mutes nothing: there is no such layer");
	problem_with(got, "\"plain\" mutes nothing: expected layer/point");
	assert_int_equal(cJSON_GetArraySize(json_at(got, "problems")), 6);
	const cJSON *image = layers_of(got, "image");
	assert_int_equal(cJSON_GetArraySize(image), 2);
	assert_string_equal(json_str(cJSON_GetArrayItem(image, 0), "state"), "answers");
	assert_string_equal(json_str(cJSON_GetArrayItem(image, 0), "file"), "~/.config/perry/hooks/image.lua");
	assert_string_equal(json_str(cJSON_GetArrayItem(image, 1), "state"), "below");
	assert_string_equal(json_str(cJSON_GetArrayItem(image, 1), "layer"), "built-in");
	assert_string_equal(json_str(cJSON_GetArrayItem(layers_of(got, "on_deleted"), 0), "state"), "muted");
	assert_string_equal(json_str(cJSON_GetArrayItem(layers_of(got, "env"), 0), "state"), "refused");
	assert_int_equal(cJSON_GetArraySize(layers_of(got, "idle")), 1);
}

static void a_muted_action_does_not_run(void **state)
{
	static const char *const disabled[] = { "user/on_deleted", NULL };
	cleanup_json cJSON *facts = facts_of("web"), *rows = cJSON_CreateArray();
	struct policy_layer layer = { .name = "user", .dir = user_dir, .owner = geteuid(), .follow_links = true };
	struct policy_setup setup = { .layers = &layer, .nlayers = 1, .disabled = disabled };
	struct policy_session *s = NULL;
	(void)state;
	user_hook("on_deleted", "return function() error 'ran' end");
	assert_int_equal(policy_open(policy, &setup, &s, NULL), 0);
	assert_int_equal(policy_ask(s, "on_deleted", facts, NULL, NULL, rows, NULL), 0);
	assert_int_equal(cJSON_GetArraySize(rows), 0);
	policy_close(s);
}

static void require_finds_the_layers_own_files(void **state)
{
	cleanup_free char *lib = path_join(user_dir, "lib"), *deep = path_join(lib, "net");
	cleanup_json cJSON *facts = facts_of("web");
	struct policy_layer layer = {
		.name = "user", .dir = user_dir, .lib_dir = lib, .owner = geteuid(), .follow_links = true
	};
	struct policy_setup setup = { .layers = &layer, .nlayers = 1 };
	(void)state;
	assert_int_equal(dir_make(deep, 0700, NULL), 0);
	write_to(lib, "names.lua", "local deep = require 'net.deep'\nreturn { image = 'a' .. deep }", 0644);
	write_to(deep, "deep.lua", "return 'b'", 0644);
	write_to(lib, "broken.lua", "return +", 0644);
	write_to(lib, "loop.lua", "return require 'loop'", 0644);
	static const char *const cases[][2] = {
		{ "return function() return require('names').image end", NULL },
		{ "local n = require 'names' return function() return n.image end", NULL },
		{ "return function() return require 'broken' end", "~/.config/perry/hooks/lib/broken.lua:1: unexpected "
								   "symbol near '+'" },
		{ "return function() return require 'loop' end", "lib/loop.lua:1: require 'loop': it requires itself" },
		{ "return function() return require 'none' end", "no such file in the lib folder of layer 'user'" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct policy_session *s = NULL;
		struct perry_err *err = NULL;
		cJSON *answer = NULL;
		user_hook("image", cases[i][0]);
		assert_int_equal(policy_open(policy, &setup, &s, NULL), 0);
		policy_ask(s, "image", facts, NULL, &answer, NULL, &err);
		if (!cases[i][1] && !answer)
			fail_msg("%s", perry_msg(err));
		if (cases[i][1] && (!err || !strstr(perry_msg(err), cases[i][1])))
			fail_msg("%s: %s", cases[i][0], err ? perry_msg(err) : "no error");
		cJSON_Delete(answer);
		perry_err_free(err);
		policy_close(s);
	}
	write_to(lib, "broken.lua", "return 1", 0666);
	struct policy_session *s = NULL;
	struct perry_err *err = NULL;
	assert_int_equal(policy_open(policy, &setup, &s, &err), -1);
	assert_non_null(strstr(perry_msg(err), "lib/broken.lua: others may write to it"));
	perry_err_free(err);
}

/* -- what may be asked for -- */

static void url_hosts(void **state)
{
	static const char *const cases[][2] = {
		{ "https://Hooks.Slack.com/x", "hooks.slack.com" },
		{ "http://a:8080/", "a" },
		{ "https://[::1]:80/x", "[::1]" },
		{ "https://a.b?x@y", "a.b" },
		{ "https://a@b/", NULL },
		{ "https://a:b@c/", NULL },
		{ "file:///etc/passwd", NULL },
		{ "https:/a", NULL },
		{ "https://", NULL },
		{ "https://a b/", NULL },
		{ "https://a\\@b/", NULL },
		{ "https://a\n/", NULL },
		{ "HTTP://a/", NULL },
		{ "https://a:x/", NULL },
		{ "https://:80/", NULL },
		{ "https://[::1/", NULL },
		{ "https://a%2eb/", NULL },
		{ "gopher://a", NULL },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char host[256] = "";
		int r = access_url_host(cases[i][0], host);
		if ((r == 0) != (cases[i][1] != NULL) || (r == 0 && strcmp(host, cases[i][1]) != 0))
			fail_msg("%s: %d '%s'", cases[i][0], r, host);
	}
}

static int answer_all(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		      struct perry_err **err)
{
	int *count = ctx;
	(void)layer, (void)name, (void)args, (void)err;
	++*count;
	*out = parse("{\"status\":404,\"body\":\"\"}");
	return 0;
}

static void a_pack_gets_what_it_needs_only(void **state)
{
	static const struct {
		const char *needs, *code, *wanted;
	} cases[] = {
		{ "{}", "perry.http.get 'https://a.example.com/x'",
		  "the pack 'acme' does not list a.example.com in needs.network" },
		{ "{\"network\":[\"a.example.com\"]}", "perry.http.get 'https://a.example.com/x'", NULL },
		{ "{\"network\":[\"*.example.com\"]}", "perry.http.get 'https://a.example.com/x'", NULL },
		{ "{\"network\":[\"*.example.com\"]}", "perry.http.get 'https://example.com/x'",
		  "does not list example.com" },
		{ "{\"network\":[\"a.example.com\"]}", "perry.http.get 'https://a.example.com@evil/x'",
		  "not an http or https address" },
		{ "{\"network\":[\"a.example.com\"]}", "perry.http.get 'https://evil/a.example.com'",
		  "does not list evil" },
		{ "{}", "perry.kv.get 'x'", "the pack 'acme' does not list get in needs.kv" },
		{ "{\"kv\":true}", "perry.kv.get 'x'", NULL },
		{ "{\"docker\":[\"list\"]}", "perry.docker.list()", NULL },
		{ "{\"docker\":[\"list\"]}", "perry.docker.inspect 'x'", "does not list inspect in needs.docker" },
		{ "{\"network\":[\"a\"]}",
		  "perry.http.get('https://a/', { headers = { X = perry.secret 'auth.token' } })",
		  "the pack 'acme' has no secret setting 'auth.token'" },
		{ "{\"network\":[\"a\"]}", "perry.http.get('https://a/', { headers = { X = perry.secret 'slack' } })",
		  "the pack 'acme' has no secret setting 'slack'" },
	};
	cleanup_json cJSON *facts = facts_of("web");
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *needs = parse(cases[i].needs);
		cleanup_free char *hook = xasprintf("return function()\n  %s\n  return 'fine'\nend", cases[i].code);
		struct policy_session *s = NULL;
		struct perry_err *err = NULL;
		cJSON *answer = NULL;
		int calls = 0;
		write_to(pack_dir, "image.lua", hook, 0644);
		assert_int_equal(try_begin(NULL, answer_all, &calls, needs, &s, NULL), 0);
		policy_ask(s, "image", facts, NULL, &answer, NULL, &err);
		if (cases[i].wanted ? !err || !strstr(perry_msg(err), cases[i].wanted) ||
					      !strstr(perry_msg(err), "pack/image.lua:2: ")
				    : !answer)
			fail_msg("%s: %s", cases[i].code, err ? perry_msg(err) : "allowed");
		assert_int_equal(calls, cases[i].wanted ? 0 : 1);
		cJSON_Delete(answer);
		perry_err_free(err);
		policy_close(s);
	}
}

static int fail_call(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		     struct perry_err **err)
{
	(void)ctx, (void)layer, (void)name, (void)args, (void)out;
	return perry_fail(err, PERRY_EUNAVAILABLE, "cannot reach the host");
}

static void answers_and_errors_of_the_agent_reach_the_hook(void **state)
{
	cleanup_json cJSON *facts = facts_of("web");
	struct perry_err *err = NULL;
	cJSON *answer = NULL;
	int calls = 0;
	(void)state;
	user_hook("image", "return function() local r = perry.http.get 'https://a/' return 'status' .. r.status end");
	struct policy_session *s = begin(NULL, answer_all, &calls);
	assert_int_equal(policy_ask(s, "image", facts, NULL, &answer, NULL, NULL), 0);
	assert_string_equal(cJSON_GetStringValue(answer), "status404");
	cJSON_Delete(answer);
	policy_close(s);
	s = begin(NULL, fail_call, NULL);
	assert_int_equal(policy_ask(s, "image", facts, NULL, &answer, NULL, &err), -1);
	assert_non_null(strstr(perry_msg(err), "image.lua:1: perry.http.get: cannot reach the host"));
	perry_err_free(err);
	policy_close(s);
	user_hook("image", "return function() local ok, e = pcall(perry.http.get, 'https://a/') return ok and 'x' or "
			   "'fallback' end");
	s = begin(NULL, fail_call, NULL);
	assert_int_equal(policy_ask(s, "image", facts, NULL, &answer, NULL, NULL), 0);
	assert_string_equal(cJSON_GetStringValue(answer), "fallback");
	cJSON_Delete(answer);
	policy_close(s);
}

int main(int argc, char **argv)
{
	help_main(argc, argv);
	umask(022);
#define T(f) cmocka_unit_test_setup(f, help_clean)
	const struct CMUnitTest tests[] = {
		T(files_that_others_write_are_refused),
		T(files_of_others_are_refused),
		T(links_count_by_their_target),
		T(what_is_no_hook_is_refused),
		T(headers),
		T(the_inventory_says_what_answers_and_what_does_not),
		T(a_muted_action_does_not_run),
		T(require_finds_the_layers_own_files),
		T(url_hosts),
		T(a_pack_gets_what_it_needs_only),
		T(answers_and_errors_of_the_agent_reach_the_hook),
	};
	return cmocka_run_group_tests(tests, NULL, help_end);
}
