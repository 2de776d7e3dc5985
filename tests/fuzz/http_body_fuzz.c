/* libFuzzer: the body of a call, from its bytes to what a handler gets, for every procedure of the table. What was
 * accepted once is accepted unchanged again; what was refused says where and why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rpc/body.h"
#include "agent/rpc/procedures.h"
#include "agent/rpc/schema.h"
#include "agent/rpc/schemas.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const cJSON *schema, const cJSON *input)
{
	cleanup_json cJSON *issues = cJSON_CreateArray(), *none = cJSON_CreateArray();
	cleanup_json cJSON *value = schema_apply(schema, input, issues);
	const cJSON *issue;
	cJSON_ArrayForEach(issue, issues)
		if (!json_str(issue, "code") || !json_str(issue, "message") || !cJSON_IsArray(json_at(issue, "path")))
			abort();
	if (issues->child || !value)
		return;
	cleanup_json cJSON *again = schema_apply(schema, value, none);
	if (none->child || !json_equal(value, again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const cJSON *schemas[256];
	static int count;
	const char *problem = NULL;
	cJSON *input = NULL;
	if (!count) {
#define ADD(path, class, right, in, output, fn, summary) \
	do { \
		const char *name = in; \
		if (name) \
			schemas[count++] = schemas_get(name); \
	} while (0);
		PROCEDURES(ADD)
	}
	char *copy = xmalloc(n ? n : 1); /* so that a read beyond the end is seen */
	memcpy(copy, data, n);
	int rc = body_input(n & 1 ? "application/json" : NULL, copy, n, &input, &problem);
	if (rc < 0 && (input || !problem))
		abort();
	for (int i = 0; rc == 0 && i < count; i++)
		check(schemas[i], input);
	cJSON_Delete(input);
	free(copy);
	return 0;
}
