/* argv -> one row of the table -> one function. */
#ifndef PERRY_CLI_CLI_H
#define PERRY_CLI_CLI_H

/* The whole run: returns the exit status. */
int cli_main(int argc, char **argv);

#endif
