#include "cli/remote.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/out.h"

cJSON *remote_open(const char *kind, const char *name)
{
	cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", kind);
	json_set_str(o, "name", name);
	return o;
}

cJSON *remote_command(const struct args *a)
{
	char **words = a->dashes ? a->rest : a->words + 1;
	int n = a->dashes ? a->nrest : a->nwords - 1;
	cJSON *list = cJSON_CreateArray();
	for (int i = 0; i < n; i++)
		json_push_str(list, words[i]);
	return list;
}

static struct termios saved;
static bool raw;

static void restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	raw = false;
}

static void make_raw(void)
{
	struct termios t;
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	t = saved;
	cfmakeraw(&t);
	raw = true;
	atexit(restore);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

int remote_run(const struct client *c, cJSON *take_open, const struct stream_ends *ends, int *code,
	       struct perry_err **err)
{
	struct winsize w = { .ws_col = 80, .ws_row = 24 };
	json_set_bool(take_open, "tty", ends->tty);
	if (ends->tty) {
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
		json_set_int(take_open, "cols", w.ws_col ? w.ws_col : 80);
		json_set_int(take_open, "rows", w.ws_row ? w.ws_row : 24);
		json_set_str(take_open, "term", getenv("TERM") ? getenv("TERM") : "xterm-256color");
		if (in_is_tty() && ends->in_fd >= 0)
			make_raw();
	}
	int rc = stream_run(c, take_open, ends, code, err);
	restore();
	return rc;
}
