/* The tailnet: the key, the prefix with the names that it gives, and what will happen. */
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "cli/setup/prompt.h"
#include "cli/setup/step.h"
#include "config/config.h"

enum { SHOWN_NAMES = 4 };

/* Which control server it is for is asked where it is not known; that both belong together is looked at when they are
 * saved. */
static int check_key(const void *ctx, const char *text, struct perry_err **err)
{
	const struct subject *t = ctx;
	const char *server = json_str_or(t->now, "tailscale.loginServer", "");
	if (strcmp(text, SECRET_MASK) == 0)
		return perry_fail(err, PERRY_EINPUT, "that stands for the one that there is: Enter keeps it");
	if (!*server && !str_starts(text, "tskey-"))
		return config_check_auth_key(text, NULL, "what was given", err);
	return config_check_setup_key(text, server, err);
}

static int check_server(const void *ctx, const char *text, struct perry_err **err)
{
	return config_check_setup_key(ctx, text, err);
}

static int check_prefix(const void *ctx, const char *text, struct perry_err **err)
{
	const struct subject *t = ctx;
	if (text[0] == '-' || text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")])
		return perry_fail(err, PERRY_EINPUT,
				  "small letters, digits and dashes, and no dash at its beginning (such as perry-)");
	if (strlen(text) > 62)
		return perry_fail(err, PERRY_EINPUT, "a hostname has 63 characters at most");
	return config_check_prefix(text, t->workspaces, err);
}

/* 1: there will be a key; 0: there is none; -1: stopped. */
static int ask_key(const struct subject *t, cJSON *changes)
{
	cleanup_answer char *key = NULL, *server = NULL;
	bool there = *json_str_or(t->now, "tailscale.authKey", "");
	if (t->key_fixed) {
		say("PERRY_TAILSCALE_AUTH_KEY in the environment sets the auth key; it is changed there.");
		return 1;
	}
	say("Make a reusable auth key, best an ephemeral one, at");
	say("https://login.tailscale.com/admin/settings/keys");
	say("Headscale: headscale preauthkeys create --reusable --ephemeral");
	enum prompt_answer a =
		prompt_text(there ? "Auth key (hidden; now " SECRET_MASK ")" : "Auth key (hidden; now none)", true,
			    check_key, t, &key);
	if (a == ANSWER_STOP)
		return -1;
	if (a != ANSWER_TEXT)
		return there || cJSON_GetArraySize(json_at(t->now, "tailscale.credentials"));
	if (!*json_str_or(t->now, "tailscale.loginServer", "") && !str_starts(key, "tskey-")) {
		a = prompt_text("Its control server (https://HOST)", false, check_server, key, &server);
		if (a == ANSWER_STOP)
			return -1;
		if (a != ANSWER_TEXT) {
			say("Without its server the key cannot be used, and is not kept.");
			return there;
		}
		json_set_str(changes, "tailscale.loginServer", server);
	}
	json_set(changes, "tailscale.enabled", cJSON_CreateNull());
	json_set_str(changes, "tailscale.authKey", key);
	return 1;
}

static int ask_prefix(const struct subject *t, cJSON *changes)
{
	cleanup_answer char *text = NULL;
	const char *now = json_str_or(t->now, "tailscale.hostnamePrefix", "");
	cleanup_free char *question = xasprintf("Prefix of their names (now %s%s)", *now ? now : "none",
						*now ? "; - none" : "; such as perry-");
	enum prompt_answer a = prompt_text(question, false, check_prefix, t, &text);
	if (a == ANSWER_STOP)
		return -1;
	if (a == ANSWER_TEXT && strcmp(text, now) != 0)
		json_set_str(changes, "tailscale.hostnamePrefix", text);
	else if (a == ANSWER_REMOVE && *now)
		json_set(changes, "tailscale.hostnamePrefix", cJSON_CreateNull());
	return 0;
}

char *step_running(const struct subject *t)
{
	struct buf out = { 0 };
	const cJSON *ws;
	cJSON_ArrayForEach(ws, t->workspaces)
		if (str_eq(json_str(ws, "status"), "running"))
			buf_addf(&out, "%s%s", out.len ? " " : "", json_str_or(ws, "name", "?"));
	return buf_take(&out);
}

static void say_names(const struct subject *t, const char *prefix)
{
	cleanup_buf struct buf out = { 0 };
	const cJSON *ws;
	int n = 0;
	cJSON_ArrayForEach(ws, t->workspaces)
		if (n++ < SHOWN_NAMES)
			buf_addf(&out, "%s%s as %s%s", n > 1 ? ", " : "", json_str_or(ws, "name", "?"), prefix,
				 json_str_or(ws, "name", "?"));
	if (n > SHOWN_NAMES)
		buf_addf(&out, ", and %d more", n - SHOWN_NAMES);
	if (!n)
		buf_addf(&out, "web as %sweb (http://%sweb:3000)", prefix, prefix);
	say("Names: %s", buf_str(&out));
}

static int confirm(const struct subject *t, bool joins, cJSON *changes)
{
	cleanup_free char *running = step_running(t);
	const cJSON *prefix = cJSON_GetObjectItemCaseSensitive(changes, "tailscale.hostnamePrefix");
	if (!changes->child)
		return 0;
	if (joins) {
		say_names(t, cJSON_IsString(prefix) ? prefix->valuestring
			     : prefix               ? ""
						    : json_str_or(t->now, "tailscale.hostnamePrefix", ""));
		say("What will happen: each workspace joins at its next start, as a device of");
		say("your tailnet; a delete takes it out again. Nothing is open to the internet.");
	} else {
		say("What will happen: from its next start on no workspace joins. The key stays stored.");
	}
	if (*running)
		say("Those that run stay as they are until: perry restart %s", running);
	int yes = prompt_yes("Save this?", true);
	if (yes == 0)
		cJSON_DeleteItemFromObjectCaseSensitive(changes, "tailscale.authKey");
	while (yes == 0 && changes->child)
		cJSON_Delete(cJSON_DetachItemViaPointer(changes, changes->child));
	return yes < 0 ? -1 : 0;
}

int step_tailscale(const struct subject *t, cJSON *changes)
{
	bool on = json_bool_or(t->now, "tailscale.enabled", false);
	say("Each workspace gets a name that all your devices reach, and nobody else:");
	say("http://web:3000, ssh workspace@web");
	int yes = prompt_yes("Shall workspaces join a tailnet?", on);
	if (yes < 0)
		return -1;
	if (!yes) {
		if (on)
			json_set_bool(changes, "tailscale.enabled", false);
		return confirm(t, false, changes);
	}
	int key = ask_key(t, changes);
	if (key < 0)
		return -1;
	if (!key) {
		say("Without a key nothing joins.");
		return 0;
	}
	if (!on && !cJSON_GetObjectItemCaseSensitive(changes, "tailscale.authKey"))
		json_set_bool(changes, "tailscale.enabled", true);
	return ask_prefix(t, changes) < 0 ? -1 : confirm(t, true, changes);
}
