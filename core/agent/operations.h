/* The Lua host, and the operations that run in it. */
#ifndef PERRY_AGENT_OPERATIONS_H
#define PERRY_AGENT_OPERATIONS_H
#include "base/err.h"
#include "base/json.h"

struct agent;

int agent_open_operations(struct agent *a, struct perry_err **err);
void agent_close_operations(struct agent *a);
char *agent_step_path(void); /* perry-step, which workspaces get; caller frees */
/* Where their tailscale and tailscaled are: PERRY_TAILSCALE_DIR, or beside perry-step; caller frees. */
char *agent_tailscale_dir(void);
/* May this be done (kind: "exec", "shell")? Asks the admit hook. */
int agent_admit(struct agent *a, const char *kind, const char *workspace, const cJSON *caller, struct perry_err **err);
/* The plan that an operation would have; touches nothing. */
int agent_plan(struct agent *a, const char *kind, const char *workspace, const cJSON *request, const cJSON *caller,
	       cJSON **plan, struct perry_err **err);

#endif
