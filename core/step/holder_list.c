/* The list of sessions, told to whoever asked for it when something of it changes. */
#include "step/holder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/quote.h"

#define EVERY_MS  1000
#define SETTLE_MS 3000 /* how long after the last byte one looks once more: what is in the foreground says nothing */

static struct buf told; /* the latest line */
static long long told_at, active_at;

struct group {
	pid_t id;
	char name[16];
};

static void look_for(void *ctx, const struct proc *p)
{
	struct group *g = ctx;
	if (p->group == g->id && !g->name[0])
		memcpy(g->name, p->name, sizeof g->name);
}

/* The name of its leader; when that has ended, of any. */
static void name_group(struct group *g)
{
	struct proc p;
	if (!proc_read(g->id, &p))
		memcpy(g->name, p.name, sizeof g->name);
	else
		proc_each(look_for, g);
	for (char *c = g->name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

static void print(struct buf *out, const struct session *s)
{
	struct group g = { .id = tcgetpgrp(s->master.fd) };
	unsigned attached = 0;
	for (const struct stream *v = s->viewers; v; v = v->viewer)
		attached++;
	if (g.id > 0)
		name_group(&g);
	buf_addf(out, "{\"id\":\"%s\",\"name\":", s->id);
	json_quote_str(out, s->name);
	buf_adds(out, ",\"command\":");
	json_quote_str(out, s->command);
	buf_addf(out, ",\"created\":%lld,\"input\":%lld,\"output\":%lld,\"cols\":%u,\"rows\":%u,\"attached\":%u",
		 s->created, s->input, s->output, s->cols, s->rows, attached);
	buf_addf(out,
		 ",\"busy\":%s,\"program\":", s->command[0] || (g.id > 0 && g.id != s->job->pid) ? "true" : "false");
	json_quote_str(out, g.name);
	buf_addf(out, ",\"bell\":%lld}", s->bell);
}

static void write_list(struct buf *out)
{
	bool first = true;
	buf_adds(out, "{\"sessions\":[");
	for (const struct session *s = sessions; s; s = s->next) {
		if (s->over)
			continue;
		buf_adds(out, first ? "" : ",");
		print(out, s);
		first = false;
	}
	buf_adds(out, "]}\n");
}

/* Only the latest is sent to one that had no room for those before. */
static void send_list(struct stream *st)
{
	if (!st->stale || st->may_send < told.len)
		return;
	for (size_t at = 0, n; at < told.len; at += n) {
		n = told.len - at < FRAME_MAX ? told.len - at : FRAME_MAX;
		if (!at && !stream_room(st))
			return;
		stream_send(st, FRAME_STDOUT, told.data + at, n);
	}
	st->stale = false;
}

static size_t readers;

static void count_reader(struct stream *st)
{
	readers++;
}

static void mark(struct stream *st)
{
	st->stale = true;
	send_list(st);
}

static void renew(void)
{
	struct buf now = { 0 };
	write_list(&now);
	if (now.len == told.len && !memcmp(now.data, told.data, now.len)) {
		buf_free(&now);
		return;
	}
	buf_free(&told);
	told = now;
	streams_each(&kind_sessions, mark);
}

static void tell(struct timer *t)
{
	readers = 0;
	streams_each(&kind_sessions, count_reader);
	told_at = now_ms();
	if (!readers)
		return;
	renew();
	if (told_at < active_at + SETTLE_MS)
		timer_set(t, told_at + EVERY_MS);
}

static struct timer telling = { .fire = tell };

void list_changed(void)
{
	if (telling.at)
		return;
	long long now = now_ms(), next = told_at + EVERY_MS;
	timer_set(&telling, next > now ? next : now);
}

void list_active(void)
{
	active_at = now_ms();
	list_changed();
}

static void open_sessions(struct stream *st, struct span from)
{
	stream_opened(st, "{}");
	st->stale = true;
	renew();
	send_list(st);
	list_changed();
}

const struct kind kind_sessions = { .name = "sessions", .open = open_sessions, .room = send_list };
