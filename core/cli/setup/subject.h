/* What is set up: an agent through its API, or, where none runs, the config.json of this machine's. */
#ifndef PERRY_CLI_SETUP_SUBJECT_H
#define PERRY_CLI_SETUP_SUBJECT_H
#include "cli/client.h"

struct subject {
	struct client *client; /* NULL: the file */
	bool here;             /* of this machine */
	char *dir;             /* configuration folder of this machine */
	cJSON *now;            /* as config.json has it, secrets masked; of what the steps ask for */
	cJSON *workspaces;     /* as the API lists them; empty where nobody knows */
	bool key_fixed;        /* the environment sets the auth key */
};

/* --agent or PERRY_AGENT names an agent, which then has to answer; else this machine's. */
int subject_open(struct subject *t, struct perry_err **err);
void subject_close(struct subject *t);
/* Fills now and what stands behind it. */
int subject_look(struct subject *t, struct perry_err **err);
/* Saves {dotted key: text, boolean, list, null to remove}, all of one step. "auth.token" is "new" or "off". What there
 * is to tell is added to said, a list of texts. */
int subject_save(struct subject *t, const cJSON *changes, cJSON *said, struct perry_err **err);

#endif
