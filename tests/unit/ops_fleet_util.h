/* A fleet with its store and hub, and what is put into it. */
#ifndef PERRY_TESTS_OPS_FLEET_UTIL_H
#define PERRY_TESTS_OPS_FLEET_UTIL_H
#include "docker/docker.h"
#include "ops/fleet.h"
#include "ops_util.h"

struct scene {
	struct store *store;
	struct hub *hub;
	struct docker *docker;
	struct fleet *fleet;
};

static inline void scene_open(struct scene *s, const char *host)
{
	s->store = open_store("state.db");
	s->hub = hub_new(s->store);
	ok(docker_open(&s->docker, host, &err));
}

static inline void scene_fleet(struct scene *s)
{
	ok(fleet_open(&s->fleet, s->store, s->docker, s->hub, &err));
}

static inline void scene_close(struct scene *s)
{
	fleet_close(s->fleet);
	docker_close(s->docker);
	hub_free(s->hub);
	store_close(s->store);
}

static inline char *status(struct fleet *f, const char *name)
{
	cJSON *got = NULL;
	if (fleet_get(f, name, &got, NULL))
		return xstrdup("absent");
	char *text = xstrdup(json_str(got, "status"));
	cJSON_Delete(got);
	return text;
}

#define assert_status(f, name, want) \
	do { \
		char *status_ = status(f, name); \
		assert_string_equal(status_, want); \
		free(status_); \
	} while (0)

static inline void put(struct fleet *f, const char *name, const char *json)
{
	cJSON *record = J("%s", json);
	fleet_put(f, name, record);
	cJSON_Delete(record);
}

static inline void put_container(struct fleet *f, const char *name, const char *id, const char *state,
				 const char *started, const char *finished)
{
	cJSON *inspect =
		J("{'Id':'%s','Name':'/"
		  "workspace-%s','State':{'Status':'%s','Pid':7,'StartedAt':'%s','FinishedAt':'%s','ExitCode':3}}",
		  id, name, state, started, finished);
	fleet_put_container(f, name, inspect);
	cJSON_Delete(inspect);
}

#endif
