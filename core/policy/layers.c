#include "policy/layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/utf8.h"
#include "policy/pack/pack.h"

/* Who could have written it decides whether it is run. */
static int judge(const struct policy_layer *layer, const struct stat *st, const char *shown, struct perry_err **err)
{
	if (st->st_uid != layer->owner && st->st_uid != 0)
		return perry_fail(err, PERRY_EPOLICY, "%s: belongs to uid %u, not to uid %u or root; it is not used",
				  shown, (unsigned)st->st_uid, (unsigned)layer->owner);
	if (st->st_mode & 022)
		return perry_fail(err, PERRY_EPOLICY,
				  "%s: others may write to it (mode %04o); it is not used (chmod go-w)", shown,
				  (unsigned)(st->st_mode & 07777));
	return 0;
}

static int read_open(int fd, const char *shown, size_t max, char **text, size_t *len, struct perry_err **err)
{
	struct buf b = { 0 };
	for (;;) {
		char *at = buf_reserve(&b, 8192);
		ssize_t n = read(fd, at, 8192);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || b.len + (size_t)n > max) {
			if (n == 0)
				break;
			int e = errno;
			buf_free(&b);
			return n < 0 ? perry_fail_errno(err, e, "%s", shown)
				     : perry_fail(err, PERRY_EPOLICY, "%s: more than %zu KiB; it is not used", shown,
						  max >> 10);
		}
		b.len += (size_t)n;
		b.data[b.len] = 0;
	}
	*len = b.len;
	*text = buf_take(&b);
	return 0;
}

static int check_text(const char *shown, const char *text, size_t len, struct perry_err **err)
{
	const char *why = NULL;
	if (len && text[0] == '\033')
		why = "compiled Lua (bytecode); hooks are text";
	else if (memchr(text, 0, len))
		why = "has NUL bytes; hooks are text";
	else if (!utf8_valid(text, len))
		why = "is not UTF-8";
	int api;
	bool stated;
	const char *header = NULL;
	if (!why && hook_header(text, len, &api, &stated, &header) < 0)
		return perry_fail(err, PERRY_EPOLICY, "%s:1: %s", shown, header);
	return why ? perry_fail(err, PERRY_EPOLICY, "%s: %s", shown, why) : 0;
}

static int read_file(const struct policy_layer *layer, const char *path, const char *shown, char **text, size_t *len,
		     struct perry_err **err)
{
	struct stat st;
	cleanup_fd int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (layer->follow_links ? 0 : O_NOFOLLOW));
	if (fd < 0 && errno == ELOOP)
		return perry_fail(err, PERRY_EPOLICY, "%s: a link; the layer '%s' may not have any", shown,
				  layer->name);
	if (fd < 0 || fstat(fd, &st) < 0) {
		perry_fail_errno(err, errno, "%s", shown);
		if (err && *err)
			(*err)->code = PERRY_EPOLICY;
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		return perry_fail(err, PERRY_EPOLICY, "%s: not a regular file", shown);
	if (judge(layer, &st, shown, err) < 0 || read_open(fd, shown, LAYER_MAX_FILE, text, len, err) < 0)
		return -1;
	return check_text(shown, *text, *len, err);
}

static void add_file(struct layer_files *out, const struct policy_layer *layer, const char *dir, const char *name,
		     const struct point *point)
{
	bool off = str_ends(name, ".lua.off");
	struct layer_file f = { .path = path_join(dir, name), .off = off };
	f.stem = xstrndup(name, strlen(name) - (off ? 8 : 4));
	f.shown = path_shown(f.path);
	f.point = point ? point : point_find(f.stem);
	if (!off && f.point && read_file(layer, f.path, f.shown, &f.text, &f.len, &f.error) == 0)
		sha256_hex(f.text, f.len, f.hash);
	out->files = xrealloc(out->files, (out->n + 1) * sizeof *out->files);
	out->files[out->n++] = f;
}

/* Gives the open folder, judged; NULL with *err set, or NULL alone when it is absent. */
static DIR *open_folder(const struct policy_layer *layer, const char *dir, struct perry_err **err)
{
	struct stat st;
	cleanup_free char *shown = path_shown(dir);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (layer->follow_links ? 0 : O_NOFOLLOW));
	if (fd < 0) {
		if (errno == ENOTDIR || errno == ELOOP)
			perry_fail(err, PERRY_EPOLICY, "%s: not a folder%s", shown,
				   layer->follow_links ? "" : " (or a link to one)");
		else if (errno != ENOENT)
			perry_fail_errno(err, errno, "%s", shown);
		return NULL;
	}
	if (fstat(fd, &st) < 0 || judge(layer, &st, shown, err) < 0) {
		close(fd);
		return NULL;
	}
	DIR *d = fdopendir(fd);
	if (!d)
		close(fd);
	return d;
}

static void scan(const struct policy_layer *layer, const char *dir, const struct point *point, struct layer_files *out,
		 struct perry_err **err)
{
	DIR *d = open_folder(layer, dir, err);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.' || str_ends(e->d_name, "_test.lua"))
			continue;
		if (str_ends(e->d_name, ".lua") || str_ends(e->d_name, ".lua.off")) {
			add_file(out, layer, dir, e->d_name, point);
			continue;
		}
		/* on_deleted/10-chat.lua: several actions of one point */
		const struct point *below = point ? NULL : point_find(e->d_name);
		if (below && below->kind == POINT_ACTION) {
			cleanup_free char *sub = path_join(dir, e->d_name);
			scan(layer, sub, below, out, err);
		}
	}
	closedir(d);
}

/* hooks/NAME.lua and hooks/on_NAME/ANY.lua of a pack, whose files are in memory. */
static void scan_pack(const struct policy_layer *layer, struct layer_files *out)
{
	for (size_t i = 0; i < layer->pack->n; i++) {
		const struct pack_file *pf = &layer->pack->files[i];
		const char *name = str_starts(pf->path, "hooks/") ? pf->path + 6 : "", *slash = strchr(name, '/');
		cleanup_free char *folder = slash ? xstrndup(name, (size_t)(slash - name)) : NULL;
		const struct point *point = folder ? point_find(folder) : NULL;
		const char *leaf = slash ? slash + 1 : name;
		bool off = str_ends(leaf, ".lua.off");
		if (*leaf == '.' || strchr(leaf, '/') || (folder && (!point || point->kind != POINT_ACTION)) ||
		    str_ends(leaf, "_test.lua") || (!off && !str_ends(leaf, ".lua")))
			continue;
		struct layer_file f = { .path = path_join(layer->pack->dir, pf->path), .off = off };
		f.shown = path_shown(f.path);
		f.stem = xstrndup(leaf, strlen(leaf) - (off ? 8 : 4));
		f.point = point ? point : point_find(f.stem);
		if (!off && f.point && check_text(f.shown, pf->data, pf->len, &f.error) == 0) {
			f.text = xstrndup(pf->data, pf->len);
			f.len = pf->len;
			strcpy(f.hash, pf->hash);
		}
		out->files = xrealloc(out->files, (out->n + 1) * sizeof *out->files);
		out->files[out->n++] = f;
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct layer_file *)a)->path, ((const struct layer_file *)b)->path);
}

void layer_scan(const struct policy_layer *layer, struct layer_files *out)
{
	*out = (struct layer_files){ 0 };
	if (layer->pack)
		scan_pack(layer, out);
	else if (layer->dir)
		scan(layer, layer->dir, NULL, out, &out->error);
	if (out->n)
		qsort(out->files, out->n, sizeof *out->files, by_path);
}

void layer_files_free(struct layer_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->files[i].path);
		free(f->files[i].shown);
		free(f->files[i].stem);
		free(f->files[i].text);
		perry_err_free(f->files[i].error);
	}
	free(f->files);
	perry_err_free(f->error);
	*f = (struct layer_files){ 0 };
}

static void add_lib(cJSON *out, const char *name, const char *shown, const char *text)
{
	cJSON *file = cJSON_CreateObject();
	json_set_str(file, "file", shown);
	json_set_str(file, "text", text);
	cJSON_AddItemToObject(out, name, file);
}

static int lib_folder(const struct policy_layer *layer, const char *dir, const char *prefix, int depth, cJSON *out,
		      size_t *total, struct perry_err **err)
{
	struct perry_err *mine = NULL;
	DIR *d = open_folder(layer, dir, &mine);
	int r = 0;
	if (!d)
		return mine ? perry_move(err, mine) : 0;
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		cleanup_free char *path = path_join(dir, e->d_name), *shown = path_shown(path), *text = NULL;
		if (!str_ends(e->d_name, ".lua")) {
			cleanup_free char *below = xasprintf("%s%s.", prefix, e->d_name);
			if (depth < 4 && e->d_type == DT_DIR)
				r = lib_folder(layer, path, below, depth + 1, out, total, err);
			continue;
		}
		size_t len = 0;
		r = read_file(layer, path, shown, &text, &len, err);
		if (r == 0 && (*total += len) > LAYER_MAX_LIB)
			r = perry_fail(err, PERRY_EPOLICY, "%s: the lib folder holds more than 1 MiB", shown);
		if (r < 0)
			break;
		cleanup_free char *name = xasprintf("%s%.*s", prefix, (int)strlen(e->d_name) - 4, e->d_name);
		add_lib(out, name, shown, text);
	}
	closedir(d);
	return r;
}

/* lib/net/chat.lua of a pack is "net.chat". */
static int pack_lib(const struct pack *p, cJSON *out, struct perry_err **err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pack_file *f = &p->files[i];
		if (!str_starts(f->path, "lib/") || !str_ends(f->path, ".lua"))
			continue;
		cleanup_free char *path = path_join(p->dir, f->path), *shown = path_shown(path);
		cleanup_free char *name = xstrndup(f->path + 4, strlen(f->path) - 8);
		for (char *c = name; *c; c++)
			*c = *c == '/' ? '.' : *c;
		if (check_text(shown, f->data, f->len, err) < 0)
			return -1;
		add_lib(out, name, shown, f->data);
	}
	return 0;
}

int layer_lib(const struct policy_layer *layer, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *lib = cJSON_CreateObject();
	size_t total = 0;
	*out = NULL;
	if (layer->pack && pack_lib(layer->pack, lib, err) < 0)
		return -1;
	if (layer->lib_dir && lib_folder(layer, layer->lib_dir, "", 0, lib, &total, err) < 0)
		return -1;
	if (lib->child)
		*out = take_ptr(lib);
	return 0;
}

bool layer_muted(const struct policy_setup *setup, const char *layer, const char *point)
{
	cleanup_free char *name = xasprintf("%s/%s", layer, point);
	for (const char *const *d = setup->disabled; d && *d; d++)
		if (strcmp(*d, name) == 0)
			return true;
	return false;
}
