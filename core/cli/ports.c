#include "cli/ports.h"

#include <string.h>

#include "base/mem.h"
#include "base/number.h"

int forward_parse(const char *text, int *host, int *container, struct perry_err **err)
{
	const char *colon = strchr(text, ':');
	cleanup_free char *first = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
	long long from, to;
	if (str_to_int(first, 1, 65535, &from) < 0 || str_to_int(colon ? colon + 1 : first, 1, 65535, &to) < 0)
		return perry_fail(err, PERRY_EUSAGE, "\"%s\" is no port: PORT, or HOST:PORT for another one here",
				  text);
	*host = (int)from;
	*container = (int)to;
	return 0;
}

int ports_of(const struct client *c, const char *workspace, cJSON **out, struct perry_err **err)
{
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "name", workspace);
	return client_rpc(c, "ports/list", in, out, err);
}
