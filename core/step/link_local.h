/* IPv6 beside the tailnet. */
#ifndef PERRY_STEP_LINK_LOCAL_H
#define PERRY_STEP_LINK_LOCAL_H

/* Takes the IPv6 addresses off interfaces that have link-local ones only: the kernel gave them when the container's
 * IPv6 was switched on for tailscaled, and they lead to the machine's services that IPv4 does not reach. A network that
 * has IPv6 keeps all of its own; so do the loopback's and tailscaled's interfaces. */
void link_local_drop(void);

#endif
