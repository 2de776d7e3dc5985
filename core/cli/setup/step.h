/* The steps of the set-up. Each has its questions in a file of its own; the table is in setup.c. */
#ifndef PERRY_CLI_SETUP_STEP_H
#define PERRY_CLI_SETUP_STEP_H
#include "cli/setup/subject.h"

/* Asks, and adds to changes (as subject_save takes them) what is to be another than it is. -1: stopped. */
typedef int step_fn(const struct subject *t, cJSON *changes);

step_fn step_token;
step_fn step_github;
step_fn step_ssh;
step_fn step_agents;
step_fn step_tailscale;

/* A secret that is one word: asked for hidden, kept by Enter, removed by "-". -1: stopped. */
int step_secret(const struct subject *t, const char *key, const char *question, cJSON *changes);
/* The names of the workspaces that run, by blanks; "" for none. Caller frees. */
char *step_running(const struct subject *t);

#endif
