/* Where the cursor goes, and what is saved of it. */
#ifndef PERRY_AGENT_SCREEN_CURSOR_H
#define PERRY_AGENT_SCREEN_CURSOR_H
#include "agent/screen/state.h"

void cursor_restrict(struct screen *s, int most); /* x to 0..most, y to the screen or, with DECOM, the scroll region */
void cursor_to(struct screen *s, int x, int y);   /* from the region's top with DECOM */
void cursor_by(struct screen *s, int dx, int dy);
void cursor_up(struct screen *s, int n); /* not out of the scroll region */
void cursor_down(struct screen *s, int n);
void cursor_tab(struct screen *s, int n); /* n < 0: backwards */
/* What is saved is the screen's own business: viewers are not told to save, and to go there is spelled out for them. */
void cursor_save(struct screen *s);
void cursor_restore(struct screen *s);

void position_write(const struct screen *s, struct buf *out, int x, int y); /* with DECOM */
void sets_write(struct buf *out, const struct charsets *sets);

#endif
