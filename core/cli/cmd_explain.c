#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/plan_out.h"

#define ANSWER_WIDTH 60

/* How many bytes of an answer are shown: on a terminal the line counts, in a pipe the value. */
static int shown(const char *text)
{
	size_t n = strlen(text);
	if (!out_is_tty() || n <= ANSWER_WIDTH)
		return (int)n;
	for (n = ANSWER_WIDTH; n && (text[n] & 0xc0) == 0x80; n--)
		;
	return (int)n;
}

/* Every decision that is kept, oldest first: later questions and actions as well as plans. */
static void print_all(const cJSON *decisions)
{
	static const char *const heads[] = { "TIME", "OPERATION", "POINT", "ANSWER", "BY" };
	struct table t = { heads, 5, NULL, 0 };
	const cJSON *d;
	cJSON_ArrayForEach(d, decisions) {
		time_t at = (time_t)(json_int_or(d, "at", 0) / 1000);
		struct tm tm;
		char when[32] = "";
		if (localtime_r(&at, &tm))
			strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
		cleanup_free char *answer = plan_value("", json_at(d, "answer")), *place = plan_place(d);
		table_add(&t, when);
		table_add(&t, json_str_or(d, "op", ""));
		table_add(&t, json_str_or(d, "point", "?"));
		const char *text = json_str_or(d, "error", answer);
		table_addf(&t, "%s%.*s", json_str(d, "error") ? "error: " : "", shown(text), text);
		table_add(&t, place);
	}
	table_print(&t);
}

int cmd_explain(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL, *in = cJSON_CreateObject();
	json_set_str(in, "name", a->words[0]);
	if (a->nwords > 1)
		json_set_str(in, "field", a->words[1]);
	if (args_has(a, "all"))
		json_set_bool(in, "all", true);
	if (client_open(&c, err) < 0 || client_rpc(c, "explain", take_ptr(in), &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	if (args_has(a, "all"))
		print_all(json_at(j, "decisions"));
	else
		plan_print(json_at(j, "fields"), json_at(j, "decisions"));
	if (json_bool_or(j, "outdated", false) && err_is_tty())
		fprintf(stderr,
			"Today's policy would decide differently: perry hooks preview. To apply it: perry restart %s "
			"--recreate\n",
			a->words[0]);
	return 0;
}
