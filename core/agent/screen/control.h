/* What controls and sequences do. The sequence at hand is in args, prefix and inter; cut is set when viewers must not
 * have it as it is. */
#ifndef PERRY_AGENT_SCREEN_CONTROL_H
#define PERRY_AGENT_SCREEN_CONTROL_H
#include "agent/screen/state.h"

bool control_execute(struct screen *s, uint32_t c); /* C0 and C1; false: not for viewers */
void escape_dispatch(struct screen *s, char final);
void csi_dispatch(struct screen *s, char final);

#endif
