/* Who calls from the tailnet, and what he may: tailscaled says whose node it is, the authorize hooks decide. Both are
 * remembered for a while. */
#ifndef PERRY_AGENT_TAILNET_IDENTITY_H
#define PERRY_AGENT_TAILNET_IDENTITY_H
#include <stdbool.h>

#include "agent/who/auth.h"

struct agent;
struct identity;

enum who {
	WHO_NOBODY,    /* nothing is known of him: a token, or nothing */
	WHO_OWN,       /* an address of this machine: any program here may use it, so the same */
	WHO_WORKSPACE, /* one of ours, or a node made with its key: never */
	WHO_TAILNET,   /* a node of the tailnet; caller has what it may, maybe nothing */
};

struct identity_answer {
	enum who who;
	struct caller caller; /* of WHO_TAILNET, without rights: caller.why says why */
	bool approved;        /* a token was given on this device once */
};

struct identity_question {
	char address[64]; /* of the peer, or where Serve says it comes from */
	char login[160];  /* as tailscaled's header has it, "" when there is none */
};

struct identity *identity_new(struct agent *a);
void identity_free(struct identity *i);
/* From memory, at once. False: ask identity_find. */
bool identity_known(struct identity *i, const struct identity_question *q, struct identity_answer *out);
/* Asks tailscaled and the hooks: for threads that may wait. */
void identity_find(struct identity *i, const struct identity_question *q, struct identity_answer *out);

/* What the authorize hooks leave of the rights of a caller who needs no tailscaled ("local", "token", "session"); the
 * built-in one leaves all. From memory; false: ask identity_limit_find, which waits for the hooks. */
bool identity_limit_known(struct identity *i, struct caller *c);
void identity_limit_find(struct identity *i, struct caller *c);

/* The device of this answer was given the token: from now on it may what its user may, admin included. Waits for the
 * disk. */
void identity_approve(struct identity *i, const struct identity_answer *who);
/* [{"id", "name", "login", "at"}]; caller's. */
int identity_devices(struct identity *i, cJSON **out, struct perry_err **err);
/* Forgets the approval of a device by its id or name. PERRY_ENOTFOUND. */
int identity_forget(struct identity *i, const char *device, struct perry_err **err);

#endif
