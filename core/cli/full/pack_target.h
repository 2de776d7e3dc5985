/* Where packs are approved: an agent, here or elsewhere, or this machine's folder when no agent runs. */
#ifndef PERRY_CLI_FULL_PACK_TARGET_H
#define PERRY_CLI_FULL_PACK_TARGET_H
#include "cli/client.h"
#include "policy/pack/pack.h"

struct target {
	struct client *client; /* NULL: the folder */
	char *dir;
	bool remote; /* another machine's: a folder of ours is none of its */
};
int target_open(struct target *t, struct perry_err **err);
void target_close(struct target *t);
#define cleanup_target __attribute__((cleanup(target_close)))

/* What packs_list gives. */
int target_list(const struct target *t, cJSON **packs, struct perry_err **err);
/* The approved files; -1 also when they are not what was approved any more. */
int target_get(const struct target *t, const char *name, struct pack **out, struct perry_err **err);
int target_approve(const struct target *t, const struct pack *p, const cJSON *source, const char *before, cJSON **entry,
		   struct perry_err **err);
int target_remove(const struct target *t, const char *name, struct perry_err **err);

#endif
