/* The agent's log: one line a record, to standard error or a file. Whatever the caller passes, keys and tokens are
 * masked. */
#ifndef PERRY_BASE_LOG_H
#define PERRY_BASE_LOG_H
#include "base/buf.h"
#include "base/err.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

/* What is below it is not written; LOG_INFO_ when nobody says. */
void log_set_level(enum log_level level);
/* The same by name: error, warn, info or debug. */
int log_set_level_named(const char *name, struct perry_err **err);
/* Also append to this file (0600), turned over to PATH.1 at 4 MiB. NULL: standard error only. -1 with errno. */
int log_set_file(const char *path);
/* Writes "[topic] text", "[topic] warning: text" or "[topic] error: text" as one line, control characters escaped; in
 * the file the time comes first. Never blocks on anything but the descriptor. Keeps errno. */
void log_write(enum log_level level, const char *topic, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What `perry agent run` tells its user: the same line on standard output instead of standard error. */
void log_say(const char *topic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(topic, ...) log_write(LOG_DEBUG_, topic, __VA_ARGS__)
#define log_info(topic, ...)  log_write(LOG_INFO_, topic, __VA_ARGS__)
#define log_warn(topic, ...)  log_write(LOG_WARN_, topic, __VA_ARGS__)
#define log_error(topic, ...) log_write(LOG_ERROR_, topic, __VA_ARGS__)

/* Masks in place, at the same length or shorter: (ts|hs)key-..., perry_..., gh[pousr]_..., "Bearer ...", and values
 * given to redact_add. */
void redact(struct buf *text);
/* From now on this value is masked wherever the log or an error text would show it (at least 8 characters). */
void redact_add(const char *value);
/* The same for as long as somebody holds it, and for a while after the last release (used by struct secret). */
void redact_hold(const char *value);
void redact_release(const char *value);

#endif
