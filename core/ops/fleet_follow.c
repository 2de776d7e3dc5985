/* The thread that follows the engine. The stream is opened first and the list is asked for while its events wait in the
 * socket, so nothing falls between the two; an event only says "look at this container". When the stream breaks, the
 * same again. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ops/fleet_priv.h"
#include "store/store.h"

/* Between two tries; the longest is short enough for "true within a second" after the engine's return, and a try that
 * fails is one system call. */
#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS   500
/* One container that the engine hangs over holds the others up for so long, once. */
#define LOOK_MS 1000

struct follow {
	struct fleet *f;
	bool listed;
	struct perry_err *err; /* of the list */
};

static cJSON *of_ours(const struct fleet *f)
{
	cJSON *filter = cJSON_CreateObject(), *labels = cJSON_CreateArray();
	cleanup_free char *label = xasprintf("perry.agent=%s", store_agent_id(f->store));
	json_push_str(labels, label);
	json_set(filter, "label", labels);
	return filter;
}

/* Events of networks have no labels, so a filter by label would leave them out. */
static cJSON *of_containers_and_networks(void)
{
	cJSON *filter = cJSON_CreateObject(), *types = cJSON_CreateArray();
	json_push_str(types, "container");
	json_push_str(types, "network");
	json_set(filter, "type", types);
	return filter;
}

static bool is_ours(const struct fleet *f, const cJSON *attributes)
{
	const cJSON *label = cJSON_GetObjectItemCaseSensitive(attributes, "perry.agent");
	return cJSON_IsString(label) && strcmp(label->valuestring, store_agent_id(f->store)) == 0;
}

static const char *workspace_of(const cJSON *labels)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(labels, "perry.workspace");
	return cJSON_IsString(v) ? v->valuestring : NULL;
}

bool fleet_look(struct fleet *f, const char *id, int timeout_ms, struct docker_cancel *cancel)
{
	cleanup_json cJSON *inspect = NULL;
	cleanup_err struct perry_err *err = NULL;
	if (docker_container_look(f->docker, id, timeout_ms, cancel, &inspect, &err) == 0) {
		const char *workspace = workspace_of(json_at(inspect, "Config.Labels"));
		if (workspace)
			fleet_news(f, workspace, json_str(inspect, "Name"), fleet_container_of(inspect));
	} else if (err->code == PERRY_ENOTFOUND) {
		fleet_gone(f, id);
	} else if (err->code == PERRY_ETIMEOUT) {
		return false;
	} else if (err->code != PERRY_ECANCELLED) {
		log_warn("fleet", "%.12s: %s", id, perry_msg(err));
	}
	return true;
}

static void look_at(struct fleet *f, const char *id)
{
	if (fleet_is_late(f, id) || !fleet_look(f, id, LOOK_MS, &f->cancel))
		fleet_later(f, id);
}

/* What is done in a container does not change its state, and there is much of it. */
static bool is_noise(const char *action)
{
	static const char *const noise[] = { "exec_",          "attach", "resize", "top",   "archive-path",
					     "extract-to-dir", "copy",   "commit", "export" };
	for (size_t i = 0; i < ARRAY_LEN(noise); i++)
		if (str_starts(action, noise[i]))
			return true;
	return false;
}

static void on_event(void *ctx, const cJSON *event)
{
	struct follow *w = ctx;
	const char *action = json_str_or(event, "Action", ""), *id = json_str(event, "Actor.ID");
	const cJSON *attributes = json_at(event, "Actor.Attributes");
	if (str_eq(json_str(event, "Type"), "network")) {
		if (strcmp(action, "disconnect") == 0)
			fleet_off_network(w->f, json_str_or(attributes, "container", ""),
					  json_str_or(attributes, "name", ""));
		return;
	}
	if (!id || is_noise(action) || !is_ours(w->f, attributes))
		return;
	if (strcmp(action, "destroy") == 0 || strcmp(action, "remove") == 0)
		fleet_gone(w->f, id);
	else
		look_at(w->f, id);
}

static cJSON *row_of(const cJSON *listed)
{
	const char *workspace = workspace_of(json_at(listed, "Labels"));
	if (!workspace)
		return NULL;
	cJSON *row = cJSON_CreateObject(), *container = json_obj(row, "container");
	json_set_str(row, "workspace", workspace);
	const cJSON *name = cJSON_GetArrayItem(json_at(listed, "Names"), 0);
	json_set_str(row, "name", cJSON_IsString(name) ? name->valuestring : NULL);
	json_set_str(container, "id", json_str(listed, "Id"));
	json_set_str(container, "state", json_str_or(listed, "State", "exited"));
	return row;
}

static void on_ready(void *ctx)
{
	struct follow *w = ctx;
	struct fleet *f = w->f;
	cleanup_json cJSON *filter = of_ours(f), *list = NULL, *rows = cJSON_CreateArray();
	if (docker_container_list(f->docker, filter, &list, &w->err)) {
		/* Without a list the stream is of no use: end it and try both again. */
		atomic_store(&f->cancel.set, true);
		eventfd_write(f->cancel.fd, 1);
		return;
	}
	const cJSON *c;
	cJSON_ArrayForEach(c, list) {
		cJSON *row = row_of(c);
		if (row)
			json_push(rows, row);
	}
	fleet_all_news(f, rows);
	w->listed = true;
	log_debug("fleet", "follows the Docker Engine: %d containers of ours", cJSON_GetArraySize(rows));
	fleet_engine(f, true, NULL);
}

/* False when the fleet is closing. */
static bool begin(struct fleet *f)
{
	eventfd_t n;
	pthread_mutex_lock(&f->lock);
	bool go = !f->closing;
	if (go) {
		atomic_store(&f->cancel.set, false);
		eventfd_read(f->cancel.fd, &n);
	}
	pthread_mutex_unlock(&f->lock);
	return go;
}

static void rest(struct fleet *f, int ms)
{
	struct timespec until = clock_deadline(ms);
	pthread_mutex_lock(&f->lock);
	while (!f->closing && pthread_cond_timedwait(&f->changed, &f->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&f->lock);
}

static bool closing(struct fleet *f)
{
	pthread_mutex_lock(&f->lock);
	bool now = f->closing;
	pthread_mutex_unlock(&f->lock);
	return now;
}

static void *follow(void *arg)
{
	struct fleet *f = arg;
	cleanup_json cJSON *filter = of_containers_and_networks();
	int wait_ms = RETRY_FIRST_MS;
	while (begin(f)) {
		struct follow w = { .f = f };
		cleanup_err struct perry_err *err = NULL;
		docker_events(f->docker, filter, on_ready, on_event, &w, &f->cancel, &err);
		if (!closing(f)) {
			const struct perry_err *why = w.err ? w.err : err;
			if (w.listed)
				log_warn("fleet", "lost the Docker Engine: %s", perry_msg(why));
			fleet_engine(f, false, perry_msg(why));
			wait_ms = w.listed ? RETRY_FIRST_MS : wait_ms;
			log_debug("fleet", "tries the Docker Engine again in %d ms: %s", wait_ms, perry_msg(why));
			rest(f, wait_ms);
			wait_ms = wait_ms * 2 < RETRY_MAX_MS ? wait_ms * 2 : RETRY_MAX_MS;
		}
		perry_err_free(w.err);
	}
	return NULL;
}

int fleet_follow(struct fleet *f, struct perry_err **err)
{
	atomic_init(&f->cancel.set, false);
	f->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->cancel.fd < 0)
		return perry_fail_errno(err, errno, "fleet");
	if (fleet_later_open(f, err)) {
		close(f->cancel.fd);
		return -1;
	}
	int rc = pthread_create(&f->thread, NULL, follow, f);
	if (rc == 0)
		return 0;
	fleet_later_close(f);
	close(f->cancel.fd);
	return perry_fail_errno(err, rc, "fleet: cannot start a thread");
}

void fleet_unfollow(struct fleet *f)
{
	pthread_mutex_lock(&f->lock);
	f->closing = true;
	atomic_store(&f->cancel.set, true);
	eventfd_write(f->cancel.fd, 1);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	fleet_later_close(f);
	close(f->cancel.fd);
}
