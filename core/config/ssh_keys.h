/* SSH keys that lie in a user's ~/.ssh, and what may be named as one. */
#ifndef PERRY_CONFIG_SSH_KEYS_H
#define PERRY_CONFIG_SSH_KEYS_H
#include "base/err.h"
#include "base/json.h"

/* [{name, path, publicKeyPath, type, fingerprint, hasPrivateKey}], by name. Caller frees. */
cJSON *ssh_keys_list(void);
/* Is it a public key's line, or the whole path (or ~/...) of a file that begins with one? PERRY_EINPUT says what it is
 * instead, without the text. */
int ssh_key_check_public(const char *key, struct perry_err **err);
/* Is there a private key in the file of that path? */
int ssh_key_check_private(const char *path, struct perry_err **err);

#endif
