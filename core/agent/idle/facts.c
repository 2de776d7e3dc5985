#include "agent/idle/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const names[] = {
#define TEXT(name, text) text,
	IDLE_KINDS(TEXT)
#undef TEXT
};

/* Two samples that follow each other at once would make rates of a few clock ticks. */
#define SPAN_MIN 1.0

void idle_track_free(struct idle_track *t)
{
	cJSON_Delete(t->sample);
	cJSON_Delete(t->own);
	*t = (struct idle_track){ 0 };
}

void idle_track_begin(struct idle_track *t, int64_t now)
{
	idle_track_free(t);
	t->since = now;
	t->span = t->cpu = t->disk = t->net = t->tailnet = -1;
	for (int k = 0; k < IDLE_N_KINDS; k++)
		t->last[k] = now;
}

static void seen(struct idle_track *t, enum idle_kind kind, int64_t when)
{
	if (when > t->last[kind])
		t->last[kind] = when;
	t->known &= kind != IDLE_UNKNOWN;
}

/* What was there and is not any more has ended at the latest just now. */
static void present(struct idle_track *t, int64_t now, enum idle_kind kind, bool is)
{
	unsigned bit = 1u << kind;
	if (is || (t->present & bit))
		seen(t, kind, now);
	t->present = is ? t->present | bit : t->present & ~bit;
}

/* --- rates --- */

static double sum(const cJSON *sample, const char *a, const char *b)
{
	double x = json_num_or(sample, a, -1), y = b ? json_num_or(sample, b, -1) : 0;
	return x < 0 || y < 0 ? -1 : x + y;
}

static struct idle_counters counters_of(const cJSON *sample)
{
	return (struct idle_counters){
		.cpu = sum(sample, "cpuUsec", NULL),
		.disk = sum(sample, "ioBytes", NULL),
		.net = sum(sample, "netRx", "netTx"),
		.tailnet = sum(sample, "tailnetRx", NULL),
		.accepted = sum(sample, "accepted", NULL),
		.ssh = sum(sample, "sshEnded", NULL),
	};
}

/* -1: it is not known, because one of the two is missing or the counter began anew. */
static double rate(double before, double now, double span)
{
	return before < 0 || now < before ? -1 : (now - before) / span;
}

static void take_rates(struct idle_track *t, int64_t now, const cJSON *sample)
{
	struct idle_counters old = t->counters, new = counters_of(sample);
	double span = (double)(now - t->at) / 1000, over = span < SPAN_MIN ? SPAN_MIN : span;
	bool first = !t->at;
	t->counters = new;
	t->at = now;
	t->span = first ? -1 : span;
	t->cpu = first ? -1 : rate(old.cpu, new.cpu, over * 1e6);
	t->disk = first ? -1 : rate(old.disk, new.disk, over);
	t->net = first ? -1 : rate(old.net, new.net, over);
	t->tailnet = first ? -1 : rate(old.tailnet, new.tailnet, over);
	/* The disk of a container is not told everywhere, and not every workspace is on a tailnet. */
	if (new.cpu < 0 || new.net < 0 || (!first && (t->cpu < 0 || t->net < 0 || span * 1000 > IDLE_GAP_MS)))
		seen(t, IDLE_UNKNOWN, now);
	present(t, now, IDLE_CPU, t->cpu >= IDLE_CPU_SHARE);
	present(t, now, IDLE_DISK, t->disk >= IDLE_DISK_RATE);
	present(t, now, IDLE_NETWORK, t->net >= IDLE_NET_RATE);
	if (!first && old.ssh != new.ssh)
		seen(t, IDLE_SSH, now);
	/* Where tailscaled tells nothing, whoever came and went shows only as a connection that was accepted. */
	if (t->tailnet > 0 || (!first && old.tailnet < 0 && new.tailnet > 0) ||
	    (json_bool_or(sample, "tailnetUnseen", false) && !first && old.accepted != new.accepted))
		seen(t, IDLE_TAILNET, now);
}

/* --- what is there --- */

static void take_present(struct idle_track *t, int64_t now, const cJSON *sample)
{
	static const struct {
		const char *key;
		enum idle_kind kind;
	} lists[] = { { "connections", IDLE_CONNECTION }, { "agents", IDLE_AGENT }, { "builds", IDLE_BUILD } };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const cJSON *list = cJSON_GetObjectItemCaseSensitive(sample, lists[i].key);
		present(t, now, lists[i].kind, cJSON_GetArraySize(list) > 0);
		if (!cJSON_IsArray(list))
			seen(t, IDLE_UNKNOWN, now);
	}
	present(t, now, IDLE_SSH, json_num_or(sample, "ssh", 0) > 0);
	double typed = json_num_or(sample, "typed", -1);
	if (typed >= 0)
		seen(t, IDLE_TYPED, now - (int64_t)(typed * 1000));
}

static void take_own(struct idle_track *t, int64_t now, const cJSON *own)
{
	static const struct {
		const char *key;
		enum idle_kind kind;
	} counts[] = { { "terminals", IDLE_TERMINAL },
		       { "execs", IDLE_EXEC },
		       { "streams", IDLE_STREAM },
		       { "operations", IDLE_OPERATION } };
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		present(t, now, counts[i].kind, json_num_or(own, counts[i].key, 0) > 0);
	if (t->own && json_int_or(t->own, "used", 0) != json_int_or(own, "used", 0))
		seen(t, IDLE_USED, now);
}

void idle_track_take(struct idle_track *t, int64_t now, const cJSON *sample, const cJSON *own)
{
	t->known = true;
	/* Of the time since a look that failed nothing is known, either. */
	if (t->own && !t->sample)
		seen(t, IDLE_UNKNOWN, now);
	take_own(t, now, own);
	cJSON_Delete(t->own);
	t->own = cJSON_Duplicate(own, 1);
	cJSON_Delete(t->sample);
	t->sample = sample ? cJSON_Duplicate(sample, 1) : NULL;
	if (sample) {
		take_rates(t, now, sample);
		take_present(t, now, sample);
	} else {
		t->at = 0; /* the next one has nothing to be compared with */
		t->span = t->cpu = t->disk = t->net = t->tailnet = -1;
		seen(t, IDLE_UNKNOWN, now);
	}
}

/* --- the argument --- */

static void put_rate(cJSON *out, const char *key, double v)
{
	if (v >= 0)
		json_set_num(out, key, v);
}

static int64_t seconds(int64_t from, int64_t to)
{
	return to > from ? (to - from) / 1000 : 0;
}

cJSON *idle_track_facts(const struct idle_track *t, int64_t now, int64_t wall_s, int64_t ttl, int64_t ttl_left)
{
	static const char *const copied[] = {
		"ssh", "connections", "agents", "builds", "processes", "typed", "printed"
	};
	cJSON *out = cJSON_CreateObject(), *quiet = json_obj(out, "quiet");
	enum idle_kind newest = IDLE_STARTED;
	for (int k = 0; k < IDLE_N_KINDS; k++) {
		/* Since it began to be watched none of the others may have been seen. */
		if (k != IDLE_STARTED && t->last[k] > t->last[newest])
			newest = (enum idle_kind)k;
		json_set_int(quiet, names[k], seconds(t->last[k], now));
	}
	json_set_int(out, "since", wall_s - seconds(t->since, now));
	json_set_str(out, "kind", names[newest]);
	json_set_int(out, "idle_seconds", seconds(t->last[newest], now));
	json_set_bool(out, "known", t->known);
	put_rate(out, "span", t->span);
	put_rate(out, "cpu", t->cpu);
	put_rate(out, "disk", t->disk);
	put_rate(out, "network", t->net);
	put_rate(out, "tailnet", t->tailnet);
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(t->sample, copied[i]);
		if (v)
			json_set(out, copied[i], cJSON_Duplicate(v, 1));
	}
	json_set_int(out, "terminals", json_int_or(t->own, "terminals", 0));
	json_set_int(out, "sessions", json_int_or(t->own, "sessions", 0));
	json_set_int(out, "busySessions", json_int_or(t->own, "busySessions", 0));
	json_set_int(out, "execs", json_int_or(t->own, "execs", 0));
	json_set_int(out, "streams", json_int_or(t->own, "streams", 0));
	if (ttl) {
		json_set_int(json_obj(out, "ttl"), "seconds", ttl);
		json_set_int(json_obj(out, "ttl"), "left", ttl_left > 0 ? (ttl_left + 999) / 1000 : 0);
	}
	return out;
}
