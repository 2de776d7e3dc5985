/* What a session is opened with: the layers of hooks and who answers what they ask for. */
#ifndef PERRY_POLICY_SETUP_H
#define PERRY_POLICY_SETUP_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

struct pack;

/* The layers of hook files, highest first. A dir that is absent is an empty layer. */
struct policy_layer {
	const char *name;    /* "user", "acme" (a pack), "machine"; "built-in" is always there, last */
	const char *dir;     /* the folder of hook files */
	const cJSON *packed; /* instead of the folder: what policy_pack_up made of one; or NULL */
	const char *lib_dir; /* for require, or NULL */
	uid_t owner;         /* who must own the files (or root) */
	bool follow_links;   /* the user's own layer only */
	const cJSON *needs;  /* a pack's needs, or NULL: everything its kind of hook may */
	const cJSON *settings;
	const struct pack *pack;        /* its files are these, from memory; dir and lib_dir are NULL */
	const struct perry_err *broken; /* why the layer cannot be used: opening it fails with this */
};
struct policy_setup {
	const struct policy_layer *layers;
	size_t nlayers;
	const cJSON *config;         /* the public configuration for perry.config */
	const char *const *disabled; /* "acme/on_deleted", NULL-terminated, or NULL */
	/* Does what a hook asked for and that its kind and layer may: name "docker.inspect", "http.get", "kv.set", ...
	 * Called on the asking thread. */
	int (*call)(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		    struct perry_err **err);
	void *ctx;
};

#endif
