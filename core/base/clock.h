/* Time: wall clock for records, monotonic for deadlines. */
#ifndef PERRY_BASE_CLOCK_H
#define PERRY_BASE_CLOCK_H
#include <pthread.h>
#include <stdint.h>
#include <time.h>

int64_t clock_ms(void);      /* wall clock, milliseconds since the epoch */
int64_t clock_mono_ms(void); /* monotonic milliseconds */
int64_t clock_mono_us(void);
/* Timed waits that no change of the wall clock disturbs: a condition on the monotonic clock, and the moment that lies
 * ms ahead on it. */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_deadline(int ms);
/* "2026-11-23T17:10:23.340Z"; out has at least 32 bytes. */
void clock_iso(int64_t ms, char out[32]);
int64_t clock_parse_iso(const char *text); /* RFC 3339 with or without fraction; -1 when it is none or before 1970 (an
					      engine's "never") */
/* "3 minutes", "2 days"; out has at least 32 bytes. */
void clock_age(int64_t ms_ago, char out[32]);
/* "90s", "5m", "1h30m", "7d" in milliseconds; -1 when it is none. */
int64_t clock_span(const char *text);
/* "90s", "5m", "1h30m", "7d" or an RFC 3339 time: the moment (wall ms) that far in the past, or that time; -1 when it
 * is neither. */
int64_t clock_since(const char *text);

#endif
