/* A command as its row in the table says it, and as it was typed. */
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
	char **rest; /* after "--", of a command that passes them on; the words of others go on there */
	int nrest;
	bool dashes; /* "--" was there */
};

/* Returns the exit status, or -1 with err. */
typedef int command_fn(const struct args *a, struct perry_err **err);

struct command {
	const char *name;  /* "list", or "agent run" */
	const char *alias; /* "ls", or NULL */
	const char *usage; /* what follows the name */
	const char *summary;
	const char *example;
	const struct opt *opts;   /* ends with name NULL; or NULL */
	int min_words, max_words; /* -1: any number */
	command_fn *run;          /* NULL: only the full executable has it (full.h) */
};

#endif
