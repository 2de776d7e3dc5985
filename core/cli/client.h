/* The API as the CLI sees it: finds the agent (unix socket first), calls procedures, follows events, opens streams. */
#ifndef PERRY_CLI_CLIENT_H
#define PERRY_CLI_CLIENT_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/wire.h"

struct client {
	char *where; /* for messages: "myhost:7391" or "this machine" */
	char *sock;  /* unix socket, or NULL */
	char *host;
	int port;
	bool tls;
	char *token; /* wiped when freed */
};
/* The value of the global --agent option, or NULL. */
extern const char *client_agent;
/* Which agent: --agent, PERRY_AGENT, client.json, else the local socket. PERRY_ENOAGENT says what to run. Asks on a
 * terminal. */
int client_open(struct client **out, struct perry_err **err);
/* That of this machine, whether one runs or not; connects to nothing. */
struct client *client_local(void);
/* An agent given by name ("host", "host:port", "http(s)://host[:port]"); without a scheme http, port 7391. Connects to
 * nothing. */
int client_for(const char *agent, struct client **out, struct perry_err **err);
/* Without a scheme: https, then http on port 7391, whichever a Perry agent answers (asked without the token). With one:
 * just that, asked as well. *url, if wanted, is what answered, the caller's. Wants the full executable, unless it is
 * this machine or http://. */
int client_find(const char *agent, struct client **out, char **url, struct perry_err **err);
void client_free(struct client *c);
static inline void cleanup_client_fn(struct client **c)
{
	client_free(*c);
}
#define cleanup_client __attribute__((cleanup(cleanup_client_fn)))

int client_connect(const struct client *c, struct conn *out, struct perry_err **err);
/* Header lines that every request carries (authorization). Caller frees. */
char *client_headers(const struct client *c);
/* What the agent says is wrong with a field was typed: PERRY_EUSAGE. err may be NULL. */
void client_is_usage(struct perry_err *err);
const char *client_host_header(const struct client *c);
/* POST /rpc/<proc>: *out is the answer's "json". input may be NULL. An error answer becomes err with its code and data.
 */
int client_rpc(const struct client *c, const char *proc, cJSON *take_input, cJSON **out, struct perry_err **err);
/* The same, asked to answer at once with an operation: *operation is its id (caller's), or NULL when the call was over
 * already (*out). */
int client_rpc_async(const struct client *c, const char *proc, cJSON *take_input, char **operation, cJSON **out,
		     struct perry_err **err);
/* GET path as JSON. */
int client_get(const struct client *c, const char *path, cJSON **out, struct perry_err **err);
/* Follows GET /events: an open event stream. */
struct events {
	struct conn conn;
	struct answer answer;
	struct buf line;
};
int events_open(const struct client *c, const char *query, struct events *ev, struct perry_err **err);
/* The next event (caller's); NULL with *err for an error, NULL without at the end or (timeout_ms >= 0) when none came
 * in time. */
cJSON *events_next(struct events *ev, int timeout_ms, bool *ended, struct perry_err **err);
void events_close(struct events *ev);

/* client.json. */
cJSON *client_settings(struct perry_err **err); /* {} when absent; NULL with err when broken */
int client_save(const char *agent, const char *token, struct perry_err **err); /* NULL keeps, "" removes */

/* TLS, in the full executable only. */
extern int (*client_tls_connect)(const char *host, int port, struct conn *out, struct perry_err **err);

#endif
