/* The agent's side: the hook files of the layers, read and judged once for a session. */
#ifndef PERRY_POLICY_LAYERS_H
#define PERRY_POLICY_LAYERS_H
#include "policy/contract/points.h"
#include "policy/setup.h"

#define LAYER_MAX_FILE (256u << 10)
#define LAYER_MAX_LIB  (1u << 20)

/* One file of a layer's folder, whatever it is. */
struct layer_file {
	char *path, *shown;        /* shown: the home folder abbreviated as ~ */
	const struct point *point; /* NULL: no hook point has this name */
	bool off;                  /* NAME.lua.off */
	char *stem;                /* the name without .lua */
	char *text;
	size_t len;
	char hash[65];
	struct perry_err *error; /* refused, or could not be read */
};
struct layer_files {
	struct layer_file *files; /* sorted by path */
	size_t n;
	struct perry_err *error; /* the folder itself was refused */
};
void layer_scan(const struct policy_layer *layer, struct layer_files *out);
void layer_files_free(struct layer_files *f);
/* {"net.slack": {"file", "text"}}: what require finds. NULL when there is none. */
int layer_lib(const struct policy_layer *layer, cJSON **out, struct perry_err **err);
bool layer_muted(const struct policy_setup *setup, const char *layer, const char *point);

#endif
