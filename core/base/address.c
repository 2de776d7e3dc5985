#include "base/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static bool v4_is_public(struct in_addr a)
{
	static const char *const others[] = {
		"0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
		"172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
	};
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (address_in(a, others[i]))
			return false;
	return true;
}

static struct in_addr v4_at(const struct in6_addr *a, size_t at)
{
	struct in_addr v4;
	memcpy(&v4, a->s6_addr + at, sizeof v4);
	return v4;
}

static bool v6_is_public(const struct in6_addr *a)
{
	static const unsigned char nat64[12] = { 0, 0x64, 0xff, 0x9b }, teredo[4] = { 0x20, 0x01 },
				   example[4] = { 0x20, 0x01, 0x0d, 0xb8 }, six_to_four[2] = { 0x20, 0x02 };
	const unsigned char *b = a->s6_addr;
	if (IN6_IS_ADDR_V4MAPPED(a) || memcmp(b, nat64, sizeof nat64) == 0)
		return v4_is_public(v4_at(a, 12));
	if (memcmp(b, six_to_four, sizeof six_to_four) == 0)
		return v4_is_public(v4_at(a, 2));
	return b[0] >> 5 == 1 && memcmp(b, teredo, sizeof teredo) != 0 && memcmp(b, example, sizeof example) != 0;
}

bool address_is_public(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return v4_is_public(((const struct sockaddr_in *)(const void *)a)->sin_addr);
	return a->sa_family == AF_INET6 && v6_is_public(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

bool address_v4(const struct sockaddr *a, struct in_addr *out)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
	if (a->sa_family == AF_INET)
		*out = ((const struct sockaddr_in *)(const void *)a)->sin_addr;
	else if (a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		*out = v4_at(&v6->sin6_addr, 12);
	else
		return false;
	return true;
}

static bool same(const struct sockaddr *a, const struct sockaddr *b)
{
	struct in_addr x, y;
	if (address_v4(a, &x))
		return address_v4(b, &y) && x.s_addr == y.s_addr;
	return a->sa_family == AF_INET6 && b->sa_family == AF_INET6 &&
	       IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
				  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr);
}

bool address_is_own(const struct sockaddr *a)
{
	struct ifaddrs *all;
	bool is = false;
	if (getifaddrs(&all) < 0)
		return true;
	for (const struct ifaddrs *i = all; i && !is; i = i->ifa_next)
		is = i->ifa_addr && same(a, i->ifa_addr);
	freeifaddrs(all);
	return is;
}

bool address_in(struct in_addr a, const char *cidr)
{
	struct in_addr net;
	size_t n = strcspn(cidr, "/");
	cleanup_free char *base = xstrndup(cidr, n);
	int bits = cidr[n] ? atoi(cidr + n + 1) : 32;
	if (inet_pton(AF_INET, base, &net) != 1 || bits < 1 || bits > 32)
		return false;
	return ((ntohl(a.s_addr) ^ ntohl(net.s_addr)) & 0xffffffffu << (32 - bits)) == 0;
}
