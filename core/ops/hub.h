/* The event hub: every step, state and decision is one event; the CLI's progress, /events and the on_* hooks read the
 * same stream. */
#ifndef PERRY_OPS_HUB_H
#define PERRY_OPS_HUB_H

#include "base/json.h"

struct hub;
struct store;
struct hub_sub;

struct hub *hub_new(struct store *store); /* store may be NULL: nothing is kept */
void hub_free(struct hub *h);
/* An event: {"kind": "operation"|"step"|"progress"|"state"|"decision"|"hook"|"engine"|..., "workspace", ...}. "at" (ms)
 * is added, and an increasing "id" when keep is set: then it is in the store, too (progress lines are not kept and have
 * no id). Takes ev. Waits neither for subscribers nor for the disk. */
void hub_publish(struct hub *h, cJSON *take_ev, int keep);
/* fn is called on the publisher's thread with the event (borrowed), in the order of ids. workspace NULL: all. fn runs
 * under the hub's lock: it must be quick, must not call the hub, and may take only a lock under which nobody calls the
 * hub. */
struct hub_sub *hub_subscribe(struct hub *h, const char *workspace, void (*fn)(void *ctx, const cJSON *ev), void *ctx);
void hub_unsubscribe(struct hub_sub *s); /* after it returns fn is not running and will not be called */

#endif
