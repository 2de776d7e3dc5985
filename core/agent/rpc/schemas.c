#include "agent/rpc/schemas.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/embed.h"

#define SOURCE "core/agent/rpc/schemas.json"

static cJSON *all;

/* A test of ours goes through all of the file: nobody else sees this. */
static _Noreturn void broken(const char *what, const char *name)
{
	fprintf(stderr, "schemas.json: %s %s\n", what, name);
	abort();
}

cJSON *schemas_copy(void)
{
	const struct embedded *file = embed_find(SOURCE);
	cJSON *schemas = file ? cJSON_ParseWithLength(file->data, (size_t)(file->end - file->data)) : NULL;
	if (!schemas)
		broken("cannot read", SOURCE);
	return schemas;
}

static const cJSON *find(const char *name)
{
	const cJSON *schema = cJSON_GetObjectItemCaseSensitive(all, name);
	if (!schema)
		broken("there is no", name);
	return schema;
}

/* Below s, {"$ref": ...} becomes the schema that is meant; the members are shared, not copied. So a check is no slower
 * than with one that was written out, and the interpreter knows nothing of references. */
static void follow(cJSON *s)
{
	cJSON *member;
	cJSON_ArrayForEach(member, s) {
		const char *ref = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(member, "$ref"));
		if (!ref) {
			follow(member);
			continue;
		}
		if (!str_starts(ref, SCHEMAS_REF))
			broken("a reference to", ref);
		const cJSON *schema = find(ref + strlen(SCHEMAS_REF));
		cJSON_Delete(member->child);
		member->child = schema->child;
		member->type |= cJSON_IsReference;
	}
}

static void read_all(void)
{
	all = schemas_copy();
	cJSON *schema;
	cJSON_ArrayForEach(schema, all)
		follow(schema);
}

const cJSON *schemas_get(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, read_all);
	return find(name);
}
