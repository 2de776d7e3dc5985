/* perry-step inside a workspace: where it lies, and the words that run it there. It lives here because it is only ever
 * called through an exec, by all that call one. */
#ifndef PERRY_DOCKER_STEP_ARGV_H
#define PERRY_DOCKER_STEP_ARGV_H

#include "base/json.h"

#define STEP_PATH      "/opt/perry/bin/perry-step" /* on the tools volume, in every workspace */
#define STEP_NO_TARGET 3                           /* its exit code: nothing runs with this id */

/* The id of an exec: "LIFE-RANDOM". LIFE is of this process; a watch that is told of it (in its environment) ends what
 * runs under another, so that a command does not outlive an agent that was killed. */
#define STEP_LIFE_VAR "PERRY_LIFE"
const char *step_life(void);
void step_exec_id(char out[32]);

/* perry-step exec: a command as a user, under an id by which it can be ended. */
struct step_exec {
	const char *id;
	const char *user, *cwd;     /* NULL: workspace; the user's home */
	int cols, rows;             /* of the terminal; 0: there is none */
	const char *shell;          /* without a command, or NULL: the user's own */
	const char *const *command; /* NULL-terminated, or NULL: a login shell */
};
/* NULL-terminated. The caller frees the array; the words are borrowed. */
const char **step_exec_argv(const struct step_exec *x);
/* The texts of a JSON array as a command; what is no text is "". The caller frees the array; the words are borrowed. */
const char **step_words(const cJSON *array);

/* perry-step kill: ends what runs under an id with all of its session. signal NULL: TERM; grace: the seconds until it
 * is killed, NULL: it is not waited for. argv is NULL-terminated, its words are borrowed. */
void step_kill_argv(const char *argv[8], const char *id, const char *signal, const char *grace);

#endif
