/* Files of the project that travel in the binary: lua/, hooks/, image/, web/ and the API's schemas. The table is
 * generated at build time (scripts/embed.sh). */
#ifndef PERRY_BASE_EMBED_H
#define PERRY_BASE_EMBED_H

struct embedded {
	const char *path;       /* "hooks/hostname.lua" */
	const char *data, *end; /* a NUL follows end */
};
extern const struct embedded embed_files[]; /* ends with path NULL */

const struct embedded *embed_find(const char *path); /* or NULL */

#endif
