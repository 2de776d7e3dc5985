/* Inside core/config: how a dotted path relates to the table of keys. */
#ifndef PERRY_CONFIG_TABLE_H
#define PERRY_CONFIG_TABLE_H
#include "config/config.h"

/* The row that a path is ("packs.acme" is "packs.*"), or NULL. */
const struct config_key *table_find(const char *path);
/* Is it a strict prefix of a known key ("tailscale")? */
bool table_is_group(const char *path);
/* The nearest known key to an unknown path, at the level where it goes wrong. Caller frees; NULL when nothing is near.
 */
char *table_nearest(const char *path);
/* Brings what the original's versions wrote into today's shape: null is absent, one script is a list of one, a port of
 * 0 is the default, lists that are none are empty. */
void table_modernize(cJSON *root);
/* A number that an earlier version took, and this one does not, becomes the nearest that it takes: an upgrade keeps
 * nobody's agent from starting. say (or NULL) is called for each. For what stands in a file, not for what is set. */
void table_admit(cJSON *root, void (*say)(const char *key, double was, double is));
/* Checks a whole file. warn is called for unknown keys. */
int table_check(const cJSON *root, void (*warn)(void *ctx, const char *key, const char *nearest), void *ctx,
		struct perry_err **err);
/* Each of tailscale.credentials: its fields, and that no secret stands in it. Part of table_check. */
int credentials_check(const cJSON *root, struct perry_err **err);
/* Calls fn for every value of a secret key; fn may change or replace the value in its parent. */
void table_secrets(cJSON *root, void (*fn)(void *ctx, const char *path, cJSON *parent, cJSON *value), void *ctx);
#endif
