/* The lines above the screen. */
#ifndef PERRY_AGENT_SCREEN_ABOVE_H
#define PERRY_AGENT_SCREEN_ABOVE_H
#include "agent/screen/state.h"

void above_push(struct screen *s, const struct row *r);
void above_clear(struct screen *s);

#endif
