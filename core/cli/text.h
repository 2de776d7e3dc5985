/* What somebody else wrote (the agent, a workspace, a file, a server), on its way to the user's terminal. Left out is
 * what moves the cursor or turns the direction of text: control characters of both kinds, DEL and bidi controls; bytes
 * that are no UTF-8 become U+FFFD. */
#ifndef PERRY_CLI_TEXT_H
#define PERRY_CLI_TEXT_H
#include <stdio.h>

/* On one line, blanks instead: for cells and lines of a list. NULL is "". Caller frees. */
char *printable(const char *text);
/* With its line ends and tabs, and indent before each line but the first. Caller frees. */
char *printable_lines(const char *text, const char *indent);
/* With its line ends and tabs; what is left out shows as its bytes, "<1b>": for what is about to be approved. Caller
 * frees. */
char *printable_marked(const char *text);
/* fprintf of which all that comes out is printable; line ends and tabs stay, and what follows a line end is indented,
 * so that no argument can begin a line. */
void text_printf(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
