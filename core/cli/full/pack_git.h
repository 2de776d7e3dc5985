/* Packs out of git repositories, by the user's own git: its keys, helpers and proxies count. */
#ifndef PERRY_CLI_FULL_PACK_GIT_H
#define PERRY_CLI_FULL_PACK_GIT_H
#include <stdbool.h>

#include "policy/pack/pack.h"

struct pack_source {
	const char *url; /* https://, ssh://, user@host:path or file:// */
	const char *ref; /* branch, tag or commit; NULL: the default branch */
	int timeout_ms;  /* for all of it */
};

/* Is this an address rather than a folder? */
bool git_is_url(const char *text);
/* 0, or -1 for one that is not fetched from (http, helpers' own schemes, a password in it). */
int git_check_source(const char *url, const char *ref, struct perry_err **err);
/* The files of the newest commit of ref, as they are in the repository (no filters, no attributes). */
int git_fetch_pack(const struct pack_source *s, struct pack **out, char **commit, struct perry_err **err);
/* The commit that ref stands for now, without fetching. */
int git_newest(const struct pack_source *s, char **commit, struct perry_err **err);
/* Is old no ancestor of commit (any more)? -1 when that cannot be told. */
int git_rewritten(const struct pack_source *s, const char *old, const char *commit, bool *rewritten,
		  struct perry_err **err);
/* How two packs differ, as text for people. Caller frees. */
char *git_diff(const struct pack *before, const struct pack *after);

#endif
