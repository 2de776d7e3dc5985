#include "cli/label.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"

char *label_of(const char *path, size_t max)
{
	struct buf out = { 0 };
	const char *base = strrchr(path, '/');
	for (const char *p = base ? base + 1 : path; *p && out.len < max; p++) {
		if (isalnum((unsigned char)*p) && (unsigned char)*p < 0x80)
			buf_addc(&out, (char)tolower((unsigned char)*p));
		else if (out.len && out.data[out.len - 1] != '-')
			buf_addc(&out, '-');
	}
	while (out.len && out.data[out.len - 1] == '-')
		out.data[--out.len] = '\0';
	return buf_take(&out);
}
