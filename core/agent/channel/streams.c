/* The streams within a channel: numbers, windows, and what each frame means. */
#include "agent/channel/channel.h"

#include <stdlib.h>
#include <string.h>

#include "agent/channel/state.h"
#include "base/mem.h"
#include "base/str.h"

#define GRANT (FRAME_AHEAD / 4) /* granted together: fewer frames */

enum {
	MESSAGE_MAX = 2000,
	CODE_MAX = 255,
	OUT_AHEAD = 1 << 20, /* bytes for one that grants windows and does not read */
	LEFT_MAX = 256,      /* streams that are to end and do not */
};

static void stream_free(struct channel_stream *st)
{
	struct channel_stream **at = &st->ch->streams;
	while (*at != st)
		at = &(*at)->next;
	*at = st->next;
	if (!st->owner)
		st->ch->left--;
	free(st->open);
	free(st);
}

/* --- opening --- */

static void send_open(struct channel_stream *st)
{
	frame_write(&st->ch->out, FRAME_OPEN, st->id, st->open, strlen(st->open));
	free(take_ptr(st->open));
	st->credit = FRAME_AHEAD;
	if (st->closing)
		frame_write(&st->ch->out, FRAME_CLOSE, st->id, NULL, 0);
}

void channel_send_opens(struct channel *ch)
{
	for (struct channel_stream *st = ch->streams, *next; st; st = next) {
		next = st->next;
		if (!st->open)
			continue;
		send_open(st);
		if (st->owner)
			st->sink->room(st->owner); /* writes, and frees nothing */
	}
}

struct channel_stream *channel_open(struct channels *all, const char *container, const cJSON *open,
				    const struct channel_sink *sink, void *owner)
{
	struct channel_stream *st = xcalloc(1, sizeof *st);
	st->sink = sink;
	st->owner = owner;
	st->open = json_print(open);
	st->ahead = FRAME_AHEAD;
	st->ch = channel_find(all, container);
	st->id = ++st->ch->last_id;
	st->next = st->ch->streams;
	st->ch->streams = st;
	if (st->ch->state == CHANNEL_OPEN) {
		send_open(st);
		channel_flush(st->ch);
	}
	return st;
}

/* --- what the owner does --- */

size_t channel_room(const struct channel_stream *st)
{
	if (st->ch->out.len >= OUT_AHEAD) {
		st->ch->full = true;
		return 0;
	}
	return st->credit > 0 && !st->closing ? (size_t)st->credit : 0;
}

void channel_tell_room(struct channel *ch)
{
	if (!ch->full || ch->out.len >= OUT_AHEAD / 2)
		return;
	ch->full = false;
	for (struct channel_stream *st = ch->streams, *next; st; st = next) {
		next = st->next;
		if (st->owner && !st->open)
			st->sink->room(st->owner); /* writes, and frees nothing */
	}
}

void channel_write(struct channel_stream *st, const void *bytes, size_t n)
{
	st->credit -= (int64_t)n;
	frame_write_bytes(&st->ch->out, FRAME_STDIN, st->id, bytes, n);
	channel_flush(st->ch);
}

static void send_small(struct channel_stream *st, enum frame_type type, const char *text)
{
	if (st->open || st->closing)
		return; /* nothing runs yet, or it ends anyway */
	frame_write(&st->ch->out, type, st->id, text, text ? strlen(text) : 0);
	channel_flush(st->ch);
}

static void send_json(struct channel_stream *st, enum frame_type type, cJSON *take)
{
	cleanup_json cJSON *j = take;
	cleanup_free char *text = json_print(j);
	send_small(st, type, text);
}

void channel_eof(struct channel_stream *st)
{
	send_small(st, FRAME_EOF, NULL);
}

void channel_resize(struct channel_stream *st, int cols, int rows)
{
	cJSON *j = cJSON_CreateObject();
	json_set_int(j, "cols", cols);
	json_set_int(j, "rows", rows);
	send_json(st, FRAME_RESIZE, j);
}

void channel_signal(struct channel_stream *st, const char *name)
{
	cJSON *j = cJSON_CreateObject();
	json_set_str(j, "signal", name);
	send_json(st, FRAME_SIGNAL, j);
}

void channel_took(struct channel_stream *st, size_t n)
{
	st->taken += n;
	if (st->taken < GRANT)
		return;
	frame_write_window(&st->ch->out, st->id, (uint32_t)st->taken);
	st->ahead += (int64_t)st->taken;
	st->taken = 0;
	channel_flush(st->ch);
}

void channel_close(struct channel_stream *st)
{
	send_small(st, FRAME_CLOSE, NULL);
	st->closing = true;
}

void channel_leave(struct channel_stream *st)
{
	channel_close(st);
	st->owner = NULL;
	if (++st->ch->left > LEFT_MAX)
		channel_give_up(st->ch);
}

/* --- what comes --- */

static void end(struct channel_stream *st, int code, const struct perry_err *err)
{
	if (st->owner)
		st->sink->ended(st->owner, code, err);
	stream_free(st);
}

static const char *take_exit(struct channel_stream *st, const struct frame *f)
{
	cleanup_json cJSON *j = json_parse(f->payload, f->n, "EXIT", NULL);
	int64_t code = json_int_or(j, "code", -1);
	if (code < 0 || code > CODE_MAX)
		return "an exit without a code";
	end(st, (int)code, NULL);
	return NULL;
}

static const char *take_error(struct channel_stream *st, const struct frame *f)
{
	cleanup_json cJSON *j = json_parse(f->payload, f->n, "ERROR", NULL);
	cleanup_err struct perry_err *err = NULL;
	perry_fail(&err, perry_code_from_api(json_str_or(j, "code", "")), "%.*s", MESSAGE_MAX,
		   json_str_or(j, "message", "it failed"));
	end(st, 0, err);
	return NULL;
}

static const char *take_bytes(struct channel_stream *st, int fd, const struct frame *f)
{
	if ((int64_t)f->n > st->ahead)
		return "a window exceeded";
	st->ahead -= (int64_t)f->n;
	if (st->owner)
		st->sink->output(st->owner, fd, f->payload, f->n);
	else
		channel_took(st, f->n);
	return NULL;
}

const char *channel_take(struct channel *ch, const struct frame *f)
{
	struct channel_stream *st = ch->streams;
	while (st && st->id != f->stream)
		st = st->next;
	if (!st || st->open)
		return "a stream that nobody opened";
	switch (f->type) {
	case FRAME_OPENED: {
		cleanup_json cJSON *j = json_parse(f->payload, f->n, "OPENED", NULL);
		bool first = !st->opened;
		st->opened = true;
		if (first && st->owner)
			st->sink->opened(st->owner, j);
		return NULL;
	}
	case FRAME_STDOUT:
		return take_bytes(st, 1, f);
	case FRAME_STDERR:
		return take_bytes(st, 2, f);
	case FRAME_WINDOW:
		st->credit += frame_window(f);
		if (st->credit > INT32_MAX)
			return "a window without end";
		if (st->owner)
			st->sink->room(st->owner);
		return NULL;
	case FRAME_EOF:
		return NULL; /* EXIT follows, and tells it too */
	case FRAME_EXIT:
		return take_exit(st, f);
	case FRAME_ERROR:
		return take_error(st, f);
	default:
		return "a frame of the other side";
	}
}

void channel_end_streams(struct channel *ch, const struct perry_err *err)
{
	cleanup_err struct perry_err *over = NULL;
	perry_fail(&over, PERRY_ECANCELLED, "it was ended before it began");
	/* Their owners may open others meanwhile, which are not meant. */
	struct channel_stream *list = take_ptr(ch->streams);
	while (list) {
		struct channel_stream *st = list;
		list = st->next;
		st->next = ch->streams;
		ch->streams = st;
		if (err || st->closing || !st->owner) {
			end(st, 0, err ? err : over);
		} else {
			st->sink->none(st->owner);
			stream_free(st);
		}
	}
}
