/* Questions on a terminal, line by line, so that a screen reader reads them and a serial line carries them. All of it
 * goes to standard error. */
#ifndef PERRY_CLI_SETUP_PROMPT_H
#define PERRY_CLI_SETUP_PROMPT_H
#include <stdbool.h>

#include "base/err.h"

enum prompt_answer {
	ANSWER_STOP = -1, /* Ctrl-C, the end of the input, a window that was closed */
	ANSWER_KEEP,      /* Enter */
	ANSWER_REMOVE,    /* "-" */
	ANSWER_TEXT,
};

/* Is this answer good? -1 with why. */
typedef int prompt_check(const void *ctx, const char *text, struct perry_err **err);

/* From here to prompt_end signals only stop questions: what is being saved is saved whole. */
void prompt_begin(void);
void prompt_end(void);
int prompt_signal(void); /* what stopped the last question; 0: the end of the input */

/* Asks until the answer is good (check may be NULL). *text, of ANSWER_TEXT, is the caller's, who frees it by
 * prompt_free; hidden: it is not shown while it is typed. */
enum prompt_answer prompt_text(const char *question, bool hidden, prompt_check *check, const void *ctx, char **text);
/* Yes or no, 1 or 0; Enter is dflt. -1: stopped. */
int prompt_yes(const char *question, bool dflt);
void prompt_free(char **text); /* wipes it */
#define cleanup_answer __attribute__((cleanup(prompt_free)))

/* One line; what the arguments bring cannot move the cursor. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_error(const struct perry_err *e);

#endif
