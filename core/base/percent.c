#include "base/percent.h"

int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	char c = (char)(digit | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int percent_decode(const char *in, size_t n, bool plus, char *out)
{
	for (size_t i = 0; i < n; i++) {
		char c = in[i];
		if (c == '%') {
			int hi = n - i >= 3 ? hex_value(in[i + 1]) : -1, lo = hi >= 0 ? hex_value(in[i + 2]) : -1;
			if (lo < 0 || !(hi | lo))
				return -1;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		*out++ = c;
	}
	*out = '\0';
	return 0;
}
