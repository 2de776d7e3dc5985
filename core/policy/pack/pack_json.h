/* pack.json: what a pack is called, what can be set, what it needs. */
#ifndef PERRY_POLICY_PACK_JSON_H
#define PERRY_POLICY_PACK_JSON_H
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

/* Every field checked, "SHOWN:LINE: settings[1].type: ...". *out is the caller's. */
int pack_parse(const char *text, size_t n, const char *shown, cJSON **out, struct perry_err **err);
/* Values of the pack's settings: those of config.json ("packs.NAME") over the defaults, types checked. A secret one
 * becomes {"$secret": name}. */
int pack_settings(const cJSON *meta, const cJSON *config, cJSON **out, struct perry_err **err);
/* The needs with "setting:NAME" replaced by the host of that setting's value, and as "named" those hosts that the user
 * named in config (public; or NULL) rather than the pack by a default. Caller frees. */
cJSON *pack_needs(const cJSON *meta, const cJSON *settings, const cJSON *config);

#endif
