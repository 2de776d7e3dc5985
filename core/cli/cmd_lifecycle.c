/* stop, restart, delete, prune, clone, sync, build: calls that are one operation. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/next.h"
#include "cli/out.h"
#include "cli/text.h"
#include "cli/warnings.h"

static cJSON *named(const char *name)
{
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "name", name);
	return in;
}

/* A deleted workspace whose device is not gone from the tailnet yet. */
static void tell_tailnet(const char *name, const cJSON *out)
{
	const char *status = json_str_or(out, "tailnet.status", "left");
	cleanup_free char *why = printable(json_str_or(out, "tailnet.message", "")),
			  *host = printable(json_str_or(out, "tailnet.hostname", name));
	if (strcmp(status, "pending") == 0)
		fprintf(stderr,
			"%s: its device %s is still on the tailnet (%s); the agent goes on trying: perry tailnet\n",
			name, host, why);
	else if (strcmp(status, "left") != 0)
		fprintf(stderr, "%s: its device %s stays on the tailnet: %s (see: perry tailnet)\n", name, host, why);
}

/* One call for each name; goes on after a failure, the first error is the answer. warned: the exit status when there
 * were warnings. */
static int each(const struct args *a, const char *proc, const char *done,
		cJSON *(*input)(const struct args *a, const char *name), int warned, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	int rc = 0, status = 0;
	if (client_open(&c, err) < 0)
		return -1;
	for (int i = 0; i < a->nwords; i++) {
		cleanup_json cJSON *out = NULL;
		cleanup_err struct perry_err *why = NULL;
		if (follow_call(c, a, proc, a->words[i], input(a, a->words[i]), &out, &why) < 0) {
			next_add(why, a->words[i]);
			if (a->nwords > 1)
				perry_wrap(&why, "%s", a->words[i]);
			if (rc == 0)
				perry_move(err, take_ptr(why));
			else
				cli_print_error(why);
			rc = -1;
			continue;
		}
		bool fine = !warned || !json_at(out, "warnings");
		if (!fine)
			status = warned;
		if (args_has(a, "json") && out) {
			if (out_json(a, out, err) < 0)
				return -1;
		} else {
			if (err_is_tty() && fine)
				fprintf(stderr, "%s %s\n", a->words[i], done);
			tell_tailnet(a->words[i], out);
		}
	}
	return rc ? rc : status;
}

static cJSON *plain_input(const struct args *a, const char *name)
{
	return named(name);
}

int cmd_stop(const struct args *a, struct perry_err **err)
{
	return each(a, "workspaces/stop", "is stopped", plain_input, 0, err);
}

static cJSON *restart_input(const struct args *a, const char *name)
{
	cJSON *in = named(name);
	if (args_has(a, "recreate"))
		json_set_bool(in, "recreate", true);
	return in;
}

int cmd_restart(const struct args *a, struct perry_err **err)
{
	return each(a, "workspaces/restart", "is running again", restart_input, 0, err);
}

static cJSON *delete_input(const struct args *a, const char *name)
{
	cJSON *in = named(name);
	if (args_has(a, "keep-home"))
		json_set_bool(in, "keepHome", true);
	return in;
}

/* Says what is lost before it is. */
static int confirm_delete(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	if (args_has(a, "yes"))
		return 0;
	if (client_open(&c, err) < 0)
		return -1;
	for (int i = 0; i < a->nwords; i++) {
		cleanup_json cJSON *ws = NULL;
		if (client_rpc(c, "workspaces/get", named(a->words[i]), &ws, err) < 0)
			return -1;
		text_printf(stderr, "%s (%s): ", a->words[i], json_str_or(ws, "status", "?"));
		if (args_has(a, "keep-home"))
			fprintf(stderr,
				"its container and what was installed in it are lost; its home stays in the volume "
				"workspace-%s.\n",
				a->words[i]);
		else
			text_printf(
				stderr,
				"its container and its home with all files%s%s are lost for good (--keep-home keeps "
				"it).\n",
				json_str(ws, "repo") ? ", also those of " : "", json_str_or(ws, "repo", ""));
	}
	if (!ask_yes(a, a->nwords == 1 ? "Delete it?" : "Delete them?"))
		return perry_fail(err, in_is_tty() ? PERRY_ECANCELLED : PERRY_EUSAGE, "nothing was deleted%s",
				  in_is_tty() ? "" : "\n  add -y to delete without a question");
	return 0;
}

int cmd_delete(const struct args *a, struct perry_err **err)
{
	if (confirm_delete(a, err) < 0)
		return -1;
	return each(a, "workspaces/delete", "is deleted", delete_input, 0, err);
}

int cmd_prune(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *out = NULL;
	cJSON *in = cJSON_CreateObject();
	json_set_bool(in, "dryRun", args_has(a, "dry-run"));
	if (client_open(&c, err) < 0) {
		cJSON_Delete(in);
		return -1;
	}
	if (follow_call(c, a, "workspaces/prune", NULL, in, &out, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, out, err);
	static const char *const kinds[] = { "containers", "volumes", "networks", "images" };
	const cJSON *it;
	int n = 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		cJSON_ArrayForEach(it, json_at(out, kinds[i])) {
			text_printf(stdout, "%.*s\t%s\n", (int)strlen(kinds[i]) - 1, kinds[i], it->valuestring);
			n++;
		}
	if (err_is_tty())
		fprintf(stderr, args_has(a, "dry-run") ? "%d would be removed\n" : "%d removed\n", n);
	cJSON_ArrayForEach(it, json_at(out, "kept"))
		text_printf(stderr,
			    "kept on purpose: %s (a workspace of its name takes it into use again: perry start)\n",
			    it->valuestring);
	cJSON_ArrayForEach(it, json_at(out, "lost"))
		text_printf(stderr,
			    "left alone: what is of %s, whose record is gone (take it back with: perry adopt %s)\n",
			    it->valuestring, it->valuestring);
	cJSON_ArrayForEach(it, json_at(out, "failed"))
		text_printf(stderr, "perry: could not remove %s\n", it->valuestring);
	return cJSON_GetArraySize(json_at(out, "failed")) ? 1 : 0;
}

int cmd_clone(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *out = NULL;
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "sourceName", a->words[0]);
	json_set_str(in, "cloneName", a->words[1]);
	if (client_open(&c, err) < 0) {
		cJSON_Delete(in);
		return -1;
	}
	if (follow_call(c, a, "workspaces/clone", a->words[1], in, &out, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out ? out_json(a, out, err) : 0;
	if (err_is_tty())
		fprintf(stderr, "%s is a copy of %s and runs\n", a->words[1], a->words[0]);
	return 0;
}

int cmd_sync(const struct args *a, struct perry_err **err)
{
	if (!args_has(a, "all"))
		/* Files are all that it brings: one that it could not is not what was asked for. */
		return a->nwords ? each(a, "workspaces/sync", "is in sync", plain_input, 1, err)
				 : perry_fail(err, PERRY_EUSAGE,
					      "sync: which workspace?\n  usage: perry sync NAME | --all");
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *out = NULL;
	if (client_open(&c, err) < 0 || client_rpc(c, "workspaces/syncAll", NULL, &out, err) < 0)
		return -1;
	const cJSON *it;
	bool fine = !json_int_or(out, "failed", 0);
	cJSON_ArrayForEach(it, json_at(out, "results")) {
		warnings_print(json_str(it, "name"), json_at(it, "warnings"));
		fine = fine && !json_at(it, "warnings");
	}
	if (args_has(a, "json"))
		return out_json(a, out, err) < 0 ? -1 : !fine;
	cJSON_ArrayForEach(it, json_at(out, "results"))
		text_printf(stdout, "%s\t%s\n", json_str_or(it, "name", "?"),
			    json_bool_or(it, "success", false) ? "ok" : json_str_or(it, "error", "failed"));
	return !fine;
}

int cmd_build(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *out = NULL;
	cJSON *in = cJSON_CreateObject();
	json_set_bool(in, "noCache", args_has(a, "no-cache"));
	json_set_str(in, "variant", args_str(a, "variant"));
	if (client_open(&c, err) < 0) {
		cJSON_Delete(in);
		return -1;
	}
	if (follow_call(c, a, "image/build", NULL, in, &out, err) < 0)
		return -1;
	if (out)
		text_printf(stdout, "%s\n", json_str_or(out, "image", "built"));
	return 0;
}
