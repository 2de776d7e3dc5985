/* Ends of operations that the journal could not take: the disk was full, the file was gone. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ops/priv.h"
#include "store/store.h"

static void lost_free(struct lost_end *e)
{
	free(e->workspace);
	cJSON_Delete(e->patch);
	free(e);
}

void ops_lost_add(struct ops *o, const struct op *op, cJSON *take_patch)
{
	struct lost_end *e = xcalloc(1, sizeof *e);
	memcpy(e->id, op->id, sizeof e->id);
	e->workspace = xstrdup(op->workspace);
	e->patch = take_patch;
	pthread_mutex_lock(&o->lost_lock);
	struct lost_end **at = &o->lost;
	while (*at)
		at = &(*at)->next;
	*at = e;
	pthread_mutex_unlock(&o->lost_lock);
}

/* 0: recorded, or there is no record of it. */
static int record(struct ops *o, const struct lost_end *e, struct perry_err **err)
{
	cleanup_err struct perry_err *why = NULL;
	if (store_op_patch(o->setup.store, e->id, e->patch, &why) == 0 || why->code == PERRY_ENOTFOUND)
		return 0;
	return perry_move(err, take_ptr(why));
}

int ops_lost_record(struct ops *o, const char *workspace, struct perry_err **err)
{
	int rc = 0;
	pthread_mutex_lock(&o->lost_lock);
	for (struct lost_end **at = &o->lost; *at;) {
		struct lost_end *e = *at;
		cleanup_err struct perry_err *why = NULL;
		if (record(o, e, &why) == 0) {
			log_info("operations", "the end of %s is recorded now", e->id);
			*at = e->next;
			lost_free(e);
			continue;
		}
		if (rc == 0 && str_eq(e->workspace, workspace)) {
			perry_wrap(&why, "the end of the operation before this one cannot be recorded");
			rc = perry_move(err, take_ptr(why));
		}
		at = &e->next;
	}
	pthread_mutex_unlock(&o->lost_lock);
	return rc;
}

void ops_lost_free(struct ops *o)
{
	for (struct lost_end *next, *e = o->lost; e; e = next) {
		next = e->next;
		lost_free(e);
	}
}
