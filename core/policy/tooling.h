/* Shared by tool.c and tool_test.c: sessions from texts instead of layers' folders. */
#ifndef PERRY_POLICY_TOOLING_H
#define PERRY_POLICY_TOOLING_H
#include <stdbool.h>

#include "base/json.h"

bool tool_is_dir(const char *path);
void tool_folders(const char *dir, char **hooks, char **lib);
cJSON *tool_opening(const cJSON *config); /* what a session begins with; no layers yet */
cJSON *tool_add_layer(cJSON *opening, const char *name, const char *point, const char *file, const char *text,
		      const cJSON *lib);
void tool_add_file(cJSON *layer, const char *point, const char *file, const char *text);

#endif
