/* no-link-local: what init does for those that join, for an interface that came later. */
#include "step/link_local.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "step/step.h"

#define ADDRESSES  64
#define LINK_SCOPE 0x20
#define IF_NAME    16

/* <linux/ipv6.h>, which this libc comes without. */
struct in6_ifreq {
	struct in6_addr address;
	unsigned prefix;
	int interface;
};

struct address {
	struct in6_ifreq is;
	unsigned scope;
	char name[IF_NAME];
};

static bool hex_bytes(const char *hex, struct in6_addr *to)
{
	for (int i = 0; i < 16; i++)
		if (sscanf(hex + 2L * i, "%2hhx", &to->s6_addr[i]) != 1)
			return false;
	return true;
}

static int addresses(struct address *all)
{
	int n = 0;
	char hex[33];
	FILE *f = fopen("/proc/net/if_inet6", "re");
	while (f && n < ADDRESSES &&
	       fscanf(f, "%32s %x %x %x %*x %15s", hex, (unsigned *)&all[n].is.interface, &all[n].is.prefix,
		      &all[n].scope, all[n].name) == 5)
		n += hex_bytes(hex, &all[n].is.address);
	if (f)
		fclose(f);
	return n;
}

/* Has the interface another address than link-local ones? */
static bool has_network(const struct address *all, int n, int interface)
{
	for (int i = 0; i < n; i++)
		if (all[i].is.interface == interface && all[i].scope != LINK_SCOPE)
			return true;
	return false;
}

void link_local_drop(void)
{
	struct address all[ADDRESSES];
	int n = addresses(all), fd = n > 0 ? socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	for (int i = 0; fd >= 0 && i < n; i++)
		if (strncmp(all[i].name, "tailscale", 9) && !has_network(all, n, all[i].is.interface) &&
		    ioctl(fd, SIOCDIFADDR, &all[i].is))
			say("tailscale: the link-local address of %s stays: %s", all[i].name, strerror(errno));
	if (fd >= 0)
		close(fd);
}

int cmd_no_link_local(int argc, char **argv)
{
	link_local_drop();
	return 0;
}
