#include "base/log.h"

#include <ctype.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/quote.h"
#include "base/secret.h"

enum { SHORTEST = 8, STARS = sizeof SECRET_MASK - 1, RELEASED_KEPT = 256 };

/* A value to mask. Released ones stay a while: an error text that quotes a secret often outlives the secret. */
struct value {
	struct value *next;
	size_t len;
	unsigned holds; /* 0: released */
	bool forever;
	char text[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct value *values; /* newest first */

static void drop_oldest(void)
{
	size_t released = 0;
	for (struct value **at = &values; *at;) {
		struct value *v = *at;
		if (v->holds == 0 && !v->forever && ++released > RELEASED_KEPT) {
			*at = v->next;
			wipe(v->text, v->len);
			free(v);
		} else {
			at = &v->next;
		}
	}
}

static struct value **find(const char *text, size_t n)
{
	struct value **at = &values;
	while (*at && ((*at)->len != n || memcmp((*at)->text, text, n) != 0))
		at = &(*at)->next;
	return at;
}

enum change { HOLD, RELEASE, FOREVER };

static void change_one(const char *text, size_t n, enum change change)
{
	struct value **at = find(text, n), *v = *at;
	if (!v && change == RELEASE)
		return;
	if (v) {
		*at = v->next;
	} else {
		v = xcalloc(1, sizeof *v + n + 1);
		v->len = n;
		memcpy(v->text, text, n);
	}
	v->next = values;
	values = v;
	if (change == HOLD)
		v->holds++;
	else if (change == RELEASE && v->holds > 0)
		v->holds--;
	else if (change == FOREVER)
		v->forever = true;
	if (change == RELEASE)
		drop_oldest();
}

static void change_value(const char *text, enum change change)
{
	size_t n = text ? strlen(text) : 0;
	while (n > 0 && isspace((unsigned char)text[n - 1])) /* a file's last newline is no part of what shows up */
		n--;
	if (n < SHORTEST) /* shorter ones would mask half of every line */
		return;
	/* Inside a JSON text the value may look different. */
	cleanup_buf struct buf quoted = { 0 };
	json_quote(&quoted, text, n);
	bool differs = quoted.len != n + 2 || memcmp(quoted.data + 1, text, n) != 0;
	pthread_mutex_lock(&lock);
	change_one(text, n, change);
	if (differs)
		change_one(quoted.data + 1, quoted.len - 2, change);
	pthread_mutex_unlock(&lock);
	wipe(quoted.data, quoted.len);
}

void redact_add(const char *value)
{
	change_value(value, FOREVER);
}

void redact_hold(const char *value)
{
	change_value(value, HOLD);
}

void redact_release(const char *value)
{
	change_value(value, RELEASE);
}

static void mark_values(const struct buf *text, unsigned char *hit)
{
	pthread_mutex_lock(&lock);
	for (const struct value *v = values; v; v = v->next) {
		const char *p = text->data, *end = text->data + text->len;
		while ((p = memmem(p, (size_t)(end - p), v->text, v->len))) {
			memset(hit + (p - text->data), 1, v->len);
			p++;
		}
	}
	pthread_mutex_unlock(&lock);
}

struct kind {
	const char *prefix; /* stays readable */
	const char
		*also; /* characters of the secret part, besides letters and digits; NULL: all but blanks and quotes */
	size_t shortest; /* secret parts shorter than this are words ("perry_agent"), no tokens */
};

static const struct kind kinds[] = {
	{ "tskey-", "-", 9 }, /* "tskey-auth-..." in a text is none */
	{ "hskey-", "-", 9 },   { "perry_", "_-", 16 }, { "ghp_", "_", 4 }, { "gho_", "_", 4 },
	{ "ghu_", "_", 4 },     { "ghs_", "_", 4 },     { "ghr_", "_", 4 }, { "github_pat_", "_", 4 },
	{ "sk-ant-", "_-", 8 }, { "Bearer ", NULL, 1 },
};

static bool belongs(const struct kind *k, char c)
{
	if (!k->also)
		return c > ' ' && c != '"' && c != '\'' && c != ',' && c != 0x7f;
	return isalnum((unsigned char)c) || (c && strchr(k->also, c));
}

static void mark_kinds(const struct buf *text, unsigned char *hit)
{
	for (size_t i = 0; i < text->len; i++) {
		for (size_t j = 0; j < ARRAY_LEN(kinds); j++) {
			const struct kind *k = &kinds[j];
			size_t n = strlen(k->prefix), end = i + n;
			if (end >= text->len || strncasecmp(text->data + i, k->prefix, n) != 0)
				continue;
			while (end < text->len && belongs(k, text->data[end]))
				end++;
			if (end - i - n < k->shortest)
				continue;
			memset(hit + i, 0, n);
			memset(hit + i + n, 1, end - i - n);
			i = end - 1;
			break;
		}
	}
}

void redact(struct buf *text)
{
	if (text->len == 0)
		return;
	cleanup_free unsigned char *hit = xcalloc(text->len, 1);
	mark_values(text, hit);
	mark_kinds(text, hit);
	size_t w = 0;
	for (size_t i = 0; i < text->len;) {
		if (!hit[i]) {
			text->data[w++] = text->data[i++];
			continue;
		}
		for (size_t stars = 0; i < text->len && hit[i]; i++)
			if (stars++ < STARS)
				text->data[w++] = '*';
	}
	wipe(text->data + w, text->len - w);
	text->len = w;
	text->data[w] = '\0';
}
