/* The fleet: all workspaces with the live state of their containers, in memory. Filled from the store and one engine
 * list, followed by the engine's event stream; a list never asks the engine. Operations write their own results
 * through. A change of a status, whoever made it, is an event
 * {"kind":"state","workspace","status","was"}; the engine coming and going is
 * {"kind":"engine","state":"up"|"down","error"}; a workspace that runs and was taken off its network is
 * {"kind":"network","workspace","state":"disconnected"}. */
#ifndef PERRY_OPS_FLEET_H
#define PERRY_OPS_FLEET_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

struct fleet;
struct store;
struct docker;
struct hub;

/* Reads the store at once, starts the thread that follows the engine (it retries for ever while the engine is away). */
int fleet_open(struct fleet **out, struct store *store, struct docker *docker, struct hub *hub, struct perry_err **err);
void fleet_close(struct fleet *f);
/* Is the engine reachable and its list in? error_out (may be NULL) gets the reason as the caller's text; NULL while up
 * or before the first answer. */
bool fleet_engine_up(struct fleet *f, char **error_out);
/* Waits until the first list after (re)connection is in, at most timeout_ms. */
bool fleet_wait_ready(struct fleet *f, int timeout_ms);

/* Records as the store has them plus "status" ("running"|"stopped"|"creating"|"error"|"missing": ready but without a
 * container|"unknown": the engine has not answered yet), "container": {id, state, and once inspected: pid, started,
 * finished, exitCode, oomKilled, health} and "startup". While the engine is away the last known state stays. Caller
 * frees. One workspace: PERRY_ENOTFOUND. */
cJSON *fleet_list(struct fleet *f);
int fleet_get(struct fleet *f, const char *name, cJSON **out, struct perry_err **err);
/* The list as JSON text "[...]", each workspace as render gives it (the record with its additions; the text is
 * malloc's), kept until it changes. render runs under the fleet's lock. Without one the records are printed whole.
 * Caller frees. */
void fleet_set_render(struct fleet *f, char *(*render)(const cJSON *record));
char *fleet_list_text(struct fleet *f);
/* What else the list says of one that runs, asked anew each time under the fleet's lock: members as text
 * ("\"a\":1,\"b\":2", malloc's), or NULL. record is without the additions. Before anybody lists. */
void fleet_set_more(struct fleet *f, char *(*more)(void *ctx, const cJSON *record), void *ctx);
/* Each workspace that runs, with its "container" (as above); under the fleet's lock: fn must be quick. */
void fleet_each_running(struct fleet *f, void (*fn)(void *ctx, const char *name, const cJSON *container), void *ctx);
/* After a change of the record in the store: puts the new record (NULL: removed) in place. One that is older than what
 * is there is ignored. */
void fleet_put(struct fleet *f, const char *name, const cJSON *record);
/* Writes a container's inspected state through (NULL: no container); used by operations before they answer. */
void fleet_put_container(struct fleet *f, const char *name, const cJSON *inspect);
/* Progress of a running operation, shown as "startup"; NULL when it ended. */
void fleet_put_startup(struct fleet *f, const char *name, const cJSON *startup);

#endif
