/* Sessions from texts instead of layers' folders. Hooks of a pack under check and test get what they would get in an
 * agent: their settings, and what pack.json needs. */
#ifndef PERRY_POLICY_TOOLING_H
#define PERRY_POLICY_TOOLING_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

bool tool_is_dir(const char *path);
void tool_folders(const char *dir, char **hooks, char **lib);
cJSON *tool_opening(const cJSON *config); /* what a session begins with; no layers yet */
cJSON *tool_add_layer(cJSON *opening, const char *name, const char *point, const char *file, const char *text,
		      const cJSON *lib);
/* The pack in dir, checked; NULL without an error when there is no pack.json. */
struct pack;
int tool_pack(const char *dir, struct pack **out, struct perry_err **err);
/* Gives a layer of an opening the needs and settings of a pack. given: values of settings, or NULL. */
int tool_grant(const struct pack *p, const cJSON *given, cJSON *layer, struct perry_err **err);
/* Once the session is there: it holds the layer to them. */
struct policy_session;
void tool_restrict(struct policy_session *s, const cJSON *layer);
void tool_add_file(cJSON *layer, const char *point, const char *file, const char *text);

#endif
