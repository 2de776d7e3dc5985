#include "cli/full.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"

const struct full_command *full_commands;
char **full_argv;

int full_become(struct perry_err **err)
{
	static const char *const places[] = { "perry-agent", "../libexec/perry/perry-agent" };
	cleanup_free char *dir = path_self_dir();
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		cleanup_free char *path = path_join(dir, places[i]);
		if (access(path, X_OK) == 0)
			execv(path, full_argv);
	}
	return perry_fail(err, PERRY_ENOTFOUND,
			  "perry-agent is not installed beside this program (%s)\n  install both with: make install",
			  dir);
}

int full_run(const char *name, const struct args *a, struct perry_err **err)
{
	if (!full_commands)
		return full_become(err);
	for (const struct full_command *c = full_commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c->run(a, err);
	return perry_fail(err, PERRY_EINTERNAL, "%s is missing among the full executable's commands", name);
}
