/* A name of ours after a folder's. */
#ifndef PERRY_CLI_LABEL_H
#define PERRY_CLI_LABEL_H
#include <stddef.h>

/* The last part of the path in lower case letters, digits and single hyphens, at most max; "" when nothing is left.
 * Caller frees. */
char *label_of(const char *path, size_t max);

#endif
