/* One finding of the procedure doctor. */
#ifndef PERRY_AGENT_DOCTOR_NOTE_H
#define PERRY_AGENT_DOCTOR_NOTE_H
#include <stdbool.h>

#include "base/json.h"

/* Takes both texts (may be NULL); mend goes along only with what is wrong. */
void doctor_note(cJSON *checks, const char *what, bool ok, char *take_message, char *take_mend);

#endif
