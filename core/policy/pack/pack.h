/* A pack: a folder with hooks/, lib/, tests/ and pack.json, that somebody else wrote. It is read whole, judged, hashed,
 * and from then on used from memory: what was verified is what runs. */
#ifndef PERRY_POLICY_PACK_H
#define PERRY_POLICY_PACK_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

/* One call of the API carries a whole pack (as base64, below its limit of 1 MiB). */
#define PACK_MAX_FILES 500
#define PACK_MAX_FILE  (256u << 10)
#define PACK_MAX_TOTAL (640u << 10)
#define PACK_MAX_PATH  200
#define PACK_LIMITS    "a pack has at most 500 files, of 256 KiB each and 640 KiB in all"

struct pack_file {
	char *path; /* "hooks/image.lua" */
	bool exec;
	char *data; /* NUL after len */
	size_t len;
	char hash[65];
};
struct pack {
	struct pack_file *files; /* sorted by path once finished */
	size_t n, total;
	char *dir;     /* where it was read, or NULL */
	char hash[80]; /* "sha256:..." over names, modes and bytes of all files */
	cJSON *meta;   /* pack.json, checked */
	const char *name;
};

struct pack *pack_new(void);
void pack_free(struct pack *p);
static inline void cleanup_pack_fn(struct pack **p)
{
	pack_free(*p);
}
#define cleanup_pack __attribute__((cleanup(cleanup_pack_fn)))

/* Would a file of this name and size be one too many, too large, or have a name that no pack may have? For a look at
 * a listing before anything is read. */
int pack_admit(const struct pack *p, const char *path, size_t len, struct perry_err **err);
/* Copies one file in, after pack_admit. */
int pack_add(struct pack *p, const char *path, bool exec, const void *data, size_t len, struct perry_err **err);
/* Sorts, refuses names that differ only in case, hashes, checks pack.json. shown: the folder or address, for
 * messages. */
int pack_finish(struct pack *p, const char *shown, struct perry_err **err);

/* All files of a folder but .git, finished. owner (uid_t)-1: whoever; else every file and folder must be this user's or
 * root's, and nobody else may write to it. Links and what is no file are refused by name. */
int pack_read(const char *dir, uid_t owner, struct pack **out, struct perry_err **err);
/* Writes its files below dir, which has none of them yet: 0600, 0700 what may be run. */
int pack_write(const struct pack *p, const char *dir, struct perry_err **err);
const struct pack_file *pack_find(const struct pack *p, const char *path);
/* {"hooks/image.lua": "644 <sha256>"} */
cJSON *pack_manifest(const struct pack *p);
/* NULL when p is what the manifest says, else the path of the first file that is not, with *what ("was changed", "is
 * gone", "was added", "has another mode"). */
const char *pack_differs(const struct pack *p, const cJSON *manifest, const char **what);

/* The hooks in it: [{"point", "kind", "file"}]; files of no point are left out. Caller frees. */
cJSON *pack_hooks(const struct pack *p);
/* A pack as it travels: [{"path", "exec", "data": base64}]. */
cJSON *pack_to_json(const struct pack *p);
int pack_from_json(const cJSON *files, struct pack **out, struct perry_err **err);

#endif
