/* Helpers of the store's tests: a folder of its own for each test, and short JSON. */
#ifndef STORE_UTIL_H
#define STORE_UTIL_H
#include "base_util.h"

#include "base/json.h"
#include "store/store.h"

/* A path in the test's folder; one of four static buffers. */
static inline const char *test_path(const char *name)
{
	static char buf[4][128];
	static int turn;
	char *out = buf[turn++ % 4];
	snprintf(out, sizeof buf[0], "%s/%s", test_dir, name);
	return out;
}

static inline void test_file(const char *name, const char *text)
{
	FILE *f = fopen(test_path(name), "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

__attribute__((format(printf, 1, 2))) static inline cJSON *J(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = xvasprintf(fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	struct perry_err *err = NULL;
	cJSON *j = json_parse(text, strlen(text), "test", &err);
	if (!j)
		fail_msg("%s in %s", perry_msg(err), text);
	free(text);
	return j;
}

static inline struct store *open_store(const char *name)
{
	struct store *s = NULL;
	struct perry_err *err = NULL;
	if (store_open(&s, test_path(name), &err))
		fail_msg("%s", perry_msg(err));
	return s;
}

/* Runs a call that takes &err and fails the test with its message. */
#define ok(call) \
	do { \
		struct perry_err *err = NULL; \
		if (call) \
			fail_msg("%s: %s", #call, perry_msg(err)); \
	} while (0)
/* The call must fail with this code and a message that contains text. */
#define refused(call, want, text) \
	do { \
		struct perry_err *err = NULL; \
		if ((call) == 0) \
			fail_msg("%s succeeded", #call); \
		assert_non_null(err); \
		if (err->code != (want) || !strstr(perry_msg(err), text)) \
			fail_msg("%s: code %d, %s", #call, err->code, perry_msg(err)); \
		perry_err_free(err); \
	} while (0)

static inline void ws_make(struct store *s, const char *name)
{
	cJSON *ws = J("{'name':'%s'}", name);
	ok(store_ws_create(s, ws, &err));
	cJSON_Delete(ws);
}

#endif
