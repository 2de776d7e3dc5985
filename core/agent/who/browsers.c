#include "agent/who/browsers.h"

#include <pthread.h>

#include "agent/internal.h"
#include "agent/who/auth.h"
#include "agent/who/mark.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"

#define KEY "browsers"

/* Whoever writes reads first what there is: so the last that is written is the newest. */
static pthread_mutex_t one_writes = PTHREAD_MUTEX_INITIALIZER;

void browsers_keep(void *agent)
{
	struct agent *a = agent;
	char mark[65];
	cleanup_err struct perry_err *e = NULL;
	cleanup_json cJSON *row = cJSON_CreateObject();
	pthread_mutex_lock(&one_writes);
	agent_token_mark(a, mark);
	json_set_str(row, "token", mark);
	json_set(row, "sessions", auth_sessions(a->auth));
	if (store_kv_set(a->store, "perry", KEY, row, &e) < 0)
		log_warn("agent", "who is signed in by a browser cannot be kept: %s", perry_msg(e));
	pthread_mutex_unlock(&one_writes);
}

void browsers_restore(struct agent *a)
{
	char mark[65];
	cleanup_err struct perry_err *e = NULL;
	cleanup_json cJSON *row = NULL;
	agent_token_mark(a, mark);
	if (store_kv_get(a->store, "perry", KEY, &row, &e) < 0)
		log_warn("agent", "browsers have to sign in again: %s", perry_msg(e));
	else if (row && str_eq(json_str(row, "token"), mark))
		auth_restore(a->auth, cJSON_GetObjectItemCaseSensitive(row, "sessions"));
}
