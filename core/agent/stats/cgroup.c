#include "agent/stats/cgroup.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/str.h"

enum { ID_MIN = 12, FILE_MAX = 64 << 10 };

/* Is word one of the comma-separated ones in list, which has n bytes? */
static bool lists(const char *list, size_t n, const char *word)
{
	size_t len = strlen(word);
	for (size_t at = 0; at < n;) {
		const char *comma = memchr(list + at, ',', n - at);
		size_t end = comma ? (size_t)(comma - list) : n;
		if (end - at == len && memcmp(list + at, word, len) == 0)
			return true;
		at = end + 1;
	}
	return false;
}

/* The path of a line up to the part that bears the id: what is below is the container's own. */
static void take_path(const char *path, size_t n, const char *container, char *out, size_t size)
{
	cleanup_free char *text = xstrndup(path, n);
	char *id = strstr(text, container);
	if (!id || text[0] != '/' || strstr(text, "/.."))
		return;
	id[strcspn(id, "/")] = '\0';
	if (strlen(text) < size)
		strcpy(out, text);
}

bool cgroup_find(const char *text, const char *container, struct cgroup *out)
{
	struct cgroup g = { 0 };
	char both[sizeof g.memory] = "";
	if (strlen(container) < ID_MIN)
		return false;
	for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		const char *kinds = memchr(line, ':', (size_t)(end - line));
		const char *path = kinds ? memchr(kinds + 1, ':', (size_t)(end - kinds - 1)) : NULL;
		if (!path)
			continue;
		size_t nkinds = (size_t)(path - ++kinds), npath = (size_t)(end - ++path);
		if (nkinds == 0)
			take_path(path, npath, container, both, sizeof both);
		if (lists(kinds, nkinds, "memory"))
			take_path(path, npath, container, g.memory, sizeof g.memory);
		if (lists(kinds, nkinds, "cpuacct"))
			take_path(path, npath, container, g.cpu, sizeof g.cpu);
	}
	if (!*g.memory && !*g.cpu && *both) {
		g.unified = true;
		memcpy(g.memory, both, sizeof both);
		memcpy(g.cpu, both, sizeof both);
	}
	*out = g;
	return *g.memory && *g.cpu;
}

static bool number(const char *text, int64_t *out)
{
	char word[24];
	long long n;
	snprintf(word, sizeof word, "%.*s", (int)strcspn(text, " \n"), text);
	if (str_to_int(word, 0, INT64_MAX, &n) < 0)
		return false;
	*out = n;
	return true;
}

static bool read_text(const char *root, const char *kind, const char *group, const char *file, struct buf *out)
{
	cleanup_free char *path = xasprintf("%s%s%s/%s", root, kind, group, file);
	out->len = 0;
	return file_read(path, FILE_MAX, out, NULL) == 0;
}

/* The number of the line "KEY NUMBER". */
static bool line_number(const char *text, const char *key, int64_t *out)
{
	size_t n = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return number(line + n + 1, out);
	return false;
}

bool cgroup_read(const char *root, const struct cgroup *g, int64_t *cpu_us, int64_t *memory)
{
	cleanup_buf struct buf b = { 0 };
	const char *memory_at = g->unified ? "" : "/memory", *cpu_at = g->unified ? "" : "/cpuacct";
	int64_t cpu, used, cache = 0;
	if (!read_text(root, cpu_at, g->cpu, g->unified ? "cpu.stat" : "cpuacct.usage", &b) ||
	    !(g->unified ? line_number(buf_str(&b), "usage_usec", &cpu) : number(buf_str(&b), &cpu)))
		return false;
	if (!read_text(root, memory_at, g->memory, g->unified ? "memory.current" : "memory.usage_in_bytes", &b) ||
	    !number(buf_str(&b), &used))
		return false;
	if (read_text(root, memory_at, g->memory, "memory.stat", &b))
		line_number(buf_str(&b), g->unified ? "inactive_file" : "total_inactive_file", &cache);
	*cpu_us = g->unified ? cpu : cpu / 1000;
	*memory = cache < used ? used - cache : 0;
	return true;
}
