/* The packs of an agent: hookPacks in config.json says which and in what order, hooks.lock what was approved, packs/ in
 * the configuration folder holds the approved files. */
#ifndef PERRY_POLICY_PACKS_H
#define PERRY_POLICY_PACKS_H
#include "policy/pack/pack.h"
#include "policy/policy.h"

/* -- for a session -- */

/* One layer for each entry of hookPacks, highest first. A pack that is not what was approved is a layer with an error,
 * which stops what opens it and says which file. config: the public configuration; may be NULL. */
#define PACKS_MAX 32
struct packs;
struct packs *packs_load(const char *config_dir, const cJSON *config);
const struct policy_layer *packs_layers(const struct packs *p, size_t *n);
void packs_free(struct packs *p);

/* For people: every pack of hookPacks in its order, then those that are approved and not listed: [{"name", source,
 * "hash", "needs", "description", "settings", "state": "used", "refused" or "unused", "problem"?}]. Caller frees. */
cJSON *packs_list(const char *config_dir, const cJSON *config);

/* -- hooks.lock -- */

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

/* A pack as it travels: [{"path", "exec", "data": base64}]. */
cJSON *pack_to_json(const struct pack *p);
int pack_from_json(const cJSON *files, struct pack **out, struct perry_err **err);

#endif
