#include "policy/pack/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/utf8.h"
#include "policy/contract/points.h"
#include "policy/pack/pack_json.h"

#define MAX_DEPTH 16

struct pack *pack_new(void)
{
	return xcalloc(1, sizeof(struct pack));
}

void pack_free(struct pack *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		free(p->files[i].path);
		free(p->files[i].data);
	}
	free(p->files);
	free(p->dir);
	cJSON_Delete(p->meta);
	free(p);
}

/* Relative, nothing hidden in it, and what a terminal shows is what it is. */
static const char *bad_name(const char *path)
{
	size_t n = strlen(path);
	if (n == 0 || n > PACK_MAX_PATH)
		return "its name is longer than 200 bytes";
	if (!utf8_valid(path, n))
		return "its name is not UTF-8";
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
			return "its name has a control character or a backslash";
	for (const char *part = path;; part++) {
		size_t len = strcspn(part, "/");
		if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.') ||
		    (len == 4 && strncasecmp(part, ".git", 4) == 0))
			return "no pack may have a file of this name";
		part += len;
		if (!*part)
			return NULL;
	}
}

int pack_admit(const struct pack *p, const char *path, size_t len, struct perry_err **err)
{
	const char *why = bad_name(path);
	if (why) {
		cleanup_buf struct buf clean = { 0 };
		utf8_scrub(&clean, path, strlen(path));
		return perry_fail(err, PERRY_EINPUT, "%s: %s", buf_str(&clean), why);
	}
	if (p->n >= PACK_MAX_FILES)
		return perry_fail(err, PERRY_ETOOLARGE, "%s: a file too many: " PACK_LIMITS, path);
	if (len > PACK_MAX_FILE)
		return perry_fail(err, PERRY_ETOOLARGE, "%s: has %zu KiB: " PACK_LIMITS, path, len >> 10);
	if (p->total + len > PACK_MAX_TOTAL)
		return perry_fail(err, PERRY_ETOOLARGE, "%s: too much with it: " PACK_LIMITS, path);
	return 0;
}

static void add(struct pack *p, const char *path, bool exec, char *take_data, size_t len)
{
	struct pack_file f = { .path = xstrdup(path), .exec = exec, .data = take_data, .len = len };
	sha256_hex(take_data, len, f.hash);
	p->files = xrealloc(p->files, (p->n + 1) * sizeof *p->files);
	p->files[p->n++] = f;
	p->total += len;
}

int pack_add(struct pack *p, const char *path, bool exec, const void *data, size_t len, struct perry_err **err)
{
	if (pack_admit(p, path, len, err) < 0)
		return -1;
	char *copy = xmalloc(len + 1);
	if (len)
		memcpy(copy, data, len);
	copy[len] = 0;
	add(p, path, exec, copy, len);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct pack_file *)a)->path, ((const struct pack_file *)b)->path);
}

static int by_folded_path(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

/* "Lib/x" and "lib/y" would be one folder where case does not count, so each prefix takes part. */
static int case_collision(const struct pack *p, struct perry_err **err)
{
	char **names = NULL;
	size_t n = 0;
	int r = 0;
	for (size_t i = 0; i < p->n; i++) {
		const char *path = p->files[i].path;
		for (size_t len = strcspn(path, "/");; len += 1 + strcspn(path + len + 1, "/")) {
			names = xrealloc(names, (n + 1) * sizeof *names);
			names[n++] = xstrndup(path, len);
			if (!path[len])
				break;
		}
	}
	if (n)
		qsort(names, n, sizeof *names, by_folded_path);
	for (size_t i = 1; i < n && r == 0; i++)
		if (strcasecmp(names[i - 1], names[i]) == 0 && strcmp(names[i - 1], names[i]) != 0)
			r = perry_fail(err, PERRY_EINPUT, "%s and %s differ only in case", names[i - 1], names[i]);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return r;
}

/* One line a file: mode, hash, length, name. Names have no line breaks, so no two packs give the same text. */
static void hash_all(struct pack *p)
{
	struct sha256 s;
	unsigned char out[32];
	static const char head[] = "perry-pack 1\n";
	sha256_init(&s);
	sha256_add(&s, head, sizeof head - 1);
	for (size_t i = 0; i < p->n; i++) {
		const struct pack_file *f = &p->files[i];
		cleanup_free char *line =
			xasprintf("%s %s %zu %s\n", f->exec ? "755" : "644", f->hash, f->len, f->path);
		sha256_add(&s, line, strlen(line));
	}
	sha256_end(&s, out);
	strcpy(p->hash, "sha256:");
	hex_encode(p->hash + 7, out, sizeof out);
}

const struct pack_file *pack_find(const struct pack *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->files[i].path, path) == 0)
			return &p->files[i];
	return NULL;
}

int pack_finish(struct pack *p, const char *shown, struct perry_err **err)
{
	if (p->n)
		qsort(p->files, p->n, sizeof *p->files, by_path);
	for (size_t i = 1; i < p->n; i++)
		if (strcmp(p->files[i - 1].path, p->files[i].path) == 0)
			return perry_fail(err, PERRY_EINPUT, "%s: %s is in it twice", shown, p->files[i].path);
	if (case_collision(p, err) < 0)
		return perry_wrap(err, "%s", shown);
	hash_all(p);
	const struct pack_file *f = pack_find(p, "pack.json");
	if (!f)
		return perry_fail(err, PERRY_EINPUT, "%s: no pack: there is no pack.json in it", shown);
	cleanup_free char *name = path_join(shown, "pack.json");
	if (pack_parse(f->data, f->len, name, &p->meta, err) < 0)
		return -1;
	p->name = json_str(p->meta, "name");
	return 0;
}

/* -- folders -- */

struct reading {
	struct pack *pack;
	uid_t owner;
	const char *shown; /* the top folder */
};

static int judge(const struct reading *r, const struct stat *st, const char *path, struct perry_err **err)
{
	const char *slash = *path ? "/" : "";
	if (r->owner == (uid_t)-1)
		return 0;
	if (st->st_uid != r->owner && st->st_uid != 0)
		return perry_fail(err, PERRY_EPOLICY, "%s%s%s: belongs to uid %u, not to uid %u or root", r->shown,
				  slash, path, (unsigned)st->st_uid, (unsigned)r->owner);
	if (st->st_mode & 022)
		return perry_fail(err, PERRY_EPOLICY, "%s%s%s: others may write to it (mode %04o; chmod go-w)",
				  r->shown, slash, path, (unsigned)(st->st_mode & 07777));
	return 0;
}

static int read_one(struct reading *r, int fd, const struct stat *st, const char *path, struct perry_err **err)
{
	if (pack_admit(r->pack, path, (size_t)st->st_size, err) < 0)
		return perry_wrap(err, "%s", r->shown);
	/* One byte more than it has now: a file that grows while it is read is seen. */
	size_t want = (size_t)st->st_size + 1, len = 0;
	cleanup_free char *data = xmalloc(want + 1);
	while (len < want) {
		ssize_t n = read(fd, data + len, want - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return perry_fail_errno(err, errno, "%s/%s", r->shown, path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len != (size_t)st->st_size)
		return perry_fail(err, PERRY_ECONFLICT, "%s/%s: changes while it is read", r->shown, path);
	data[len] = 0;
	add(r->pack, path, st->st_mode & 0100, take_ptr(data), len);
	return 0;
}

/* Takes fd. */
static int read_folder(struct reading *r, int fd, const char *prefix, int depth, struct perry_err **err);

static int read_entry(struct reading *r, int dir, const char *name, const char *path, int depth, struct perry_err **err)
{
	struct stat st;
	/* Step by step and without following: what is judged is what is read. */
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0 && errno == ELOOP)
		return perry_fail(err, PERRY_EPOLICY, "%s/%s: a link; a pack may not have any", r->shown, path);
	if (fd < 0 && (errno == ENXIO || errno == EOPNOTSUPP)) /* a socket, a device without a driver */
		return perry_fail(err, PERRY_EPOLICY, "%s/%s: not a regular file", r->shown, path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return perry_fail_errno(err, errno, "%s/%s", r->shown, path);
	if (judge(r, &st, path, err) < 0)
		return -1;
	if (S_ISDIR(st.st_mode) && depth >= MAX_DEPTH)
		return perry_fail(err, PERRY_ETOOLARGE, "%s/%s: more than %d folders deep", r->shown, path, MAX_DEPTH);
	if (S_ISDIR(st.st_mode)) {
		int sub = fd;
		fd = -1;
		return read_folder(r, sub, path, depth + 1, err);
	}
	if (!S_ISREG(st.st_mode))
		return perry_fail(err, PERRY_EPOLICY, "%s/%s: not a regular file", r->shown, path);
	return read_one(r, fd, &st, path, err);
}

static int read_folder(struct reading *r, int fd, const char *prefix, int depth, struct perry_err **err)
{
	DIR *d = fdopendir(fd);
	int rc = 0;
	if (!d) {
		close(fd);
		return perry_fail_errno(err, errno, "%s/%s", r->shown, prefix);
	}
	for (struct dirent *e; rc == 0 && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, ".git") == 0)
			continue;
		cleanup_free char *path = *prefix ? path_join(prefix, e->d_name) : xstrdup(e->d_name);
		rc = read_entry(r, dirfd(d), e->d_name, path, depth, err);
	}
	closedir(d);
	return rc;
}

int pack_read(const char *dir, uid_t owner, struct pack **out, struct perry_err **err)
{
	cleanup_free char *shown = path_shown(dir);
	cleanup_pack struct pack *p = pack_new();
	struct reading r = { p, owner, shown };
	p->dir = xstrdup(dir);
	struct stat st;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (owner == (uid_t)-1 ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return perry_fail_errno(err, errno, "%s", shown);
	if (fstat(fd, &st) < 0 || judge(&r, &st, "", err) < 0) {
		close(fd);
		return -1;
	}
	if (read_folder(&r, fd, "", 0, err) < 0 || pack_finish(p, shown, err) < 0)
		return -1;
	*out = take_ptr(p);
	return 0;
}

/* -- comparing -- */

static int write_one(const char *path, const struct pack_file *f)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 || fd_write_all(fd, f->data, f->len) < 0 || fchmod(fd, f->exec ? 0700 : 0600) < 0 ? -1 : 0;
}

int pack_write(const struct pack *p, const char *dir, struct perry_err **err)
{
	for (size_t i = 0; i < p->n; i++) {
		cleanup_free char *path = path_join(dir, p->files[i].path), *folder = xstrdup(path);
		*strrchr(folder, '/') = 0;
		if (dir_make(folder, 0700, err) < 0)
			return -1;
		if (write_one(path, &p->files[i]) < 0)
			return perry_fail_errno(err, errno, "%s", path);
	}
	return 0;
}

cJSON *pack_manifest(const struct pack *p)
{
	cJSON *out = cJSON_CreateObject();
	for (size_t i = 0; i < p->n; i++) {
		cleanup_free char *text = xasprintf("%s %s", p->files[i].exec ? "755" : "644", p->files[i].hash);
		cJSON_AddItemToObject(out, p->files[i].path, cJSON_CreateString(text));
	}
	return out;
}

const char *pack_differs(const struct pack *p, const cJSON *manifest, const char **what)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pack_file *f = &p->files[i];
		const cJSON *line = cJSON_GetObjectItemCaseSensitive(manifest, f->path);
		const char *text = cJSON_IsString(line) ? line->valuestring : "";
		*what = !line                                                  ? "was added"
			: strlen(text) != 68 || strcmp(text + 4, f->hash) != 0 ? "was changed"
			: strncmp(text, f->exec ? "755" : "644", 3) != 0       ? "has another mode"
									       : NULL;
		if (*what)
			return f->path;
	}
	*what = "is gone";
	for (const cJSON *line = manifest ? manifest->child : NULL; line; line = line->next)
		if (!pack_find(p, line->string))
			return line->string;
	return NULL;
}

cJSON *pack_hooks(const struct pack *p)
{
	cJSON *out = cJSON_CreateArray();
	for (size_t i = 0; i < p->n; i++) {
		const char *path = p->files[i].path, *rest = path + 6;
		if (!str_starts(path, "hooks/") || !str_ends(path, ".lua") || str_ends(path, "_test.lua"))
			continue;
		cleanup_free char *stem = xstrndup(rest, strcspn(rest, "/."));
		const struct point *point = point_find(stem);
		if (!point)
			continue;
		cJSON *row = cJSON_CreateObject();
		json_set_str(row, "point", point->name);
		json_set_str(row, "kind", point_kind_name(point->kind));
		json_set_str(row, "file", path);
		json_set_str(row, "summary", point->summary);
		json_push(out, row);
	}
	return out;
}

/* -- on the way -- */

cJSON *pack_to_json(const struct pack *p)
{
	cJSON *out = cJSON_CreateArray();
	for (size_t i = 0; i < p->n; i++) {
		const struct pack_file *f = &p->files[i];
		cJSON *row = cJSON_CreateObject();
		struct buf data = { 0 };
		base64_encode(&data, f->data, f->len);
		json_set_str(row, "path", f->path);
		if (f->exec)
			json_set_bool(row, "exec", true);
		json_set_str(row, "data", buf_str(&data));
		buf_free(&data);
		json_push(out, row);
	}
	return out;
}

int pack_from_json(const cJSON *files, struct pack **out, struct perry_err **err)
{
	cleanup_pack struct pack *p = pack_new();
	const cJSON *row;
	cJSON_ArrayForEach(row, files) {
		const char *path = json_str_or(row, "path", ""), *data = json_str_or(row, "data", "");
		cleanup_buf struct buf bytes = { 0 };
		if (base64_decode(&bytes, data, strlen(data)) < 0)
			return perry_fail(err, PERRY_EINPUT, "%s: not base64", path);
		if (pack_add(p, path, json_bool_or(row, "exec", false), bytes.data, bytes.len, err) < 0)
			return -1;
	}
	if (pack_finish(p, "upload", err) < 0)
		return -1;
	*out = take_ptr(p);
	return 0;
}
