/* The command table: argv -> one row -> one function. Help, man page and completion are made from the same rows. */
#ifndef PERRY_CLI_COMMAND_H
#define PERRY_CLI_COMMAND_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

struct opt {
	const char *name; /* "clone": --clone */
	char letter;      /* 'n': -n, or 0 */
	const char *arg;  /* "URL" when it takes one, "[FIELDS]" when it may (only as --json=FIELDS or a following word
			     without '-'), NULL: a flag */
	bool many;        /* may be given more than once */
	const char *help;
};

struct args {
	cJSON *opts;  /* name -> true, string or array of strings */
	char **words; /* what is no option, in order */
	int nwords;
	char **rest; /* after "--" */
	int nrest;
	bool dashes; /* "--" was there */
};
const char *args_str(const struct args *a, const char *name); /* or NULL */
bool args_has(const struct args *a, const char *name);
const cJSON *args_list(const struct args *a, const char *name); /* array or NULL */

struct command {
	const char *name;  /* "list", or "agent run" */
	const char *alias; /* "ls", or NULL */
	const char *usage; /* what follows the name */
	const char *summary;
	const char *example;
	const struct opt *opts;   /* ends with name NULL; or NULL */
	int min_words, max_words; /* -1: any number */
	/* Returns the exit status, or -1 with err. */
	int (*run)(const struct args *a, struct perry_err **err);
	bool full; /* needs the executable with everything (Lua): the small one hands over */
};
extern const struct command commands[]; /* ends with name NULL */

/* Splits argv by the rows of the command. PERRY_EUSAGE with the nearest option for one that is unknown. */
int args_parse(const struct command *c, int argc, char **argv, struct args *out, struct perry_err **err);
void args_free(struct args *a);
/* Finds the row ("agent run" before "agent"); *used is how many words the name took. NULL: none. */
const struct command *command_find(int argc, char **argv, int *used);
/* The whole run: returns the exit status. */
int cli_main(int argc, char **argv);
/* Prints help: of one command, or of all. */
void help_command(const struct command *c);
void help_all(void);

/* The value of the global --agent option, or NULL. */
extern const char *cli_agent;
/* Becomes the full executable (same argv); returns only when that cannot be found. */
int cli_become_full(struct perry_err **err);

#define DECLARE_COMMAND(fn) int fn(const struct args *a, struct perry_err **err)
DECLARE_COMMAND(cmd_start);
DECLARE_COMMAND(cmd_stop);
DECLARE_COMMAND(cmd_restart);
DECLARE_COMMAND(cmd_delete);
DECLARE_COMMAND(cmd_prune);
DECLARE_COMMAND(cmd_list);
DECLARE_COMMAND(cmd_info);
DECLARE_COMMAND(cmd_logs);
DECLARE_COMMAND(cmd_events);
DECLARE_COMMAND(cmd_shell);
DECLARE_COMMAND(cmd_exec);
DECLARE_COMMAND(cmd_cp);
DECLARE_COMMAND(cmd_clone);
DECLARE_COMMAND(cmd_sync);
DECLARE_COMMAND(cmd_build);
DECLARE_COMMAND(cmd_explain);
DECLARE_COMMAND(cmd_hooks_list);
DECLARE_COMMAND(cmd_hooks_show);
DECLARE_COMMAND(cmd_hooks_new);
DECLARE_COMMAND(cmd_hooks_edit);
DECLARE_COMMAND(cmd_hooks_check);
DECLARE_COMMAND(cmd_hooks_run);
DECLARE_COMMAND(cmd_hooks_add);
DECLARE_COMMAND(cmd_hooks_update);
DECLARE_COMMAND(cmd_hooks_outdated);
DECLARE_COMMAND(cmd_hooks_remove);
DECLARE_COMMAND(cmd_hooks_pack_init);
DECLARE_COMMAND(cmd_hooks_pack_hash);
DECLARE_COMMAND(cmd_hooks_test);
DECLARE_COMMAND(cmd_hooks_preview);
DECLARE_COMMAND(cmd_config_show);
DECLARE_COMMAND(cmd_config_agent);
DECLARE_COMMAND(cmd_config_token);
DECLARE_COMMAND(cmd_access_list);
DECLARE_COMMAND(cmd_access_add);
DECLARE_COMMAND(cmd_access_remove);
DECLARE_COMMAND(cmd_agent_run_row);
DECLARE_COMMAND(cmd_agent_status);
DECLARE_COMMAND(cmd_agent_logs);
DECLARE_COMMAND(cmd_agent_kill);
DECLARE_COMMAND(cmd_agent_config_get);
DECLARE_COMMAND(cmd_agent_config_set);
DECLARE_COMMAND(cmd_agent_config_unset);
DECLARE_COMMAND(cmd_agent_show_config);
DECLARE_COMMAND(cmd_agent_show_token);
DECLARE_COMMAND(cmd_auth_init);
DECLARE_COMMAND(cmd_auth_generate);
DECLARE_COMMAND(cmd_auth_disable);
DECLARE_COMMAND(cmd_ports);
DECLARE_COMMAND(cmd_proxy);
DECLARE_COMMAND(cmd_tailnet_status);
DECLARE_COMMAND(cmd_tailnet_setup);
DECLARE_COMMAND(cmd_tailnet_devices);
DECLARE_COMMAND(cmd_tailnet_prune);
DECLARE_COMMAND(cmd_tailnet_serve);
DECLARE_COMMAND(cmd_open);
DECLARE_COMMAND(cmd_doctor);
DECLARE_COMMAND(cmd_completion);
DECLARE_COMMAND(cmd_version);
DECLARE_COMMAND(cmd_help);

/* Set by the full executable's main: what the small one lacks. */
struct cli_full {
	int (*hooks_show)(const struct args *a, struct perry_err **err);
	int (*hooks_new)(const struct args *a, struct perry_err **err);
	int (*hooks_edit)(const struct args *a, struct perry_err **err);
	int (*hooks_check)(const struct args *a, struct perry_err **err);
	int (*hooks_run)(const struct args *a, struct perry_err **err);
	int (*hooks_test)(const struct args *a, struct perry_err **err);
	int (*hooks_packs)(const struct args *a, struct perry_err **err);
	int (*hooks_add)(const struct args *a, struct perry_err **err);
	int (*hooks_update)(const struct args *a, struct perry_err **err);
	int (*hooks_outdated)(const struct args *a, struct perry_err **err);
	int (*hooks_remove)(const struct args *a, struct perry_err **err);
	int (*hooks_pack_init)(const struct args *a, struct perry_err **err);
	int (*hooks_pack_hash)(const struct args *a, struct perry_err **err);
	int (*hooks_preview)(const struct args *a, struct perry_err **err);
};
extern const struct cli_full *cli_full;

#endif
