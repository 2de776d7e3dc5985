/* config.json of the agent on this machine, changed from outside of it. */
#ifndef PERRY_CLI_AGENT_FILE_H
#define PERRY_CLI_AGENT_FILE_H
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

pid_t agent_file_pid(void); /* of the agent that runs with our configuration folder, or 0 */
/* As config_set (text NULL removes); an agent that runs is told. */
int agent_file_set(const char *dir, const char *key, const char *text, struct perry_err **err);
int agent_file_set_all(const char *dir, const cJSON *texts, struct perry_err **err); /* as config_set_all */
/* What to tell of a key that was saved just now, or NULL. Caller frees. */
char *agent_file_warning(const char *dir, const char *key);

#endif
