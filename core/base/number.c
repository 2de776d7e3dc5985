#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int str_to_int(const char *text, long long min, long long max, long long *out)
{
	char *end;
	if (!text || !*text || isspace((unsigned char)*text))
		return -1;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return -1;
	*out = v;
	return 0;
}

int str_to_bytes(const char *text, long long *out)
{
	char *end;
	if (!text || !(isdigit((unsigned char)*text) || *text == '.'))
		return -1;
	errno = 0;
	double v = strtod(text, &end);
	/* strtod knows more kinds of numbers than a size has: 0x10, 1e3 */
	if (errno || end == text || end != text + strspn(text, "0123456789.") || !isfinite(v))
		return -1;
	while (*end == ' ')
		end++;
	static const char units[] = "bkmgt";
	double scale = 1;
	if (*end) {
		const char *u = strchr(units, tolower((unsigned char)*end));
		if (!u)
			return -1;
		for (const char *k = units; k < u; k++)
			scale *= 1024;
		end++;
		if (u != units && (strcasecmp(end, "ib") == 0 || strcasecmp(end, "b") == 0))
			end += strlen(end);
	}
	if (*end || v * scale > 9e18)
		return -1;
	*out = (long long)(v * scale);
	return 0;
}
