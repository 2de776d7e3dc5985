/* The body of a call: the input inside the envelope {"json": input}. */
#ifndef PERRY_AGENT_BODY_H
#define PERRY_AGENT_BODY_H
#include <stddef.h>

#include "base/json.h"

/* *input is the caller's, NULL (undefined) when there is none: no body, a form, another shape. type: Content-Type or
 * NULL. -1 for what is not JSON or too deep, with *problem (static). */
int body_input(const char *type, const char *bytes, size_t n, cJSON **input, const char **problem);

#endif
