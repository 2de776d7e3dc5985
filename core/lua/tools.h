/* What the tools volume holds, as files of this machine. */
#ifndef PERRY_LUA_TOOLS_H
#define PERRY_LUA_TOOLS_H
#include "base/err.h"
#include "docker/docker.h"

struct tools {
	char *name;    /* of the volume, "perry-tools-VERSION-HASH": the hash is of all that is on it */
	char *missing; /* why tailscale and tailscaled are not on it; NULL: they are */
	char *hosts[3];
	struct docker_file files[5];
	size_t n;
};
/* step: perry-step; dir: the folder of tailscale and tailscaled. An error only when there is no perry-step. */
int tools_look(const char *step, const char *dir, const char *mark, struct tools **out, struct perry_err **err);
void tools_free(struct tools *t);

#endif
