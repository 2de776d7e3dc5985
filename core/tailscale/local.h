/* The host's tailscaled, through its LocalAPI: HTTP over its unix socket, no subprocess. Any thread may call it; each
 * call has a deadline. PERRY_EUNAVAILABLE: nobody answers; PERRY_EFORBIDDEN: this user may not (err->status tells 401
 * from 403); PERRY_ETIMEOUT: it hangs. */
#ifndef PERRY_TAILSCALE_LOCAL_H
#define PERRY_TAILSCALE_LOCAL_H
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

struct tslocal;

/* socket NULL or "": $PERRY_TAILSCALED_SOCKET, else where tailscaled puts it. Connects to nothing yet. */
int tslocal_open(struct tslocal **out, const char *socket, struct perry_err **err);
void tslocal_close(struct tslocal *t); /* no call may be under way; NULL is fine */
const char *tslocal_socket(const struct tslocal *t);
/* From now on every call ends with PERRY_ECANCELLED when *stop is set (stop_fd, readable then, wakes it at once).
 * Before the first call. */
void tslocal_stop_by(struct tslocal *t, const atomic_bool *stop, int stop_fd);
/* The user that tailscaled runs as, by the kernel's word. */
int tslocal_uid(struct tslocal *t, uid_t *uid, struct perry_err **err);

/* Its status (BackendState, Self, CertDomains, ...); peers: with all of them. *out is an object, the caller's. */
int tslocal_status(struct tslocal *t, bool peers, cJSON **out, struct perry_err **err);
/* What it was told to do: ControlURL, Hostname, ... */
int tslocal_prefs(struct tslocal *t, cJSON **out, struct perry_err **err);
/* {Node, UserProfile, CapMap} of a tailnet address ("100.64.0.7", "100.64.0.7:5000"). PERRY_ENOTFOUND: none of the
 * tailnet's. */
int tslocal_whois(struct tslocal *t, const char *addr, cJSON **out, struct perry_err **err);

#define TSLOCAL_ETAG 80
/* The whole configuration of Serve ({} when there is none) and what tslocal_serve_set wants to see again. */
int tslocal_serve_get(struct tslocal *t, cJSON **out, char etag[TSLOCAL_ETAG], struct perry_err **err);
/* Replaces all of it. PERRY_ECONFLICT: it is not what etag stands for any more: get, change and set again. */
int tslocal_serve_set(struct tslocal *t, const cJSON *config, const char *etag, struct perry_err **err);

/* Follows tailscaled until the stream ends; returns -1 then, and PERRY_ECANCELLED when stopped. While it runs, what was
 * published under its session stays. notify gets each message: the first one has "SessionID" and "State" as of now;
 * NULL is one that is too long to be kept. */
int tslocal_watch(struct tslocal *t, void (*notify)(void *ctx, const cJSON *message), void *ctx,
		  struct perry_err **err);

#endif
