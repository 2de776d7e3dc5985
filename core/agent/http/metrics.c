#include "agent/http/metrics.h"

#include <stdio.h>
#include <string.h>

#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/stream/stream.h"
#include "base/clock.h"
#include "base/mem.h"
#include "docker/docker.h"
#include "ops/fleet.h"
#include "ops/ops.h"
#include "store/store.h"

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *b, const char *name, const char *type, const char *help, double value)
{
	head(b, name, type, help);
	buf_addf(b, "%s %.15g\n", name, value);
}

static void workspaces(struct agent *a, struct buf *b)
{
	static const char *const states[] = { "running", "stopped", "creating", "error" };
	int counts[ARRAY_LEN(states)] = { 0 };
	cleanup_json cJSON *all = fleet_list(a->fleet);
	const cJSON *record;
	cJSON_ArrayForEach(record, all) {
		size_t i = 0;
		while (i < ARRAY_LEN(states) - 1 && strcmp(json_str_or(record, "status", ""), states[i]) != 0)
			i++;
		counts[i]++;
	}
	head(b, "perry_workspaces", "gauge", "Workspaces by status.");
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		buf_addf(b, "perry_workspaces{status=\"%s\"} %d\n", states[i], counts[i]);
}

static void answers(struct agent *a, struct buf *b)
{
	head(b, "perry_http_answers_total", "counter", "Answers by class of status.");
	for (int i = 2; i < 6; i++)
		buf_addf(b, "perry_http_answers_total{status=\"%dxx\"} %llu\n", i,
			 (unsigned long long)atomic_load(&a->answers[i]));
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;
	if (f && fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void metrics_handle(struct agent *a, struct server_req *r, const struct caller *c)
{
	struct buf b = { 0 };
	cleanup_json cJSON *running = ops_running(a->ops);
	head(&b, "perry_info", "gauge", "The agent's version, and its id as in the labels of what it makes.");
	buf_addf(&b, "perry_info{version=\"" PERRY_VERSION "\",agent=\"%s\"} 1\n", store_agent_id(a->store));
	one(&b, "perry_uptime_seconds", "gauge", "Time since the agent started.",
	    (double)(clock_ms() - a->started_ms) / 1000);
	one(&b, "perry_engine_up", "gauge", "1 while the container engine answers.", fleet_engine_up(a->fleet, NULL));
	one(&b, "perry_engine_requests_total", "counter", "Requests made of the engine.",
	    (double)docker_requests(a->docker));
	workspaces(a, &b);
	one(&b, "perry_operations_running", "gauge", "Operations that run or queue.", cJSON_GetArraySize(running));
	one(&b, "perry_terminals", "gauge", "Open terminals.", a->streams ? streams_count(a->streams) : 0);
	one(&b, "perry_http_requests_total", "counter", "Requests.", (double)atomic_load(&a->requests));
	one(&b, "perry_http_unauthorized_total", "counter", "Requests without the right to be answered.",
	    (double)atomic_load(&a->unauthorized));
	answers(a, &b);
	one(&b, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
	agent_reply(a, r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_take(&b), NULL);
}
