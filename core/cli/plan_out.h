/* Plans and decisions for people. */
#ifndef PERRY_CLI_PLAN_OUT_H
#define PERRY_CLI_PLAN_OUT_H
#include "base/json.h"

/* A field's value in a few words: "4GiB", "workspace-web:/home/workspace", "the secret db". Caller frees. */
char *plan_value(const char *field, const cJSON *value);
/* A table: field, value, who decided it, what it stands over; then consents and errors among the decisions. What is
 * empty is left out. */
void plan_print(const cJSON *fields, const cJSON *decisions);
/* "~/.config/perry/hooks/image.lua:3" of a row with file, line and layer. Caller frees. */
char *plan_place(const cJSON *row);

#endif
