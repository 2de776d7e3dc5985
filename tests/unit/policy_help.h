/* Shared by the tests of core/policy: one policy process, a folder of hook files, facts of a workspace. */
#ifndef PERRY_TESTS_POLICY_HELP_H
#define PERRY_TESTS_POLICY_HELP_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/paths.h"
#include "open_fds.h"
#include "policy/contract/points.h"
#include "policy/policy.h"

#if defined(PERRY_SAN_address) || defined(PERRY_SAN_undefined) || defined(PERRY_SAN_thread)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static struct policy *policy;

/* No limit is near: where a sanitizer or other programs make everything slow, none is met that the test is not about. A
 * test of one limit makes that one small. help_clean sets it back. */
static const struct hook_limits ample = { 1000000000000, 300000, 600000 };
#define limit_to(...)         policy_limit(policy, &(const struct hook_limits){ __VA_ARGS__ })
#define limit_instructions(n) limit_to(n, ample.cpu_ms, ample.wall_ms)
#define limit_cpu_ms(n)       limit_to(ample.instructions, n, ample.wall_ms)
#define limit_wall_ms(n)      limit_to(ample.instructions, ample.cpu_ms, n)

static char home[64], user_dir[128], pack_dir[128];

/* First in main: the zygote is forked before cmocka does anything. */
__attribute__((unused)) static void help_main(int argc, char **argv)
{
	struct perry_err *err = NULL;
	policy_main(argc, argv);
	if (policy_new(&policy, &err) < 0) {
		fprintf(stderr, "%s\n", perry_msg(err));
		exit(1);
	}
	policy_limit(policy, &ample);
	strcpy(home, "/tmp/perry-policy-XXXXXX");
	if (!mkdtemp(home))
		exit(1);
	setenv("HOME", home, 1);
	snprintf(user_dir, sizeof user_dir, "%s/.config/perry/hooks", home);
	snprintf(pack_dir, sizeof pack_dir, "%s/pack", home);
	if (dir_make(user_dir, 0700, NULL) < 0 || dir_make(pack_dir, 0700, NULL) < 0)
		exit(1);
}

__attribute__((unused)) static int help_end(void **state)
{
	char command[256];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", home);
	policy_free(policy);
	return system(command) == 0 ? 0 : -1;
}

/* Removes all hook files; each test starts with it. */
__attribute__((unused)) static int help_clean(void **state)
{
	char command[512];
	(void)state;
	policy_limit(policy, &ample);
	snprintf(command, sizeof command, "rm -rf %s/* %s/*; chmod 700 %s", user_dir, pack_dir, user_dir);
	return system(command) == 0 ? 0 : -1;
}

__attribute__((unused)) static void write_to(const char *dir, const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = path_join(dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

__attribute__((unused)) static void user_hook(const char *point, const char *text)
{
	cleanup_free char *name = xasprintf("%s.lua", point);
	write_to(user_dir, name, text, 0644);
}

__attribute__((unused)) static cJSON *parse(const char *text)
{
	struct perry_err *err = NULL;
	cJSON *j = json_parse(text, strlen(text), "test", &err);
	if (!j)
		fail_msg("%s", perry_msg(err));
	return j;
}

__attribute__((unused)) static cJSON *facts_of(const char *name)
{
	cleanup_free char *text = xasprintf(
		"{\"ws\":{\"name\":\"%s\",\"labels\":{\"team\":\"core\"},\"created\":1700000000,\"owner\":\"alice\","
		"\"reason\":\"create\","
		"\"request\":{\"env\":{\"A\":\"1\"}},\"user\":{\"kind\":\"local\",\"tags\":[]},\"state\":\"creating\","
		"\"agent\":{\"hostname\":\"box\",\"os\":\"linux\",\"cpus\":2,\"workspaces\":0,\"engine\":{\"runtimes\":"
		"[\"runc\"],\"userns\":false}}}}",
		name);
	return parse(text);
}

/* CPU time of the zygote's ended children, in ms; the kernel keeps it in ticks of 10. */
__attribute__((unused)) static int64_t children_cpu_ms(void)
{
	cleanup_free char *path = xasprintf("/proc/%d/stat", (int)policy_zygote_pid(policy));
	FILE *f = fopen(path, "re");
	long user = 0, kernel = 0;
	assert_non_null(f);
	assert_int_equal(
		fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %ld %ld", &user, &kernel), 2);
	fclose(f);
	return (user + kernel) * 1000 / sysconf(_SC_CLK_TCK);
}

typedef int (*call_fn)(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		       struct perry_err **err);

/* A session with the user's layer and, when there are files in it, a pack's. config: JSON text or NULL. */
__attribute__((unused)) static int try_begin(const char *config, call_fn call, void *ctx, const cJSON *needs,
					     struct policy_session **s, struct perry_err **err)
{
	cleanup_json cJSON *public = parse(config ? config : "{}");
	struct policy_layer layers[2] = {
		{ .name = "user", .dir = user_dir, .owner = geteuid(), .follow_links = true },
		{ .name = "acme", .dir = pack_dir, .owner = geteuid(), .needs = needs },
	};
	struct policy_setup setup = { .layers = layers, .nlayers = 2, .config = public, .call = call, .ctx = ctx };
	return policy_open(policy, &setup, s, err);
}

__attribute__((unused)) static struct policy_session *begin(const char *config, call_fn call, void *ctx)
{
	struct perry_err *err = NULL;
	struct policy_session *s = NULL;
	if (try_begin(config, call, ctx, NULL, &s, &err) < 0)
		fail_msg("%s", perry_msg(err));
	return s;
}

/* One question, one session. The error is the caller's. */
__attribute__((unused)) static cJSON *ask(const char *point, const char *extra, struct perry_err **err)
{
	struct policy_session *s = NULL;
	cJSON *answer = NULL;
	cleanup_json cJSON *facts = facts_of("web"), *more = extra ? parse(extra) : NULL;
	if (try_begin(NULL, NULL, NULL, NULL, &s, err) < 0)
		return NULL;
	policy_ask(s, point, facts, more, &answer, NULL, err);
	policy_close(s);
	return answer;
}

#endif
