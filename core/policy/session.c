/* Questions and answers with one policy process. Nothing it says is believed: calls, answers and secrets are checked
 * here once more. */
#include "policy/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/builtin.h"
#include "policy/contract/access.h"
#include "policy/contract/frame.h"
#include "policy/process.h"

/* One exchange may ask and say this much; a loop around pcall(perry.http.get) uses next to no CPU of its own. */
#define MAX_CALLS        256
#define MAX_LOGS         500
#define MAX_ANSWERING_MS (10 * 60 * 1000)

/* -- how a process ended -- */

const char *session_death(int status, bool known, char out[160])
{
	if (!known)
		snprintf(out, 160, "the policy process is gone");
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
		snprintf(out, 160, "the hook used more than its CPU time (inside a library function)");
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(out, 160, "the policy process was ended: it tried a forbidden system call");
	else if (WIFSIGNALED(status))
		snprintf(out, 160, "the policy process was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (status != -1 && WEXITSTATUS(status) == 86)
		snprintf(out, 160, "the hook used more than its CPU time");
	else if (status != -1 && WEXITSTATUS(status) == 87)
		snprintf(out, 160, "the policy process could not be confined and did not start");
	else
		snprintf(out, 160,
			 status == -1 ? "no policy process could be started: too many at once"
				      : "the policy process ended");
	return out;
}

/* Waits a moment for the zygote's word on the child. */
static bool child_status(struct policy_session *s, int *status)
{
	struct pollfd p = { .fd = s->status_fd, .events = POLLIN };
	int n;
	do
		n = poll(&p, 1, 10000);
	while (n < 0 && errno == EINTR);
	return n > 0 && read(s->status_fd, status, sizeof *status) == (ssize_t)sizeof *status;
}

static void end_child(struct policy_session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->status_fd >= 0)
		close(s->status_fd);
	s->fd = s->status_fd = -1;
	s->dead = true;
}

/* -- records -- */

static const char *doing(const struct point *point)
{
	return !point                         ? "making the plan"
	       : point->kind == POINT_ACTION  ? "running"
	       : point->kind == POINT_CONSENT ? "asking"
					      : "deciding";
}

int record_fail(const struct policy_session *s, cJSON *record, struct perry_err **err)
{
	const char *file = json_str(record, "file"), *message = json_str_or(record, "message", "unknown error");
	const struct point *point = point_find(json_str(record, "point"));
	int line = (int)json_int_or(record, "line", 0);
	struct buf text = { 0 };
	cleanup_free char *place = !file ? NULL : line > 0 ? xasprintf("%s:%d", file, line) : xstrdup(file);
	if (json_bool_or(record, "refused", false)) {
		buf_addf(&text, "%s (refused by %s)", message, place ? place : "policy");
	} else {
		const char *cause = json_str_or(record, "cause", "");
		buf_addf(&text, "%s%s%s",
			 strcmp(cause, "type") == 0 && file ? file
			 : place                            ? place
							    : "",
			 place ? ": " : "", message);
		if (strcmp(cause, "table") != 0)
			buf_addf(&text, " · while %s%s%s", doing(point), point ? " " : "", point ? point->name : "");
		if (s->workspace)
			buf_addf(&text, " for workspace %s", s->workspace);
	}
	struct perry_err *e = NULL;
	perry_fail(&e, PERRY_EPOLICY, "%s", buf_str(&text));
	buf_free(&text);
	e->data = record;
	return perry_move(err, e);
}

static int died(struct policy_session *s, struct perry_err **err)
{
	char text[160];
	int status = 0;
	bool known = child_status(s, &status);
	cJSON *record = cJSON_CreateObject();
	json_set_str(record, "point", s->point ? s->point->name : NULL);
	json_set_str(record, "message", session_death(status, known, text));
	json_set_str(record, "cause", "died");
	if (known && status != -1 && WIFSIGNALED(status))
		json_set_int(record, "signal", WTERMSIG(status));
	end_child(s);
	return record_fail(s, record, err);
}

static int too_late(struct policy_session *s, int wall_ms, struct perry_err **err)
{
	cJSON *record = cJSON_CreateObject();
	json_set_str(record, "point", s->point ? s->point->name : NULL);
	cleanup_free char *text = xasprintf("no answer within %d s", wall_ms / 1000);
	json_set_str(record, "message", text);
	json_set_str(record, "cause", "limit");
	end_child(s);
	return record_fail(s, record, err);
}

/* -- requests of hooks -- */

static int call(struct policy_session *s, const cJSON *msg, cJSON **out, struct perry_err **err)
{
	const char *name = json_str_or(msg, "call", ""), *layer = json_str_or(msg, "layer", "");
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(msg, "args");
	/* In a plan every point is a decision or a consent that may look. */
	const struct point *point = s->point ? s->point : point_find("container");
	struct access_layer about = { .name = layer,
				      .needs = cJSON_GetObjectItemCaseSensitive(s->needs, layer),
				      .settings = cJSON_GetObjectItemCaseSensitive(s->settings, layer) };
	if (access_check(&about, point, name, args, err) < 0)
		return -1;
	if (++s->calls > MAX_CALLS)
		return perry_fail(err, PERRY_EPOLICY, "more than %d requests in one exchange", MAX_CALLS);
	if (!s->call)
		return perry_fail(err, PERRY_EUNAVAILABLE, "not available here: no agent");
	return s->call(s->ctx, layer, name, args, out, err);
}

static int serve_call(struct policy_session *s, const cJSON *msg, int64_t until, struct perry_err **err)
{
	cleanup_json cJSON *reply = cJSON_CreateObject();
	struct perry_err *why = NULL;
	cJSON *out = NULL;
	if (call(s, msg, &out, &why) < 0) {
		json_set_str(reply, "error", perry_msg(why));
		perry_err_free(why);
		cJSON_Delete(out);
	} else {
		json_set(reply, "ok", out ? out : cJSON_CreateNull());
	}
	int r = frame_send_until(s->fd, reply, until + 1000, err);
	if (r < 0 && err && *err && (*err)->code == PERRY_ETOOLARGE) {
		json_set(reply, "ok", NULL);
		json_set_str(reply, "error", "the answer is too large");
		perry_err_free(take_ptr(*err));
		r = frame_send_until(s->fd, reply, until + 1000, err);
	}
	return r;
}

static void take_log(struct policy_session *s, const cJSON *line)
{
	if (++s->logs > MAX_LOGS)
		return;
	const char *text = json_str_or(line, "text", "");
	log_info("hook", "%s/%s%s%s: %.2000s", json_str_or(line, "layer", "?"), json_str_or(line, "point", "?"),
		 s->workspace ? " " : "", s->workspace ? s->workspace : "", text);
}

/* -- the exchange -- */

static int reopen(struct policy_session *s, const cJSON *msg, int64_t until, struct perry_err **err)
{
	end_child(s);
	if (policy_child(s->policy, &s->fd, &s->status_fd, err) < 0)
		return -1;
	s->dead = false;
	s->heard = true; /* once */
	return frame_send_until(s->fd, s->opening, until, err) < 0 ? -1 : frame_send_until(s->fd, msg, until, err);
}

static int lost(struct policy_session *s, const cJSON *msg, int wall_ms, int64_t until, struct perry_err *take_why,
		struct perry_err **err)
{
	enum perry_code code = take_why->code;
	perry_err_free(take_why);
	if (code == PERRY_ETIMEOUT)
		return too_late(s, wall_ms, err);
	if (code != PERRY_EUNAVAILABLE) {
		end_child(s);
		return perry_fail(err, PERRY_EPOLICY, "the policy process sent what is no message");
	}
	/* The zygote was lost between the request and the fork: nothing has run yet. */
	struct pollfd p = { .fd = s->status_fd, .events = POLLIN };
	char byte;
	bool no_word = poll(&p, 1, 2000) > 0 && recv(s->status_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
	if (no_word && !s->heard && s->opening)
		return reopen(s, msg, until, err);
	return died(s, err);
}

int session_exchange(struct policy_session *s, const cJSON *msg, int wall_ms, cJSON **reply, struct perry_err **err)
{
	int64_t until = clock_mono_ms() + wall_ms, last = until + MAX_ANSWERING_MS;
	s->calls = s->logs = 0;
	if (s->dead)
		return perry_fail(err, PERRY_EPOLICY, "the policy process of this session has ended");
	struct perry_err *why = NULL;
	if (frame_send_until(s->fd, msg, until, &why) < 0 && why->code != PERRY_EUNAVAILABLE) {
		end_child(s);
		return perry_move(err, why);
	}
	perry_err_free(take_ptr(why));
	for (;;) {
		cleanup_json cJSON *in = NULL;
		if (frame_recv_until(s->fd, until, &in, &why) < 0) {
			if (lost(s, msg, wall_ms, until, take_ptr(why), err) < 0)
				return -1;
			continue;
		}
		s->heard = true;
		if (json_at(in, "call")) {
			int64_t began = clock_mono_ms();
			int r = serve_call(s, in, until, &why);
			until += clock_mono_ms() - began;
			until = until < last ? until : last;
			perry_err_free(take_ptr(why));
			if (r < 0)
				return died(s, err);
		} else if (json_at(in, "log")) {
			take_log(s, json_at(in, "log"));
		} else if (json_at(in, "died")) {
			cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(in, "died");
			json_set_str(record, "cause", "limit");
			end_child(s);
			return record_fail(s, record, err);
		} else {
			*reply = take_ptr(in);
			return 0;
		}
	}
}

int session_wall_ms(const struct policy_session *s, const struct point *point)
{
	return s->limited ? s->limits.wall_ms : point_limits(point).wall_ms;
}

/* -- beginning and end -- */

int session_begin(struct policy *p, cJSON *opening, struct policy_session **out, struct perry_err **err)
{
	struct policy_session *s = xcalloc(1, sizeof *s);
	s->policy = p;
	s->fd = s->status_fd = -1;
	s->opening = opening;
	s->hashes = cJSON_CreateObject();
	s->needs = cJSON_CreateObject();
	s->settings = cJSON_CreateObject();
	for (const struct point *point = policy_point_table; point->name; point++) {
		const char *hash = builtin_hash(point->name);
		if (hash) {
			cleanup_free char *file = xasprintf("built-in/%s.lua", point->name);
			json_set(s->hashes, file, cJSON_CreateString(hash));
		}
	}
	s->limited = policy_limited(p, &s->limits);
	if (s->limited) {
		cJSON *limits = json_obj(opening, "limits");
		json_set_int(limits, "instructions", s->limits.instructions);
		json_set_int(limits, "cpu_ms", s->limits.cpu_ms);
	}
	if (policy_child(p, &s->fd, &s->status_fd, err) < 0 ||
	    (frame_send_until(s->fd, opening, clock_mono_ms() + DECISION_LIMITS.wall_ms, err) < 0 &&
	     (*err)->code != PERRY_EUNAVAILABLE)) {
		session_end(s);
		return perry_wrap(err, "policy process");
	}
	*out = s;
	return 0;
}

void session_restrict(struct policy_session *s, const struct policy_layer *layer)
{
	if (!layer->needs)
		return;
	json_set(s->needs, layer->name, cJSON_Duplicate(layer->needs, 1));
	if (layer->settings)
		json_set(s->settings, layer->name, cJSON_Duplicate(layer->settings, 1));
}

void session_end(struct policy_session *s)
{
	if (!s)
		return;
	/* The zygote ends the process, should it still run, when the second is closed. */
	if (s->fd >= 0)
		close(s->fd);
	if (s->status_fd >= 0)
		close(s->status_fd);
	cJSON_Delete(s->opening);
	cJSON_Delete(s->later);
	cJSON_Delete(s->hashes);
	cJSON_Delete(s->needs);
	cJSON_Delete(s->settings);
	free(s->workspace);
	free(s);
}
