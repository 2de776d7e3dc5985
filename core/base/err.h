/* Errors: made once with a code, wrapped with context on the way up, printed once at the top. */
#ifndef PERRY_BASE_ERR_H
#define PERRY_BASE_ERR_H

enum perry_code {
	PERRY_OK = 0,
	PERRY_EINTERNAL,  /* a fault of ours or of the system */
	PERRY_EINPUT,     /* the caller's input is wrong */
	PERRY_EUNAUTH,    /* who are you? */
	PERRY_EFORBIDDEN, /* known, but may not */
	PERRY_ENOTFOUND,
	PERRY_ECONFLICT, /* another operation, or it exists already */
	PERRY_ESTATE,    /* not in a state that allows it (not running, ...) */
	PERRY_ETOOLARGE,
	PERRY_EPOLICY,      /* a hook refused or failed */
	PERRY_EUNAVAILABLE, /* engine, tailscaled or another service cannot be reached */
	PERRY_ETIMEOUT,
	PERRY_ECANCELLED,
	PERRY_EUSAGE,   /* wrong command line */
	PERRY_ENOAGENT, /* CLI: no agent reachable */
	PERRY_CODES
};

struct cJSON;
struct perry_err {
	enum perry_code code;
	int status; /* the HTTP status that a remote side gave, 0 when none */
	char *msg;
	struct cJSON *data; /* details for the API and the CLI (a hook's error record, issues), or NULL; owned */
};

/* One row a code: what a process exits with, what HTTP answers, what the API calls it. */
struct perry_code_row {
	int exit_status;
	int http_status;
	const char *api_code;
};
const struct perry_code_row *perry_code_row(enum perry_code code);
enum perry_code perry_code_from_http(int http_status);
enum perry_code perry_code_from_api(const char *api_code); /* PERRY_EINTERNAL for an unknown one */

/* Makes *err (a NULL err is allowed: the caller does not care). Always returns -1. */
int perry_fail(struct perry_err **err, enum perry_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, with ": strerror(errnum)" appended and a code chosen from it (ENOENT: not found, ...). */
int perry_fail_errno(struct perry_err **err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "prefix: " before an error that exists. Always returns -1. */
int perry_wrap(struct perry_err **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Moves src into *dst (frees src when dst is NULL). Always returns -1. */
int perry_move(struct perry_err **dst, struct perry_err *take_src);
struct perry_err *perry_err_copy(const struct perry_err *e); /* caller frees */
const char *perry_msg(const struct perry_err *e);            /* never NULL */
void perry_err_free(struct perry_err *e);

static inline void perry_err_cleanup(struct perry_err **e)
{
	perry_err_free(*e);
}
#define cleanup_err __attribute__((cleanup(perry_err_cleanup)))

#endif
