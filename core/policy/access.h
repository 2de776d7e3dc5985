/* What the agent lets a hook ask for: by the kind of its point, by what its layer needs, and by the secrets it names.
 */
#ifndef PERRY_POLICY_ACCESS_H
#define PERRY_POLICY_ACCESS_H
#include "policy/points.h"
#include "policy/policy.h"

/* 0, or -1 with PERRY_EPOLICY. */
int access_check(const struct policy_layer *layer, const char *layer_name, const struct point *point, const char *call,
		 const cJSON *args, struct perry_err **err);
/* Secret references anywhere in a value: only names that hooks may use. */
int access_secrets(const cJSON *value, struct perry_err **err);
/* The host of an http or https URL, lower case, into out; -1 when it is none or hides something (user names, spaces,
 * backslashes). */
int access_url_host(const char *url, char out[256]);

#endif
