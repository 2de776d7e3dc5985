#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/commands.h"
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

/* Is it a folder in the workspace? Asked through exec, in one call. */
static int is_folder(const struct client *c, const char *ws, const char *path, bool *folder, struct perry_err **err)
{
	cleanup_json cJSON *out = NULL;
	cJSON *in = cJSON_CreateObject();
	cJSON *command = cJSON_CreateArray();
	json_push_str(command, "test");
	json_push_str(command, "-d");
	json_push_str(command, path);
	json_set_str(in, "name", ws);
	json_set(in, "command", command);
	if (client_rpc(c, "workspaces/exec", in, &out, err) < 0)
		return -1;
	*folder = json_int_or(out, "exitCode", 1) == 0;
	return 0;
}

static int copy_in(const struct client *c, const char *src, const char *ws, const char *dst, struct perry_err **err)
{
	cleanup_free char *path = inside(dst);
	cleanup_free char *dir = NULL;
	cleanup_free char *top = NULL;
	bool folder = false;
	int code = 0;
	struct packer *p = NULL;
	if (is_folder(c, ws, path, &folder, err) < 0)
		return -1;
	dir = folder ? xstrdup(path) : folder_of(path);
	top = folder ? last_name(src) : last_name(path);
	if (strcmp(top, ".") == 0 || strcmp(top, "..") == 0 || strcmp(top, "/") == 0) {
		cleanup_free char *real = realpath(src, NULL);
		free(top);
		top = last_name(real ? real : src);
	}
	if (packer_new(&p, src, top, err) < 0)
		return -1;
	cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", "copy_in");
	json_set_str(o, "name", ws);
	json_set_str(o, "path", dir);
	struct stream_ends ends = { .in_fd = -1, .fill = packer_fill, .output = stream_to_stdio, .ctx = p };
	int rc = stream_run(c, o, &ends, &code, err);
	if (packer_error(p))
		rc = perry_move(err, perry_err_copy(packer_error(p)));
	packer_free(p);
	return rc;
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
	struct stat st;
	int code = 0;
	cleanup_free char *path = inside(src);
	bool folder = stat(dst, &st) == 0 && S_ISDIR(st.st_mode);
	cleanup_free char *dir = folder ? xstrdup(dst) : folder_of(dst);
	cleanup_free char *as = last_name(folder ? path : dst);
	/* Of "folder/." the contents are meant. */
	bool contents = folder && (strcmp(as, ".") == 0 || strcmp(as, "..") == 0 || strcmp(as, "/") == 0);
	struct out_state s = { unpacker_new(dir, contents ? NULL : as), NULL };
	cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", "copy_out");
	json_set_str(o, "name", ws);
	json_set_str(o, "path", path);
	struct stream_ends ends = { .in_fd = -1, .output = take_bytes, .ctx = &s };
	int rc = stream_run(c, o, &ends, &code, err);
	if (s.err)
		rc = perry_move(err, s.err);
	if (rc == 0)
		rc = unpacker_end(s.u, err);
	if (rc == 0 && unpacker_link(s.u))
		rc = perry_fail(err, PERRY_EINPUT, "%s is a link: copy what it leads to", path);
	if (rc == 0 && unpacker_left_out(s.u))
		rc = 1;
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
	if (client_open(&c, err) < 0)
		return -1;
	return from ? copy_out(c, from, src, dst, err) : copy_in(c, src, to, dst, err);
}
