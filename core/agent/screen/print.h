/* Characters onto the screen. */
#ifndef PERRY_AGENT_SCREEN_PRINT_H
#define PERRY_AGENT_SCREEN_PRINT_H
#include "agent/screen/state.h"

void print_ascii(struct screen *s, const char *text, size_t n); /* bytes 0x20..0x7e */
bool print_char(struct screen *s, uint32_t ch);                 /* false: viewers must not see it */
bool print_again(struct screen *s, int times);                  /* REP; false likewise */
void line_feed(struct screen *s);

#endif
