/* libFuzzer: encoded names in the headers of Tailscale Serve. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tailnet/rfc2047.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_free char *text = xstrndup((const char *)data, n);
	cleanup_free char *out = rfc2047_decode(text);
	if (strlen(out) > strlen(text))
		abort(); /* decoding only shortens */
	if (!strstr(text, "=?") && strcmp(out, text) != 0)
		abort(); /* plain text stays */
	return 0;
}
