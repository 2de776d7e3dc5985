/* Which addresses are of the internet. */
#include "base_util.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/address.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union address of(const char *text)
{
	union address a = { .v4 = { .sin_family = AF_INET } };
	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
		return a;
	a = (union address){ .v6 = { .sin6_family = AF_INET6 } };
	assert_int_equal(inet_pton(AF_INET6, text, &a.v6.sin6_addr), 1);
	return a;
}

static void of_the_internet(void **state)
{
	static const char *const are[] = { "1.1.1.1",       "9.255.255.255",   "11.0.0.1",       "100.63.255.255",
					   "100.128.0.0",   "172.15.0.1",      "172.32.0.1",     "192.167.255.255",
					   "223.255.0.1",   "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101",
					   "2002:101:101::" },
				 *const none[] = { "0.0.0.0",
						   "10.213.0.2",
						   "100.64.0.1",
						   "100.100.100.100",
						   "127.0.0.1",
						   "127.255.255.255",
						   "169.254.169.254",
						   "172.17.0.1",
						   "172.31.0.1",
						   "192.168.1.1",
						   "198.18.0.1",
						   "224.0.0.1",
						   "255.255.255.255",
						   "::",
						   "::1",
						   "fe80::1",
						   "fc00::1",
						   "fd7a:115c:a1e0::1",
						   "ff02::1",
						   "::ffff:127.0.0.1",
						   "::ffff:10.0.0.1",
						   "::127.0.0.1",
						   "64:ff9b::a9fe:a9fe",
						   "2002:7f00:1::",
						   "2001:db8::1" };
	for (size_t i = 0; i < ARRAY_LEN(are); i++) {
		union address a = of(are[i]);
		if (!address_is_public(&a.any))
			fail_msg("%s is taken for none of the internet", are[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		union address a = of(none[i]);
		if (address_is_public(&a.any))
			fail_msg("%s is taken for one of the internet", none[i]);
	}
	assert_false(address_is_public(&(struct sockaddr){ .sa_family = AF_UNIX }));
}

static void of_this_machine(void **state)
{
	union address a = of("127.0.0.1"), mapped = of("::ffff:127.0.0.1"), other = of("192.0.2.77");
	assert_true(address_is_own(&a.any));
	assert_true(address_is_own(&mapped.any));
	assert_false(address_is_own(&other.any));
}

static void in_a_range(void **state)
{
	struct in_addr a = of("10.213.255.2").v4.sin_addr, v4;
	union address mapped = of("::ffff:10.213.255.2"), v6 = of("2606:4700::1111");
	assert_true(address_in(a, "10.213.0.0/16"));
	assert_true(address_in(a, "10.213.255.2"));
	assert_false(address_in(a, "10.212.0.0/16"));
	assert_false(address_in(a, "rubbish"));
	assert_false(address_in(a, "10.213.0.0/0"));
	assert_true(address_v4(&mapped.any, &v4) && v4.s_addr == a.s_addr);
	assert_false(address_v4(&v6.any, &v4));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_the_internet), cmocka_unit_test(of_this_machine),
					    cmocka_unit_test(in_a_range) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
