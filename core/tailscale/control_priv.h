/* Shared by the files of the control clients. */
#ifndef PERRY_TAILSCALE_CONTROL_PRIV_H
#define PERRY_TAILSCALE_CONTROL_PRIV_H
#include "net/http.h"
#include "tailscale/control.h"

#define CONTROL_LIST_MAX   (32u << 20) /* ten thousand devices */
#define CONTROL_ANSWER_MAX (1u << 20)

struct control_api {
	int (*mint)(struct control *c, const struct control_mint *want, struct control_key *out,
		    struct perry_err **err);
	int (*revoke)(struct control *c, const char *id, struct perry_err **err);
	int (*devices)(struct control *c, cJSON **out, struct perry_err **err);
	int (*device)(struct control *c, const char *id, cJSON **out, struct perry_err **err);
	int (*device_delete)(struct control *c, const char *id, struct perry_err **err);
};
extern const struct control_api control_headscale, control_tailscale;

struct control {
	const struct control_api *api;
	struct http *http;
	char *name, *url, *tailnet, *client_id, *user;
	const struct secret *secret;
	int timeout_ms;
	int64_t until; /* monotonic ms, of the call under way; a struct control is used by one thread at a time */
	const atomic_bool *cancelled;
	int cancel_fd;
};

struct control_call {
	const char *method, *path;
	const char *type;   /* of the body; NULL: JSON */
	const char *body;   /* or NULL */
	size_t max;         /* 0: CONTROL_ANSWER_MAX */
	const char *bearer; /* NULL: none */
	bool absent_ok;     /* a 404 of the API is success, with *out NULL */
	/* Tells from the reason that an answer which is no 404 means the same, or NULL. */
	bool (*absent)(const char *reason);
};
/* One request within the deadline; a 429 is waited for and repeated where that fits in. *out is the answer as an object
 * (the caller's), NULL when it has no body. The answer's own bytes are wiped: they may be a key. */
int control_request(struct control *c, const struct control_call *call, cJSON **out, struct perry_err **err);
/* The same with json as the body and the credential's bearer. json may be NULL. */
int control_json(struct control *c, struct control_call *call, const cJSON *json, cJSON **out, struct perry_err **err);

/* The answer is not what it should be. Always -1. */
int control_odd(const struct control *c, const char *what, struct perry_err **err);
/* An id of a device or key as it may stand in a path: 1 to 64 letters, digits, - and _. */
bool control_id_ok(const char *id);
void control_set_time(cJSON *out, const char *key, const cJSON *from,
		      const char *field);                                /* RFC 3339 to ms; "never" is left out */
void control_copy_texts(cJSON *out, const char *key, const cJSON *from); /* the strings of a list */
/* The key of a mint answer into out; its copy in the JSON is wiped. */
int control_take_key(const struct control *c, cJSON *from, const char *expires, struct control_key *out,
		     struct perry_err **err);

/* An access token for an OAuth client, made at need and kept as long as it is good. fresh: what is kept was not
 * accepted. */
int control_token(struct control *c, bool fresh, struct secret **out, struct perry_err **err);

#endif
