/* Control groups of containers: found in what the kernel says of a process, and read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/stats/cgroup.h"
#include "base/file.h"
#include "base/mem.h"

#define ID "00f8757e52fb10474da246959c6b5eee036751ff53fb90e90a6bf29ede50feea"

static void found(void **state)
{
	(void)state;
	struct cgroup g;
	assert_true(cgroup_find("0::/system.slice/docker-" ID ".scope\n", ID, &g));
	assert_true(g.unified);
	assert_string_equal(g.memory, "/system.slice/docker-" ID ".scope");
	assert_string_equal(g.cpu, g.memory);
	/* What is below it is the container's own. */
	assert_true(cgroup_find("0::/docker/" ID "/init.scope\n", ID, &g));
	assert_string_equal(g.memory, "/docker/" ID);
	/* Version 1, and both versions at once. */
	assert_true(cgroup_find("4:memory:/docker/" ID "\n3:cpu,cpuacct:/x/" ID "/in\n1:name=systemd:/docker/" ID
				"\n0::/docker/" ID "\n",
				ID, &g));
	assert_false(g.unified);
	assert_string_equal(g.memory, "/docker/" ID);
	assert_string_equal(g.cpu, "/x/" ID);
}

static void not_found(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"0::/\n",
		"0::/user.slice/user-1000.slice\n", /* a process of this machine that happens to have the number */
		"0::/../../docker/" ID "\n",
		"4:memory:/docker/" ID "\n", /* half of it */
		"4:cpuset:/docker/" ID "\n",
		"4:mymemory:/docker/" ID "\n3:cpuacct:/docker/" ID "\n",
		"no colon at all " ID "\n",
		"0::relative/" ID,
	};
	struct cgroup g;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_false(cgroup_find(texts[i], ID, &g));
	assert_false(cgroup_find("0::/docker/a\n", "a", &g)); /* no id */
	char longer[2000] = "0::/";
	memset(longer + 4, 'a', 1500);
	strcpy(longer + 1504, "/" ID "\n");
	assert_false(cgroup_find(longer, ID, &g));
}

static void put(const char *root, const char *path, const char *text)
{
	cleanup_free char *file = xasprintf("%s/%s", root, path), *dir = xstrdup(file);
	*strrchr(dir, '/') = '\0';
	assert_int_equal(dir_make(dir, 0700, NULL), 0);
	assert_int_equal(file_write_atomic(file, text, strlen(text), 0600, NULL), 0);
}

static void numbers(void **state)
{
	(void)state;
	char *root = NULL;
	int64_t cpu = 0, memory = 0;
	assert_int_equal(dir_temp("perry-cgroup", &root, NULL), 0);
	struct cgroup two = { .unified = true, .memory = "/a", .cpu = "/a" }, one = { .memory = "/m", .cpu = "/c" };
	assert_false(cgroup_read(root, &two, &cpu, &memory));
	put(root, "a/cpu.stat", "usage_usec_other 9\nusage_usec 2500000\nuser_usec 1\n");
	put(root, "a/memory.current", "1000000\n");
	assert_true(cgroup_read(root, &two, &cpu, &memory));
	assert_int_equal(cpu, 2500000);
	assert_int_equal(memory, 1000000);
	put(root, "a/memory.stat", "anon 5\nactive_file 7\ninactive_file 400000\n");
	assert_true(cgroup_read(root, &two, &cpu, &memory));
	assert_int_equal(memory, 600000);
	put(root, "memory/m/memory.usage_in_bytes", "5000\n");
	put(root, "memory/m/memory.stat", "inactive_file 1\ntotal_inactive_file 6000\n"); /* read a moment later */
	put(root, "cpuacct/c/cpuacct.usage", "3000000\n");
	assert_true(cgroup_read(root, &one, &cpu, &memory));
	assert_int_equal(cpu, 3000);
	assert_int_equal(memory, 0);
	put(root, "cpuacct/c/cpuacct.usage", "many\n");
	assert_false(cgroup_read(root, &one, &cpu, &memory));
	dir_remove(root);
	free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(found), cmocka_unit_test(not_found),
					    cmocka_unit_test(numbers) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
