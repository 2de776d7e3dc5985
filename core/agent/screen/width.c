#include "agent/screen/width.h"

#include <stddef.h>

#include "agent/screen/width_table.h"
#include "base/mem.h"

static bool within(const struct range *r, size_t n, uint32_t ch)
{
	size_t low = 0;
	while (low < n) {
		size_t mid = low + (n - low) / 2;
		if (ch > r[mid].last)
			low = mid + 1;
		else if (ch < r[mid].first)
			n = mid;
		else
			return true;
	}
	return false;
}

int char_width(uint32_t ch)
{
	if (ch < 0x300 || (ch >= 0x2500 && ch < 0x25a0))
		return 1;
	if (within(width_none, ARRAY_LEN(width_none), ch))
		return 0;
	return within(width_two, ARRAY_LEN(width_two), ch) ? 2 : 1;
}

bool char_turns(uint32_t ch)
{
	return ch == 0x61c || ch == 0x200e || ch == 0x200f || (ch >= 0x2028 && ch <= 0x202e) ||
	       (ch >= 0x2066 && ch <= 0x2069);
}
