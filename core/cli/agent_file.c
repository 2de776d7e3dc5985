/* config.json of the agent on this machine, changed from outside of it. */
#include "cli/agent_file.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/str.h"
#include "config/config.h"

pid_t agent_file_pid(void)
{
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *path = path_join(dir, "agent.pid");
	cleanup_buf struct buf text = { 0 };
	if (file_read(path, 4096, &text, NULL) < 0)
		return 0;
	long pid = strtol(buf_str(&text), NULL, 10);
	return pid > 1 && kill((pid_t)pid, 0) == 0 ? (pid_t)pid : 0;
}

/* Tells a running agent; without one the file is all there is. */
static void tell_agent(void)
{
	pid_t pid = agent_file_pid();
	if (pid)
		kill(pid, SIGHUP);
}

/* A file that vanished while the agent runs is not begun anew with one key: the agent writes what it held. */
static int have_file(const char *dir, struct perry_err **err)
{
	cleanup_free char *path = path_join(dir, "config.json");
	if (access(path, F_OK) == 0 || !agent_file_pid())
		return 0;
	tell_agent();
	for (int i = 0; i < 200; i++) {
		struct timespec pause = { 0, 25000000 };
		if (access(path, F_OK) == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return perry_fail(err, PERRY_ESTATE,
			  "%s is gone, and the running agent does not write it again; see: perry agent logs", path);
}

int agent_file_set_all(const char *dir, const cJSON *texts, struct perry_err **err)
{
	if (have_file(dir, err) < 0 || config_set_all(dir, texts, err) < 0)
		return -1;
	tell_agent();
	return 0;
}

int agent_file_set(const char *dir, const char *key, const char *text, struct perry_err **err)
{
	if (have_file(dir, err) < 0 || config_set(dir, key, text, err) < 0)
		return -1;
	tell_agent();
	return 0;
}

char *agent_file_warning(const char *dir, const char *key)
{
	struct config *config = NULL;
	if (config_load(dir, &config, NULL, NULL, NULL) < 0)
		return NULL;
	bool idle = str_starts(key, "agents") || strcmp(key, "skills") == 0 || strcmp(key, "mcpServers") == 0;
	cleanup_free char *nothing = idle ? config_idle_warning(config) : NULL;
	const char *text = strcmp(key, "tailscale.authKey") == 0 ? config_key_warning(config) : nothing;
	char *copy = xstrdup(text);
	config_unref(config);
	return copy;
}
