/* Does this workspace reach another over the engine's networks? Asked by a connection to it: a packet that a firewall
 * drops is never answered, and a refusal came through as well. */
#ifndef PERRY_STEP_REACH_H
#define PERRY_STEP_REACH_H
#include <stdbool.h>

/* Begins to connect to an IPv4 address; a descriptor, or -1 where nothing leads there. */
int reach_begin(const char *address);
/* Closes it. Has the address answered, or does it within ms? */
bool reach_end(int fd, int ms);

#endif
