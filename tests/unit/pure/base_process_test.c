/* Programs run to their end: output, status, limits of time, output and file size, nothing left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/process.h"

static struct process sh(const char **argv, const char *script)
{
	argv[0] = "sh";
	argv[1] = "-c";
	argv[2] = script;
	argv[3] = NULL;
	return (struct process){ .argv = argv, .timeout_ms = 10000, .max_output = 1 << 20 };
}

static void run_ok(const struct process *p, struct process_end *end)
{
	struct perry_err *err = NULL;
	if (process_run(p, end, &err) < 0)
		fail_msg("%s", perry_msg(err));
}

static void output_and_status(void **state)
{
	const char *argv[4];
	cleanup_process struct process_end end = { 0 };
	(void)state;
	struct process p = sh(argv, "cat; echo oops >&2; exit 7");
	cleanup_free char *big = xmalloc(500000);
	memset(big, 'x', 500000);
	p.input = big;
	p.input_len = 500000; /* more than a pipe holds */
	run_ok(&p, &end);
	assert_int_equal(end.status, 7);
	assert_int_equal(end.out.len, 500000);
	assert_string_equal(buf_str(&end.err), "oops\n");
	assert_false(end.cut);
}

static void signals_and_environment(void **state)
{
	const char *argv[4], *const env[] = { "A=b c", "PATH=/usr/bin:/bin", NULL };
	cleanup_process struct process_end end = { 0 }, other = { 0 };
	(void)state;
	struct process p = sh(argv, "pwd; env | grep -v _=; kill -9 $$");
	p.env = env;
	p.dir = "/";
	run_ok(&p, &end);
	assert_int_equal(end.status, 137);
	assert_non_null(strstr(buf_str(&end.out), "/\n"));
	assert_non_null(strstr(buf_str(&end.out), "A=b c\n"));
	assert_null(strstr(buf_str(&end.out), "HOME="));
	/* descriptors of ours are not theirs */
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	p = sh(argv, "ls /proc/self/fd | wc -l");
	run_ok(&p, &other);
	assert_string_equal(buf_str(&other.out), "4\n"); /* 0, 1, 2 and that of ls itself */
	close(fds[0]);
	close(fds[1]);
}

static void too_much_is_cut(void **state)
{
	const char *argv[4];
	cleanup_process struct process_end end = { 0 };
	(void)state;
	struct process p = sh(argv, "yes | head -c 100000");
	p.max_output = 1000;
	run_ok(&p, &end);
	assert_int_equal(end.out.len, 1000);
	assert_true(end.cut);
}

static bool alive(const char *pid_text)
{
	cleanup_free char *path = xasprintf("/proc/%d/stat", atoi(pid_text));
	FILE *f = fopen(path, "re");
	char line[256] = "";
	bool is = f && fgets(line, sizeof line, f) && !strstr(line, ") Z ");
	if (f)
		fclose(f);
	return is;
}

static void time_is_up(void **state)
{
	const char *argv[4];
	struct perry_err *err = NULL;
	cleanup_process struct process_end end = { 0 };
	(void)state;
	struct process p = sh(argv, "sleep 1000 & echo $!; trap '' TERM; wait");
	p.timeout_ms = 300;
	int64_t began = clock_mono_ms();
	assert_int_equal(process_run(&p, &end, &err), -1);
	assert_int_equal(err->code, PERRY_ETIMEOUT);
	assert_string_equal(perry_msg(err), "sh: not done after 0.3 s; it was ended");
	perry_err_free(err);
	assert_true(clock_mono_ms() - began < 60000);
	for (int i = 0; i < 3000 && alive(buf_str(&end.out)); i++)
		usleep(10000);
	assert_false(alive(buf_str(&end.out))); /* the whole group */
}

/* A child of the child that holds the output open does not keep us. */
static void a_left_behind_child_is_ended(void **state)
{
	const char *argv[4];
	cleanup_process struct process_end end = { 0 };
	(void)state;
	struct process p = sh(argv, "sleep 1000 & echo $!; exit 0");
	int64_t began = clock_mono_ms();
	run_ok(&p, &end);
	assert_true(clock_mono_ms() - began < 60000);
	for (int i = 0; i < 3000 && alive(buf_str(&end.out)); i++)
		usleep(10000);
	assert_false(alive(buf_str(&end.out)));
}

static void files_are_limited(void **state)
{
	const char *argv[4];
	cleanup_process struct process_end end = { 0 };
	char path[] = "/tmp/perry-process-XXXXXX";
	(void)state;
	close(mkstemp(path));
	cleanup_free char *script = xasprintf("head -c 100000 /dev/zero >%s; stat -c %%s %s", path, path);
	struct process p = sh(argv, script);
	p.file_size = 4096;
	run_ok(&p, &end);
	assert_string_equal(buf_str(&end.out), "4096\n");
	assert_non_null(strstr(buf_str(&end.err), "File too large"));
	unlink(path);
}

static void no_such_command(void **state)
{
	const char *argv[] = { "no-such-command-here", NULL };
	struct perry_err *err = NULL;
	struct process_end end;
	struct process p = { .argv = argv, .timeout_ms = 1000 };
	(void)state;
	assert_int_equal(process_run(&p, &end, &err), -1);
	assert_int_equal(err->code, PERRY_ENOTFOUND);
	perry_err_free(take_ptr(err));
	argv[0] = "/etc"; /* a folder */
	assert_int_equal(process_run(&p, &end, &err), -1);
	assert_int_equal(err->code, PERRY_ENOTFOUND);
	perry_err_free(err);
}

static void programs_are_found(void **state)
{
	char dir[] = "/tmp/perry-process-XXXXXX";
	assert_non_null(mkdtemp(dir));
	cleanup_free char *folder = xasprintf("%s/one/tool", dir), *one = xasprintf("%s/one", dir);
	cleanup_free char *file = xasprintf("%s/two/tool", dir), *plain = xasprintf("%s/two/text", dir);
	cleanup_free char *script = xasprintf(
		"cd %s && mkdir -p one/tool two && echo : >two/text && echo : >two/tool && chmod +x two/tool", dir);
	assert_int_equal(system(script), 0);
	cleanup_free char *path = xasprintf("two::%s:%s/two", one, dir);
	char *found = process_find("tool", path); /* the folder of that name is none */
	assert_string_equal(found, file);
	free(found);
	assert_null(process_find("text", path)); /* nobody may run it */
	assert_null(process_find("tool", one));
	assert_null(process_find("", path));
	assert_null(process_find(folder, path));
	found = process_find(file, NULL);
	assert_string_equal(found, file);
	free(found);
	char *was = getcwd(NULL, 0);
	assert_int_equal(chdir(dir), 0);
	assert_null(process_find("tool", "two:."));
	assert_int_equal(chdir(was), 0);
	free(was);
	found = process_find("sh", "");
	assert_non_null(found);
	free(found);
	cleanup_free char *away = xasprintf("rm -r %s", dir);
	assert_int_equal(system(away), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status),
		cmocka_unit_test(signals_and_environment),
		cmocka_unit_test(too_much_is_cut),
		cmocka_unit_test(time_is_up),
		cmocka_unit_test(a_left_behind_child_is_ended),
		cmocka_unit_test(files_are_limited),
		cmocka_unit_test(no_such_command),
		cmocka_unit_test(programs_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
