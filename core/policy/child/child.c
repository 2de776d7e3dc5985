#include "policy/child/child.h"

#include <unistd.h>

#include "policy/child/chain.h"
#include "policy/child/confine.h"
#include "policy/child/coverage.h"
#include "policy/child/host.h"
#include "policy/child/limits.h"
#include "policy/contract/frame.h"

static struct host host;

/* The reply to one request: {"answer"|"plan"|"error", "rows"}. */
static void serve(struct host *h, cJSON *msg)
{
	cleanup_json cJSON *reply = cJSON_CreateObject();
	cJSON *answer = NULL, *record = NULL;
	const char *ask = json_str(msg, "ask"), *probe = json_str(msg, "probe"), *load = json_str(msg, "load");
	const struct point *point = point_find(ask ? ask : load);
	if (json_at(msg, "files"))
		host_add(h, cJSON_DetachItemFromObjectCaseSensitive(msg, "files"));
	h->facts = cJSON_GetObjectItemCaseSensitive(msg, "facts");
	h->exchange++;
	h->rows = cJSON_CreateArray();
	json_set(reply, "rows", h->rows);
	int r = -1;
	if (probe) {
		json_set_int(reply, "survived", confine_probe(probe));
		r = 0;
	} else if (load && point) {
		r = chain_load(h, json_str_or(msg, "layer", ""), point, &record);
	} else if (json_str(msg, "table")) {
		r = chain_table(h, json_str(msg, "table"), &answer, &record);
	} else if (json_at(msg, "plan")) {
		r = chain_plan(h, &answer, &record);
	} else if (point) {
		r = chain_ask(h, point, cJSON_GetObjectItemCaseSensitive(msg, "extra"),
			      json_bool_or(msg, "each", false), &answer, &record);
	}
	if (r < 0)
		json_set(reply, "error", record ? record : cJSON_CreateObject());
	else
		json_set(reply, "answer", answer ? answer : cJSON_CreateNull());
	if (r < 0)
		cJSON_Delete(answer);
	if (h->coverage)
		json_set(reply, "lines", coverage_json(h));
	host_send(h, reply);
	h->rows = NULL;
	h->facts = NULL;
}

void child_main(int fd)
{
	host.fd = fd;
	limits_signals(&host);
	if (confine_apply() < 0)
		_exit(87);
	cJSON *opened = frame_recv(fd);
	if (!opened || host_open(&host, opened) < 0)
		_exit(88);
	for (;;) {
		cleanup_json cJSON *msg = frame_recv(fd);
		if (!msg) {
#if CONFINE_SANITIZED
			coverage_free(&host); /* so that leaks show */
			host_close(&host);
#endif
			_exit(0);
		}
		serve(&host, msg);
	}
}
