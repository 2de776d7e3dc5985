/* The web UI in the browser, signed in by a link that works once. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/full.h"
#include "cli/link.h"
#include "cli/out.h"
#include "cli/text.h"

/* Other users see the arguments of our programs, and whoever has the link first is signed in: the browser gets a file
 * of ours that leads there. */
static int write_page(const char *url, char **path, struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *html = xasprintf("<!doctype html><meta charset=utf-8><title>Perry</title><meta "
					    "http-equiv=refresh content=\"0;url=%s\">\n"
					    "<a href=\"%s\">Perry</a>\n",
					    url, url);
	*path = path_join(dir, "open.html");
	if (dir_make(dir, 0700, err) < 0)
		return -1;
	return file_write_atomic(*path, html, strlen(html), 0600, err);
}

static bool run(const char *program, const char *arg)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		execlp(program, program, arg, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int cmd_open(const struct args *a, struct perry_err **err)
{
	cleanup_free char *path = NULL, *url = NULL;
	if (args_has(a, "qr"))
		return full_run("open --qr", a, err);
	if (link_make(false, &url, err) < 0)
		return -1;
	bool display = getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
	if (!args_has(a, "print") && display) {
		if (write_page(url, &path, err) < 0)
			return -1;
		if (run("xdg-open", path))
			return 0;
		unlink(path);
		fprintf(stderr, "No browser could be opened (xdg-open).\n");
	}
	if (err_is_tty())
		fprintf(stderr, "This link signs in once, within two minutes:\n");
	text_printf(stdout, "%s\n", url);
	return 0;
}
