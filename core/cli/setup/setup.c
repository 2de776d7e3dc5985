/* perry agent config: an agent set up step by step, by keyboard alone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup/prompt.h"
#include "cli/setup/step.h"

static const struct step {
	const char *name, *title, *keys;
	step_fn *ask;
	bool synced; /* workspaces that run get what was saved */
} steps[] = {
	{ "token", "the token", "auth.token", step_token, false },
	{ "github", "GitHub", "agents.github.token", step_github, true },
	{ "ssh", "SSH keys", "ssh.autoAuthorizeHostKeys, ssh.global.copy, ssh.global.authorize", step_ssh, true },
	{ "agents", "coding agents",
	  "credentials.env.CLAUDE_CODE_OAUTH_TOKEN, .ANTHROPIC_API_KEY, .OPENAI_API_KEY, credentials.files",
	  step_agents, true },
	{ "tailscale", "Tailscale", "tailscale.authKey, tailscale.hostnamePrefix, tailscale.enabled", step_tailscale,
	  false },
};

static const struct step *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (strcmp(steps[i].name, name) == 0)
			return &steps[i];
	return NULL;
}

/* "agent config show" was perhaps meant for another command, a key for get. */
static int unknown(const struct args *a, struct perry_err **err)
{
	const char *names[ARRAY_LEN(steps) + 4] = { "get", "set", "unset" };
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		names[3 + i] = steps[i].name;
	const char *word = a->words[0], *near = a->nwords > 1 && find(word) ? NULL : str_nearest(word, names);
	if (strcmp(word, "show") == 0 || strcmp(word, "list") == 0)
		return perry_fail(err, PERRY_EUSAGE, "the configuration is shown by: perry agent show-config");
	if (strchr(word, '.'))
		return perry_fail(err, PERRY_EUSAGE,
				  "agent config: one key is shown by get and changed by set\n  perry agent config get "
				  "%s",
				  word);
	if (near)
		return perry_fail(err, PERRY_EUSAGE, "agent config: there is no \"%s\" (did you mean \"%s\"?)", word,
				  near);
	return perry_fail(err, PERRY_EUSAGE,
			  "agent config: there is no step \"%s\"\n  the steps: token, github, ssh, agents, tailscale",
			  a->nwords > 1 && find(word) ? a->words[1] : word);
}

static int no_terminal(struct perry_err **err)
{
	cleanup_buf struct buf keys = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		buf_addf(&keys, "\n  %s: %s", steps[i].title, steps[i].keys);
	return perry_fail(err, PERRY_EUSAGE,
			  "agent config: this asks on a terminal, and there is none\n  without one set these keys of "
			  "config.json, secrets from standard input:\n  perry agent config set KEY --stdin < FILE%s",
			  buf_str(&keys));
}

/* --- the steps --- */

struct run {
	struct subject subject;
	cJSON *saved; /* titles of the steps that were */
};

static void say_said(const cJSON *said)
{
	const cJSON *text;
	cJSON_ArrayForEach(text, said)
		say("Note: %s", text->valuestring);
}

/* 1: saved, 0: nothing to save, -1: an error; -1 without err: stopped. */
static int once(struct run *r, const struct step *s, struct perry_err **err)
{
	cleanup_json cJSON *changes = cJSON_CreateObject(), *said = cJSON_CreateArray();
	cJSON *v;
	if (subject_look(&r->subject, err) < 0 || s->ask(&r->subject, changes) < 0)
		return -1;
	int rc = changes->child ? subject_save(&r->subject, changes, said, err) : 0;
	bool any = changes->child;
	cJSON_ArrayForEach(v, changes)
		if (cJSON_IsString(v))
			wipe(v->valuestring, strlen(v->valuestring));
	if (rc < 0)
		return -1;
	say(any ? "Saved." : "Nothing changed.");
	say_said(said);
	cleanup_free char *running = any && s->synced ? step_running(&r->subject) : xstrdup("");
	if (*running)
		say("Workspaces that run get it in seconds; programs there take it up when they start: %s", running);
	return any;
}

/* What is wrong with what was typed is asked again. */
static int run_step(struct run *r, const struct step *s, struct perry_err **err)
{
	for (;;) {
		cleanup_err struct perry_err *why = NULL;
		int rc = once(r, s, &why);
		if (rc > 0)
			json_push_str(r->saved, s->title);
		if (rc >= 0)
			return 0;
		if (!why || (why->code != PERRY_EINPUT && why->code != PERRY_EUSAGE))
			return perry_move(err, take_ptr(why));
		say_error(why);
		say("Nothing of this step was saved. Once more; Enter keeps what there is.");
	}
}

static char *list_of(const cJSON *titles)
{
	struct buf out = { 0 };
	const cJSON *title;
	cJSON_ArrayForEach(title, titles)
		buf_addf(&out, "%s%s", out.len ? ", " : "", title->valuestring);
	return buf_take(&out);
}

static void say_begin(const struct subject *t)
{
	if (!t->here)
		say("This sets up the agent at %s.", t->client->where);
	else
		say("This sets up the agent of this machine (%s/config.json).", t->dir);
	say(t->client ? "It runs: what a step saves applies at once."
		      : "It does not run: what a step saves applies when it starts (perry agent run).");
	say("Enter keeps what there is and goes on. Ctrl-C stops; finished steps stay saved.");
}

static int stopped(const struct run *r, struct perry_err **err)
{
	cleanup_free char *saved = list_of(r->saved);
	int number = prompt_signal();
	say("Stopped. %s%s. The rest is as it was.", *saved ? "Saved before: " : "Nothing was saved", saved);
	if (number && number != SIGINT)
		return 128 + number;
	return perry_code_row(PERRY_ECANCELLED)->exit_status;
}

static int run_all(struct run *r, const struct step *only, struct perry_err **err)
{
	size_t from = only ? (size_t)(only - steps) : 0, to = only ? from + 1 : ARRAY_LEN(steps);
	for (size_t i = from; i < to; i++) {
		cleanup_err struct perry_err *why = NULL;
		fputc('\n', stderr);
		say("Step %zu of %zu: %s", i - from + 1, to - from, steps[i].title);
		if (run_step(r, &steps[i], &why) == 0)
			continue;
		if (!why)
			return stopped(r, err);
		cleanup_free char *saved = list_of(r->saved);
		say("Stopped. %s%s.", *saved ? "Saved before: " : "Nothing was saved", saved);
		return perry_move(err, take_ptr(why));
	}
	cleanup_free char *saved = list_of(r->saved);
	fputc('\n', stderr);
	say("Done. %s%s.", *saved ? "Saved: " : "Nothing changed", saved);
	return 0;
}

int cmd_agent_config(const struct args *a, struct perry_err **err)
{
	const struct step *only = a->nwords ? find(a->words[0]) : NULL;
	struct run r = { 0 };
	if (a->nwords > 1 || (a->nwords && !only))
		return unknown(a, err);
	if (args_str(a, "config-dir"))
		setenv("PERRY_CONFIG_DIR", args_str(a, "config-dir"), 1);
	if (!in_is_tty() || !isatty(STDERR_FILENO))
		return no_terminal(err);
	r.saved = cJSON_CreateArray();
	prompt_begin();
	int rc = subject_open(&r.subject, err);
	if (rc == 0) {
		say_begin(&r.subject);
		rc = run_all(&r, only, err);
	}
	prompt_end();
	subject_close(&r.subject);
	cJSON_Delete(r.saved);
	return rc;
}
