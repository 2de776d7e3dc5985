/* Browsers stay signed in when the agent is restarted, killed or replaced: their sessions, as hashes, are in the store.
 */
#ifndef PERRY_AGENT_WHO_BROWSERS_H
#define PERRY_AGENT_WHO_BROWSERS_H

struct agent;
/* Takes back what the store has of this token's sessions. */
void browsers_restore(struct agent *a);
/* Writes those that there are now; waits for the disk. */
void browsers_keep(void *agent);

#endif
