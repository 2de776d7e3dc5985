/* Giving memory back when a burst (or the start) is over. */
#ifndef PERRY_AGENT_TRIM_H
#define PERRY_AGENT_TRIM_H

void agent_trim(void);

#endif
