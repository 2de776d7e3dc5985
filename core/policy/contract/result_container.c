#include "policy/contract/result_container.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "policy/contract/result_fields.h"

static const struct field spec_fields[] = {
	{ "cpus", "number" },    { "memory", "size" },        { "shm", "size" },
	{ "pids", "count" },     { "privileged", "boolean" }, { "runtime", "string" },
	{ "network", "string" }, { "capabilities", "list" },  { "devices", "list" },
	{ "mounts", "list" },    { "labels", "map" },         { "security", "list" },
	{ "sysctls", "map" },    { "hosts", "list" },         { "dns", "list" },
	{ "gpus", "any" },       { "docker", "any" },         { 0 },
};

static const char *const own_places[] = { "/opt/perry", "/run/perry", "/proc", "/sys", "/dev", NULL };

/* The field, of this type; made when missing. */
static cJSON *child(cJSON *spec, const char *name, int type)
{
	cJSON *v = cJSON_GetObjectItemCaseSensitive(spec, name);
	if (!v) {
		v = type == cJSON_Array ? cJSON_CreateArray() : cJSON_CreateObject();
		json_set(spec, name, v);
	}
	return v;
}

static int absolute(const char *path, const char *s, struct buf *why)
{
	bool fine = s && s[0] == '/' && !strstr(s, "/../") && !str_ends(s, "/..") && !strchr(s, '\n');
	if (!fine)
		buf_addf(why, "%s: expected an absolute path, got \"%s\"", path, s ? s : "");
	return fine ? 0 : -1;
}

static bool below(const char *s, const char *dir)
{
	size_t n = strlen(dir);
	return strncmp(s, dir, n) == 0 && (s[n] == 0 || s[n] == '/');
}

/* One spelling of a path: "//run/./x/" is "/run/x", so that what compares texts is not led astray. */
static void set_plain_path(cJSON *m, const char *name)
{
	const char *path = json_str(m, name);
	if (!path || path[0] != '/')
		return;
	cleanup_free char *plain = xmalloc(strlen(path) + 2);
	size_t n = 0;
	for (const char *p = path; *p;) {
		size_t len = strcspn(++p, "/");
		if (len && !(len == 1 && *p == '.')) {
			plain[n++] = '/';
			memcpy(plain + n, p, len);
			n += len;
		}
		p += len;
	}
	if (!n)
		plain[n++] = '/';
	plain[n] = 0;
	if (strcmp(plain, path) != 0)
		json_set_str(m, name, plain);
}

/* "source:target[:ro]" */
static cJSON *mount_of_text(const char *text)
{
	const char *colon = strchr(text, ':');
	if (!colon)
		return NULL;
	cJSON *m = cJSON_CreateObject();
	const char *more = strchr(colon + 1, ':');
	json_set_strn(m, "source", text, (size_t)(colon - text));
	json_set_strn(m, "target", colon + 1, more ? (size_t)(more - colon - 1) : strlen(colon + 1));
	if (more && strcmp(more, ":ro") == 0)
		json_set_bool(m, "readonly", true);
	else if (more && strcmp(more, ":rw") != 0) {
		cJSON_Delete(m);
		return NULL;
	}
	return m;
}

static int check_mount(cJSON *m, const char *path, struct buf *why)
{
	static const struct field fields[] = { { "type", "string" },   { "source", "string" },
					       { "target", "string" }, { "readonly", "boolean" },
					       { "size", "size" },     { 0 } };
	if (result_fields(m, path, fields, why) < 0)
		return -1;
	set_plain_path(m, "source");
	set_plain_path(m, "target");
	const char *source = json_str(m, "source"), *target = json_str(m, "target");
	cleanup_free char *at_target = xasprintf("%s.target", path), *at_source = xasprintf("%s.source", path);
	if (absolute(at_target, target, why) < 0)
		return -1;
	for (const char *const *p = own_places; *p; p++) {
		if (below(target, *p)) {
			buf_addf(why, "%s: %s is not for mounts", at_target, *p);
			return -1;
		}
	}
	const char *type = json_str(m, "type");
	if (!type)
		json_set_str(m, "type", source && source[0] == '/' ? "bind" : "volume");
	type = json_str(m, "type");
	if (!json_at(m, "readonly"))
		json_set_bool(m, "readonly", false);
	if (strcmp(type, "tmpfs") == 0) {
		json_set(m, "source", NULL);
		return 0;
	}
	json_set(m, "size", NULL);
	if (strcmp(type, "bind") == 0)
		return absolute(at_source, source, why);
	bool fine = strcmp(type, "volume") == 0 && source && isalnum((unsigned char)*source);
	for (const char *s = source; fine && *s; s++)
		fine = isalnum((unsigned char)*s) || strchr("._-", *s);
	if (!fine)
		buf_addf(why, "%s: expected a host path (bind), the name of a volume, or type=\"tmpfs\"", path);
	return fine ? 0 : -1;
}

static int check_mounts(cJSON *list, struct buf *why)
{
	int i = 0;
	for (cJSON *m = list->child, *next; m; m = next) {
		next = m->next;
		cleanup_free char *path = xasprintf("answer.mounts[%d]", ++i);
		if (cJSON_IsString(m)) {
			cJSON *full = mount_of_text(m->valuestring);
			if (!full)
				return result_wrong(why, path, "\"source:target\" or \"source:target:ro\"", m);
			cJSON_ReplaceItemViaPointer(list, m, full);
			m = full;
		}
		if (check_mount(m, path, why) < 0)
			return -1;
		for (const cJSON *o = list->child; o != m; o = o->next)
			if (str_eq(json_str(o, "target"), json_str(m, "target"))) {
				buf_addf(why, "%s.target: %s is mounted twice", path, json_str(m, "target"));
				return -1;
			}
	}
	return 0;
}

static int check_devices(cJSON *list, struct buf *why)
{
	static const struct field fields[] = {
		{ "host", "string" }, { "container", "string" }, { "permissions", "string" }, { 0 }
	};
	int i = 0;
	for (cJSON *d = list->child, *next; d; d = next) {
		next = d->next;
		cleanup_free char *path = xasprintf("answer.devices[%d]", ++i);
		if (cJSON_IsString(d)) {
			cJSON *full = cJSON_CreateObject();
			json_set_str(full, "host", d->valuestring);
			cJSON_ReplaceItemViaPointer(list, d, full);
			d = full;
		}
		if (result_fields(d, path, fields, why) < 0)
			return -1;
		set_plain_path(d, "host");
		if (absolute(path, json_str(d, "host"), why) < 0)
			return -1;
		if (!below(json_str(d, "host"), "/dev")) {
			buf_addf(why, "%s: \"%s\" is no device (/dev/...)", path, json_str(d, "host"));
			return -1;
		}
		if (!json_at(d, "container"))
			json_set_str(d, "container", json_str(d, "host"));
		if (absolute(path, json_str(d, "container"), why) < 0)
			return -1;
		const char *permissions = json_str_or(d, "permissions", "rwm");
		if (!*permissions || strspn(permissions, "rwm") != strlen(permissions)) {
			buf_addf(why, "%s.permissions: expected some of \"rwm\", got \"%s\"", path, permissions);
			return -1;
		}
		cleanup_free char *copy = xstrdup(permissions);
		json_set_str(d, "permissions", copy);
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp((*(cJSON *const *)a)->valuestring, (*(cJSON *const *)b)->valuestring);
}

/* Sorted, each once. */
static void sort_set(cJSON *list)
{
	size_t n = (size_t)cJSON_GetArraySize(list);
	cleanup_free cJSON **items = xmalloc((n + 1) * sizeof *items);
	for (size_t i = 0; i < n; i++)
		items[i] = cJSON_DetachItemFromArray(list, 0);
	qsort(items, n, sizeof *items, by_text);
	const char *last = NULL;
	for (size_t i = 0; i < n; i++) {
		if (last && strcmp(last, items[i]->valuestring) == 0) {
			cJSON_Delete(items[i]);
			continue;
		}
		last = items[i]->valuestring;
		json_push(list, items[i]);
	}
}

static int strings_in(cJSON *list, const char *path, bool sort, struct buf *why)
{
	int i = 0;
	for (const cJSON *v = list->child; v; v = v->next) {
		i++;
		if (!cJSON_IsString(v) || !*v->valuestring) {
			cleanup_free char *at = xasprintf("%s[%d]", path, i);
			return result_wrong(why, at, "string", v);
		}
	}
	if (sort)
		sort_set(list);
	return 0;
}

static int map_of_strings(const cJSON *map, const char *path, const char *reserved, struct buf *why)
{
	for (const cJSON *v = map->child; v; v = v->next) {
		cleanup_free char *at = xasprintf("%s.%s", path, v->string);
		if (!cJSON_IsString(v))
			return result_wrong(why, at, "string", v);
		if (reserved && str_starts(v->string, reserved)) {
			buf_addf(why, "%s: labels that begin with %s are set by perry itself", at, reserved);
			return -1;
		}
	}
	return 0;
}

/* NET_ADMIN, whatever the spelling. */
static int check_capabilities(cJSON *list, struct buf *why)
{
	if (strings_in(list, "answer.capabilities", false, why) < 0)
		return -1;
	for (cJSON *v = list->child; v; v = v->next) {
		for (char *s = v->valuestring; *s; s++) {
			*s = (char)toupper((unsigned char)*s);
			if (!isalnum((unsigned char)*s) && *s != '_')
				return result_wrong(why, "answer.capabilities", "names such as \"NET_ADMIN\"", v);
		}
		if (str_starts(v->valuestring, "CAP_"))
			memmove(v->valuestring, v->valuestring + 4, strlen(v->valuestring) - 3);
	}
	sort_set(list);
	return 0;
}

static int check_word(cJSON *spec, const char *name, struct buf *why)
{
	const char *s = json_str(spec, name);
	for (const char *p = s; p && *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-:/", *p)) {
			buf_addf(why, "answer.%s: \"%s\" is no name", name, s);
			return -1;
		}
	if (s && !*s)
		json_set(spec, name, NULL);
	return 0;
}

static int check_docker(cJSON *spec, struct buf *why)
{
	static const char expected[] = "false, \"sysbox\", \"userns\" or \"host\"";
	const cJSON *d = cJSON_GetObjectItemCaseSensitive(spec, "docker");
	if (!d || cJSON_IsFalse(d)) {
		json_set_bool(spec, "docker", false);
		return 0;
	}
	const char *s = cJSON_IsString(d) ? d->valuestring : "";
	if (strcmp(s, "sysbox") != 0 && strcmp(s, "userns") != 0 && strcmp(s, "host") != 0)
		return result_wrong(why, "answer.docker", expected, d);
	return 0;
}

static int check_gpus(cJSON *spec, struct buf *why)
{
	const cJSON *g = cJSON_GetObjectItemCaseSensitive(spec, "gpus");
	if (!g || (cJSON_IsString(g) && strcmp(g->valuestring, "all") == 0) ||
	    (cJSON_IsNumber(g) && g->valuedouble >= 1 && g->valuedouble <= 64))
		return 0;
	return result_wrong(why, "answer.gpus", "\"all\" or a number", g);
}

int result_container(cJSON *spec, struct buf *why)
{
	if (result_fields(spec, "answer", spec_fields, why) < 0)
		return -1;
	cJSON *labels = child(spec, "labels", cJSON_Object), *sysctls = child(spec, "sysctls", cJSON_Object);
	if (check_mounts(child(spec, "mounts", cJSON_Array), why) < 0 ||
	    check_devices(child(spec, "devices", cJSON_Array), why) < 0 ||
	    check_capabilities(child(spec, "capabilities", cJSON_Array), why) < 0 ||
	    strings_in(child(spec, "security", cJSON_Array), "answer.security", true, why) < 0 ||
	    strings_in(child(spec, "hosts", cJSON_Array), "answer.hosts", true, why) < 0 ||
	    strings_in(child(spec, "dns", cJSON_Array), "answer.dns", false, why) < 0 ||
	    map_of_strings(labels, "answer.labels", "perry.", why) < 0 ||
	    map_of_strings(sysctls, "answer.sysctls", NULL, why) < 0 || check_word(spec, "runtime", why) < 0 ||
	    check_word(spec, "network", why) < 0 || check_docker(spec, why) < 0 || check_gpus(spec, why) < 0)
		return -1;
	if (!json_at(spec, "privileged"))
		json_set_bool(spec, "privileged", false);
	if (!json_at(spec, "network"))
		json_set_str(spec, "network", "own");
	return 0;
}
