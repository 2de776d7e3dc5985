/* hooks.lock and packs/: what was approved, changed by one process at a time. The lock file is replaced in one step and
 * names the folder by its hash, so that a crash leaves the old state or the new one. */
#ifndef PERRY_POLICY_PACKS_LOCK_H
#define PERRY_POLICY_PACKS_LOCK_H
#include <stdbool.h>

#include "policy/pack/pack.h"

/* Where a pack comes from: {"url", "ref"?, "commit"} or {"path", "host"?}. */
/* What was approved: [{"name", source, "hash", "api", "needs", "files", "approved"}]; [] when there is none. Caller
 * frees. */
int packs_approved(const char *config_dir, cJSON **out, struct perry_err **err);
const cJSON *packs_entry(const cJSON *approved, const char *name); /* or NULL */
/* The approved files of a pack, verified. */
int packs_read(const char *config_dir, const cJSON *entry, struct pack **out, struct perry_err **err);
/* Approves p: its files, its entry in hooks.lock (*entry, the caller's), its place in hookPacks. before: the hash that
 * the approver saw in force, or NULL; when it is another by now, PERRY_ECONFLICT. One at a time, across processes. */
int packs_approve(const char *config_dir, const struct pack *p, const cJSON *source, const char *before, cJSON **entry,
		  struct perry_err **err);
int packs_remove(const char *config_dir, const char *name, struct perry_err **err);

/* Holds packs/.lock; how: LOCK_SH or LOCK_EX. -1 when there is no such folder (LOCK_SH), or with *err. */
int packs_lock(const char *config_dir, int how, struct perry_err **err);
/* An entry of hookPacks ("~/folder", {"url", "ref"}, {"path"}) as a source with the whole path. Caller frees; NULL with
 * *err. */
cJSON *packs_source_of(const cJSON *listed, struct perry_err **err);
/* The same repository or folder, whatever the ref. */
bool packs_same_source(const cJSON *a, const cJSON *b);

#endif
