/* Ties what is kept to the token of that time. */
#ifndef PERRY_AGENT_WHO_MARK_H
#define PERRY_AGENT_WHO_MARK_H

struct agent;
/* Another one for another token, and for another agent: with a new token what was kept is void. Says nothing of the
 * token. */
void agent_token_mark(struct agent *a, char out[65]);

#endif
