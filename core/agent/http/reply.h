/* Answers, in the forms that the agent's clients read. All of them count, and carry what every answer carries: CORS for
 * allowed origins, no sniffing, no keeping. */
#ifndef PERRY_AGENT_REPLY_H
#define PERRY_AGENT_REPLY_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "base/buf.h"
#include "net/server.h"

struct agent;

/* take_body may be NULL; more: further headers in pairs, NULL-terminated, or NULL. */
void agent_reply(struct agent *a, struct server_req *r, int status, const char *type, char *take_body,
		 const char *const *more);
void agent_reply_json(struct agent *a, struct server_req *r, int status, cJSON *take_body, const char *const *more);
void reply_plain(struct agent *a, struct server_req *r, int status, const char *text);
void reply_not_found(struct agent *a, struct server_req *r);
void reply_unauthorized(struct agent *a, struct server_req *r);
void reply_forbidden(struct agent *a, struct server_req *r, const char *why); /* JSON to who calls a procedure */

/* The answer of a procedure, {"json":...}: take_err, or raw when it has text, or take_out (NULL: null). Frees all
 * three. not_implemented: the error is 501. */
void reply_call(struct agent *a, struct server_req *r, bool not_implemented, struct buf *raw, cJSON *take_out,
		struct perry_err *take_err);
void reply_error(struct agent *a, struct server_req *r, enum perry_code code, const char *message);

#endif
