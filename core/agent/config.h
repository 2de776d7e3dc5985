/* The agent's configuration: the newest good snapshot of config.json. */
#ifndef PERRY_AGENT_CONFIG_H
#define PERRY_AGENT_CONFIG_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "config/config.h"

struct agent;

int agent_config_init(struct agent *a, struct perry_err **err); /* makes the token at the first start */
/* A reference to the newest configuration: the file is read anew when it changed; a broken one is logged and the last
 * good one stays. */
struct config *agent_config(struct agent *a);
void agent_config_reload(struct agent *a); /* now, whatever the file's time says */
/* Changes config.json and takes it into use. */
int agent_config_edit(struct agent *a, int (*change)(cJSON *root, void *ctx, struct perry_err **err), void *ctx,
		      struct perry_err **err);
/* From now on fn is told of every configuration that is taken into use. It must be quick: the configuration is locked
 * meanwhile. For parts that live as long as the agent. */
void agent_config_on_change(struct agent *a,
			    void (*fn)(void *ctx, const struct config *before, const struct config *now), void *ctx);
bool agent_host_access(struct agent *a); /* may terminals of this machine be opened? */

#endif
