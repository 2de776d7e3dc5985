#include "cli/setup/prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/utf8.h"
#include "cli/text.h"

/* A terminal gives lines of 4095 bytes at most, and drops what is more without a word. */
enum { MAX_LINE = 4000 };

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static volatile sig_atomic_t caught;
static sigset_t outside;
static struct sigaction before[ARRAY_LEN(signals)];

static void on_signal(int number)
{
	caught = number;
}

void prompt_begin(void)
{
	sigset_t all;
	struct sigaction stop = { .sa_handler = on_signal };
	sigemptyset(&all);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		sigaddset(&all, signals[i]);
		sigaction(signals[i], &stop, &before[i]);
	}
	sigprocmask(SIG_BLOCK, &all, &outside);
}

void prompt_end(void)
{
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &before[i], NULL);
	sigprocmask(SIG_SETMASK, &outside, NULL);
}

int prompt_signal(void)
{
	return caught;
}

void prompt_free(char **text)
{
	if (*text)
		wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *text = xvasprintf(fmt, ap), *line = printable_lines(text, "  ");
	va_end(ap);
	fprintf(stderr, "%s\n", line);
}

void say_error(const struct perry_err *e)
{
	say("Error: %s", perry_msg(e));
}

/* --- one line --- */

/* Signals come through only while it waits. 1: a line, without its end; 0: nothing more comes, or a signal did. */
static int read_line(char *line, size_t size, size_t *n)
{
	struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
	*n = 0;
	while (*n < size) {
		caught = 0;
		if (ppoll(&in, 1, NULL, &outside) < 0) {
			if (caught || errno != EINTR)
				return 0;
			continue;
		}
		ssize_t got = read(STDIN_FILENO, line + *n, size - *n);
		if (got <= 0) {
			if (got < 0 && (errno == EINTR || errno == EAGAIN))
				continue;
			return 0;
		}
		*n += (size_t)got;
		if (line[*n - 1] == '\n' || line[*n - 1] == '\r') {
			--*n;
			return 1;
		}
	}
	return 1;
}

/* The program in the background would come back with the terminal's echo on: it does not go there meanwhile. */
static bool hide(struct termios *shown)
{
	struct termios hidden;
	if (tcgetattr(STDIN_FILENO, shown) < 0)
		return false;
	hidden = *shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ECHONL;
	hidden.c_cc[VSUSP] = _POSIX_VDISABLE;
	return tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
}

static int ask_once(const char *question, bool hidden, char *line, size_t size, size_t *n)
{
	struct termios shown;
	bool hid = hidden && hide(&shown);
	cleanup_free char *clean = printable(question);
	fprintf(stderr, "%s: ", clean);
	fflush(stderr);
	int rc = read_line(line, size, n);
	if (hid)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &shown);
	if (rc == 0)
		fputc('\n', stderr);
	return rc;
}

static int check_line(const char *line, size_t n, struct perry_err **err)
{
	if (n >= MAX_LINE)
		return perry_fail(err, PERRY_EINPUT, "that is too long: %d bytes are the most", MAX_LINE - 1);
	if (memchr(line, 0, n) || !utf8_valid(line, n))
		return perry_fail(err, PERRY_EINPUT, "that is no text in UTF-8");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return perry_fail(err, PERRY_EINPUT,
					  "there is a control character in it (an arrow key, perhaps): type it again");
	return 0;
}

static enum prompt_answer judge(char *line, size_t n, prompt_check *check, const void *ctx, char **text,
				struct perry_err **err)
{
	if (check_line(line, n, err) < 0)
		return ANSWER_STOP;
	char *s = str_trim(line);
	if (!*s)
		return ANSWER_KEEP;
	if (strcmp(s, "-") == 0)
		return ANSWER_REMOVE;
	if (check && check(ctx, s, err) < 0)
		return ANSWER_STOP;
	*text = xstrdup(s);
	return ANSWER_TEXT;
}

enum prompt_answer prompt_text(const char *question, bool hidden, prompt_check *check, const void *ctx, char **text)
{
	char line[MAX_LINE + 1024];
	for (;;) {
		cleanup_err struct perry_err *why = NULL;
		size_t n;
		int rc = ask_once(question, hidden, line, sizeof line - 1, &n);
		line[n] = 0;
		enum prompt_answer a = rc ? judge(line, n, check, ctx, text, &why) : ANSWER_STOP;
		wipe(line, sizeof line);
		if (!why)
			return a;
		say_error(why);
		/* What else was pasted is no answer to the same question. */
		tcflush(STDIN_FILENO, TCIFLUSH);
	}
}

static int check_yes(const void *ctx, const char *text, struct perry_err **err)
{
	static const char *const words[] = { "y", "yes", "n", "no" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return 0;
	return perry_fail(err, PERRY_EINPUT, "y or n, please");
}

int prompt_yes(const char *question, bool dflt)
{
	cleanup_free char *whole = xasprintf("%s [%s]", question, dflt ? "Y/n" : "y/N");
	cleanup_answer char *text = NULL;
	enum prompt_answer a = prompt_text(whole, false, check_yes, NULL, &text);
	if (a == ANSWER_STOP)
		return -1;
	return a == ANSWER_TEXT ? text[0] == 'y' || text[0] == 'Y' : dflt && a == ANSWER_KEEP;
}
