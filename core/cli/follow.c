#include "cli/follow.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/out.h"
#include "cli/text.h"
#include "cli/warnings.h"

struct progress {
	bool tty, line_open;
	int64_t step_began;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	interrupted = 1;
}

static void clear_line(struct progress *p)
{
	if (p->line_open)
		fputs("\r\033[K", stderr);
	p->line_open = false;
}

static void show_open(struct progress *p, const char *text)
{
	cleanup_free char *plain = printable(text);
	clear_line(p);
	fprintf(stderr, "  … %.100s", plain);
	fflush(stderr);
	p->line_open = true;
}

static void show_step(struct progress *p, const cJSON *ev)
{
	const char *status = json_str_or(ev, "status", ""),
		   *label = json_str_or(ev, "label", json_str_or(ev, "step", "?"));
	cleanup_free char *message = printable(json_str(ev, "message"));
	if (strcmp(status, "running") == 0) {
		p->step_began = clock_mono_ms();
		show_open(p, label);
	} else if (strcmp(status, "done") == 0) {
		clear_line(p);
		text_printf(stderr, "  %s %s (%.1f s)%s%s\n", json_bool_or(ev, "warned", false) ? "!" : "✓", label,
			    (double)(clock_mono_ms() - p->step_began) / 1000, *message ? ": " : "", message);
	} else if (strcmp(status, "error") == 0 || strcmp(status, "cancelled") == 0) {
		clear_line(p);
		text_printf(stderr, "  ✗ %s%s%s\n", label, *message ? ": " : "", message);
	}
}

static void show(struct progress *p, const cJSON *ev)
{
	const char *kind = json_str_or(ev, "kind", "");
	if (!p->tty)
		return;
	if (strcmp(kind, "step") == 0) {
		show_step(p, ev);
	} else if (strcmp(kind, "progress") == 0 && json_str(ev, "line")) {
		show_open(p, json_str(ev, "line"));
	} else if (strcmp(kind, "notice") == 0 && json_str(ev, "message")) {
		clear_line(p);
		text_printf(stderr, "  ! %s\n", json_str(ev, "message"));
	}
}

static bool ended_state(const char *s)
{
	return s && (strcmp(s, "done") == 0 || strcmp(s, "failed") == 0 || strcmp(s, "cancelled") == 0);
}

/* Asks for the operation itself. 1: ended (result or error), 0: still running. Its warnings are told, however it ended.
 */
static int settle(const struct client *c, const char *id, struct progress *p, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *op = NULL;
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "id", id);
	if (client_rpc(c, "operations/get", in, &op, err) < 0)
		return -1;
	if (!ended_state(json_str(op, "state")))
		return 0;
	clear_line(p);
	warnings_print(json_str(op, "workspace"), json_at(op, "warnings"));
	const cJSON *e = json_at(op, "error");
	if (strcmp(json_str(op, "state"), "done") != 0) {
		const char *code = json_str(e, "code");
		bool cancelled = strcmp(json_str(op, "state"), "cancelled") == 0;
		perry_fail(err,
			   code        ? perry_code_from_api(code)
			   : cancelled ? PERRY_ECANCELLED
				       : PERRY_EINTERNAL,
			   "%s", json_str_or(e, "message", cancelled ? "cancelled" : "failed without a reason"));
		if (err && *err)
			(*err)->data = cJSON_Duplicate(json_at(e, "data"), 1);
		return -1;
	}
	*out = cJSON_Duplicate(json_at(op, "result"), 1);
	return 1;
}

static int ask_interrupted(const struct client *c, struct progress *p, const char *id, struct perry_err **err)
{
	const struct sigaction again = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
	clear_line(p);
	interrupted = 0;
	sigaction(SIGINT, &again, NULL);
	if (in_is_tty() && p->tty) {
		cleanup_free char *line = ask_line("Detach (it goes on) or cancel it? [d/c]", "d");
		if (line && line[0] != 'c')
			return perry_fail(err, PERRY_ECANCELLED, "detached; it goes on (see: perry list)");
	} else {
		return perry_fail(err, PERRY_ECANCELLED,
				  "interrupted; the operation goes on in the agent (see: perry list)");
	}
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "id", id);
	return client_rpc(c, "operations/cancel", in, NULL, err);
}

static int follow(const struct client *c, const char *id, struct events *ev, struct progress *p, cJSON **out,
		  struct perry_err **err)
{
	bool ended = false;
	for (;;) {
		int rc;
		cleanup_err struct perry_err *why = NULL;
		/* The stream may have been opened after the end: ask when nothing comes. */
		cleanup_json cJSON *e = ended ? NULL : events_next(ev, 2000, &ended, &why);
		if (interrupted && ask_interrupted(c, p, id, err) < 0)
			return -1;
		bool over = false;
		if (e && str_eq(json_str(e, "operation"), id)) {
			show(p, e);
			over = str_eq(json_str(e, "kind"), "operation") && ended_state(json_str(e, "state"));
		} else if (e) {
			continue;
		}
		if (e && !over)
			continue;
		if (ended)
			usleep(200000); /* the event stream broke: the operation itself still answers */
		rc = settle(c, id, p, out, err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
}

/* There are no events of what is no name: the call itself says what is wrong with it. */
static int refused_name(const struct client *c, const char *proc, cJSON *take_input, struct perry_err **err)
{
	struct perry_err *why = NULL;
	if (client_rpc(c, proc, take_input, NULL, &why) == 0)
		return -1; /* err is still that of the events */
	perry_err_free(take_ptr(*err));
	return perry_move(err, why);
}

int follow_call(const struct client *c, const struct args *a, const char *proc, const char *workspace,
		cJSON *take_input, cJSON **out, struct perry_err **err)
{
	struct progress p = { .tty = err_is_tty(), .step_began = clock_mono_ms() };
	struct events ev;
	cleanup_free char *id = NULL;
	cleanup_buf struct buf query_text = { 0 };
	buf_adds(&query_text, workspace ? "workspace=" : "");
	for (const char *s = workspace; s && *s; s++)
		buf_addf(&query_text, (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') ? "%c" : "%%%02X",
			 (unsigned char)*s);
	const char *query = buf_str(&query_text);
	*out = NULL;
	/* Subscribed before the call, so that no step is missed. */
	if (events_open(c, query, &ev, err) < 0) {
		if (workspace && err && *err && (*err)->status == 400)
			return refused_name(c, proc, take_input, err);
		cJSON_Delete(take_input);
		return -1;
	}
	/* Once asks; while the agent is silent a second one ends us. */
	struct sigaction act = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND }, old;
	sigaction(SIGINT, NULL, &old);
	if (old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &act, NULL);
	int rc = client_rpc_async(c, proc, take_input, &id, out, err);
	if (rc == 0 && !id)
		warnings_print(workspace, json_at(*out, "warnings"));
	else if (rc == 0 && !args_has(a, "no-wait"))
		rc = follow(c, id, &ev, &p, out, err);
	clear_line(&p);
	sigaction(SIGINT, &old, NULL);
	events_close(&ev);
	return rc;
}
