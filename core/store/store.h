/* The store: SQLite (WAL, synchronous=FULL) behind one writer thread with group commit. A call that writes returns when
 * its batch is durable. Records are JSON documents with the columns that must be unique beside them. Callable from any
 * thread. No secret is ever stored. */
#ifndef PERRY_STORE_STORE_H
#define PERRY_STORE_STORE_H
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct store;

/* Opens or creates path (0600), migrates the schema (a newer schema than ours is refused by number), checks integrity.
 */
int store_open(struct store **out, const char *path, struct perry_err **err);
void store_close(struct store *s); /* waits for queued writes */
/* Imports a legacy state.json of the original once (marks it in kv); it is left in place. 0 also when there is none. */
int store_import_legacy(struct store *s, const char *state_json, int *imported, struct perry_err **err);
/* Keeps a copy beside the database (the newest three stay, PATH.copy-1 ...); if_due: at most one an hour. */
void store_copy(struct store *s, bool if_due);
/* This agent's id: 16 hex digits, made at the first open. */
const char *store_agent_id(const struct store *s);

/* Workspaces. A record: {"name", "id" (stable, ours), "rev" (grows with each change, so that of two copies the newer is
 * known), "created" (ms), "lastUsed" (ms), "desired": "running"|"stopped", "state":
 * "creating"|"ready"|"error"|"deleting", "containerId", "image", "imageId", "network", "subnet", "ports": {"ssh",
 * "forwards"}, "repo", "branch", "owner", "labels", "request", "plan", "error", ...}. One taken over from the original
 * has "legacy": {"containerId", "status"} and no "containerId". create fills in id, rev, created, lastUsed, desired and
 * state where they are missing. */
int store_ws_create(struct store *s, const cJSON *ws,
		    struct perry_err **err); /* PERRY_ECONFLICT "Workspace 'x' already exists" */
int store_ws_get(struct store *s, const char *name, cJSON **out,
		 struct perry_err **err);                                /* PERRY_ENOTFOUND "Workspace not found" */
int store_ws_list(struct store *s, cJSON **out, struct perry_err **err); /* array, by creation */
/* Merges patch into the record (json_merge: null removes a key) and gives the new record (out may be NULL). */
int store_ws_patch(struct store *s, const char *name, const cJSON *patch, cJSON **out, struct perry_err **err);
int store_ws_delete(struct store *s, const char *name,
		    struct perry_err **err); /* frees its port and subnet; absent is success */

/* The lowest free SSH port in [min, max] for a workspace (its record must exist and gets it as "ports"."ssh"), by a
 * unique constraint; the one it has already when that lies in the range and is not to be avoided. avoid: ports that
 * somebody else on the machine listens on (ends with 0), or NULL. A full range: PERRY_ECONFLICT with the key to change.
 */
int store_port_claim(struct store *s, const char *ws, int min, int max, const int *avoid, int *port,
		     struct perry_err **err);
/* A free /28 inside range ("10.213.0.0/16") for owner (a network's name), by a unique constraint; the one it has when
 * it has one. skip: index of subnets not to use because the machine uses them (CIDR texts, NULL-terminated), or NULL.
 * subnet_out has 20 bytes ("10.213.0.16/28"). */
int store_subnet_claim(struct store *s, const char *owner, const char *range, const char *const *skip,
		       char subnet_out[20], struct perry_err **err);
int store_subnet_release(struct store *s, const char *owner, struct perry_err **err);
int store_subnets(struct store *s, cJSON **out, struct perry_err **err); /* [{"owner","subnet"}] */

/* The operations journal. An operation: {"id" (text), "kind", "workspace", "state":
 * "queued"|"running"|"done"|"failed"|"cancelled", "request", "caller", "plan", "started", "ended" (ms), "error": {...},
 * "warnings", "result", "steps": [{"id","label","status","message","started","ended","data"}]}. */
int store_op_begin(struct store *s, const cJSON *op, struct perry_err **err);
int store_op_patch(struct store *s, const char *id, const cJSON *patch, struct perry_err **err);
/* Records one step: status "running", "done", "error", "skipped" or "cancelled"; message and data may be NULL. */
int store_op_step(struct store *s, const char *id, const char *step, const char *label, const char *status,
		  const char *message, const cJSON *data, struct perry_err **err);
/* The same two without waiting for the disk; a failure is logged. Writes keep their order: whatever waits later finds
 * these durable, too. */
void store_op_patch_post(struct store *s, const char *id, const cJSON *patch);
void store_op_step_post(struct store *s, const char *id, const char *step, const char *label, const char *status,
			const char *message);
int store_op_get(struct store *s, const char *id, cJSON **out, struct perry_err **err);
int store_ops_open(struct store *s, cJSON **out, struct perry_err **err); /* not ended, oldest first */
int store_ops_of(struct store *s, const char *ws, int limit, cJSON **out, struct perry_err **err); /* newest first */

/* Events (bounded: the newest 10,000). Gives the id (increasing). */
int store_event_add(struct store *s, const cJSON *event, int64_t *id, struct perry_err **err);
/* The same without waiting for the disk, with the "id" that the event brings (the hub numbers them); a failure is
 * logged. */
void store_event_post(struct store *s, const cJSON *event);
int store_event_last(struct store *s, int64_t *id, struct perry_err **err); /* the highest id ever given, 0: none */
int store_events(struct store *s, int64_t after_id, int64_t since_ms, int limit, cJSON **out,
		 struct perry_err **err); /* oldest first */

/* Decisions (bounded: the newest 20,000, 32 MiB, 16 KiB each):
 * {"at","op","workspace","point","kind","layer","file","line","hash","answer","error", "us","facts"}; the first of an
 * exchange has its facts. What is too long is {"cut": bytes}. One call, one transaction. */
int store_decisions_add(struct store *s, const cJSON *rows, struct perry_err **err);
int store_decisions(struct store *s, const char *ws, const char *point, int limit, cJSON **out,
		    struct perry_err **err); /* newest first; NULLs: all */

/* The outbox: a row for every device of ours on a tailnet, from before it joins until it is known to be gone; it
 * outlives its workspace. A row: {"id" (given by put), "workspace" (name), "wsId", "hostname", "node" (the control
 * server's stable id, absent until it is known), "credential" (the name of the one that can remove it, or absent),
 * "control" (login server, absent: Tailscale's), "keyId", "ephemeral", "state":
 * "joining"|"joined"|"leaving"|"left-behind"| "kept", "since" (ms), "tries", "next" (ms), "error"}. lua/perry/leave.lua
 * says what the states mean. */
int store_outbox_put(struct store *s, const cJSON *row, cJSON **out,
		     struct perry_err **err); /* *out: the row as stored */
int store_outbox_patch(struct store *s, int64_t id, const cJSON *patch, cJSON **out,
		       struct perry_err **err);                               /* as store_ws_patch */
int store_outbox_delete(struct store *s, int64_t id, struct perry_err **err); /* absent is success */
int store_outbox(struct store *s, const char *workspace, cJSON **out,
		 struct perry_err **err); /* array, oldest first; NULL: of all */

/* Key-value: scope is the hook layer's name or "perry". value NULL deletes. At most 64 KiB a value, 1 MiB a scope
 * (PERRY_ETOOLARGE). */
int store_kv_get(struct store *s, const char *scope, const char *key, cJSON **out,
		 struct perry_err **err); /* *out NULL when absent */
int store_kv_set(struct store *s, const char *scope, const char *key, const cJSON *value, struct perry_err **err);
int store_kv_list(struct store *s, const char *scope, const char *prefix, cJSON **out,
		  struct perry_err **err); /* object */

#endif
