/* What a workspace tells of itself: whatever the bytes, the result is bounded, and of the types that it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/watch/line.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void clean(const char *s, size_t max)
{
	if (strlen(s) >= max || !utf8_valid(s, strlen(s)))
		abort();
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct watch_line l;
	struct perry_err *err = NULL;
	int rc = watch_line_parse((const char *)data, n, &l, &err);
	if ((rc < 0) != (err != NULL))
		abort();
	perry_err_free(err);
	if (rc < 0)
		return 0;
	if (l.nports > WATCH_PORTS_MAX || (l.kind != WATCH_TAILNET && l.kind != WATCH_SERVE) != !l.object)
		abort();
	for (size_t i = 0; i < l.nports; i++) {
		if (!l.ports[i].number || (i && l.ports[i].number < l.ports[i - 1].number))
			abort();
		clean(l.ports[i].address, sizeof l.ports[i].address);
		clean(l.ports[i].process, sizeof l.ports[i].process);
	}
	cJSON *v;
	cJSON_ArrayForEach(v, l.object)
		if (cJSON_IsString(v))
			clean(v->valuestring, 500);
	watch_line_free(&l);
	return 0;
}
