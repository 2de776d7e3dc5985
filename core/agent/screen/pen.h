/* Colours and attributes: CSI ... m, both ways. */
#ifndef PERRY_AGENT_SCREEN_PEN_H
#define PERRY_AGENT_SCREEN_PEN_H
#include "agent/screen/state.h"

void pen_apply(struct screen *s);                                  /* the arguments of the sequence at hand */
void pen_write(struct buf *out, const struct pen *pen);            /* the whole sequence, beginning with 0 */
void pen_change(struct buf *out, struct pen *was, struct pen pen); /* the same if it is another one */
static inline struct pen pen_of(const struct cell *c)
{
	return (struct pen){ c->fg, c->bg, c->attr & ATTR_PEN };
}

#endif
