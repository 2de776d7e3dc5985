/* A store, a hub and operations whose runner does what the operation's input says. */
#ifndef OPS_UTIL_H
#define OPS_UTIL_H
#include "store_util.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "ops/hub.h"
#include "ops/ops.h"

struct world {
	struct store *store;
	struct hub *hub;
	struct ops *ops;
	pthread_mutex_t lock;
	struct buf log;      /* "+start web" at its begin, "-start web" at its end, "!..." when cancelled */
	atomic_bool release; /* lets those with {"block":true} go on */
	atomic_int running, most;
};

static inline void note(struct world *w, char sign, const struct op *op)
{
	pthread_mutex_lock(&w->lock);
	buf_addf(&w->log, "%c%s %s;", sign, op_kind(op)->name, op_workspace(op) ? op_workspace(op) : "*");
	pthread_mutex_unlock(&w->lock);
}

static inline int block(struct world *w, struct op *op, struct perry_err **err)
{
	while (!atomic_load(&w->release)) {
		if (op_check(op, err)) {
			/* As a lifecycle does: what was under way is recorded as broken off, and undoing takes a
			 * moment. */
			op_step(op, "work", "cancelled", perry_msg(err ? *err : NULL), NULL, NULL);
			usleep(3000);
			note(w, '!', op);
			return -1;
		}
		usleep(500);
	}
	return 0;
}

static inline int scripted(void *ctx, struct op *op, cJSON **result, struct perry_err **err)
{
	struct world *w = ctx;
	const cJSON *in = op_input(op);
	note(w, '+', op);
	int now = atomic_fetch_add(&w->running, 1) + 1, most = atomic_load(&w->most);
	while (now > most && !atomic_compare_exchange_weak(&w->most, &most, now))
		;
	cleanup_json cJSON *steps = J("[{'id':'prepare','label':'Preparing'},{'id':'work','label':'Working'}]");
	op_steps(op, steps);
	int rc = op_step(op, "prepare", "running", NULL, NULL, err) ||
		 op_step(op, "prepare", "done", NULL, NULL, err) || op_step(op, "work", "running", NULL, NULL, err);
	op_progress(op, "work", "a line \xff");
	if (json_str(in, "warn"))
		op_warn(op, "work", json_str(in, "warn"), json_str(in, "mend"));
	if (rc == 0 && json_bool_or(in, "block", false))
		rc = block(w, op, err);
	if (rc == 0 && json_str(in, "fail")) {
		op_step(op, "work", "error", json_str(in, "fail"), NULL, NULL);
		rc = perry_fail(err, PERRY_EPOLICY, "%s", json_str(in, "fail"));
	}
	atomic_fetch_sub(&w->running, 1);
	if (rc == 0) {
		op_step(op, "work", "done", NULL, NULL, NULL);
		*result = J("{'ran':'%s'}", op_kind(op)->name);
		note(w, '-', op);
	}
	return rc ? -1 : 0;
}

static inline void world_ops(struct world *w, int max_running)
{
	const struct ops_setup setup = {
		.store = w->store, .hub = w->hub, .max_running = max_running, .run = scripted, .ctx = w
	};
	ok(ops_new(&w->ops, &setup, &err));
}

static inline struct world *world_open(int max_running)
{
	struct world *w = xcalloc(1, sizeof *w);
	pthread_mutex_init(&w->lock, NULL);
	w->store = open_store("state.db");
	w->hub = hub_new(w->store);
	world_ops(w, max_running);
	return w;
}

static inline void world_close(struct world *w)
{
	assert_int_equal(ops_stop(w->ops, 10000), 0);
	ops_free(w->ops);
	hub_free(w->hub);
	store_close(w->store);
	pthread_mutex_destroy(&w->lock);
	buf_free(&w->log);
	free(w);
}

static inline char *world_log(struct world *w)
{
	pthread_mutex_lock(&w->lock);
	char *text = xstrdup(buf_str(&w->log));
	pthread_mutex_unlock(&w->lock);
	return text;
}

#define assert_log(w, want) \
	do { \
		char *log_ = world_log(w); \
		assert_string_equal(log_, want); \
		free(log_); \
	} while (0)

static inline struct op *submit(struct world *w, const char *kind, const char *ws, const char *input)
{
	struct op *op = NULL;
	cJSON *in = J("%s", input), *caller = J("{'kind':'local','login':'me'}");
	ok(ops_submit(w->ops, kind, ws, in, caller, &op, &err));
	cJSON_Delete(in);
	cJSON_Delete(caller);
	return op;
}

/* Waits until the operation's runner has begun its work (its log has the line). */
static inline void await_log(struct world *w, const char *line)
{
	for (int i = 0; i < 5000; i++) {
		char *text = world_log(w);
		bool there = strstr(text, line);
		free(text);
		if (there)
			return;
		usleep(1000);
	}
	fail_msg("never saw %s", line);
}

static inline char *state_of(struct world *w, const char *id)
{
	cJSON *rec;
	ok(store_op_get(w->store, id, &rec, &err));
	char *state = xstrdup(json_str(rec, "state"));
	cJSON_Delete(rec);
	return state;
}

#define assert_state(w, op, want) \
	do { \
		char *state_ = state_of(w, op_id(op)); \
		assert_string_equal(state_, want); \
		free(state_); \
	} while (0)

#define T(f) cmocka_unit_test_setup_teardown(f, test_dir_make, test_dir_remove)

#endif
