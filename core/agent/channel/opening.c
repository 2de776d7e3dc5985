#include "agent/channel/opening.h"

cJSON *channel_opening(const struct channel_opening *x)
{
	cJSON *o = cJSON_CreateObject(), *command = x->command ? cJSON_CreateArray() : NULL;
	json_set_str(o, "kind", x->kind);
	json_set_str(o, "id", x->id);
	json_set_str(o, "name", x->name);
	json_set_str(o, "user", x->user);
	json_set_str(o, "cwd", x->cwd);
	json_set_str(o, "shell", x->shell);
	for (const char *const *word = x->command; word && *word; word++)
		json_push_str(command, *word);
	json_set(o, "command", command);
	if (x->term) {
		json_set_bool(o, "tty", true);
		json_set_str(o, "term", x->term);
		json_set_int(o, "cols", x->cols);
		json_set_int(o, "rows", x->rows);
	}
	return o;
}
