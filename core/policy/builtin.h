/* The built-in hooks, which travel in the binary. */
#ifndef PERRY_POLICY_BUILTIN_H
#define PERRY_POLICY_BUILTIN_H

const char *policy_builtin_source(const char *point); /* the text of a built-in hook, or NULL; static */
const char *builtin_hash(const char *point);          /* its SHA-256, or NULL; static */

#endif
