#include "agent/screen/cell.h"

#include <string.h>

#include "base/mem.h"

#define CLUSTERS_MAX 65535u

static void mark(const struct screen *s, const struct grid *g, uint8_t *live)
{
	for (int y = 0; g->rows && y < s->rows; y++)
		for (int x = 0; x < g->rows[y].used; x++)
			live[g->rows[y].cells[x].extra] = 1;
}

/* A free cluster, 0 when there is none. */
static unsigned cluster_new(struct screen *s)
{
	for (; s->cluster_next < s->nclusters; s->cluster_next++)
		if (!s->clusters[s->cluster_next].n)
			return s->cluster_next;
	unsigned freed = 0;
	if (s->nclusters) {
		cleanup_free uint8_t *live = xcalloc(s->nclusters, 1);
		mark(s, &s->normal, live);
		mark(s, &s->alt, live);
		for (unsigned i = 1; i < s->nclusters; i++)
			if (!live[i]) {
				s->clusters[i].n = 0;
				freed++;
			}
	}
	s->cluster_next = 1;
	if (freed < s->nclusters / 4 + 1 && s->nclusters < CLUSTERS_MAX) {
		unsigned n = s->nclusters ? s->nclusters * 2 : 64;
		n = n < CLUSTERS_MAX ? n : CLUSTERS_MAX;
		s->clusters = xrealloc(s->clusters, n * sizeof *s->clusters);
		memset(s->clusters + s->nclusters, 0, (n - s->nclusters) * sizeof *s->clusters);
		s->nclusters = n;
		freed = 1;
	}
	if (!freed)
		return 0;
	while (s->cluster_next < s->nclusters && s->clusters[s->cluster_next].n)
		s->cluster_next++;
	return s->cluster_next < s->nclusters ? s->cluster_next : 0;
}

void cell_combine(struct screen *s, struct cell *c, uint32_t ch)
{
	struct cluster old = { .n = 0 };
	if (c->extra)
		old = s->clusters[c->extra];
	if (old.n >= CHARS_EXTRA)
		return;
	/* Copies of the cell share the cluster, so the longer one is a new one. */
	unsigned i = cluster_new(s);
	if (!i)
		return;
	old.ch[old.n++] = ch;
	s->clusters[i] = old;
	c->extra = (uint16_t)i;
}

void utf8_put(struct buf *out, uint32_t ch)
{
	char b[4];
	size_t n;
	if (ch < 0x80) {
		b[0] = (char)ch;
		n = 1;
	} else if (ch < 0x800) {
		b[0] = (char)(0xc0 | ch >> 6);
		n = 2;
	} else if (ch < 0x10000) {
		b[0] = (char)(0xe0 | ch >> 12);
		n = 3;
	} else {
		b[0] = (char)(0xf0 | ch >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		b[i] = (char)(0x80 | (ch >> (6 * (n - 1 - i)) & 0x3f));
	buf_add(out, b, n);
}

void cell_utf8(const struct screen *s, const struct cell *c, struct buf *out)
{
	if (!c->ch)
		return;
	utf8_put(out, c->ch);
	if (!c->extra)
		return;
	const struct cluster *k = &s->clusters[c->extra];
	for (int i = 0; i < k->n; i++)
		utf8_put(out, k->ch[i]);
}
