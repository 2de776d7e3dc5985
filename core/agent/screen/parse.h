/* Bytes to characters, controls and sequences. */
#ifndef PERRY_AGENT_SCREEN_PARSE_H
#define PERRY_AGENT_SCREEN_PARSE_H
#include "agent/screen/state.h"

enum { PARSE_TEXT, PARSE_ESC, PARSE_ESC_MORE, PARSE_CSI, PARSE_CSI_MORE, PARSE_CSI_IGNORE, PARSE_OSC, PARSE_STRING };

void parse_feed(struct screen *s, const char *bytes, size_t n);

#endif
