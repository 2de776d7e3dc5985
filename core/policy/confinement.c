#include "policy/confinement.h"

#include <stdio.h>

#include "base/mem.h"
#include "policy/process.h"
#include "policy/session.h"

/* Tries something forbidden in a process of its own; true when that was its end. */
static bool probe(struct policy *p, const char *what)
{
	struct policy_session *s = NULL;
	struct perry_err *err = NULL;
	cJSON *opening = cJSON_CreateObject(), *reply = NULL;
	json_set(opening, "layers", cJSON_CreateArray());
	bool ended = false;
	if (session_begin(p, opening, &s, &err) == 0) {
		cleanup_json cJSON *msg = cJSON_CreateObject();
		json_set_str(msg, "probe", what);
		s->heard = true; /* its death is the answer, not a mishap */
		ended = session_exchange(s, msg, session_wall_ms(s, point_find("image")), &reply, &err) < 0 && err &&
			json_int_or(err->data, "signal", 0) == 31;
		session_end(s);
	}
	cJSON_Delete(reply);
	perry_err_free(err);
	return ended;
}

cJSON *policy_confinement(const struct policy *p)
{
	struct policy *q = (struct policy *)(uintptr_t)p;
	static const char *const forbidden[] = {
		"open", "socket", "fork", "exec", "kill", "ptrace", "mmap-exec", NULL
	};
	cJSON *out = cJSON_CreateObject(), *tried = json_obj(out, "forbidden");
	bool all = true;
	for (const char *const *f = forbidden; *f; f++) {
		bool ended = probe(q, *f);
		json_set_bool(tried, *f, ended);
		all = all && ended;
	}
	json_set_bool(out, "seccomp", all);
	cleanup_free char *path = xasprintf("/proc/%d/status", (int)policy_zygote_pid(p));
	FILE *status = fopen(path, "re");
	char line[256];
	int value;
	while (status && fgets(line, sizeof line, status)) {
		if (sscanf(line, "NoNewPrivs: %d", &value) == 1)
			json_set_bool(out, "no_new_privs", value == 1);
		else if (sscanf(line, "Uid: %d", &value) == 1)
			json_set_int(out, "uid", value);
	}
	if (status)
		fclose(status);
	json_set_int(out, "pid", policy_zygote_pid(p));
	json_set_int(out, "memory_mib", 32);
	json_set_int(out, "decision_instructions", DECISION_LIMITS.instructions);
	json_set_int(out, "decision_cpu_ms", DECISION_LIMITS.cpu_ms);
	json_set_int(out, "action_instructions", ACTION_LIMITS.instructions);
	json_set_int(out, "action_cpu_ms", ACTION_LIMITS.cpu_ms);
	return out;
}
