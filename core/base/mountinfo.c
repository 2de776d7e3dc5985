#include "base/mountinfo.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

enum { MAX_BYTES = 4 << 20 };

/* One line: "36 35 98:0 /root /point options ...". */
struct line {
	char *device, *root, *point;
};

/* "\040" is a blank. */
static char *unescape(const char *s, size_t n)
{
	char *out = xmalloc(n + 1);
	size_t used = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\' && i + 3 < n) {
			out[used++] = (char)((s[i + 1] - '0') * 64 + (s[i + 2] - '0') * 8 + (s[i + 3] - '0'));
			i += 3;
		} else {
			out[used++] = s[i];
		}
	}
	out[used] = 0;
	return out;
}

static void line_free(struct line *l)
{
	free(l->device);
	free(l->root);
	free(l->point);
	*l = (struct line){ 0 };
}

/* The next one; false at the end. */
static bool next(const char **text, struct line *out)
{
	line_free(out);
	while (**text) {
		const char *end = strchrnul(*text, '\n'), *p = *text, *fields[5];
		size_t lengths[5];
		int n = 0;
		for (; n < 5 && p < end; n++) {
			fields[n] = p;
			lengths[n] = strcspn(p, " \n");
			p += lengths[n];
			p += p < end;
		}
		*text = *end ? end + 1 : end;
		if (n < 5)
			continue;
		out->device = xstrndup(fields[2], lengths[2]);
		out->root = unescape(fields[3], lengths[3]);
		out->point = unescape(fields[4], lengths[4]);
		return true;
	}
	return false;
}

/* What follows dir in path ("" or "/..."), or NULL. */
static const char *below(const char *path, const char *dir)
{
	size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == 0) ? path + n : NULL;
}

/* Where source is: the mount that it is on, the last of the deepest, and its path in there. */
static bool place_of(const char *own, const char *source, struct line *out)
{
	struct line l = { 0 };
	size_t deepest = 0;
	bool found = false;
	while (next(&own, &l)) {
		const char *rest = below(source, l.point);
		if (!rest || strlen(l.point) < deepest)
			continue;
		deepest = strlen(l.point);
		found = true;
		line_free(out);
		out->device = xstrdup(l.device);
		out->root = xasprintf("%s%s", strcmp(l.root, "/") == 0 ? "" : l.root, rest);
		if (!*out->root) {
			free(out->root);
			out->root = xstrdup("/");
		}
	}
	line_free(&l);
	return found;
}

enum mounted mountinfo_compare(const char *own, const char *theirs, const char *source, const char *target)
{
	struct line want = { 0 }, l = { 0 };
	bool somewhere = false, at_target = false, same = false;
	if (!place_of(own, source, &want))
		return MOUNTED_UNKNOWN;
	while (next(&theirs, &l)) {
		bool equal = strcmp(l.device, want.device) == 0 && strcmp(l.root, want.root) == 0;
		somewhere = somewhere || equal;
		if (strcmp(l.point, target) == 0) { /* the last one hides those before */
			at_target = true;
			same = equal;
		}
	}
	line_free(&want);
	line_free(&l);
	return (at_target ? same : somewhere) ? MOUNTED_SAME : MOUNTED_OTHER;
}

static bool read_proc(const char *pid, const char *name, struct buf *out)
{
	cleanup_free char *path = xasprintf("/proc/%s/%s", pid, name);
	return file_read(path, MAX_BYTES, out, NULL) == 0;
}

enum mounted mountinfo_of(pid_t pid, const char *id, const char *source, const char *target)
{
	cleanup_buf struct buf group = { 0 }, own = { 0 }, theirs = { 0 };
	cleanup_free char *number = xasprintf("%d", (int)pid);
	/* Numbers of another machine's engine are other processes here. */
	if (pid <= 0 || !*id || !read_proc(number, "cgroup", &group) || !read_proc(number, "mountinfo", &theirs) ||
	    !read_proc("self", "mountinfo", &own))
		return MOUNTED_UNKNOWN;
	/* With a control group namespace of its own the process's group has no name but for the outside, which we are.
	 */
	if (!strstr(buf_str(&group), id))
		return MOUNTED_UNKNOWN;
	return mountinfo_compare(buf_str(&own), buf_str(&theirs), source, target);
}
