#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/mem.h"

static const struct perry_code_row rows[PERRY_CODES] = {
	[PERRY_OK] = { 0, 200, "OK" },
	[PERRY_EINTERNAL] = { 1, 500, "INTERNAL_SERVER_ERROR" },
	[PERRY_EINPUT] = { 1, 400, "BAD_REQUEST" },
	[PERRY_EUNAUTH] = { 4, 401, "UNAUTHORIZED" },
	[PERRY_EFORBIDDEN] = { 4, 403, "FORBIDDEN" },
	[PERRY_ENOTFOUND] = { 5, 404, "NOT_FOUND" },
	[PERRY_ECONFLICT] = { 6, 409, "CONFLICT" },
	[PERRY_ESTATE] = { 6, 412, "PRECONDITION_FAILED" },
	[PERRY_ETOOLARGE] = { 1, 413, "PAYLOAD_TOO_LARGE" },
	[PERRY_EPOLICY] = { 7, 403, "REFUSED_BY_POLICY" },
	[PERRY_EUNAVAILABLE] = { 1, 503, "SERVICE_UNAVAILABLE" },
	[PERRY_ETIMEOUT] = { 124, 408, "TIMEOUT" },
	[PERRY_ECANCELLED] = { 130, 499, "CLIENT_CLOSED_REQUEST" },
	[PERRY_EUSAGE] = { 2, 400, "BAD_REQUEST" },
	[PERRY_ENOAGENT] = { 3, 503, "SERVICE_UNAVAILABLE" },
};

const struct perry_code_row *perry_code_row(enum perry_code code)
{
	if ((int)code < 0 || code >= PERRY_CODES)
		code = PERRY_EINTERNAL;
	return &rows[code];
}

enum perry_code perry_code_from_http(int status)
{
	for (int c = PERRY_EINTERNAL; c < PERRY_CODES; c++)
		if (rows[c].http_status == status)
			return (enum perry_code)c;
	return status >= 400 && status < 500 ? PERRY_EINPUT : PERRY_EINTERNAL;
}

enum perry_code perry_code_from_api(const char *api_code)
{
	for (int c = PERRY_OK; api_code && c < PERRY_CODES; c++)
		if (strcmp(rows[c].api_code, api_code) == 0)
			return (enum perry_code)c;
	return PERRY_EINTERNAL;
}

static int make(struct perry_err **err, enum perry_code code, char *take_msg)
{
	if (!err) {
		free(take_msg);
		return -1;
	}
	perry_err_free(*err);
	*err = xcalloc(1, sizeof **err);
	(*err)->code = code;
	(*err)->msg = take_msg;
	return -1;
}

int perry_fail(struct perry_err **err, enum perry_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *msg = xvasprintf(fmt, ap);
	va_end(ap);
	return make(err, code, msg);
}

static enum perry_code code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return PERRY_ENOTFOUND;
	case EACCES:
	case EPERM:
		return PERRY_EFORBIDDEN;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return PERRY_EUNAVAILABLE;
	case ETIMEDOUT:
		return PERRY_ETIMEOUT;
	case ECANCELED:
		return PERRY_ECANCELLED;
	default:
		return PERRY_EINTERNAL;
	}
}

int perry_fail_errno(struct perry_err **err, int errnum, const char *fmt, ...)
{
	char text[128];
	va_list ap;
	va_start(ap, fmt);
	char *what = xvasprintf(fmt, ap);
	va_end(ap);
	char *msg = xasprintf("%s: %s", what, strerror_r(errnum, text, sizeof text));
	free(what);
	return make(err, code_of_errno(errnum), msg);
}

int perry_wrap(struct perry_err **err, const char *fmt, ...)
{
	if (!err || !*err)
		return -1;
	va_list ap;
	va_start(ap, fmt);
	char *prefix = xvasprintf(fmt, ap);
	va_end(ap);
	char *msg = xasprintf("%s: %s", prefix, perry_msg(*err));
	free(prefix);
	free((*err)->msg);
	(*err)->msg = msg;
	return -1;
}

int perry_move(struct perry_err **dst, struct perry_err *src)
{
	if (!dst) {
		perry_err_free(src);
		return -1;
	}
	if (*dst != src)
		perry_err_free(*dst);
	*dst = src;
	return -1;
}

struct perry_err *perry_err_copy(const struct perry_err *e)
{
	if (!e)
		return NULL;
	struct perry_err *copy = xcalloc(1, sizeof *copy);
	copy->code = e->code;
	copy->status = e->status;
	copy->msg = xstrdup(e->msg ? e->msg : "");
	copy->data = e->data ? cJSON_Duplicate(e->data, 1) : NULL;
	return copy;
}

const char *perry_msg(const struct perry_err *e)
{
	return e && e->msg ? e->msg : "unknown error";
}

void perry_err_free(struct perry_err *e)
{
	if (!e)
		return;
	free(e->msg);
	cJSON_Delete(e->data);
	free(e);
}
