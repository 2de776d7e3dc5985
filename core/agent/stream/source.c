#include "agent/stream/source.h"

#include <stdio.h>

void stream_source_list(struct stream_source *src, struct streams *s, const char *workspace,
			const struct stream_sink *sink, void *owner)
{
	src->s = s;
	src->sink = sink;
	src->owner = owner;
	snprintf(src->workspace, sizeof src->workspace, "%s", workspace);
	src->next = s->sources;
	src->prev = &s->sources;
	if (src->next)
		src->next->prev = &src->next;
	s->sources = src;
	if (s->setup.open)
		s->setup.open(s->setup.ctx, src->workspace, src->use, 1);
}

void stream_source_unlist(struct stream_source *src)
{
	*src->prev = src->next;
	if (src->next)
		src->next->prev = src->prev;
	if (src->s->setup.open)
		src->s->setup.open(src->s->setup.ctx, src->workspace, src->use, -1);
}

void stream_source_orphan(struct stream_source *src)
{
	src->owner = NULL;
	src->end(src);
}

void stream_sources_end(struct streams *s)
{
	for (struct stream_source *src = s->sources, *next; src; src = next) {
		next = src->next;
		src->end(src);
	}
}
