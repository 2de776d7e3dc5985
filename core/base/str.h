/* Small looks at a text. */
#ifndef PERRY_BASE_STR_H
#define PERRY_BASE_STR_H
#include <stdbool.h>

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
char *str_trim(char *s);                   /* in place; returns the first non-blank */
/* The candidate nearest to word (edit distance at most 1/3 of its length, at least 1 and at most 3), or NULL.
 * candidates ends with NULL. */
const char *str_nearest(const char *word, const char *const *candidates);

#endif
