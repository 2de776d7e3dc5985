#include "cli/warnings.h"

#include <stdio.h>

#include "base/mem.h"
#include "cli/text.h"

void warnings_print(const char *name, const cJSON *warnings)
{
	const cJSON *w;
	cJSON_ArrayForEach(w, warnings) {
		cleanup_free char *text = printable_lines(json_str_or(w, "message", "?"), "  "),
				  *mend = printable(json_str(w, "mend"));
		fprintf(stderr, "perry: warning: %s%s%s\n", name ? name : "", name ? ": " : "", text);
		if (*mend)
			fprintf(stderr, "  %s\n", mend);
	}
}
