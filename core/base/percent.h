/* Percent-encoding, of request targets and forms. */
#ifndef PERRY_BASE_PERCENT_H
#define PERRY_BASE_PERCENT_H
#include <stdbool.h>
#include <stddef.h>

int hex_value(char digit); /* -1: it is none */
/* Decodes %XX (and + when plus is set) into out, which has room for n + 1 bytes. -1: malformed, or a NUL. */
int percent_decode(const char *in, size_t n, bool plus, char *out);

#endif
