/* SSH keys: who may log in to workspaces, and which keys go into them. */
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "cli/setup/prompt.h"
#include "cli/setup/step.h"
#include "config/ssh_keys.h"

struct keys {
	bool here;         /* their files are ours */
	const cJSON *list; /* those of the agent's user */
};

/* "2" of the list, or a path. */
static const char *path_of(const struct keys *k, const char *word)
{
	long long n;
	if (str_to_int(word, 1, cJSON_GetArraySize(k->list), &n) < 0)
		return word;
	return json_str_or(cJSON_GetArrayItem(k->list, (int)n - 1), "path", word);
}

static int check_copies(const void *ctx, const char *text, struct perry_err **err)
{
	const struct keys *k = ctx;
	cleanup_free char *copy = xstrdup(text);
	char *rest = copy;
	for (char *word; (word = strsep(&rest, ","));) {
		const char *path = path_of(k, str_trim(word));
		if (path[0] != '/' && path[0] != '~')
			return perry_fail(err, PERRY_EINPUT,
					  "\"%s\" is no number of the list and no whole path (/... or ~/...)", path);
		if (k->here && ssh_key_check_private(path, err) < 0)
			return -1;
	}
	return 0;
}

static int check_public(const void *ctx, const char *text, struct perry_err **err)
{
	const struct keys *k = ctx;
	bool path = text[0] == '/' || text[0] == '~';
	return path && !k->here ? 0 : ssh_key_check_public(text, err);
}

static char *joined(const cJSON *list)
{
	struct buf out = { 0 };
	const cJSON *v;
	cJSON_ArrayForEach(v, list) {
		const char *text = cJSON_IsString(v) ? v->valuestring : "?";
		/* Of a key's line its name and comment say enough. */
		bool line = text[0] != '/' && text[0] != '~' && strlen(text) > 40;
		buf_addf(&out, line ? "%s%.12s...%s" : "%s%s%s", out.len ? ", " : "", text,
			 line ? text + strlen(text) - 16 : "");
	}
	return buf_take(&out);
}

static int ask_copies(const struct subject *t, const struct keys *k, cJSON *changes)
{
	cleanup_answer char *text = NULL;
	cleanup_free char *now = joined(json_at(t->now, "ssh.global.copy"));
	say("Private keys that are copied into every workspace, for git over ssh.");
	say("What runs there can read them.");
	say("Now: %s", *now ? now : "none");
	enum prompt_answer a =
		prompt_text("Numbers or paths, by commas; Enter keeps, - none", false, check_copies, k, &text);
	if (a == ANSWER_STOP)
		return -1;
	if (a == ANSWER_KEEP)
		return 0;
	cJSON *list = cJSON_CreateArray();
	char *rest = text;
	for (char *word; a == ANSWER_TEXT && (word = strsep(&rest, ","));)
		json_push_str(list, path_of(k, str_trim(word)));
	json_set(changes, "ssh.global.copy", list);
	return 0;
}

static int ask_authorized(const struct subject *t, const struct keys *k, cJSON *changes)
{
	cleanup_answer char *text = NULL;
	const cJSON *before = json_at(t->now, "ssh.global.authorize");
	cleanup_free char *now = joined(before);
	say("Further public keys that may log in, such as your laptop's.");
	say("Now: %s", *now ? now : "none");
	enum prompt_answer a =
		prompt_text("Add one, its line or its file; Enter keeps, - none", false, check_public, k, &text);
	if (a == ANSWER_STOP)
		return -1;
	if (a == ANSWER_KEEP || (a == ANSWER_TEXT && json_list_has(before, text)))
		return 0;
	cJSON *list = a == ANSWER_TEXT && before ? cJSON_Duplicate(before, 1) : cJSON_CreateArray();
	if (a == ANSWER_TEXT)
		json_push_str(list, text);
	json_set(changes, "ssh.global.authorize", list);
	return 0;
}

int step_ssh(const struct subject *t, cJSON *changes)
{
	cleanup_json cJSON *list = NULL;
	const cJSON *key;
	int number = 0;
	if (!t->client)
		list = ssh_keys_list();
	else if (client_rpc(t->client, "config/ssh/listKeys", NULL, &list, NULL) < 0)
		list = cJSON_CreateArray();
	struct keys k = { t->here, list };
	cJSON_ArrayForEach(key, list)
		say("%d. %s (%s%s)", ++number, json_str_or(key, "path", "?"), json_str_or(key, "type", "?"),
		    json_bool_or(key, "hasPrivateKey", false) ? "" : ", public half alone");
	if (!number)
		say("This user has no SSH keys; ssh-keygen makes one.");
	bool own = json_bool_or(t->now, "ssh.autoAuthorizeHostKeys", true);
	int yes = prompt_yes("May this user's own keys (~/.ssh/*.pub) log in to workspaces?", own);
	if (yes < 0)
		return -1;
	if (yes != own)
		json_set_bool(changes, "ssh.autoAuthorizeHostKeys", yes);
	return ask_copies(t, &k, changes) < 0 ? -1 : ask_authorized(t, &k, changes);
}
