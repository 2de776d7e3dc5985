/* argv -> one row of the table -> one function. */
#ifndef PERRY_CLI_CLI_H
#define PERRY_CLI_CLI_H

struct perry_err;

/* On standard error, with all that the agent says about it. */
void cli_print_error(const struct perry_err *e);
/* The whole run: returns the exit status. */
int cli_main(int argc, char **argv);

#endif
