/* Rows of cells: making, erasing and moving them. Positions must be inside the screen. */
#ifndef PERRY_AGENT_SCREEN_GRID_H
#define PERRY_AGENT_SCREEN_GRID_H
#include "agent/screen/state.h"

void grid_init(struct grid *g, int cols, int rows);
void grid_free(struct grid *g, int rows);
struct row *rows_new(int cols, int rows);
void tabs_init(struct grid *g, int from);

void row_blank(struct row *r, int from, int to, int cols, uint32_t bg); /* the cells [from, to) */
void row_insert(struct row *r, int x, int n, int cols, uint32_t bg);
void row_delete(struct row *r, int x, int n, int cols, uint32_t bg);
/* If x is the second half of a wide character, that character makes way for two blanks. */
void row_split(struct row *r, int x, int cols, uint32_t bg);

/* Moves the rows top..bottom up (n > 0) or down; the new ones are blank. */
void grid_scroll(struct screen *s, int top, int bottom, int n, uint32_t bg);

#endif
