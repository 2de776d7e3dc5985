/* The packs of an agent: hookPacks in config.json says which and in what order, hooks.lock what was approved, packs/ in
 * the configuration folder holds the approved files. */
#ifndef PERRY_POLICY_PACKS_H
#define PERRY_POLICY_PACKS_H
#include "base/json.h"
#include "policy/setup.h"

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

#endif
