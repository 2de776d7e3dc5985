#include "agent/proc/doctor_note.h"

#include <stdlib.h>

void doctor_note(cJSON *checks, const char *what, bool ok, char *take_message, char *take_mend)
{
	cJSON *row = cJSON_CreateObject();
	json_set_str(row, "check", what);
	json_set_bool(row, "ok", ok);
	json_set_str(row, "message", take_message);
	if (!ok)
		json_set_str(row, "mend", take_mend);
	json_push(checks, row);
	free(take_message);
	free(take_mend);
}
