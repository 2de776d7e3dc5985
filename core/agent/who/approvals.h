/* Devices of the tailnet that were given the token: each may from then on what its user may, admin included, until it
 * is forgotten or the token is another one. */
#ifndef PERRY_AGENT_APPROVALS_H
#define PERRY_AGENT_APPROVALS_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

struct agent;
struct caller;

bool approvals_has(struct agent *a, const char *node_id, const char *login);
/* The device that c calls from was given the token. Waits for the disk. */
void approvals_add(struct agent *a, const struct caller *c);
/* [{"id", "name", "login", "at"}]; caller's. */
int approvals_list(struct agent *a, cJSON **out, struct perry_err **err);
/* Forgets a device by its id or name, and ends its streams. PERRY_ENOTFOUND. */
int approvals_forget(struct agent *a, const char *device, struct perry_err **err);
unsigned approvals_epoch(struct agent *a); /* another number whenever one came or went */

#endif
