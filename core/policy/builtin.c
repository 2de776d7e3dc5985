#include "policy/builtin.h"

#include <pthread.h>
#include <string.h>

#include "base/embed.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "policy/contract/points.h"

const char *policy_builtin_source(const char *point)
{
	cleanup_free char *path = xasprintf("hooks/%s.lua", point);
	const struct embedded *f = embed_find(path);
	return f ? f->data : NULL;
}

#define X(...) +1
static char hashes[POLICY_POINTS(X)][65]; /* by position in the table of points; "" when there is none */
#undef X

static void hash_all(void)
{
	for (const struct point *p = policy_point_table; p->name; p++) {
		const char *text = policy_builtin_source(p->name);
		if (text)
			sha256_hex(text, strlen(text), hashes[p - policy_point_table]);
	}
}

const char *builtin_hash(const char *point)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct point *p = point_find(point);
	pthread_once(&once, hash_all);
	return p && hashes[p - policy_point_table][0] ? hashes[p - policy_point_table] : NULL;
}
