/* Who calls: bearer token, session cookies, one-use login links and tickets, and the checks that keep web pages of
 * others out. Secrets are kept as hashes; callable from any thread. */
#ifndef PERRY_AGENT_AUTH_H
#define PERRY_AGENT_AUTH_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"

/* What a procedure does, and what a caller may. */
enum right {
	RIGHT_READ = 1,   /* look */
	RIGHT_USE = 2,    /* work in a workspace */
	RIGHT_MANAGE = 4, /* make, start, stop, delete */
	RIGHT_ADMIN = 8,  /* configuration, tokens, policy, terminals of this machine */
	RIGHT_ALL = 15,
};
const char *right_name(enum right r);

/* Which trust rules a listener has (the tag of its connections). */
enum listener {
	LISTENER_SOCKET,  /* agent.sock: our own user */
	LISTENER_TCP,     /* loopback and what "bind" names: a token, where the caller is not on loopback always */
	LISTENER_TAILNET, /* an address of this machine on the tailnet: whose node calls */
	LISTENER_SERVE,   /* the target of Tailscale Serve: what tailscaled says who calls */
};

struct caller {
	/* "local" (our own user on the unix socket), "token", "session", "open" (authentication is off), "tailnet";
	 * static */
	const char *kind;
	unsigned rights; /* enum right, or-ed */
	bool owner;      /* sees secrets that are not masked for him */
	uid_t uid;       /* of "local" */
	char login[256]; /* of a tagged device on the tailnet: its tags */
	/* of "tailnet" */
	char tags[256]; /* with blanks between */
	char node_id[64], node_name[256], address[64];
	char why[192]; /* why it may not more */
};
/* {"kind","login","uid","tags","node_id","address","rights","owner"}: for operations, hooks and streams. Caller frees.
 */
cJSON *caller_json(const struct caller *c);
bool caller_json_may(const cJSON *caller, enum right r);
bool caller_json_is(const cJSON *caller, const char *name); /* of the tailnet, by this login, tag or node id */

struct auth;
struct auth *auth_new(void);
void auth_free(struct auth *a);
/* Takes effect at once. token NULL or "": authentication is off for who comes by loopback (admin needs the socket).
 * Another token than before ends all sessions. hosts, origins: arrays of strings, or NULL. */
void auth_configure(struct auth *a, const char *token, uint16_t port, const cJSON *hosts, const cJSON *origins);

/* The names and addresses ("[v6]") that this machine has on its tailnet; a copy is taken. */
void auth_set_tailnet_names(struct auth *a, const cJSON *names);

/* The parts of a request that say who it is; texts may be NULL. */
struct auth_request {
	enum listener listener;
	uid_t uid;
	const char *method, *host, *origin, *fetch_site, *authorization, *cookie;
	const char *session_key;
	bool upgrade;   /* to another protocol: a WebSocket */
	bool loopback;  /* by 127.0.0.0/8 or ::1: of this machine */
	bool forwarded; /* a proxy brought it */
};
/* May a browser have come here by this name (DNS rebinding)? Always true on the unix socket. */
bool auth_host_ok(struct auth *a, const struct auth_request *r);
/* Does a web page of ours, of allowedOrigins, or no web page at all send this? Only asked of what changes state, and of
 * WebSockets. */
bool auth_origin_ok(struct auth *a, const struct auth_request *r);
bool auth_origin_allowed(struct auth *a, const char *origin); /* listed in allowedOrigins: gets CORS headers */
/* Who shows a token or a session, or calls from our own user's socket. Who calls from the tailnet is identity.h's. */
bool auth_check(struct auth *a, const struct auth_request *r, struct caller *out);
bool auth_check_token(struct auth *a, const char *token, struct caller *out); /* who shows this one? */

/* Signing in: a session has two halves. The cookie comes along from the browser by itself, but to every port of the
 * host too, so to whoever serves a page there; the key is for the page to keep in storage of its origin, which has the
 * port, and to send with each request. Neither counts alone. Admin is for what is done soon after signing in. */
struct session {
	char cookie[192]; /* "perry_7391=...; HttpOnly; ..." */
	char key[65];
};
enum { SESSION_ADMIN_S = 15 * 60, SESSION_IDLE_S = 12 * 3600, SESSION_MAX_S = 7 * 24 * 3600 };
/* r: the request that signs in. */
bool auth_login_token(struct auth *a, const struct auth_request *r, const char *token, struct session *out);
bool auth_login_link(struct auth *a, const struct auth_request *r, const char *link, struct session *out);
/* Ends the session; out: a cookie line that removes it. */
void auth_logout(struct auth *a, const struct auth_request *r, char out[192]);
void auth_new_link(struct auth *a, char out[65]); /* valid for two minutes, once */
/* Sessions are to outlive the agent: changed is called, on any thread, when auth_sessions has another answer than
 * before that should be kept (and not for each request that lengthens one). */
void auth_on_change(struct auth *a, void (*changed)(void *ctx), void *ctx);
/* [{"cookie","key" (hashes),"opened","until" (ms of the wall clock)}]: no secret. Caller frees. */
cJSON *auth_sessions(struct auth *a);
/* Takes them back, as far as they have not ended meanwhile and are well-formed; may be NULL. */
void auth_restore(struct auth *a, const cJSON *sessions);

#define AUTH_TICKET_STREAM "/rpc/stream" /* instead of a name: a ticket for that path alone */
/* Valid for thirty seconds, once, and for the terminal of this name alone; NULL or "": of any workspace, and not the
 * host's. */
void auth_new_ticket(struct auth *a, const struct caller *c, const char *name, char out[65]);
/* The ticket is used up by a wrong name, too. */
bool auth_use_ticket(struct auth *a, const char *ticket, const char *name, struct caller *out);

#endif
