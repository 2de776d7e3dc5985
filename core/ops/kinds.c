#include "ops/kinds.h"

#include <stddef.h>
#include <string.h>

#define ROW(name, claims, brings_up, makes, joins, cancels, cancellable, source, answer) \
	{ OP_ID_##name, #name, claims, brings_up, makes, joins, cancels, cancellable, source, answer },
const struct op_kind op_kinds[] = { OP_KINDS(ROW){ 0 } };

const struct op_kind *op_kind_find(const char *name)
{
	for (const struct op_kind *k = op_kinds; name && k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}
