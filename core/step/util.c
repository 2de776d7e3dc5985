/* Small helpers. */
#include "step/step.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"

#define READ_SIZE 4096

static void warn_va(const char *fmt, va_list ap)
{
	fputs("perry-step: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void die(int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	warn_va(fmt, ap);
	va_end(ap);
	_exit(code);
}

void warn_line(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	warn_va(fmt, ap);
	va_end(ap);
}

void say(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	dprintf(1, "[perry] %s\n", line);
}

char *read_fd(int fd, size_t *len)
{
	struct buf text = { 0 };
	for (;;) {
		ssize_t r = read(fd, buf_reserve(&text, READ_SIZE), READ_SIZE);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			int e = errno;
			buf_free(&text);
			errno = e;
			return NULL;
		}
		if (r == 0)
			break;
		text.len += (size_t)r;
	}
	if (len)
		*len = text.len;
	return buf_take(&text);
}

char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	char *text = read_fd(fd, len);
	int e = errno;
	close(fd);
	errno = e;
	return text;
}

int put_file(const char *path, const char *text, mode_t mode)
{
	char *tmp = xasprintf("%s.%d", path, (int)getpid());
	int rc = -1, fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd >= 0) {
		rc = fchmod(fd, mode);
		if (!rc)
			rc = fd_write_all(fd, text, strlen(text));
		close(fd);
		if (!rc)
			rc = rename(tmp, path);
		if (rc) {
			int e = errno;
			unlink(tmp);
			errno = e;
		}
	}
	free(tmp);
	return rc;
}

int make_dirs(const char *path, mode_t mode)
{
	char *copy = xstrdup(path);
	int rc = 0;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		mkdir(copy, 0755); /* what cannot be made shows in the last one */
		*p = '/';
	}
	if (mkdir(copy, mode) && errno != EEXIST)
		rc = -1;
	free(copy);
	return rc;
}

void sleep_ms(int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	nanosleep(&t, NULL);
}

long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool valid_id(const char *id)
{
	size_t n = strlen(id);
	if (n == 0 || n > 128 || id[0] == '.')
		return false;
	for (; *id; id++)
		if (!isalnum((unsigned char)*id) && !strchr("._-", *id))
			return false;
	return true;
}

int signal_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {
		{ "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT },   { "KILL", SIGKILL },
		{ "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "TERM", SIGTERM },   { "CONT", SIGCONT },
		{ "STOP", SIGSTOP }, { "TSTP", SIGTSTP }, { "WINCH", SIGWINCH }, { "ABRT", SIGABRT },
	};
	char *end;
	long n = strtol(name, &end, 10);
	if (*name && !*end)
		return n > 0 && n < 65 ? (int)n : 0;
	if (!strncmp(name, "SIG", 3))
		name += 3;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(name, known[i].name))
			return known[i].number;
	return 0;
}

int exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
