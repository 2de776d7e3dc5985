#include "agent/who/networks.h"

#include <arpa/inet.h>
#include <string.h>

#include "agent/internal.h"
#include "base/address.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"

bool networks_have(struct agent *a, const char *address)
{
	cleanup_json cJSON *subnets = NULL;
	cleanup_err struct perry_err *e = NULL;
	const cJSON *row;
	struct in_addr addr;
	if (inet_pton(AF_INET, address, &addr) != 1)
		return false; /* they have IPv4 alone */
	if (store_subnets(a->store, &subnets, &e) < 0) {
		log_error("agent", "workspaces' networks are not known, so %s is refused: %s", address, perry_msg(e));
		return true;
	}
	cJSON_ArrayForEach(row, subnets)
		if (address_in(addr, json_str_or(row, "subnet", "")))
			return true;
	return false;
}

bool address_is_loopback(const char *address)
{
	struct in_addr addr;
	if (inet_pton(AF_INET, address, &addr) == 1)
		return ntohl(addr.s_addr) >> 24 == 127;
	return strcmp(address, "::1") == 0;
}
