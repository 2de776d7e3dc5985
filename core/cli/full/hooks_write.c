#include "cli/full/hooks_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/full/hooks_try.h"
#include "cli/full/preview.h"
#include "cli/out.h"
#include "policy/contract/points.h"
#include "policy/policy.h"
#include "policy/tool/preview.h"

static const struct point *find_point(const char *name, struct perry_err **err)
{
	const struct point *p = point_find(name);
	const char *near = p ? NULL : point_nearest(name);
	if (p)
		return p;
	if (near)
		perry_fail(err, PERRY_ENOTFOUND, "there is no hook point \"%s\" (did you mean \"%s\"?)", name, near);
	else
		perry_fail(err, PERRY_ENOTFOUND, "there is no hook point \"%s\"\n  see: perry hooks list", name);
	return NULL;
}

static char *user_file(const struct point *p)
{
	cleanup_free char *dir = hooks_dir(), *name = xasprintf("%s.lua", p->name);
	return path_join(dir, name);
}

/* -- show -- */

int hooks_show(const struct args *a, struct perry_err **err)
{
	const struct point *p = find_point(a->words[0], err);
	if (!p)
		return -1;
	cleanup_free char *path = user_file(p), *args = point_arguments(p);
	cleanup_buf struct buf text = { 0 };
	const char *base = policy_builtin_source(p->name);
	fprintf(stderr, "-- %s: %s. %s: function(%s)\n", p->name, p->summary, point_kind_name(p->kind), args);
	if (!args_has(a, "built-in") && access(path, F_OK) == 0) {
		if (file_read(path, 1 << 20, &text, err) < 0)
			return -1;
		fprintf(stderr, "-- %s\n", path);
		fwrite(buf_str(&text), 1, text.len, stdout);
	} else if (base) {
		fprintf(stderr, "-- built-in\n");
		fputs(base, stdout);
	} else {
		fprintf(stderr, "-- no hook of yours, and none is built in; to write one: perry hooks new %s\n",
			p->name);
	}
	return 0;
}

/* -- new -- */

/* "ws: perry.ws, base: fun(): string": what the types say of the arguments, as lines for the editor. */
static void add_params(struct buf *out, const struct point *p)
{
	const struct embedded *types = embed_find("lua/types/perry.d.lua");
	cleanup_free char *mark = xasprintf("---@alias perry.hook.%s fun(", p->name);
	const char *at = types ? strstr(types->data, mark) : NULL;
	if (!at)
		return;
	int depth = 0;
	bool fresh = true;
	for (at += strlen(mark); *at && *at != '\n' && !(*at == ')' && depth == 0); at++) {
		if (fresh)
			buf_adds(out, "---@param ");
		fresh = depth == 0 && *at == ',';
		depth += (*at == '(' || *at == '<' || *at == '{') - (*at == ')' || *at == '>' || *at == '}');
		if (fresh) {
			buf_adds(out, "\n");
			at += at[1] == ' ';
		} else if (!(*at == ':' && depth == 0 && buf_str(out)[out->len - 1] != ')')) {
			buf_add(out, at, 1);
		}
	}
	buf_adds(out, "\n");
}

/* Today's answer, unchanged: what there is to do is in the middle. */
static char *template_of(const struct point *p)
{
	struct buf b = { 0 };
	cleanup_free char *args = point_arguments(p);
	buf_adds(&b, "-- perry: api=1\n");
	add_params(&b, p);
	buf_addf(&b, "return function(%s)\n", args);
	if (p->kind == POINT_ACTION)
		buf_adds(&b, "  perry.log(ws.name, ev.kind)\n");
	else if (p->kind == POINT_CONSENT)
		buf_adds(&b, "  return true -- or: return false, \"the reason\"\n");
	else
		buf_adds(&b, "  return base()\n");
	buf_adds(&b, "end\n");
	return buf_take(&b);
}

/* Editors complete ws. and perry. with this beside the hooks. */
int hooks_editor_files(const char *dir, struct perry_err **err)
{
	const struct embedded *types = embed_find("lua/types/perry.d.lua");
	cleanup_free char *rc = path_join(dir, ".luarc.json"), *lib = path_join(dir, ".types"),
			  *file = path_join(lib, "perry.lua");
	static const char text[] = "{\n  \"runtime.version\": \"Lua 5.4\",\n  \"workspace.library\": [\".types\"],\n  "
				   "\"diagnostics.globals\": [\"perry\"]\n}\n";
	if (access(rc, F_OK) < 0 && file_write_atomic(rc, text, sizeof text - 1, 0600, err) < 0)
		return -1;
	if (!types)
		return 0;
	if (dir_make(lib, 0700, err) < 0)
		return -1;
	return file_write_atomic(file, types->data, (size_t)(types->end - types->data), 0600, err);
}

static int make_hook(const struct point *p, const char *path, bool *made, struct perry_err **err)
{
	cleanup_free char *dir = hooks_dir(), *text = template_of(p);
	*made = access(path, F_OK) < 0;
	if (dir_make(dir, 0700, err) < 0 || hooks_editor_files(dir, err) < 0)
		return -1;
	return *made ? file_write_atomic(path, text, strlen(text), 0600, err) : 0;
}

int hooks_new(const struct args *a, struct perry_err **err)
{
	const struct point *p = find_point(a->words[0], err);
	bool made;
	if (!p)
		return -1;
	cleanup_free char *path = user_file(p);
	if (make_hook(p, path, &made, err) < 0)
		return -1;
	if (!made)
		return perry_fail(err, PERRY_ECONFLICT, "%s exists already\n  change it with: perry hooks edit %s",
				  path, p->name);
	printf("%s\n", path);
	return 0;
}

/* -- edit -- */

/* By the shell, because $EDITOR may have arguments. */
static int run_editor(const char *path, struct perry_err **err)
{
	const char *editor = getenv("VISUAL") ? getenv("VISUAL") : getenv("EDITOR") ? getenv("EDITOR") : "vi";
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		cleanup_free char *line = xasprintf("%s \"$1\"", editor);
		execl("/bin/sh", "sh", "-c", line, "sh", path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return perry_fail_errno(err, errno, "cannot run %s", editor);
	if (status != 0)
		return perry_fail(err, PERRY_EINTERNAL, "%s ended with an error; set EDITOR to your editor", editor);
	return 0;
}

/* Checks the folder; on a terminal an error may be mended at once. 0: fine, 1: not. */
static int check_until_fine(const struct args *a, const char *path, struct perry_err **err)
{
	cleanup_free char *dir = hooks_dir();
	char *words[] = { dir, NULL };
	struct args check = { .opts = a->opts, .words = words, .nwords = 1 };
	for (;;) {
		int rc = hooks_check(&check, err);
		if (rc <= 0 || !in_is_tty())
			return rc;
		if (!ask_yes(a, "Until this is mended, operations stop with that error. Edit again?"))
			return rc;
		if (run_editor(path, err) < 0)
			return -1;
	}
}

/* before: the user's hooks as they were. Without an agent on this machine there is nothing to say. */
static int show_effect(cJSON *take_before, struct perry_err **err)
{
	cleanup_json cJSON *in = cJSON_CreateObject(), *out = NULL;
	cleanup_client struct client *c = NULL;
	cleanup_err struct perry_err *why = NULL;
	json_set(in, "packed", take_before);
	json_set_bool(in, "reverse", true);
	if (client_open(&c, &why) < 0 || !c->sock)
		return 0;
	if (client_rpc(c, "hooks/preview", take_ptr(in), &out, &why) < 0) {
		if (why->code == PERRY_ENOAGENT)
			return 0;
		return perry_move(err, take_ptr(why));
	}
	preview_print(out);
	return 0;
}

int hooks_edit(const struct args *a, struct perry_err **err)
{
	const struct point *p = find_point(a->words[0], err);
	cleanup_json cJSON *before = NULL;
	cleanup_err struct perry_err *none = NULL;
	bool made;
	if (!p)
		return -1;
	cleanup_free char *path = user_file(p), *dir = hooks_dir();
	/* The hooks may be broken now: then what they did before cannot be said. */
	if (policy_pack_up(dir, &before, &none) < 0 && none->code == PERRY_ENOTFOUND) {
		before = cJSON_CreateObject();
		json_set(before, "files", cJSON_CreateArray());
	}
	if (make_hook(p, path, &made, err) < 0 || run_editor(path, err) < 0)
		return -1;
	int rc = check_until_fine(a, path, err);
	return rc == 0 && before ? show_effect(take_ptr(before), err) : rc;
}
