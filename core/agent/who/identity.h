/* Who calls from the tailnet: tailscaled says whose node it is, the authorize hooks (decisions.h) what he may. Both are
 * remembered for a while. */
#ifndef PERRY_AGENT_IDENTITY_H
#define PERRY_AGENT_IDENTITY_H
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

#endif
