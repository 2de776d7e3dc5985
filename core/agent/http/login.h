/* Signing in from a browser: POST /login with the token (a form or JSON), GET /login?link=... from `perry open`, POST
 * /logout. */
#ifndef PERRY_AGENT_LOGIN_H
#define PERRY_AGENT_LOGIN_H

struct agent;
struct server_req;

void login_handle(struct agent *a, struct server_req *r);

#endif
