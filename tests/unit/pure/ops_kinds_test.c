/* The table of kinds: every kind that somebody submits is in it, each has its program, and no other is taken. */
#include "ops_util.h"

#include <glob.h>
#include <regex.h>

#include "base/embed.h"
#include "base/file.h"
#include "ops/kinds.h"

static void found_by_name(void **state)
{
	for (const struct op_kind *k = op_kinds; k->name; k++) {
		assert_ptr_equal(op_kind_find(k->name), k);
		assert_int_equal(k->id, k - op_kinds);
		/* A view needs a workspace to show. */
		assert_true(k->claims || k->answer != ANSWER_VIEW);
	}
	assert_null(op_kind_find("starts"));
	assert_null(op_kind_find(""));
	assert_null(op_kind_find(NULL));
}

static void each_has_its_program(void **state)
{
	const struct embedded *file = embed_find("lua/perry/lifecycle.lua");
	assert_non_null(file);
	cleanup_free char *text = xstrndup(file->data, (size_t)(file->end - file->data));
	for (const struct op_kind *k = op_kinds; k->name; k++) {
		cleanup_free char *head = xasprintf("function M.%s()", k->name);
		if (!strstr(text, head))
			fail_msg("lifecycle.lua has no %s", head);
	}
}

/* Notes the kinds that a source file submits: ops_submit(o, "start", submit(c, "start", op.submit, "start". */
static void look(const char *path, unsigned *seen)
{
	cleanup_buf struct buf text = { 0 };
	regex_t submits;
	regmatch_t m[2];
	ok(file_read(path, 1 << 20, &text, &err));
	assert_int_equal(regcomp(&submits, "submit[(,][^\"\n]*\"([a-z_]+)\"", REG_EXTENDED), 0);
	for (const char *at = buf_str(&text); regexec(&submits, at, 2, m, 0) == 0; at += m[0].rm_eo) {
		cleanup_free char *name = xstrndup(at + m[1].rm_so, (size_t)(m[1].rm_eo - m[1].rm_so));
		const struct op_kind *k = op_kind_find(name);
		if (!k)
			fail_msg("%s submits \"%s\", which is no kind of operation", path, name);
		*seen |= 1u << k->id;
	}
	regfree(&submits);
}

static void what_is_submitted_is_in_it(void **state)
{
	static const char *const places[] = { "core/agent/*.c", "core/agent/*/*.c", "core/lua/*.c", "lua/perry/*.lua" };
	unsigned seen = 0;
	for (size_t p = 0; p < ARRAY_LEN(places); p++) {
		glob_t g;
		assert_int_equal(glob(places[p], 0, NULL, &g), 0); /* tests run in the tree's top folder */
		for (size_t i = 0; i < g.gl_pathc; i++)
			look(g.gl_pathv[i], &seen);
		globfree(&g);
	}
	/* ... and nothing is in it that nobody submits. */
	for (const struct op_kind *k = op_kinds; k->name; k++)
		if (!(seen & 1u << k->id))
			fail_msg("nobody submits %s", k->name);
}

static void refuses(struct world *w, const char *kind, const char *ws, const char *part)
{
	struct op *op = NULL;
	cleanup_err struct perry_err *err = NULL;
	assert_int_equal(ops_submit(w->ops, kind, ws, NULL, NULL, &op, &err), -1);
	assert_int_equal(err->code, PERRY_EINPUT);
	assert_non_null(strstr(perry_msg(err), part));
	assert_null(op);
}

static void others_are_refused(void **state)
{
	struct world *w = world_open(2);
	refuses(w, "starts", "web", "there is no operation \"starts\"");
	refuses(w, "start", NULL, "start needs a workspace");
	refuses(w, "prune", "web", "prune is no operation on a workspace");
	assert_log(w, "");
	world_close(w);
}

/* A journal that a newer version left behind: what we do not know is given up, the rest goes on. */
static void unknown_in_the_journal(void **state)
{
	struct world *w = world_open(2);
	const char *const kinds[] = { "fly", "stop" };
	for (int i = 0; i < 2; i++) {
		cJSON *row =
			J("{'id':'%d','kind':'%s','workspace':'w%d','state':'running','started':1}", i, kinds[i], i);
		ok(store_op_begin(w->store, row, &err));
		cJSON_Delete(row);
	}
	struct perry_err *err = NULL;
	assert_int_equal(ops_recover(w->ops, &err), 1);
	await_log(w, "-stop w1");
	char *text = state_of(w, "0");
	assert_string_equal(text, "failed");
	free(text);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_name),
		cmocka_unit_test(each_has_its_program),
		cmocka_unit_test(what_is_submitted_is_in_it),
		T(others_are_refused),
		T(unknown_in_the_journal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
