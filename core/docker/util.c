/* Paths, queries and JSON of the engine. */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "docker/priv.h"

#define SAFE_DIGITS    15 /* every integer of so many digits is exact in a double */
#define LINE_MAX_BYTES (4u << 20)

/* One number at p: text when it is an integer that a double cannot hold. Returns what follows it. */
static const char *copy_number(struct buf *out, const char *p, const char *end)
{
	const char *start = p;
	bool integer = true;
	while (p < end && (isdigit((unsigned char)*p) || strchr("+-.eE", *p))) {
		integer = integer && (isdigit((unsigned char)*p) || (*p == '-' && p == start));
		p++;
	}
	bool big = integer && p - start > SAFE_DIGITS + (*start == '-');
	if (big)
		buf_addc(out, '"');
	buf_add(out, start, (size_t)(p - start));
	if (big)
		buf_addc(out, '"');
	return p;
}

static const char *copy_string(struct buf *out, const char *p, const char *end)
{
	const char *start = p++;
	while (p < end && *p != '"') {
		if (*p != '\\') {
			p++;
			continue;
		}
		if (end - p >= 6 && memcmp(p, "\\u0000", 6) == 0) {
			buf_add(out, start, (size_t)(p - start));
			buf_adds(out, "\\ufffd");
			start = p += 6;
			continue;
		}
		p += end - p >= 2 ? 2 : 1;
	}
	p += p < end;
	buf_add(out, start, (size_t)(p - start));
	return p;
}

cJSON *docker_json(const char *text, size_t n, const char *what, struct perry_err **err)
{
	cleanup_buf struct buf safe = { 0 };
	const char *p = text, *end = text + n;
	while (p < end) {
		if (*p == '"') {
			p = copy_string(&safe, p, end);
		} else if (*p == '-' || isdigit((unsigned char)*p)) {
			p = copy_number(&safe, p, end);
		} else {
			buf_addc(&safe, *p++);
		}
	}
	cleanup_err struct perry_err *e = NULL;
	cJSON *j = json_parse(buf_str(&safe), safe.len, what, &e);
	if (e) {
		e->code = PERRY_EINTERNAL; /* not a fault of who calls us */
		perry_move(err, take_ptr(e));
	}
	return j;
}

static int check_name(const char *kind, const char *name, struct perry_err **err)
{
	if (!name || !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return perry_fail(err, PERRY_EINPUT, "\"%s\" is no name for one of the Docker Engine's %s",
				  name ? name : "", kind);
	return 0;
}

int docker_path(struct buf *out, const char *kind, const char *name, struct perry_err **err)
{
	if (name && *name == '/')
		name++;
	if (check_name(kind, name, err) != 0)
		return -1;
	if (strchr(name, '/')) /* the engine decodes %2F before it looks for the route */
		return perry_fail(err, PERRY_EINPUT, "\"%s\" is no name for one of the Docker Engine's %s", name, kind);
	buf_addf(out, "/%s/", kind);
	http_escape(out, name, NULL);
	return 0;
}

int docker_path_image(struct buf *out, const char *ref, struct perry_err **err)
{
	if (check_name("images", ref, err) != 0)
		return -1;
	if (*ref == '/' || strstr(ref, "//") || strstr(ref, "./"))
		return perry_fail(err, PERRY_EINPUT, "\"%s\" is no image reference", ref);
	buf_adds(out, "/images/");
	http_escape(out, ref, "/:@");
	return 0;
}

void docker_query(struct buf *path, const char *key, const char *value)
{
	buf_addf(path, "%c%s=", memchr(buf_str(path), '?', path->len) ? '&' : '?', key);
	http_escape(path, value, NULL);
}

void docker_query_json(struct buf *path, const char *key, const cJSON *value)
{
	if (!value)
		return;
	cleanup_free char *text = json_print(value);
	docker_query(path, key, text);
}

int docker_take_id(const cJSON *answer, const char *key, char *out, size_t size, struct perry_err **err)
{
	const char *id = json_str(answer, key);
	if (!id || !*id || strlen(id) >= size)
		return perry_fail(err, PERRY_EINTERNAL, "the Docker Engine's answer lacks a usable \"%s\"", key);
	memcpy(out, id, strlen(id) + 1);
	return 0;
}

bool docker_labels_equal(const cJSON *have, const cJSON *want)
{
	int n = cJSON_IsObject(have) ? cJSON_GetArraySize(have) : 0;
	if (n != (cJSON_IsObject(want) ? cJSON_GetArraySize(want) : 0))
		return false;
	const cJSON *w;
	cJSON_ArrayForEach(w, want) {
		const cJSON *h = cJSON_GetObjectItemCaseSensitive(have, w->string);
		if (!cJSON_IsString(h) || !cJSON_IsString(w) || strcmp(h->valuestring, w->valuestring) != 0)
			return false;
	}
	return true;
}

int docker_lines_feed(struct docker_lines *l, const char *bytes, size_t n)
{
	while (n) {
		const char *newline = memchr(bytes, '\n', n);
		size_t take = newline ? (size_t)(newline - bytes) : n;
		if (take > LINE_MAX_BYTES - l->line.len)
			return -1;
		buf_add(&l->line, bytes, take);
		if (!newline)
			return 0;
		int rc = l->line.len ? l->fn(l->ctx, l->line.data, l->line.len) : 0;
		l->line.len = 0;
		if (rc != 0)
			return rc;
		bytes += take + 1;
		n -= take + 1;
	}
	return 0;
}

int docker_lines_end(struct docker_lines *l)
{
	int rc = l->line.len ? l->fn(l->ctx, l->line.data, l->line.len) : 0;
	buf_free(&l->line);
	return rc;
}
