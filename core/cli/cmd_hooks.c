#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/client.h"
#include "cli/out.h"

int cmd_hooks_list(const struct args *a, struct perry_err **err)
{
	static const char *const heads[] = { "POINT", "KIND", "ANSWERED BY", "FILE" };
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	struct table t = { heads, 4, NULL, 0 };
	const cJSON *point, *problem;
	if (client_open(&c, err) < 0 || client_rpc(c, "hooks/list", NULL, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	cJSON_ArrayForEach(point, json_at(j, "points")) {
		const cJSON *top = cJSON_GetArrayItem(json_at(point, "layers"), 0);
		table_add(&t, json_str_or(point, "name", json_str_or(point, "point", "?")));
		table_add(&t, json_str_or(point, "kind", "?"));
		table_add(&t, json_str_or(top, "layer", "-"));
		table_add(&t, json_str_or(top, "file", ""));
	}
	table_print(&t);
	cJSON_ArrayForEach(problem, json_at(j, "problems"))
		fprintf(stderr, "perry: %s\n", cJSON_IsString(problem) ? problem->valuestring : json_str_or(problem, "message", "?"));
	return cJSON_GetArraySize(json_at(j, "problems")) ? 1 : 0;
}

/* The built-in hook of a point, as it travels in this executable. */
static const struct embedded *builtin(const char *point)
{
	cleanup_free char *path = xasprintf("hooks/%s.lua", point);
	return embed_find(path);
}

static char *user_file(const char *point)
{
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *name = xasprintf("hooks/%s.lua", point);
	return path_join(dir, name);
}

static int no_such_point(const char *point, struct perry_err **err)
{
	const char *names[128];
	char *made[128];
	size_t n = 0;
	for (const struct embedded *f = embed_files; f->path && n < 127; f++)
		if (str_starts(f->path, "hooks/") && str_ends(f->path, ".lua")) {
			made[n] = xstrndup(f->path + 6, strlen(f->path) - 10);
			names[n] = made[n];
			n++;
		}
	names[n] = NULL;
	const char *near = str_nearest(point, names);
	if (near)
		perry_fail(err, PERRY_ENOTFOUND, "there is no hook point \"%s\" (did you mean \"%s\"?)", point, near);
	else
		perry_fail(err, PERRY_ENOTFOUND, "there is no hook point \"%s\"\n  see: perry hooks list", point);
	while (n > 0)
		free(made[--n]);
	return -1;
}

int cmd_hooks_show(const struct args *a, struct perry_err **err)
{
	const char *point = a->words[0];
	const struct embedded *base = builtin(point);
	cleanup_free char *path = user_file(point);
	cleanup_buf struct buf text = { 0 };
	if (!base && access(path, F_OK) < 0)
		return no_such_point(point, err);
	if (!args_has(a, "built-in") && file_read(path, 1 << 20, &text, NULL) == 0) {
		fprintf(stderr, "-- %s\n", path);
		fwrite(buf_str(&text), 1, text.len, stdout);
		return 0;
	}
	if (!base)
		return no_such_point(point, err);
	fprintf(stderr, "-- built-in\n");
	fwrite(base->data, 1, (size_t)(base->end - base->data), stdout);
	return 0;
}

static bool is_action(const char *point)
{
	return str_starts(point, "on_");
}

static bool is_consent(const char *point)
{
	return strcmp(point, "admit") == 0 || strcmp(point, "review") == 0 || strcmp(point, "authorize") == 0;
}

/* The three lines that a new hook starts with: today's answer, unchanged. */
static char *template_of(const char *point)
{
	if (is_action(point))
		return xasprintf("-- perry: api=1\nreturn function(ws, ev)\n  perry.log(ws.name .. \": \" .. ev.kind)\nend\n");
	if (is_consent(point))
		return xasprintf("-- perry: api=1\nreturn function(ws, subject)\n  return true -- or: return false, \"the reason\"\nend\n");
	return xasprintf("-- perry: api=1\nreturn function(ws, base)\n  return base()\nend\n");
}

/* Editors complete ws. and perry. with this beside the hooks. */
static int write_editor_files(const char *dir, struct perry_err **err)
{
	const struct embedded *types = embed_find("lua/types/perry.d.lua");
	cleanup_free char *rc = path_join(dir, ".luarc.json");
	cleanup_free char *lib = path_join(dir, ".types");
	cleanup_free char *file = path_join(lib, "perry.lua");
	static const char text[] = "{\n  \"runtime.version\": \"Lua 5.4\",\n  \"workspace.library\": [\".types\"],\n  \"diagnostics.globals\": [\"perry\"]\n}\n";
	if (access(rc, F_OK) < 0 && file_write_atomic(rc, text, sizeof text - 1, 0600, err) < 0)
		return -1;
	if (!types)
		return 0;
	if (dir_make(lib, 0700, err) < 0)
		return -1;
	return file_write_atomic(file, types->data, (size_t)(types->end - types->data), 0600, err);
}

static int make_hook(const char *point, char **path_out, bool *made, struct perry_err **err)
{
	cleanup_free char *config = path_config_dir();
	cleanup_free char *dir = path_join(config, "hooks");
	cleanup_free char *path = user_file(point);
	*made = false;
	if (!builtin(point) && !is_action(point))
		return no_such_point(point, err);
	if (dir_make(dir, 0700, err) < 0 || write_editor_files(dir, err) < 0)
		return -1;
	if (access(path, F_OK) < 0) {
		cleanup_free char *text = template_of(point);
		if (file_write_atomic(path, text, strlen(text), 0600, err) < 0)
			return -1;
		*made = true;
	}
	*path_out = take_ptr(path);
	return 0;
}

int cmd_hooks_new(const struct args *a, struct perry_err **err)
{
	cleanup_free char *path = NULL;
	bool made;
	if (make_hook(a->words[0], &path, &made, err) < 0)
		return -1;
	if (!made)
		return perry_fail(err, PERRY_ECONFLICT, "%s exists already\n  change it with: perry hooks edit %s", path, a->words[0]);
	printf("%s\n", path);
	return 0;
}

/* Runs an editor on a file, by the shell because $EDITOR may have arguments. */
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

int cmd_hooks_edit(const struct args *a, struct perry_err **err)
{
	cleanup_free char *path = NULL;
	bool made;
	if (make_hook(a->words[0], &path, &made, err) < 0 || run_editor(path, err) < 0)
		return -1;
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *hooks = path_join(dir, "hooks");
	char *words[] = { hooks, NULL };
	struct args check = { .opts = a->opts, .words = words, .nwords = 1 };
	return cli_full ? cli_full->hooks_check(&check, err) : cli_become_full(err);
}

int cmd_hooks_check(const struct args *a, struct perry_err **err)
{
	return cli_full ? cli_full->hooks_check(a, err) : cli_become_full(err);
}

int cmd_hooks_run(const struct args *a, struct perry_err **err)
{
	return cli_full ? cli_full->hooks_run(a, err) : cli_become_full(err);
}

int cmd_hooks_test(const struct args *a, struct perry_err **err)
{
	return cli_full ? cli_full->hooks_test(a, err) : cli_become_full(err);
}

static void print_decision(const cJSON *d)
{
	cleanup_free char *answer = json_print(json_at(d, "answer"));
	cleanup_free char *shown = printable(answer);
	printf("%-12s %s\n", json_str_or(d, "point", "?"), shown);
	if (json_str(d, "file"))
		printf("             <- %s%s%.0d\n", json_str(d, "file"), json_int_or(d, "line", 0) ? ":" : "", (int)json_int_or(d, "line", 0));
	else
		printf("             <- %s\n", json_str_or(d, "layer", "built-in"));
	if (json_str(d, "error"))
		printf("             error: %s\n", json_str(d, "error"));
}

int cmd_explain(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	const cJSON *d;
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "name", a->words[0]);
	if (a->nwords > 1)
		json_set_str(in, "field", a->words[1]);
	if (client_open(&c, err) < 0) {
		cJSON_Delete(in);
		return -1;
	}
	if (client_rpc(c, "explain", in, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	cJSON_ArrayForEach(d, json_at(j, "decisions"))
		print_decision(d);
	return 0;
}
