/* cp: between this machine and a workspace, as cp -r does it. */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/stream.h"
#include "cli/tar_read.h"
#include "cli/tar_write.h"

/* "web:path" -> workspace and path; a plain path (or ./a:b, /a:b) gives NULL. */
static char *workspace_of(const char *arg, const char **path)
{
	const char *colon = strchr(arg, ':'), *slash = strchr(arg, '/');
	*path = arg;
	if (!colon || (slash && slash < colon) || colon == arg)
		return NULL;
	*path = colon + 1;
	return xstrndup(arg, (size_t)(colon - arg));
}

/* A path in the workspace: relative ones and ~ start at its home. */
static char *inside(const char *path)
{
	if (*path == '/')
		return xstrdup(path);
	if (str_starts(path, "~/"))
		path += 2;
	else if (strcmp(path, "~") == 0)
		path = "";
	return *path ? xasprintf("/home/workspace/%s", path) : xstrdup("/home/workspace");
}

static char *last_name(const char *path)
{
	cleanup_free char *copy = xstrdup(path);
	return xstrdup(basename(copy));
}

static char *folder_of(const char *path)
{
	cleanup_free char *copy = xstrdup(path);
	return xstrdup(dirname(copy));
}

/* What is at a path: on this machine, or in the workspace, where the agent looks. */
struct place {
	enum { NOTHING, A_FILE, A_FOLDER, ANOTHER } kind;
	char *path; /* without a link at its end */
	bool link;  /* there was one */
};

static void place_free(struct place *p)
{
	free(p->path);
}
#define cleanup_place __attribute__((cleanup(place_free)))

static int collect(void *ctx, int fd, const char *bytes, size_t n)
{
	buf_add(ctx, bytes, n);
	return ((struct buf *)ctx)->len > 65536;
}

static cJSON *open_of(const char *kind, const char *ws, const char *path)
{
	cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", kind);
	json_set_str(o, "name", ws);
	json_set_str(o, "path", path);
	return o;
}

static int look_inside(const struct client *c, const char *ws, const char *path, struct place *out,
		       struct perry_err **err)
{
	cleanup_buf struct buf text = { 0 };
	int code = 0;
	struct stream_ends ends = { .in_fd = -1, .output = collect, .ctx = &text };
	if (stream_run(c, open_of("look", ws, path), &ends, &code, err) < 0)
		return -1;
	cleanup_json cJSON *j = json_parse(buf_str(&text), text.len, "the agent's answer", err);
	if (!j)
		return -1;
	const char *type = json_str_or(j, "type", "");
	out->kind = str_eq(type, "folder") ? A_FOLDER
		    : str_eq(type, "file") ? A_FILE
		    : str_eq(type, "none") ? NOTHING
					   : ANOTHER;
	out->path = xstrdup(json_str_or(j, "path", path));
	out->link = json_bool_or(j, "link", false);
	return 0;
}

static void look_here(const char *path, struct place *out)
{
	struct stat st;
	bool there = stat(path, &st) == 0;
	out->kind = !there ? NOTHING : S_ISDIR(st.st_mode) ? A_FOLDER : S_ISREG(st.st_mode) ? A_FILE : ANOTHER;
	out->link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
	out->path = out->link ? realpath(path, NULL) : NULL;
	if (!out->path)
		out->path = xstrdup(path);
}

/* The path without the slashes at its end; *slash: there were some (or "/."), so that it must be a folder. */
static char *trimmed(const char *path, bool *slash)
{
	size_t n = strlen(path);
	*slash = false;
	while (n > 1 && (path[n - 1] == '/' || (path[n - 1] == '.' && path[n - 2] == '/')))
		n--, *slash = true;
	return xstrndup(path, n);
}

/* The name that a copy gets in a folder; NULL: the contents are meant, as of "." */
static char *own_name(const char *path)
{
	size_t n = strlen(path);
	cleanup_free char *name = last_name(path);
	bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "/") == 0 ||
		    (n > 1 && strcmp(path + n - 2, "/.") == 0);
	return dots ? NULL : take_ptr(name);
}

/* As cp -r has it: into a folder that is there, else by that name. *dir and *as (NULL: the contents, into dir) are the
 * caller's. what and src are of the source, dst as it was given. */
static int choose(const char *src, bool src_folder, const char *dst, const struct place *at, bool slash, char **dir,
		  char **as, struct perry_err **err)
{
	if (at->kind == A_FOLDER) {
		*dir = xstrdup(at->path);
		*as = own_name(src);
		return 0;
	}
	if (at->kind == NOTHING && at->link)
		return perry_fail(err, PERRY_ENOTFOUND, "%s is a link that leads nowhere", dst);
	if (at->kind == NOTHING && slash && !src_folder)
		return perry_fail(err, PERRY_ENOTFOUND, "%s: no such folder", dst);
	if (at->kind != NOTHING && (slash || src_folder))
		return perry_fail(err, PERRY_ECONFLICT, "%s is no folder", dst);
	if (at->kind == ANOTHER)
		return perry_fail(err, PERRY_ECONFLICT, "%s is no file and no folder", dst);
	*dir = folder_of(at->path);
	*as = last_name(at->path);
	return 0;
}

/* An agent has nothing to say but the end. */
static int no_output(void *ctx, int fd, const char *bytes, size_t n)
{
	return 0;
}

static int copy_in(const struct client *c, const char *src, const char *ws, const char *dst, struct perry_err **err)
{
	struct stat st;
	struct packer *p = NULL;
	struct place at = { 0 };
	bool slash;
	int code = 0;
	cleanup_free char *whole = inside(dst);
	cleanup_free char *path = trimmed(whole, &slash);
	cleanup_free char *dir = NULL, *as = NULL;
	if (lstat(src, &st) < 0)
		return perry_fail_errno(err, errno, "%s", src);
	if (look_inside(c, ws, path, &at, err) < 0)
		return -1;
	if (S_ISLNK(st.st_mode) && at.link && (at.kind == A_FILE || at.kind == NOTHING)) {
		place_free(&at); /* a link takes a link's place */
		at = (struct place){ .path = xstrdup(path) };
	}
	int rc = choose(src, S_ISDIR(st.st_mode), dst, &at, slash, &dir, &as, err);
	place_free(&at);
	if (rc < 0 || packer_new(&p, src, as ? as : ".", err) < 0)
		return -1;
	struct stream_ends ends = { .in_fd = -1, .fill = packer_fill, .output = no_output, .ctx = p };
	rc = stream_run(c, open_of("copy_in", ws, dir), &ends, &code, err);
	if (packer_error(p))
		rc = perry_move(err, perry_err_copy(packer_error(p)));
	if (rc == 0)
		rc = code ? code : packer_left_out(p) > 0;
	packer_free(p);
	return rc;
}

/* A tar that is here already: unpacked in a folder that is there, as docker cp does it. */
static int copy_tar_in(const struct client *c, const char *ws, const char *dst, struct perry_err **err)
{
	cleanup_place struct place at = { 0 };
	int code = 0;
	cleanup_free char *path = inside(dst);
	if (in_is_tty())
		return perry_fail(
			err, PERRY_EUSAGE,
			"cp: standard input is a terminal, and no tar\n  usage: tar c FILES | perry cp - %s:%s", ws,
			dst);
	if (look_inside(c, ws, path, &at, err) < 0)
		return -1;
	if (at.kind != A_FOLDER)
		return perry_fail(err, at.kind == NOTHING ? PERRY_ENOTFOUND : PERRY_ECONFLICT, "%s:%s: no such folder",
				  ws, dst);
	bool any = false; /* an empty archive has bytes, too: who was to write it has failed */
	struct stream_ends ends = { .in_fd = STDIN_FILENO, .output = no_output, .got_input = &any };
	int rc = stream_run(c, open_of("copy_in", ws, at.path), &ends, &code, err);
	if (rc == 0 && code == 0 && !any)
		return perry_fail(err, PERRY_EINPUT, "cp: standard input was empty, and no tar");
	return rc < 0 ? -1 : code;
}

/* The archive as it comes: what is in it is for whoever unpacks it. */
static int copy_tar_out(const struct client *c, const char *ws, const char *src, struct perry_err **err)
{
	cleanup_place struct place from = { 0 };
	int code = 0;
	cleanup_free char *path = inside(src);
	if (out_is_tty())
		return perry_fail(err, PERRY_EUSAGE,
				  "cp: a tar is nothing for a terminal\n  usage: perry cp %s:%s - | tar t", ws, src);
	if (look_inside(c, ws, path, &from, err) < 0)
		return -1;
	if (from.kind == NOTHING)
		return perry_fail(err, PERRY_ENOTFOUND, "%s:%s: no such file or folder", ws, src);
	struct stream_ends ends = { .in_fd = -1, .out_fd = STDOUT_FILENO, .output = no_output };
	return stream_run(c, open_of("copy_out", ws, from.path), &ends, &code, err) < 0 ? -1 : code;
}

struct out_state {
	struct unpacker *u;
	struct perry_err *err;
};

static int take_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	struct out_state *s = ctx;
	return fd == 1 ? unpacker_feed(s->u, bytes, n, &s->err) : 0;
}

static int copy_out(const struct client *c, const char *ws, const char *src, const char *dst, struct perry_err **err)
{
	cleanup_place struct place from = { 0 }, to = { 0 };
	bool src_slash, slash;
	int code = 0;
	cleanup_free char *whole = inside(src);
	cleanup_free char *path = trimmed(whole, &src_slash), *target = trimmed(dst, &slash);
	cleanup_free char *dir = NULL, *as = NULL;
	/* A link is followed: one of the workspace's would lead to another file here. */
	if (look_inside(c, ws, path, &from, err) < 0)
		return -1;
	if (from.kind == NOTHING)
		return perry_fail(err, PERRY_ENOTFOUND, "%s:%s: no such file or folder", ws, src);
	if (from.kind != A_FOLDER && (src_slash || from.kind != A_FILE))
		return perry_fail(err, PERRY_EINPUT, "%s:%s is no %s", ws, src,
				  src_slash ? "folder" : "file and no folder");
	look_here(target, &to);
	if (choose(whole, from.kind == A_FOLDER, dst, &to, slash, &dir, &as, err) < 0)
		return -1;
	struct out_state s = { unpacker_new(dir, as), NULL };
	struct stream_ends ends = { .in_fd = -1, .output = take_bytes, .ctx = &s };
	int rc = stream_run(c, open_of("copy_out", ws, from.path), &ends, &code, err);
	if (s.err)
		rc = perry_move(err, s.err);
	if (rc == 0)
		rc = code ? code : unpacker_end(s.u, err);
	if (rc == 0 && unpacker_link(s.u))
		rc = perry_fail(err, PERRY_EINPUT, "%s:%s has become a link", ws, src);
	if (rc == 0)
		rc = unpacker_left_out(s.u) > 0;
	unpacker_free(s.u);
	return rc;
}

int cmd_cp(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	const char *src, *dst;
	cleanup_free char *from = workspace_of(a->words[0], &src);
	cleanup_free char *to = workspace_of(a->words[1], &dst);
	if (!from == !to)
		return perry_fail(err, PERRY_EUSAGE,
				  "cp: one side must be in a workspace (NAME:path)\n  usage: perry cp SRC DST, like: "
				  "perry cp notes.txt web:notes.txt");
	if (arg_check_text("cp", from ? a->words[0] : a->words[1], err) < 0 || client_open(&c, err) < 0)
		return -1;
	if (from && strcmp(dst, "-") == 0)
		return copy_tar_out(c, from, src, err);
	if (to && strcmp(src, "-") == 0)
		return copy_tar_in(c, to, dst, err);
	return from ? copy_out(c, from, src, dst, err) : copy_in(c, src, to, dst, err);
}
