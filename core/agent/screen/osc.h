/* Strings: titles, colours, and the questions among them. */
#ifndef PERRY_AGENT_SCREEN_OSC_H
#define PERRY_AGENT_SCREEN_OSC_H
#include "agent/screen/state.h"

void osc_dispatch(struct screen *s, bool bell); /* the one that is held; bell: it ended with BEL */
void dcs_dispatch(struct screen *s);
void title_push(struct screen *s);
void title_pop(struct screen *s);
void title_write(const struct screen *s, struct buf *out);

#endif
