/* Modes: CSI ... h and l, with ? and without. */
#ifndef PERRY_AGENT_SCREEN_MODE_H
#define PERRY_AGENT_SCREEN_MODE_H
#include "agent/screen/state.h"

#define MODES_INITIAL (1u << MODE_WRAP | 1u << MODE_CURSOR_VISIBLE)

void mode_turn(struct screen *s, int mode, bool on);
void modes_apply(struct screen *s,
		 bool on); /* the arguments of the sequence at hand; viewers get those that are known */
void modes_reset(struct screen *s, bool hard);
int mode_report(const struct screen *s, bool dec, int number); /* as in DECRPM: 0 not known, 1 set, 2 not set, ... */
void modes_write(const struct screen *s, struct buf *out); /* all but those that frame.c places: DECOM, DECAWM, IRM */
void alternate(struct screen *s, bool on);

#endif
