/* What the screen answers to questions of the program, in place of every viewer. All of them set cut. */
#ifndef PERRY_AGENT_SCREEN_ANSWER_H
#define PERRY_AGENT_SCREEN_ANSWER_H
#include "agent/screen/state.h"

void answer(struct screen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void answer_device(struct screen *s);                                /* DA */
void answer_status(struct screen *s);                                /* DSR, CPR */
void answer_mode(struct screen *s);                                  /* DECRQM */
void answer_size(struct screen *s);                                  /* CSI 18 t */
void answer_version(struct screen *s);                               /* XTVERSION */
void answer_setting(struct screen *s, const char *what, size_t n);   /* DECRQSS */
void answer_colour(struct screen *s, int osc, int index, bool bell); /* OSC 4 (with an index), 10, 11, 12 */

#endif
