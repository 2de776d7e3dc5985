#include "policy/pack/packs_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/str.h"
#include "config/config.h"

#define LOCK_MAX (4u << 20)

int packs_lock(const char *config_dir, int how, struct perry_err **err)
{
	cleanup_free char *dir = path_join(config_dir, "packs"), *path = path_join(dir, ".lock");
	if (how == LOCK_EX && dir_make(dir, 0700, err) < 0)
		return -1;
	cleanup_fd int fd = open(path, how == LOCK_EX ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
	if (fd < 0 && how == LOCK_SH)
		return -1;
	int r;
	do
		r = fd < 0 ? -1 : flock(fd, how);
	while (r < 0 && fd >= 0 && errno == EINTR);
	if (r < 0)
		return perry_fail_errno(err, errno, "%s", path);
	int held = fd;
	fd = -1;
	return held;
}

cJSON *packs_source_of(const cJSON *listed, struct perry_err **err)
{
	const char *path = cJSON_IsString(listed) ? listed->valuestring : json_str(listed, "path");
	const char *url = json_str(listed, "url");
	if (!path == !url) {
		perry_fail(err, PERRY_EPOLICY,
			   "config.json: hookPacks: each entry is a folder or {\"url\": ..., \"ref\": ...}");
		return NULL;
	}
	cJSON *out = cJSON_CreateObject();
	if (url) {
		json_set_str(out, "url", url);
		json_set_str(out, "ref", json_str(listed, "ref"));
		return out;
	}
	cleanup_free char *full = path_expand_home(path);
	for (size_t n = strlen(full); n > 1 && full[n - 1] == '/'; n--)
		full[n - 1] = 0;
	json_set_str(out, "path", full);
	return out;
}

bool packs_same_source(const cJSON *a, const cJSON *b)
{
	return str_eq(json_str(a, "url"), json_str(b, "url")) && str_eq(json_str(a, "path"), json_str(b, "path"));
}

/* -- reading -- */

static char *folder_of(const char *config_dir, const char *name, const char *hash)
{
	cleanup_free char *packs = path_join(config_dir, "packs"),
			  *leaf = xasprintf("%s-%.16s", name, str_starts(hash, "sha256:") ? hash + 7 : hash);
	return path_join(packs, leaf);
}

/* Who could have written hooks.lock could have approved anything. */
static int judge_lock(const char *path, struct perry_err **err)
{
	struct stat st;
	cleanup_free char *shown = path_shown(path);
	if (lstat(path, &st) < 0)
		return perry_fail_errno(err, errno, "%s", shown);
	if (!S_ISREG(st.st_mode))
		return perry_fail(err, PERRY_EPOLICY, "%s: not a regular file", shown);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return perry_fail(err, PERRY_EPOLICY, "%s: belongs to uid %u", shown, (unsigned)st.st_uid);
	if (st.st_mode & 022)
		return perry_fail(err, PERRY_EPOLICY, "%s: others may write to it (mode %04o; chmod go-w)", shown,
				  (unsigned)(st.st_mode & 07777));
	return 0;
}

static bool entry_is_whole(const cJSON *e)
{
	const char *name = json_str_or(e, "name", ""), *hash = json_str_or(e, "hash", "");
	return *name && !strchr(name, '/') && name[0] != '.' && strlen(hash) == 71 && str_starts(hash, "sha256:") &&
	       strspn(hash + 7, "0123456789abcdef") == 64 && !json_str(e, "url") != !json_str(e, "path") &&
	       cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(e, "files"));
}

int packs_approved(const char *config_dir, cJSON **out, struct perry_err **err)
{
	cleanup_free char *path = path_join(config_dir, "hooks.lock"), *shown = path_shown(path);
	cleanup_buf struct buf text = { 0 };
	const cJSON *e;
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		*out = cJSON_CreateArray();
		return 0;
	}
	if (judge_lock(path, err) < 0 || file_read(path, LOCK_MAX, &text, err) < 0)
		return -1;
	cleanup_json cJSON *j = json_parse(buf_str(&text), text.len, shown, err);
	if (!j)
		return -1;
	cJSON *list = cJSON_GetObjectItemCaseSensitive(j, "packs");
	cJSON_ArrayForEach(e, list)
		if (!entry_is_whole(e))
			return perry_fail(err, PERRY_EPOLICY, "%s: packs: an entry is not what perry writes", shown);
	if (!cJSON_IsArray(list))
		return perry_fail(err, PERRY_EPOLICY, "%s: packs: expected a list", shown);
	*out = cJSON_DetachItemViaPointer(j, list);
	return 0;
}

const cJSON *packs_entry(const cJSON *approved, const char *name)
{
	const cJSON *e;
	cJSON_ArrayForEach(e, approved)
		if (str_eq(json_str(e, "name"), name))
			return e;
	return NULL;
}

int packs_read(const char *config_dir, const cJSON *entry, struct pack **out, struct perry_err **err)
{
	const char *name = json_str_or(entry, "name", "?"), *hash = json_str_or(entry, "hash", ""), *what = NULL;
	cleanup_free char *dir = folder_of(config_dir, name, hash), *shown = path_shown(dir);
	cleanup_pack struct pack *p = NULL;
	cleanup_err struct perry_err *why = NULL;
	if (pack_read(dir, geteuid(), &p, &why) < 0)
		return perry_fail(err, PERRY_EPOLICY,
				  "%s\n  the pack '%s' is not what was approved; have it again: "
				  "perry hooks update %s",
				  perry_msg(why), name, name);
	const char *file = pack_differs(p, cJSON_GetObjectItemCaseSensitive(entry, "files"), &what);
	if (file)
		return perry_fail(err, PERRY_EPOLICY,
				  "%s/%s: %s since the pack '%s' was approved\n  have it again: perry hooks update %s",
				  shown, file, what, name, name);
	const cJSON *needs = cJSON_GetObjectItemCaseSensitive(p->meta, "needs"),
		    *agreed = cJSON_GetObjectItemCaseSensitive(entry, "needs");
	/* The files are those that hooks.lock lists; is the list the one that was approved? */
	if (strcmp(p->hash, hash) != 0 || strcmp(p->name, name) != 0 || !needs != !agreed ||
	    (needs && !json_equal(needs, agreed)))
		return perry_fail(err, PERRY_EPOLICY,
				  "hooks.lock: the entry of the pack '%s' does not fit its files: it was changed by "
				  "hand\n  have it again: perry hooks update %s",
				  name, name);
	*out = take_ptr(p);
	return 0;
}

/* -- writing -- */

/* packs/NAME-*: folders of other contents, and what a crash left. keep NULL: all. */
static void remove_others(const char *config_dir, const char *name, const char *keep)
{
	cleanup_free char *packs = path_join(config_dir, "packs");
	size_t n = strlen(name);
	DIR *d = opendir(packs);
	for (struct dirent *e; d && (e = readdir(d));) {
		const char *rest = e->d_name + n;
		/* "team-" may begin another pack's name as well: sixteen digits of hash, then nothing or ".new" */
		if (strncmp(e->d_name, name, n) != 0 || rest[0] != '-' || strspn(rest + 1, "0123456789abcdef") != 16 ||
		    (rest[17] && rest[17] != '.'))
			continue;
		cleanup_free char *path = path_join(packs, e->d_name);
		if (!keep || strcmp(path, keep) != 0)
			dir_remove(path);
	}
	if (d)
		closedir(d);
}

/* On disk before hooks.lock names them: one sync for all. */
static int write_files(const struct pack *p, const char *dir, struct perry_err **err)
{
	if (pack_write(p, dir, err) < 0)
		return -1;
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || syncfs(fd) < 0 ? perry_fail_errno(err, errno, "%s", dir) : 0;
}

static int install(const char *config_dir, const struct pack *p, char **dir_out, struct perry_err **err)
{
	cleanup_free char *dir = folder_of(config_dir, p->name, p->hash), *fresh = xasprintf("%s.new", dir);
	dir_remove(fresh);
	if (dir_make(fresh, 0700, err) < 0 || write_files(p, fresh, err) < 0) {
		dir_remove(fresh);
		return perry_wrap(err, "pack '%s'", p->name);
	}
	dir_remove(dir); /* the same content, but damaged: else nobody would write it again */
	if (rename(fresh, dir) < 0) {
		int e = errno;
		dir_remove(fresh);
		return perry_fail_errno(err, e, "%s", dir);
	}
	*dir_out = take_ptr(dir);
	return 0;
}

static int write_lock(const char *config_dir, cJSON *take_list, struct perry_err **err)
{
	cleanup_free char *path = path_join(config_dir, "hooks.lock");
	cleanup_json cJSON *j = cJSON_CreateObject();
	json_set(j, "packs", take_list);
	cleanup_free char *text = json_pretty(j);
	return file_write_atomic(path, text, strlen(text), 0600, err);
}

static cJSON *entry_of(const struct pack *p, const cJSON *source)
{
	static const char *const from[] = { "url", "ref", "commit", "path", "host" };
	cJSON *e = cJSON_CreateObject();
	const cJSON *needs = cJSON_GetObjectItemCaseSensitive(p->meta, "needs");
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	json_set_str(e, "name", p->name);
	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		json_set_str(e, from[i], json_str(source, from[i]));
	json_set_str(e, "hash", p->hash);
	json_set_int(e, "api", json_int_or(p->meta, "api", 0));
	if (needs)
		json_set(e, "needs", cJSON_Duplicate(needs, 1));
	json_set_str(e, "approved", now);
	json_set(e, "files", pack_manifest(p));
	return e;
}

/* hookPacks: an entry of this source gets its ref, a new one goes to the end. entry NULL: source goes out. */
struct listing {
	const cJSON *source, *entry;
};

static int list_pack(cJSON *root, void *ctx, struct perry_err **err)
{
	const struct listing *l = ctx;
	const char *url = json_str(l->source, "url");
	cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "hookPacks"), *item, *next;
	if (!list)
		list = cJSON_AddArrayToObject(root, "hookPacks");
	cJSON *fresh = url ? cJSON_CreateObject() : cJSON_CreateString(json_str_or(l->source, "path", ""));
	if (url) {
		json_set_str(fresh, "url", url);
		json_set_str(fresh, "ref", json_str(l->source, "ref"));
	}
	for (item = list->child; item; item = next) {
		next = item->next;
		cleanup_json cJSON *source = packs_source_of(item, err);
		if (!source) {
			cJSON_Delete(fresh);
			return -1;
		}
		if (!packs_same_source(source, l->source))
			continue;
		if (fresh && l->entry)
			cJSON_ReplaceItemViaPointer(list, item, take_ptr(fresh));
		else
			cJSON_Delete(cJSON_DetachItemViaPointer(list, item));
	}
	if (fresh && l->entry)
		json_push(list, take_ptr(fresh));
	cJSON_Delete(fresh);
	return 0;
}

/* May p take the place of what is there under its name? */
static int check_place(const cJSON *old, const struct pack *p, const cJSON *source, const char *before,
		       struct perry_err **err)
{
	const char *from = json_str(old, "url") ? json_str(old, "url") : json_str(old, "path"),
		   *is = json_str(old, "hash");
	if (!old && before)
		return perry_fail(err, PERRY_ECONFLICT, "the pack '%s' was removed meanwhile", p->name);
	if (!old)
		return 0;
	if (!packs_same_source(old, source))
		return perry_fail(err, PERRY_ECONFLICT,
				  "there is a pack '%s' already, from %s\n  make room with: perry hooks remove %s",
				  p->name, from, p->name);
	/* Somebody else approved the same: fine. Something else: that has to be looked at first. */
	if (strcmp(is, p->hash) != 0 && !str_eq(is, before))
		return perry_fail(err, PERRY_ECONFLICT,
				  "the pack '%s' was approved meanwhile with another content (%.23s...); look again",
				  p->name, is);
	return 0;
}

/* The same repository or folder under another name: hookPacks could not tell the two apart. */
static int check_source(const cJSON *approved, const struct pack *p, const cJSON *source, struct perry_err **err)
{
	const cJSON *e;
	cJSON_ArrayForEach(e, approved)
		if (packs_same_source(e, source) && !str_eq(json_str(e, "name"), p->name))
			return perry_fail(err, PERRY_ECONFLICT,
					  "this source was the pack '%s' until now, and is '%s' in its pack.json\n  "
					  "make room with: perry hooks remove %s",
					  json_str(e, "name"), p->name, json_str(e, "name"));
	return 0;
}

int packs_approve(const char *config_dir, const struct pack *p, const cJSON *given, const char *before, cJSON **entry,
		  struct perry_err **err)
{
	cleanup_json cJSON *approved = NULL, *normal = packs_source_of(given, err), *source = NULL;
	cleanup_free char *dir = NULL;
	if (!normal)
		return -1;
	source = cJSON_Duplicate(given, 1);
	json_merge(source, normal);
	cleanup_fd int lock = packs_lock(config_dir, LOCK_EX, err);
	if (lock < 0 || packs_approved(config_dir, &approved, err) < 0)
		return -1;
	const cJSON *old = packs_entry(approved, p->name);
	if (check_source(approved, p, source, err) < 0 || check_place(old, p, source, before, err) < 0 ||
	    install(config_dir, p, &dir, err) < 0)
		return -1;
	cJSON *fresh = entry_of(p, source);
	if (old)
		cJSON_ReplaceItemViaPointer(approved, (cJSON *)(uintptr_t)old, fresh);
	else
		json_push(approved, fresh);
	if (entry)
		*entry = cJSON_Duplicate(fresh, 1);
	struct listing l = { source, fresh };
	if (write_lock(config_dir, cJSON_Duplicate(approved, 1), err) < 0 ||
	    config_edit(config_dir, list_pack, &l, err) < 0)
		return -1;
	remove_others(config_dir, p->name, dir);
	return 0;
}

int packs_remove(const char *config_dir, const char *name, struct perry_err **err)
{
	cleanup_json cJSON *approved = NULL, *gone = NULL;
	cleanup_fd int lock = packs_lock(config_dir, LOCK_EX, err);
	if (lock < 0 || packs_approved(config_dir, &approved, err) < 0)
		return -1;
	const cJSON *e = packs_entry(approved, name);
	if (!e)
		return perry_fail(err, PERRY_ENOTFOUND, "there is no pack '%s'\n  see: perry hooks list", name);
	gone = cJSON_DetachItemViaPointer(approved, (cJSON *)(uintptr_t)e);
	struct listing l = { gone, NULL };
	/* hookPacks first: one that is listed and not approved stops operations. */
	if (config_edit(config_dir, list_pack, &l, err) < 0 ||
	    write_lock(config_dir, cJSON_Duplicate(approved, 1), err) < 0)
		return -1;
	remove_others(config_dir, name, NULL);
	return 0;
}
