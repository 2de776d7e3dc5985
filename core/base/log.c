#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { TURN_OVER = 4 << 20, LONGEST = 16 << 10 };

static atomic_int level_shown = LOG_INFO_;

/* The file has its own lock, so that a standard error nobody reads holds up only who writes to it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *file_path;
static int file_fd = -1;
static off_t file_size;

void log_set_level(enum log_level level)
{
	atomic_store(&level_shown, (int)level);
}

int log_set_level_named(const char *name, struct perry_err **err)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	for (int i = 0; i < (int)ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0) {
			log_set_level((enum log_level)i);
			return 0;
		}
	return perry_fail(err, PERRY_EUSAGE, "the log level is error, warn, info or debug, not \"%s\"", name);
}

static int open_file(const char *path, off_t *size)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	struct stat st;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || fchmod(fd, 0600) == 0)) {
		*size = S_ISREG(st.st_mode) ? st.st_size : -1;
		return fd;
	}
	int errnum = errno;
	close(fd);
	errno = errnum;
	return -1;
}

int log_set_file(const char *path)
{
	off_t size = 0;
	int fd = path ? open_file(path, &size) : -1;
	if (path && fd < 0)
		return -1;
	char *copy = xstrdup(path);
	pthread_mutex_lock(&lock);
	int old = file_fd;
	char *old_path = file_path;
	file_fd = fd;
	file_path = copy;
	file_size = size;
	pthread_mutex_unlock(&lock);
	free(old_path);
	if (old >= 0)
		close(old);
	return 0;
}

/* When it fails the old file goes on growing: too long beats lost. */
static void turn_over(void)
{
	cleanup_free char *old = xasprintf("%s.1", file_path);
	if (rename(file_path, old) < 0)
		return;
	off_t size = 0;
	int fd = open_file(file_path, &size);
	if (fd < 0)
		return;
	close(file_fd);
	file_fd = fd;
	file_size = size;
}

static void write_file(const struct buf *line)
{
	char now[32];
	cleanup_buf struct buf dated = { 0 };
	clock_iso(clock_ms(), now);
	buf_addf(&dated, "%s ", now);
	buf_add(&dated, line->data, line->len);
	pthread_mutex_lock(&lock);
	if (file_fd >= 0) {
		if (file_size >= 0 && file_size + (off_t)dated.len > TURN_OVER)
			turn_over();
		if (fd_write_all(file_fd, dated.data, dated.len) == 0 && file_size >= 0)
			file_size += (off_t)dated.len;
	}
	pthread_mutex_unlock(&lock);
}

/* One record is one line, and what a terminal would act on is not passed to it. */
static void add_escaped(struct buf *out, const struct buf *text)
{
	cleanup_buf struct buf clean = { 0 };
	size_t n = text->len;
	while (n > 0 && text->data[n - 1] == '\n')
		n--;
	bool cut = n > LONGEST;
	utf8_scrub(&clean, buf_str(text), cut ? LONGEST : n);
	for (size_t i = 0; i < clean.len; i++) {
		unsigned char c = (unsigned char)clean.data[i];
		unsigned char next = i + 1 < clean.len ? (unsigned char)clean.data[i + 1] : 0;
		if (c == '\n')
			buf_adds(out, "\\n");
		else if (c == '\t')
			buf_addc(out, '\t');
		else if (c < 0x20 || c == 0x7f)
			buf_addf(out, "\\x%02x", c);
		else if (c == 0xc2 && next < 0xa0) /* U+0080 to U+009F: the C1 controls */
			buf_addf(out, "\\x%02x", (unsigned char)clean.data[++i]);
		else
			buf_addc(out, (char)c);
	}
	if (cut)
		buf_adds(out, "...");
}

static void write_line(int fd, const char *topic, const char *word, const char *fmt, va_list ap)
{
	int errnum = errno;
	cleanup_buf struct buf text = { 0 }, line = { 0 };
	cleanup_free char *msg = xvasprintf(fmt, ap);
	buf_adds(&text, msg);
	explicit_bzero(msg, strlen(msg));
	redact(&text); /* before anything is escaped or cut, which would hide a key from it */
	buf_addf(&line, "[%s] %s", topic, word);
	add_escaped(&line, &text);
	buf_addc(&line, '\n');
	fd_write_all(fd, line.data, line.len);
	write_file(&line);
	errno = errnum;
}

void log_write(enum log_level level, const char *topic, const char *fmt, ...)
{
	static const char *const words[] = { "debug: ", "", "warning: ", "error: " };
	va_list ap;
	if ((int)level < atomic_load(&level_shown))
		return;
	va_start(ap, fmt);
	write_line(STDERR_FILENO, topic, words[level], fmt, ap);
	va_end(ap);
}

void log_say(const char *topic, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	write_line(STDOUT_FILENO, topic, "", fmt, ap);
	va_end(ap);
}
