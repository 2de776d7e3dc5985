#include "cli/git.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/args.h"
#include "cli/label.h"
#include "cli/out.h"
#include "cli/text.h"

#define NAME_MAX_LEN 63 /* of a workspace */

/* The git folder of a checkout: .git itself, or where a .git file points (worktrees). */
static char *git_dir(const char *top)
{
	cleanup_free char *path = path_join(top, ".git");
	struct stat st;
	cleanup_buf struct buf text = { 0 };
	if (stat(path, &st) < 0)
		return NULL;
	if (S_ISDIR(st.st_mode))
		return take_ptr(path);
	if (file_read(path, 4096, &text, NULL) < 0 || !str_starts(buf_str(&text), "gitdir: "))
		return NULL;
	char *target = str_trim(text.data + 8);
	return *target == '/' ? xstrdup(target) : path_join(top, target);
}

/* url of [remote "origin"], or of the first remote. */
static char *remote_in(const char *config)
{
	cleanup_free char *copy = xstrdup(config);
	cleanup_free char *first = NULL;
	char *at = copy;
	bool remote = false, origin = false;
	for (char *line = strsep(&at, "\n"); line; line = strsep(&at, "\n")) {
		line = str_trim(line);
		if (*line == '[') {
			remote = str_starts(line, "[remote ");
			origin = str_starts(line, "[remote \"origin\"");
		} else if (remote && str_starts(line, "url")) {
			char *v = line + 3 + strspn(line + 3, " \t");
			if (*v != '=')
				continue;
			v = str_trim(v + 1);
			if (origin)
				return xstrdup(v);
			if (!first)
				first = xstrdup(v);
		}
	}
	return take_ptr(first);
}

int git_describe(const char *dir, char **top, char **remote, char **branch)
{
	cleanup_free char *at = xstrdup(dir);
	cleanup_free char *git = NULL;
	*top = *remote = *branch = NULL;
	while (!(git = git_dir(at))) {
		char *slash = strrchr(at, '/');
		if (!slash || slash == at)
			return -1;
		*slash = '\0';
	}
	cleanup_buf struct buf head = { 0 }, common = { 0 }, config = { 0 };
	cleanup_free char *head_path = path_join(git, "HEAD");
	cleanup_free char *common_path = path_join(git, "commondir");
	if (file_read(head_path, 4096, &head, NULL) == 0 && str_starts(buf_str(&head), "ref: refs/heads/"))
		*branch = xstrdup(str_trim(head.data + 16));
	/* A worktree's configuration is that of the main checkout. */
	cleanup_free char *base = NULL;
	if (file_read(common_path, 4096, &common, NULL) == 0 && common.len) {
		char *c = str_trim(common.data);
		base = *c == '/' ? xstrdup(c) : path_join(git, c);
	}
	cleanup_free char *config_path = path_join(base ? base : git, "config");
	if (file_read(config_path, 1 << 20, &config, NULL) == 0)
		*remote = remote_in(buf_str(&config));
	*top = take_ptr(at);
	return 0;
}

int git_propose(const struct args *a, char **name, cJSON *in, struct perry_err **err)
{
	cleanup_free char *cwd = getcwd(NULL, 0);
	cleanup_free char *top = NULL;
	cleanup_free char *remote = NULL;
	cleanup_free char *branch = NULL;
	if (!cwd || git_describe(cwd, &top, &remote, &branch) < 0)
		return perry_fail(
			err, PERRY_EUSAGE,
			"start: which workspace?\n  usage: perry start NAME (inside a git checkout it proposes one)");
	cleanup_free char *proposed = label_of(top, NAME_MAX_LEN);
	if (!in_is_tty() && !args_has(a, "yes"))
		return perry_fail(err, PERRY_EUSAGE,
				  "start: which workspace?\n  this checkout would be: perry start %s%s%s%s%s",
				  *proposed ? proposed : "NAME", remote ? " --clone " : "", remote ? remote : "",
				  branch ? " --branch " : "", branch ? branch : "");
	const char *clone = json_str(in, "clone") ? json_str(in, "clone") : remote;
	text_printf(stderr, "This checkout: %s\n  clone:  %s\n  branch: %s\n", top,
		    clone ? clone : "(no remote: an empty workspace)", branch ? branch : "(none)");
	*name = args_has(a, "yes") ? xstrdup(proposed) : ask_line("Workspace name", proposed);
	if (!*name || !**name)
		return perry_fail(err, PERRY_ECANCELLED, "nothing started");
	if (clone && !json_str(in, "clone"))
		json_set_str(in, "clone", clone);
	if (remote && branch && !json_str(in, "branch"))
		json_set_str(in, "branch", branch);
	return 0;
}
