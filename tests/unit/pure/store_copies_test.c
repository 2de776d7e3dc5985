/* The file of the store emptied, removed or replaced, between two starts and while it is open: it is said, nothing is
 * begun anew, and what was in it is at hand. */
#include "store_util.h"

#include <sys/stat.h>
#include <unistd.h>

static void copy_over(const char *from, const char *to)
{
	cleanup_free char *command = xasprintf("cp '%s' '%s'", test_path(from), test_path(to));
	assert_int_equal(system(command), 0);
}

static void has_workspace(struct store *s, const char *name)
{
	cleanup_json cJSON *ws = NULL;
	ok(store_ws_get(s, name, &ws, &err));
}

static void lose(bool empty)
{
	unlink(test_path("db-wal"));
	unlink(test_path("db-shm"));
	if (empty)
		test_file("db", "");
	else
		assert_int_equal(unlink(test_path("db")), 0);
}

static void lost_between_two_starts(void **state)
{
	struct store *s = open_store("db");
	ws_make(s, "web");
	store_copy(s, false);
	store_close(s);
	for (int empty = 0; empty < 2; empty++) {
		struct stat st;
		lose(empty);
		refused(store_open(&s, test_path("db"), &err), PERRY_ESTATE, empty ? "is empty" : "is gone");
		refused(store_open(&s, test_path("db"), &err), PERRY_ESTATE, "cp /tmp/");
		assert_int_equal(stat(test_path("db"), &st) == 0, empty); /* left as it was */
		copy_over("db.copy-1", "db");
		s = open_store("db");
		has_workspace(s, "web");
		store_close(s);
	}
}

static void a_first_start_that_was_killed_is_none(void **state)
{
	test_file("db", "");
	struct store *s = open_store("db");
	ws_make(s, "web");
	store_close(s);
}

static void lost_while_open(void **state)
{
	static const char *const ways[] = { "removed", "replaced", "emptied" };
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		cleanup_free char *name = xasprintf("db%zu", i), *copy = xasprintf("%s.copy-1", name);
		struct store *s = open_store(name);
		cleanup_json cJSON *more = J("{'name':'more'}");
		ws_make(s, "web");
		if (i == 2)
			store_copy(s, false);
		if (i == 2)
			assert_int_equal(truncate(test_path(name), 0), 0);
		else
			assert_int_equal(unlink(test_path(name)), 0);
		if (i == 1)
			test_file(name, "something else");
		refused(store_ws_create(s, more, &err), PERRY_EUNAVAILABLE, "removed or replaced while the agent runs");
		refused(store_ws_delete(s, "web", &err), PERRY_EUNAVAILABLE, "copy-1");
		store_close(s);
		unlink(test_path(name));
		cleanup_free char *log = xasprintf("%s-wal", name), *shared = xasprintf("%s-shm", name);
		unlink(test_path(log));
		unlink(test_path(shared));
		copy_over(copy, name);
		s = open_store(name);
		has_workspace(s, "web");
		store_close(s);
	}
}

static void three_copies_are_kept(void **state)
{
	struct store *s = open_store("db");
	struct stat st;
	for (int i = 0; i < 5; i++) {
		cleanup_free char *name = xasprintf("w%d", i);
		ws_make(s, name);
		store_copy(s, false);
		store_copy(s, true); /* not due */
	}
	store_close(s);
	for (int n = 1; n <= 3; n++) {
		cleanup_free char *name = xasprintf("db.copy-%d", n);
		cleanup_json cJSON *all = NULL;
		assert_int_equal(stat(test_path(name), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		struct store *c = open_store(name);
		ok(store_ws_list(c, &all, &err));
		assert_int_equal(cJSON_GetArraySize(all), 6 - n);
		store_close(c);
	}
	assert_int_equal(stat(test_path("db.copy-4"), &st), -1);
	assert_int_equal(stat(test_path("db.copy-new"), &st), -1);
}

static void a_broken_document_names_its_file(void **state)
{
	struct store *s = open_store("db");
	cJSON *ws = NULL;
	ws_make(s, "web");
	store_close(s);
	cleanup_free char *command =
		xasprintf("sqlite3 '%s' \"UPDATE workspaces SET doc = '{broken'\"", test_path("db"));
	if (system(command) != 0)
		skip();
	s = open_store("db");
	refused(store_ws_get(s, "web", &ws, &err), PERRY_EINPUT, test_path("db"));
	store_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_dir_make, test_dir_remove)

int main(void)
{
	const struct CMUnitTest tests[] = { T(lost_between_two_starts), T(a_first_start_that_was_killed_is_none),
					    T(lost_while_open), T(three_copies_are_kept),
					    T(a_broken_document_names_its_file) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
