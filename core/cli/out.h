/* What the user sees: tables, JSON, progress, questions. Data goes to standard output, chatter to standard error. */
#ifndef PERRY_CLI_OUT_H
#define PERRY_CLI_OUT_H
#include <stdbool.h>

#include "base/json.h"
#include "cli/command.h"

bool out_is_tty(void);
bool err_is_tty(void); /* progress is shown */
bool in_is_tty(void);

/* A table: rows of columns cells each. On a terminal aligned under a head, into a pipe tab-separated without one. */
struct table {
	const char *const *heads;
	int columns;
	char **cells;
	int n;
};
void table_add(struct table *t, const char *cell); /* as printable has it */
void table_addf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *t); /* prints and frees */

/* --json [FIELDS]: the value, or the chosen fields of it (of each member of an array). Unknown field: PERRY_EUSAGE with
 * the ones there are. */
int out_json(const struct args *a, const cJSON *value, struct perry_err **err);
/* With --json as that, else by print. */
int out_answer(const struct args *a, const cJSON *value, void (*print)(const cJSON *value), struct perry_err **err);
/* Lines for standard output: on a terminal what is printable of them, elsewhere all. */
void out_data(const char *text);

/* What was printed is out; -1: it cannot be written (a full disk). */
int out_flush(struct perry_err **err);
bool out_unread(void); /* and the reason was that nobody reads it any more */
/* Before the first use of the standard descriptors: those that are closed are taken, so that no file of ours gets their
 * number (writing to them fails, reading finds the end), and output waits for a descriptor that does not. */
void out_begin(void);

/* Yes or no on the terminal; without one: no (the caller's error says that -y would do it). */
bool ask_yes(const struct args *a, const char *question);
/* A line from the terminal with a default; NULL at its end. Caller frees. */
char *ask_line(const char *question, const char *dflt);
/* A secret or value from standard input (--stdin): one line, without its end. Caller frees (and wipes). */
char *read_stdin_line(void);

#endif
