#include "base/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

int64_t clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

struct timespec clock_deadline(int ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t ns = t.tv_nsec + (int64_t)(ms > 0 ? ms : 0) * 1000000;
	t.tv_sec += ns / 1000000000;
	t.tv_nsec = ns % 1000000000;
	return t;
}

void clock_iso(int64_t ms, char out[32])
{
	const int64_t last =
		INT64_C(253402300799999); /* the end of the year 9999: four digits are all the format has */
	ms = ms < 0 ? 0 : ms > last ? last : ms;
	time_t sec = (time_t)(ms / 1000);
	struct tm tm;
	char text[24];
	gmtime_r(&sec, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 32, "%s.%03dZ", text, (int)(ms % 1000));
}

/* Takes exactly n digits, and the character after them unless it is NUL; -1 when they are not there. */
static int digits(const char **p, int n, const char *then)
{
	int v = 0;
	for (; n > 0; n--, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return -1;
		v = v * 10 + (**p - '0');
	}
	if (*then) {
		if (!**p || !strchr(then, **p))
			return -1;
		(*p)++;
	}
	return v;
}

static int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

int64_t clock_parse_iso(const char *text)
{
	if (!text)
		return -1;
	const char *p = text;
	int year = digits(&p, 4, "-");
	int month = year < 0 ? -1 : digits(&p, 2, "-");
	int day = month < 0 ? -1 : digits(&p, 2, "Tt ");
	int hour = day < 0 ? -1 : digits(&p, 2, ":");
	int min = hour < 0 ? -1 : digits(&p, 2, ":");
	int sec = min < 0 ? -1 : digits(&p, 2, "");
	if (sec < 0 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
		return -1;
	if (hour > 23 || min > 59 || sec > 60)
		return -1;
	int64_t frac = 0;
	if (*p == '.') {
		p++;
		if (!isdigit((unsigned char)*p))
			return -1;
		for (int unit = 100; isdigit((unsigned char)*p); p++, unit /= 10)
			frac += (*p - '0') * unit;
	}
	int64_t offset = 0;
	if (*p == '+' || *p == '-') {
		int sign = *p++ == '-' ? -1 : 1;
		int h = digits(&p, 2, ":"), m = h < 0 ? -1 : digits(&p, 2, "");
		if (m < 0 || h > 23 || m > 59)
			return -1;
		offset = sign * (h * 60 + m) * 60;
	} else if (*p == 'Z' || *p == 'z') {
		p++;
	} else {
		return -1;
	}
	if (*p)
		return -1;
	struct tm tm = { .tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = hour,
			 .tm_min = min,
			 .tm_sec = sec };
	int64_t ms = ((int64_t)timegm(&tm) - offset) * 1000 + frac;
	return ms < 0 ? -1 : ms;
}

void clock_age(int64_t ms_ago, char out[32])
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {
		{ 365LL * 86400000, "year" }, { 30LL * 86400000, "month" }, { 7LL * 86400000, "week" },
		{ 86400000, "day" },          { 3600000, "hour" },          { 60000, "minute" },
		{ 1000, "second" },
	};
	size_t i = 0;
	if (ms_ago < 0)
		ms_ago = 0;
	while (i < ARRAY_LEN(units) - 1 && ms_ago < units[i].ms)
		i++;
	int64_t n = ms_ago / units[i].ms;
	snprintf(out, 32, "%" PRId64 " %s%s", n, units[i].name, n == 1 ? "" : "s");
}

int64_t clock_span(const char *p)
{
	int64_t total = 0;
	if (!*p)
		return -1;
	while (*p) {
		int64_t v = 0;
		if (!isdigit((unsigned char)*p))
			return -1;
		for (; isdigit((unsigned char)*p); p++) {
			v = v * 10 + (*p - '0');
			if (v > INT64_C(10000000000))
				return -1;
		}
		switch (*p++) {
		case 's':
			v *= 1000;
			break;
		case 'm':
			v *= 60000;
			break;
		case 'h':
			v *= 3600000;
			break;
		case 'd':
			v *= 86400000;
			break;
		case 'w':
			v *= 7 * 86400000LL;
			break;
		default:
			return -1;
		}
		if (v > INT64_MAX / 4 - total)
			return -1;
		total += v;
	}
	return total;
}

int64_t clock_since(const char *text)
{
	if (!text)
		return -1;
	int64_t span = clock_span(text);
	if (span < 0)
		return clock_parse_iso(text);
	int64_t now = clock_ms();
	return span > now ? 0 : now - span;
}
