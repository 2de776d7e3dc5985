/* What the agent lets a hook ask for: by the kind of its point, by what its layer needs, and by the secrets it names.
 */
#ifndef PERRY_POLICY_CONTRACT_ACCESS_H
#define PERRY_POLICY_CONTRACT_ACCESS_H
#include "base/err.h"
#include "base/json.h"
#include "policy/contract/points.h"

/* Whom a check is about. */
struct access_layer {
	const char *name;
	const cJSON *needs; /* a pack's; NULL: the layer is no pack and gets everything that its kind of hook may */
	const cJSON *settings;
};

/* 0, or -1 with PERRY_EPOLICY. */
int access_check(const struct access_layer *layer, const struct point *point, const char *call, const cJSON *args,
		 struct perry_err **err);
/* Secret references anywhere in a value: only names that hooks may use, and for a pack only those of its secret
 * settings and those in passed (what it was given by the layers below). layer and passed may be NULL. */
int access_secrets(const struct access_layer *layer, const cJSON *value, const cJSON *passed, struct perry_err **err);
/* May a pack answer this? base: the answer of the layers below, NULL when it did not ask. Other layers may. */
int access_answer(const struct access_layer *layer, const struct point *point, const cJSON *answer, const cJSON *base,
		  struct perry_err **err);
/* How far a layer gets at this URL's host. */
enum access_reach {
	REACH_NONE,   /* a pack does not list it */
	REACH_PUBLIC, /* a pack lists the name: to addresses of the internet alone */
	REACH_ANY     /* no pack; or one that lists the address itself, or whose user named the host in a setting */
};
enum access_reach access_reach(const struct access_layer *layer, const char *url);
/* The host of an http or https URL, lower case, into out; -1 when it is none or hides something (user names, spaces,
 * backslashes). */
int access_url_host(const char *url, char out[256]);

#endif
