/* How many columns a character takes. */
#ifndef PERRY_AGENT_SCREEN_WIDTH_H
#define PERRY_AGENT_SCREEN_WIDTH_H
#include <stdbool.h>
#include <stdint.h>

/* 0 (combining), 1 or 2. */
int char_width(uint32_t ch);
/* It turns the direction of text, or breaks lines: it is on nobody's screen. */
bool char_turns(uint32_t ch);

#endif
