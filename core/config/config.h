/* config.json: constants. Read into immutable snapshots; written atomically, with unknown keys kept; a broken file is
 * never overwritten. */
#ifndef PERRY_CONFIG_CONFIG_H
#define PERRY_CONFIG_CONFIG_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

/* One row of the table of known keys (config/keys.h, an X-macro): dotted key, type, secret or not, default as JSON
 * text, one line of description. */
struct config_key {
	const char *key;  /* "tailscale.hostnamePrefix"; "*" stands for any name in a path ("packs.*") */
	const char *type; /* "string", "boolean", "integer", "number", "size" (bytes or "4GiB"), "strings", "object",
			     "objects", "array" */
	bool secret;
	int64_t min, max; /* of an integer or number; both 0: any */
	const char *dflt; /* JSON text or NULL */
	const char *doc;
};
const struct config_key *config_keys(void); /* ends with key NULL */

struct config; /* a snapshot; reference-counted, immutable */

/* Reads DIR/config.json (absent: all defaults), validates types and ranges ("config.json: tailscale.tags[1]: expected
 * string, got number"; syntax: "config.json:LINE:COLUMN: ..."), overlays environment variables (PERRY_PORT,
 * PERRY_NO_HOST_ACCESS, PERRY_TAILSCALE_AUTH_KEY). Values of secret keys are given to the log's redaction. Unknown keys
 * are no error: warn is called for each with the nearest known one or NULL. */
int config_load(const char *dir, struct config **out, void (*warn)(void *ctx, const char *key, const char *nearest),
		void *ctx, struct perry_err **err);
struct config *config_ref(struct config *c);
void config_unref(struct config *c);

/* Effective values (file, environment, default). Borrowed while the snapshot lives. */
const cJSON *config_get(const struct config *c, const char *key); /* NULL when there is none */
const char *config_str(const struct config *c, const char *key);
int64_t config_int(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
/* "default", "file" or "env NAME". */
const char *config_origin(const struct config *c, const char *key);
/* The whole file as it is plus defaults, secrets masked as SECRET_MASK ("" stays ""). Caller frees. */
cJSON *config_masked(const struct config *c);
/* One value of it: an empty text, and what is no text, stay as they are. */
void config_mask(cJSON *value);
/* For hooks (perry.config): every secret value is replaced by a reference {"$secret": "dotted.key"}. Caller frees. */
cJSON *config_public(const struct config *c);
/* What a secret reference stands for: the dotted key of a secret ("credentials.env.TOKEN", "agents.github.token") or a
 * name in `secrets`, whose text may be file:PATH (of ours, mode 0600) or env:NAME. *out is the caller's. */
struct secret;
int config_secret(const struct config *c, const char *name, struct secret **out, struct perry_err **err);
/* The secret that a value of configuration refers to: "file:PATH", "env:NAME" or a name in `secrets`; key is where that
 * stands, for messages. */
int config_secret_by(const struct config *c, const char *key, const char *ref, struct secret **out,
		     struct perry_err **err);
/* "2200-2400" of sshPortRange as two numbers. */
void config_port_range(const struct config *c, int *min, int *max);

/* Read, change, validate, write, under a lock file that works between processes. change edits the file's root; -1 gives
 * up. A value of SECRET_MASK for a secret key means: keep. */
int config_edit(const char *dir, int (*change)(cJSON *root, void *ctx, struct perry_err **err), void *ctx,
		struct perry_err **err);
/* Has every workspace ("name" of each in the list) a hostname of at most 63 characters with this prefix? PERRY_EINPUT
 * names one that has not. */
int config_check_prefix(const char *prefix, const cJSON *workspaces, struct perry_err **err);
/* Is this an auth key by its form? PERRY_EINPUT says what it is instead and what to do, never the text; where: "what
 * was given". The first only knows what is none anywhere, the second also what the control server takes (NULL:
 * Tailscale's).
 */
int config_check_key_word(const char *key, const char *where, struct perry_err **err);
int config_check_auth_key(const char *key, const char *server, const char *where, struct perry_err **err);
/* A key that is set up with the control server it is for (NULL or "": Tailscale's). PERRY_EINPUT, as above, also where
 * the two cannot belong together. */
int config_check_setup_key(const char *key, const char *server, struct perry_err **err);
/* Sets one dotted key from text (typed by the table; objects and arrays as JSON) or removes it (text NULL). Unknown
 * keys: PERRY_EINPUT with the nearest. */
int config_set(const char *dir, const char *key, const char *text, struct perry_err **err);
/* The same for {dotted key: text, or null to remove it}: all of them or none. */
int config_set_all(const char *dir, const cJSON *texts, struct perry_err **err);
/* Was there a file to read? */
bool config_has_file(const struct config *c);
/* Writes the file of a snapshot again; one that is there meanwhile stays as it is. */
int config_put_back(const char *dir, const struct config *c, struct perry_err **err);
/* What to tell of keys in the file that are kept and do nothing, or NULL. Caller frees. */
char *config_idle_warning(const struct config *c);
/* What to tell who saved an auth key that nothing but being ephemeral protects from leaving devices behind; NULL: there
 * is no key, or there is an API credential. */
const char *config_key_warning(const struct config *c);

#endif
