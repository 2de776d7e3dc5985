/* The characters of a cell: one, and those that combine with it. */
#ifndef PERRY_AGENT_SCREEN_CELL_H
#define PERRY_AGENT_SCREEN_CELL_H
#include "agent/screen/state.h"

/* Adds a combining character to a cell; nothing when it has as many as fit. */
void cell_combine(struct screen *s, struct cell *c, uint32_t ch);
/* The characters of a cell as UTF-8; nothing for an empty one. */
void cell_utf8(const struct screen *s, const struct cell *c, struct buf *out);
void utf8_put(struct buf *out, uint32_t ch);

#endif
