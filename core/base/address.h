/* What an address is: of the internet, or of this machine and the networks around it. */
#ifndef PERRY_BASE_ADDRESS_H
#define PERRY_BASE_ADDRESS_H
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Is it an address of the internet? Not so: loopback, private, link-local (where clouds keep their metadata), those of
 * carriers and tailnets, multicast, reserved; and IPv6 addresses that stand for such an IPv4 address. */
bool address_is_public(const struct sockaddr *a);
/* Is it one that an interface of this machine has? True too where that cannot be found out. */
bool address_is_own(const struct sockaddr *a);
/* cidr: "10.213.0.0/16", or an address. False for what is none. */
bool address_in(struct in_addr a, const char *cidr);
/* The IPv4 address of an IPv4 socket address, or of an IPv6 one that is mapped; false: it has none. */
bool address_v4(const struct sockaddr *a, struct in_addr *out);

#endif
