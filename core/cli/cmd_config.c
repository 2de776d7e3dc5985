/* The client's side: which agent, which token. And tokens of the agent (auth). */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/text.h"

int cmd_config_show(const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *j = client_settings(err);
	if (!j)
		return -1;
	if (json_str(j, "token"))
		json_set_str(j, "token", SECRET_MASK);
	if (args_has(a, "json"))
		return out_json(a, j, err);
	text_printf(stdout, "agent\t%s\n", json_str_or(j, "agent", "(this machine)"));
	printf("token\t%s\n", json_str_or(j, "token", "(none)"));
	return 0;
}

/* The agent's word on whether we may use it; only told, since the token may come next. */
static void try_it(const struct client *c, const char *url)
{
	cleanup_json cJSON *info = NULL;
	cleanup_err struct perry_err *why = NULL;
	if (client_rpc(c, "info", NULL, &info, &why) == 0)
		text_printf(stderr, "%s answers: Perry %s on %s\n", url, json_str_or(info, "version", "?"),
			    json_str_or(info, "hostname", "?"));
	else
		text_printf(stderr, "%s answers, but: %s\n", url, perry_msg(why));
}

int cmd_config_agent(const struct args *a, struct perry_err **err)
{
	if (!a->nwords)
		return cmd_config_show(a, err);
	const char *host = a->words[0];
	if (strcmp(host, "local") == 0)
		return client_save("", NULL, err);
	cleanup_client struct client *c = NULL;
	cleanup_free char *url = NULL;
	if (client_find(host, &c, &url, err) < 0 || client_save(url, NULL, err) < 0)
		return -1;
	try_it(c, url);
	return 0;
}

int cmd_config_token(const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *j = client_settings(err);
	if (!j)
		return -1;
	if (args_has(a, "show")) {
		printf("%s\n", json_str_or(j, "token", ""));
		return 0;
	}
	if (!args_has(a, "stdin"))
		return perry_fail(err, PERRY_EUSAGE,
				  "config token: a token is read from standard input, so that it stands in no history\n"
				  "  usage: perry config token --stdin < FILE, or: perry config token --show");
	if (in_is_tty())
		fprintf(stderr, "Token: ");
	cleanup_free char *token = read_stdin_line();
	int rc = *token ? client_save(NULL, token, err)
			: perry_fail(err, PERRY_EUSAGE,
				     "config token: standard input had no token, nothing was changed");
	wipe(token, strlen(token));
	return rc;
}

static int auth_call(const char *proc, const char *say, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	if (client_open(&c, err) < 0 || client_rpc(c, proc, NULL, &j, err) < 0)
		return -1;
	if (json_str(j, "token"))
		printf("%s\n", json_str(j, "token"));
	if (err_is_tty())
		fprintf(stderr, "%s\n", say);
	return 0;
}

int cmd_auth_generate(const struct args *a, struct perry_err **err)
{
	return auth_call("config/auth/generate",
			 "A new token; the old one is void. Save it elsewhere with: perry config token --stdin", err);
}

int cmd_auth_init(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	if (client_open(&c, err) < 0 || client_rpc(c, "config/auth/get", NULL, &j, err) < 0)
		return -1;
	if (json_bool_or(j, "hasToken", false)) {
		text_printf(stderr, "This agent has a token (%s). Show it with: perry agent show-token\n",
			    json_str_or(j, "tokenPreview", "****"));
		return 0;
	}
	return auth_call("config/auth/generate", "Save it elsewhere with: perry config token --stdin", err);
}

int cmd_auth_disable(const struct args *a, struct perry_err **err)
{
	if (!ask_yes(
		    a,
		    "Without a token every local user of this machine can drive the agent over port 7391. Disable it?"))
		return perry_fail(err, in_is_tty() ? PERRY_ECANCELLED : PERRY_EUSAGE, "nothing was changed%s",
				  in_is_tty() ? "" : "\n  add -y to do it without a question");
	return auth_call("config/auth/disable",
			 "The token is void; the loopback port answers everybody on this machine.", err);
}
