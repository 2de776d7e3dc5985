/* JSON without a tree: looks into a text. A value is the piece of text that it stands in, so what is copied stays as
 * it was. New ones are written into a struct buf, their strings by json_quote. */
#ifndef PERRY_STEP_JSON_H
#define PERRY_STEP_JSON_H
#include <stdbool.h>
#include <stddef.h>

struct span {
	const char *s; /* NULL: nothing there */
	size_t n;
};

/* The value when text is exactly one, at most 64 levels deep, else nothing. The others take only values that come from
 * here. */
struct span json_check(const char *text, size_t n);
struct span
json_get(struct span obj,
	 const char *key); /* a member (the last of that name), or nothing; nothing of what is no object, too */
/* Goes through an object's or a list's members. *at is 0 at first; key (may be NULL) is nothing in a list. False at the
 * end. */
bool json_next(struct span in, size_t *at, struct span *key, struct span *value);
char *json_text(struct span v); /* decoded, cut at a NUL; caller frees; NULL when it is no string */
bool json_int(struct span v, long long min, long long max, long long *out);
long long json_time(struct span v);            /* "2026-12-01T10:00:00Z", which Go writes with or without a fraction, in
						  milliseconds; 0: none */
bool json_is(struct span v, const char *text); /* v reads exactly so: true, null, "a" */

#endif
