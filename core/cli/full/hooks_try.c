/* They start the policy process themselves. */
#include "cli/full/hooks_try.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/out.h"
#include "cli/plan_out.h"
#include "cli/text.h"
#include "policy/policy.h"
#include "policy/tool/tool.h"
#include "policy/tool/tool_test.h"

char *hooks_dir(void)
{
	cleanup_free char *config = path_config_dir();
	return path_join(config, "hooks");
}

static void print_checked(const cJSON *out)
{
	const cJSON *f, *note;
	cJSON_ArrayForEach(f, json_at(out, "files")) {
		bool ok = json_bool_or(f, "ok", false);
		text_printf(stdout, "%s %s\n", ok ? "ok  " : "FAIL", json_str_or(f, "file", "?"));
		if (!ok)
			text_printf(stdout, "     %s\n", json_str_or(f, "error", "?"));
		cJSON_ArrayForEach(note, json_at(f, "notes"))
			text_printf(stdout, "     note: %s\n", cJSON_IsString(note) ? note->valuestring : "?");
	}
	cJSON_ArrayForEach(f, json_at(out, "problems"))
		text_printf(stdout, "FAIL %s\n", json_str_or(f, "message", "?"));
}

int hooks_check(const struct args *a, struct perry_err **err)
{
	struct policy *p = NULL;
	cleanup_json cJSON *out = NULL;
	cleanup_free char *dflt = hooks_dir();
	const char *own[] = { dflt, NULL };
	const char *const *dirs = a->nwords ? (const char *const *)a->words : own;
	if (!a->nwords && access(dflt, F_OK) < 0) {
		fprintf(stderr, "There are no hooks of yours yet. Make one with: perry hooks new POINT\n");
		return 0;
	}
	if (policy_new(&p, err) < 0)
		return -1;
	int rc = policy_check(p, dirs, args_has(a, "strict"), &out, err);
	policy_free(p);
	if (rc < 0 || out_answer(a, out, print_checked, err) < 0)
		return -1;
	return json_bool_or(out, "ok", false) ? 0 : 1;
}

static void print_answers(const cJSON *out)
{
	static const char *const heads[] = { "LAYER", "ANSWER", "FILE" };
	struct table t = { heads, 3, NULL, 0 };
	const cJSON *layer;
	cJSON_ArrayForEach(layer, json_at(out, "layers")) {
		cleanup_free char *answer = json_at(layer, "answer") ? json_print(json_at(layer, "answer")) : NULL,
				  *place = plan_place(layer);
		const char *reason = json_str(layer, "reason");
		if (str_eq(json_str(layer, "kind"), "action") && !json_str(layer, "error")) {
			free(take_ptr(answer));
			answer = xstrdup("done");
		}
		table_add(&t, json_str_or(layer, "layer", "?"));
		table_addf(&t, "%s%s%s", answer ? answer : json_str_or(layer, "error", "(no answer)"),
			   reason ? ": " : "", reason ? reason : "");
		table_add(&t, place);
	}
	table_print(&t);
	out_flush(NULL);
	if (json_at(out, "error"))
		text_printf(stderr, "perry: %s\n", json_str_or(out, "error.message", "?"));
}

/* With the facts of a real workspace the agent answers: it has them. */
static int run_on_agent(const struct args *a, cJSON **out, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "point", a->words[0]);
	json_set_str(in, "workspace", args_str(a, "workspace"));
	if (client_open(&c, err) < 0) {
		cJSON_Delete(in);
		return -1;
	}
	return client_rpc(c, "hooks/run", in, out, err);
}

static int run_here(const struct args *a, cJSON **out, struct perry_err **err)
{
	struct policy *p = NULL;
	cleanup_json cJSON *facts = NULL;
	cleanup_buf struct buf text = { 0 };
	const char *file = args_str(a, "facts");
	cleanup_free char *dflt = hooks_dir();
	struct policy_layer layer = { .name = "user",
				      .dir = args_str(a, "dir") ? args_str(a, "dir") : dflt,
				      .owner = geteuid(),
				      .follow_links = true };
	struct policy_setup setup = { .layers = &layer, .nlayers = 1 };
	if (file && file_read(file, 1 << 20, &text, err) < 0)
		return -1;
	if (file && !(facts = json_parse(buf_str(&text), text.len, file, err)))
		return -1;
	if (policy_new(&p, err) < 0)
		return -1;
	int rc = policy_run(p, &setup, a->words[0], facts, NULL, out, err);
	policy_free(p);
	return rc;
}

int hooks_run(const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *out = NULL;
	if ((args_str(a, "workspace") ? run_on_agent : run_here)(a, &out, err) < 0 ||
	    out_answer(a, out, print_answers, err) < 0)
		return -1;
	return json_at(out, "error") ? perry_code_row(PERRY_EPOLICY)->exit_status : 0;
}

/* "coverage: 4 of 5 points, 37 of 40 lines", and the lines that no test ran. */
static void print_coverage(const cJSON *c)
{
	const cJSON *f, *line;
	printf("coverage: %d of %d points, %d of %d lines\n", (int)json_int_or(c, "tested", 0),
	       (int)json_int_or(c, "points", 0), (int)json_int_or(c, "run", 0), (int)json_int_or(c, "lines", 0));
	cJSON_ArrayForEach(f, json_at(c, "files")) {
		if (!json_at(f, "missed")->child)
			continue;
		text_printf(stdout, "  not run: %s:", json_str_or(f, "file", "?"));
		cJSON_ArrayForEach(line, json_at(f, "missed"))
			printf("%s%d", line == json_at(f, "missed")->child ? "" : ",", (int)line->valuedouble);
		putchar('\n');
	}
}

static void print_tested(const cJSON *out)
{
	const cJSON *t;
	cJSON_ArrayForEach(t, json_at(out, "tests")) {
		bool ok = json_bool_or(t, "ok", false);
		text_printf(stdout, "%s %s: %s\n", ok ? "ok  " : "FAIL", json_str_or(t, "file", "?"),
			    json_str_or(t, "name", "?"));
		if (!ok)
			text_printf(stdout, "     %s\n", json_str_or(t, "message", "?"));
	}
	printf("%d passed, %d failed\n", (int)json_int_or(out, "passed", 0), (int)json_int_or(out, "failed", 0));
	print_coverage(json_at(out, "coverage"));
}

int hooks_test(const struct args *a, struct perry_err **err)
{
	struct policy *p = NULL;
	cleanup_json cJSON *out = NULL;
	cleanup_free char *dflt = hooks_dir();
	if (policy_new(&p, err) < 0)
		return -1;
	int rc = policy_test(p, a->nwords ? a->words[0] : dflt, &out, err);
	policy_free(p);
	if (rc < 0 || out_answer(a, out, print_tested, err) < 0)
		return -1;
	return json_bool_or(out, "ok", false) ? 0 : 1;
}
