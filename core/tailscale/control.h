/* The API of a control server, by one credential: Tailscale's v2 or Headscale's v1. Every call has one deadline for all
 * that it takes (token included), follows no redirect and bounds what it reads. Callable from any thread.
 * PERRY_EFORBIDDEN: the credential is not accepted; PERRY_EUNAVAILABLE: the server cannot be reached, or its answer is
 * not what it should be; err->status is the HTTP status. No text ever has a secret or a key. */
#ifndef PERRY_TAILSCALE_CONTROL_H
#define PERRY_TAILSCALE_CONTROL_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/secret.h"

struct control;

struct control_setup {
	const char *name;             /* of the credential, for messages */
	const char *type;             /* "tailscale" or "headscale" */
	const char *url;              /* NULL: https://api.tailscale.com; Headscale has no default */
	const char *tailnet;          /* NULL: the credential's own */
	const char *client_id;        /* of the OAuth client whose secret this is; NULL: secret is an API key */
	const struct secret *secret;  /* borrowed until control_free */
	const char *user;             /* Headscale: id of the user who owns untagged keys, or NULL */
	int timeout_ms;               /* of each call; 0: 10 s */
	const atomic_bool *cancelled; /* ends a call early, or NULL */
	int cancel_fd;                /* readable then, or -1 */
};
/* Copies the texts; connects to nothing yet. PERRY_EINPUT for what cannot work. */
int control_open(struct control **out, const struct control_setup *setup, struct perry_err **err);
void control_free(struct control *c); /* NULL is fine */

struct control_mint {
	const char *const *tags; /* NULL-terminated, or NULL */
	bool ephemeral;
	int expiry_s;
	const char *description; /* at most 50 characters, or NULL */
};
struct control_key {
	struct secret *key;
	char *id;           /* names the key without being it, for control_key_revoke */
	int64_t expires_ms; /* 0: not told */
};
void control_key_free(struct control_key *k);
#define cleanup_control_key __attribute__((cleanup(control_key_free)))
/* A key for one join, preauthorised. */
int control_mint(struct control *c, const struct control_mint *want, struct control_key *out, struct perry_err **err);
/* From now on nobody joins with it. A key that is gone is success. */
int control_key_revoke(struct control *c, const char *id, struct perry_err **err);

/* Devices, the same of either API: {"id" (tailscaled's Self.ID), "name" (first label), "hostname" (what it asked for),
 * "addresses", "tags", "user", "online", "created", "lastSeen", "expires" (ms, absent: unknown or never), "ephemeral",
 * "keyId" (absent: not told)}. *out is an array, the caller's. */
int control_devices(struct control *c, cJSON **out, struct perry_err **err);
int control_device(struct control *c, const char *id, cJSON **out, struct perry_err **err); /* PERRY_ENOTFOUND: gone */
int control_device_delete(struct control *c, const char *id, struct perry_err **err);       /* gone is success */

#endif
