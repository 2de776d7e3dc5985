/* Steps of secrets alone: the agent's token, GitHub's, those of coding agents. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"
#include "base/secret.h"
#include "cli/setup/prompt.h"
#include "cli/setup/step.h"

static int check_word(const void *ctx, const char *text, struct perry_err **err)
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return perry_fail(err, PERRY_EINPUT, "that is no token: expected one word of ASCII");
	if (strcmp(text, SECRET_MASK) == 0)
		return perry_fail(err, PERRY_EINPUT, "that stands for the one that there is: Enter keeps it");
	return 0;
}

int step_secret(const struct subject *t, const char *key, const char *question, cJSON *changes)
{
	cleanup_answer char *text = NULL;
	bool there = *json_str_or(t->now, key, "");
	cleanup_free char *whole = xasprintf("%s (hidden; now %s%s)", question, there ? SECRET_MASK : "none",
					     there ? "; - removes it" : "");
	enum prompt_answer a = prompt_text(whole, true, check_word, NULL, &text);
	if (a == ANSWER_STOP)
		return -1;
	if (a == ANSWER_TEXT)
		json_set_str(changes, key, text);
	else if (a == ANSWER_REMOVE && there)
		json_set(changes, key, cJSON_CreateNull());
	return 0;
}

/* --- the token --- */

static int check_token_word(const void *ctx, const char *text, struct perry_err **err)
{
	return strcmp(text, "new") == 0 || strcmp(text, "off") == 0
		       ? 0
		       : perry_fail(err, PERRY_EINPUT, "type new or off, or nothing");
}

int step_token(const struct subject *t, cJSON *changes)
{
	cleanup_answer char *text = NULL;
	const char *stored = json_str(t->now, "auth.token");
	say("Browsers and other machines sign in with it. This machine's user needs none.");
	say("Now: %s", stored && *stored ? SECRET_MASK
		       : stored          ? "off, every user of this machine can drive the agent"
					 : "none, the agent makes one when it starts");
	enum prompt_answer a = prompt_text("new: another one, the old is void; off: none is asked for; Enter keeps",
					   false, check_token_word, NULL, &text);
	if (a == ANSWER_STOP)
		return -1;
	if (a != ANSWER_TEXT)
		return 0;
	if (strcmp(text, "off") == 0) {
		int yes = prompt_yes("Every user of this machine can then drive the agent. Turn it off?", false);
		if (yes <= 0)
			return yes;
	}
	json_set_str(changes, "auth.token", text);
	return 0;
}

/* --- GitHub --- */

int step_github(const struct subject *t, cJSON *changes)
{
	say("Workspaces clone and push with it what is private, and have it as GITHUB_TOKEN.");
	say("Make one at https://github.com/settings/tokens");
	return step_secret(t, "agents.github.token", "Token", changes);
}

/* --- coding agents --- */

static int ask_sign_in(const struct subject *t, const char *agent, const char *path, cJSON *changes)
{
	cleanup_free char *full = path_expand_home(path), *key = xasprintf("credentials.files.%s", path);
	const cJSON *files = json_at(t->now, "credentials.files");
	bool copied = cJSON_GetObjectItemCaseSensitive(files, path);
	if (!t->here || (!copied && access(full, R_OK) < 0))
		return 0;
	cleanup_free char *question = xasprintf("Copy this machine's sign-in of %s (%s) into workspaces?", agent, path);
	int yes = prompt_yes(question, copied);
	if (yes >= 0 && yes != copied)
		json_set(changes, key, yes ? cJSON_CreateString(path) : cJSON_CreateNull());
	return yes < 0 ? -1 : 0;
}

int step_agents(const struct subject *t, cJSON *changes)
{
	static const struct {
		const char *key, *question;
	} keys[] = {
		{ "credentials.env.CLAUDE_CODE_OAUTH_TOKEN", "Claude Code, what claude setup-token prints" },
		{ "credentials.env.ANTHROPIC_API_KEY", "Anthropic API key" },
		{ "credentials.env.OPENAI_API_KEY", "OpenAI API key, for Codex and others" },
	};
	static const struct {
		const char *agent, *path;
	} sign_ins[] = {
		{ "Claude Code", "~/.claude/.credentials.json" },
		{ "Codex", "~/.codex/auth.json" },
		{ "OpenCode", "~/.local/share/opencode/auth.json" },
	};
	say("Keys are environment of every workspace; what runs there can read them.");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (step_secret(t, keys[i].key, keys[i].question, changes) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(sign_ins); i++)
		if (ask_sign_in(t, sign_ins[i].agent, sign_ins[i].path, changes) < 0)
			return -1;
	return 0;
}
