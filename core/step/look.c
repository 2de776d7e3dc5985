/* look: how this workspace stands on its tailnet, and which of the given addresses its tailscaled knows as devices that
 * may be reached. For doctor. standard output: {"state", "magicDns", "sees": [ADDRESS...]}, or {"error"} when
 * tailscaled does not answer */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "step/json.h"
#include "step/localapi.h"
#include "step/step.h"

#define CALL_MS 3000

static bool knows(const char *address)
{
	struct local_answer a;
	char *path = xasprintf("whois?addr=%s", address);
	bool is = strspn(address, "0123456789abcdef.:") == strlen(address) &&
		  !local_call("GET", path, NULL, NULL, CALL_MS, &a) && a.status == 200;
	free(path);
	return is;
}

int cmd_look(int argc, char **argv)
{
	struct local_answer a;
	struct buf t = { 0 };
	const char *comma = "";
	if (local_call("GET", "status?peers=false", NULL, NULL, CALL_MS, &a) || a.status != 200) {
		printf("{\"error\":\"tailscaled does not answer\"}\n");
		return 0;
	}
	struct span all = json_check(a.body, a.len);
	char *state = json_text(json_get(all, "BackendState"));
	buf_adds(&t, "{\"state\":");
	json_quote_str(&t, state);
	buf_addf(&t, ",\"magicDns\":%s,\"sees\":[",
		 json_is(json_get(json_get(all, "CurrentTailnet"), "MagicDNSEnabled"), "false") ? "false" : "true");
	for (int i = 1; i < argc; i++)
		if (knows(argv[i])) {
			buf_addf(&t, "%s\"%s\"", comma, argv[i]);
			comma = ",";
		}
	printf("%s]}\n", t.data);
	return 0;
}
