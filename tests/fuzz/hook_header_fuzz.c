/* Line 1 of a hook: "-- perry: api=N". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/contract/points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int api = -7;
	bool stated = true;
	const char *why = NULL;
	/* an exact copy: a read beyond its end shows */
	char *text = malloc(size ? size : 1);
	memcpy(text, data, size);
	int r = hook_header(text, size, &api, &stated, &why);
	if (r != 0 && r != -1)
		abort();
	if ((r < 0) != (why != NULL) || api < 0 || (r == 0 && (api < 1 || api > POLICY_API)))
		abort();
	free(text);
	return 0;
}
