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
#include "base/paths.h"
#include "base/sha256.h"
#include "policy/access.h"
#include "policy/frame.h"
#include "policy/result.h"

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
		n = poll(&p, 1, 2000);
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
	struct policy_layer about = { .name = layer,
				      .needs = cJSON_GetObjectItemCaseSensitive(s->needs, layer),
				      .settings = cJSON_GetObjectItemCaseSensitive(s->settings, layer) };
	if (access_check(&about, layer, point, name, args, err) < 0)
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
	bool no_word = poll(&p, 1, 200) > 0 && recv(s->status_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
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

/* The first row of an exchange has the facts that all of them were made on. */
static void keep_rows(const struct policy_session *s, const cJSON *facts, cJSON *reply, cJSON *decisions)
{
	cJSON *rows = cJSON_GetObjectItemCaseSensitive(reply, "rows");
	if (decisions && rows && rows->child && facts)
		json_set(rows->child, "facts", cJSON_Duplicate(facts, 1));
	while (decisions && rows && rows->child) {
		cJSON *row = cJSON_DetachItemFromArray(rows, 0);
		const cJSON *hash = cJSON_GetObjectItemCaseSensitive(s->hashes, json_str_or(row, "file", ""));
		json_set_str(row, "hash", cJSON_IsString(hash) ? hash->valuestring : NULL);
		json_push(decisions, row);
	}
}

static void remember_workspace(struct policy_session *s, const cJSON *facts)
{
	const char *name = json_str(facts, "ws.name");
	free(s->workspace);
	s->workspace = xstrdup(name);
}

static int wall_ms(const struct policy_session *s, const struct point *point)
{
	return s->limits.wall_ms ? s->limits.wall_ms : point_limits(point).wall_ms;
}

int session_ask(struct policy_session *s, const struct point *point, const cJSON *facts, const cJSON *extra, bool each,
		cJSON **reply, struct perry_err **err)
{
	cleanup_json cJSON *msg = cJSON_CreateObject();
	json_set_str(msg, "ask", point->name);
	json_set(msg, "facts", facts ? cJSON_Duplicate(facts, 1) : cJSON_CreateObject());
	if (extra)
		json_set(msg, "extra", cJSON_Duplicate(extra, 1));
	if (each)
		json_set_bool(msg, "each", true);
	json_set(msg, "files", cJSON_DetachItemFromObjectCaseSensitive(s->later, point->name));
	remember_workspace(s, facts);
	s->point = point;
	int64_t began = clock_mono_ms();
	int r = session_exchange(s, msg, wall_ms(s, point), reply, err);
	log_debug("hook", "%s%s%s: %s after %lld ms", point->name, s->workspace ? " " : "",
		  s->workspace ? s->workspace : "", r == 0 ? "decided" : "failed",
		  (long long)(clock_mono_ms() - began));
	return r;
}

int session_load(struct policy_session *s, const char *layer, const struct point *point, struct perry_err **err)
{
	cleanup_json cJSON *msg = cJSON_CreateObject(), *reply = NULL;
	json_set_str(msg, "load", point->name);
	json_set_str(msg, "layer", layer);
	s->point = point;
	if (session_exchange(s, msg, wall_ms(s, point), &reply, err) < 0)
		return -1;
	cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(reply, "error");
	return record ? record_fail(s, record, err) : 0;
}

static int bad_answer(const struct policy_session *s, const char *point, const char *why, struct perry_err **err)
{
	cJSON *record = cJSON_CreateObject();
	json_set_str(record, "point", point);
	json_set_str(record, "message", why);
	json_set_str(record, "cause", "type");
	return record_fail(s, record, err);
}

/* The child has checked already, with the file's name; this one counts. */
static int check_answer(const struct policy_session *s, const struct point *point, cJSON **answer,
			struct perry_err **err)
{
	struct buf why = { 0 };
	int r = result_check(point->result, answer, &why);
	if (r < 0)
		bad_answer(s, point->name, buf_str(&why), err);
	buf_free(&why);
	if (r == 0 && point->kind == POINT_CONSENT && !cJSON_IsTrue(*answer))
		r = bad_answer(s, point->name, "refused", err);
	struct perry_err *secret = NULL;
	if (r == 0 && access_secrets(NULL, *answer, NULL, &secret) < 0) {
		r = bad_answer(s, point->name, perry_msg(secret), err);
		perry_err_free(secret);
	}
	return r;
}

int policy_ask(struct policy_session *s, const char *name, const cJSON *facts, const cJSON *extra, cJSON **answer,
	       cJSON *decisions, struct perry_err **err)
{
	const struct point *point = point_find(name);
	cleanup_json cJSON *reply = NULL;
	if (answer)
		*answer = NULL;
	if (!point) {
		const char *near = point_nearest(name);
		return perry_fail(err, PERRY_EINPUT, "there is no hook point '%s'%s%s%s", name,
				  near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	}
	if (session_ask(s, point, facts, extra, false, &reply, err) < 0)
		return -1;
	keep_rows(s, facts, reply, decisions);
	cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(reply, "error");
	if (record)
		return record_fail(s, record, err);
	cJSON *got = cJSON_DetachItemFromObjectCaseSensitive(reply, "answer");
	if (point->kind == POINT_ACTION) {
		cJSON_Delete(got);
		return 0;
	}
	if (check_answer(s, point, &got, err) < 0) {
		cJSON_Delete(got);
		return -1;
	}
	if (answer)
		*answer = take_ptr(got);
	cJSON_Delete(got);
	return 0;
}

/* -- the plan -- */

static bool within(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	return strncmp(path, dir, n) == 0 && (n == 1 || path[n] == '/' || path[n] == 0);
}

/* The review hook compares texts; a link inside an allowed folder may lead out of it, and that only the agent can see.
 */
static int check_links(const struct policy_session *s, const cJSON *container, struct perry_err **err)
{
	const cJSON *mount, *allowed;
	cJSON_ArrayForEach(mount, cJSON_GetObjectItemCaseSensitive(container, "mounts")) {
		const char *source = json_str_or(mount, "source", "");
		if (!str_eq(json_str(mount, "type"), "bind"))
			continue;
		cleanup_free char *real = realpath(source, NULL);
		if (!real || strcmp(real, source) == 0)
			continue;
		bool fine = false;
		cJSON_ArrayForEach(allowed, s->allowed_mounts) {
			cleanup_free char *full =
				cJSON_IsString(allowed) ? path_expand_home(allowed->valuestring) : NULL;
			cleanup_free char *dir = full ? realpath(full, NULL) : NULL;
			fine = fine || (dir && within(real, dir));
		}
		if (fine)
			continue;
		cJSON *record = cJSON_CreateObject();
		cleanup_free char *text = xasprintf("the mount %s leads to %s, outside of allowedMounts", source, real);
		json_set_str(record, "point", "review");
		json_set_str(record, "message", text);
		json_set_bool(record, "refused", true);
		return record_fail(s, record, err);
	}
	return 0;
}

static int finish_plan(const struct policy_session *s, cJSON *plan, struct perry_err **err)
{
	static const struct {
		const char *member, *point;
	} parts[] = { { "image", "image" },
		      { "env", "env" },
		      { "container", "container" },
		      { "hostname", "hostname" },
		      { "tailscale_up", "tailscale_up" },
		      { "join", "auth_key" } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct point *point = point_find(parts[i].point);
		cJSON *v = cJSON_DetachItemFromObjectCaseSensitive(plan, parts[i].member);
		if (!v && point->rule == RULE_DEGRADE)
			continue;
		if (!v)
			v = cJSON_CreateNull();
		int r = check_answer(s, point, &v, err);
		json_set(plan, parts[i].member, v);
		if (r < 0)
			return -1;
	}
	const cJSON *container = json_at(plan, "container");
	if (check_links(s, container, err) < 0)
		return -1;
	char hash[65];
	cleanup_free char *text = json_canonical(container);
	sha256_hex(text, strlen(text), hash);
	json_set_str(plan, "hash", hash);
	return 0;
}

int policy_plan(struct policy_session *s, const cJSON *facts, cJSON **plan, cJSON *decisions, struct perry_err **err)
{
	cleanup_json cJSON *msg = cJSON_CreateObject(), *reply = NULL;
	*plan = NULL;
	json_set_bool(msg, "plan", true);
	json_set(msg, "facts", cJSON_Duplicate(facts, 1));
	remember_workspace(s, facts);
	s->point = NULL;
	if (session_exchange(s, msg, 3 * wall_ms(s, point_find("image")), &reply, err) < 0)
		return -1;
	keep_rows(s, facts, reply, decisions);
	cJSON *record = cJSON_DetachItemFromObjectCaseSensitive(reply, "error");
	if (record)
		return record_fail(s, record, err);
	cleanup_json cJSON *got = cJSON_DetachItemFromObjectCaseSensitive(reply, "answer");
	if (!cJSON_IsObject(got))
		return perry_fail(err, PERRY_EPOLICY, "the policy process made no plan");
	if (finish_plan(s, got, err) < 0)
		return -1;
	*plan = take_ptr(got);
	return 0;
}
