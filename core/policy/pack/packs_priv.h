/* Shared by packs.c and packs_lock.c. */
#ifndef PERRY_POLICY_PACKS_PRIV_H
#define PERRY_POLICY_PACKS_PRIV_H
#include "policy/pack/packs.h"

/* Holds packs/.lock; how: LOCK_SH or LOCK_EX. -1 when there is no such folder (LOCK_SH), or with *err. */
int packs_lock(const char *config_dir, int how, struct perry_err **err);
/* An entry of hookPacks ("~/folder", {"url", "ref"}, {"path"}) as a source with the whole path. Caller frees; NULL with
 * *err. */
cJSON *packs_source_of(const cJSON *listed, struct perry_err **err);
/* The same repository or folder, whatever the ref. */
bool packs_same_source(const cJSON *a, const cJSON *b);

#endif
