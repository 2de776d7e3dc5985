/* The words of a command line, split by the options of its command. */
#ifndef PERRY_CLI_ARGS_H
#define PERRY_CLI_ARGS_H
#include "cli/command.h"

/* PERRY_EUSAGE with the nearest option for one that is unknown. out is args_free's, after an error too. */
int args_parse(const struct command *c, int argc, char **argv, struct args *out, struct perry_err **err);
/* What goes to the agent is text: PERRY_EUSAGE that names the word that is no UTF-8. */
int args_check_text(const struct command *c, int argc, char **argv, struct perry_err **err);
int arg_check_text(const char *command, const char *word, struct perry_err **err);
void args_free(struct args *a);

const char *args_str(const struct args *a, const char *name); /* or NULL */
bool args_has(const struct args *a, const char *name);
const cJSON *args_list(const struct args *a, const char *name); /* array or NULL */

#endif
