#include "agent/proc/doctor_workspaces.h"

#include "agent/internal.h"
#include "agent/proc/doctor_note.h"
#include "base/mem.h"
#include "lua/lua.h"

static char *text_of(const cJSON *row, const char *key)
{
	return xstrdup(json_str(row, key));
}

void doctor_workspaces(struct agent *a, cJSON *checks)
{
	cleanup_json cJSON *found = NULL;
	cleanup_err struct perry_err *e = NULL;
	const cJSON *row;
	if (lua_host_doctor(a->lua, &found, &e) < 0) {
		doctor_note(checks, "workspaces", false, xstrdup(perry_msg(e)), xstrdup("perry agent logs"));
		return;
	}
	cJSON_ArrayForEach(row, found)
		doctor_note(checks, json_str_or(row, "check", "?"), json_bool_or(row, "ok", false),
			    text_of(row, "message"), text_of(row, "mend"));
}
