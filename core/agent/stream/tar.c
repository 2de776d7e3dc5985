/* Gives every entry of a tar to one user while it passes. Headers are edited in place, so that names of any encoding
 * and whatever extensions an entry has arrive as they were sent. */
#include "agent/stream/tar.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define BLOCK   512
#define PAX_MAX (1 << 20)
/* Writers fill up their last record after the end mark; none that is known has larger ones. */
#define PADDING_MAX (4 << 20)

struct stream_tar {
	uint64_t uid, gid;
	ssize_t (*read)(void *ctx, const void **bytes);
	void *ctx;
	const char *in; /* what read gave and is not used yet */
	size_t in_len;
	bool in_ended;
	bool any; /* entry was there */
	struct buf out;
	uint64_t data_left; /* of the entry's data with its padding, passed on as it is */
	bool sparse;        /* the next block is a continuation of an old GNU sparse header */
	bool over;          /* the end mark was seen: what follows is padding */
	size_t padding;
};

struct stream_tar *stream_tar_new(int64_t uid, int64_t gid, ssize_t (*read)(void *ctx, const void **bytes), void *ctx)
{
	struct stream_tar *t = xcalloc(1, sizeof *t);
	t->uid = (uint64_t)uid;
	t->gid = (uint64_t)gid;
	t->read = read;
	t->ctx = ctx;
	return t;
}

void stream_tar_free(struct stream_tar *t)
{
	if (t) {
		buf_free(&t->out);
		free(t);
	}
}

/* 1: there are bytes; 0: the end; -1: given up. */
static int refill(struct stream_tar *t)
{
	while (!t->in_len) {
		const void *bytes = NULL;
		ssize_t n = t->in_ended ? 0 : t->read(t->ctx, &bytes);
		if (n <= 0) {
			t->in_ended = true;
			return (int)n;
		}
		t->in = bytes;
		t->in_len = (size_t)n;
	}
	return 1;
}

/* Exactly n bytes. 1; 0 at a clean end before the first; -1. */
static int take(struct stream_tar *t, char *out, size_t n, struct perry_err **err)
{
	for (size_t at = 0; at < n;) {
		int rc = refill(t);
		if (rc < 0)
			return perry_fail(err, PERRY_ECANCELLED, "the copy was given up");
		if (!rc)
			return at ? perry_fail(err, PERRY_EINPUT, "the tar ends in the middle of an entry") : 0;
		size_t k = n - at < t->in_len ? n - at : t->in_len;
		memcpy(out + at, t->in, k);
		t->in += k;
		t->in_len -= k;
		at += k;
	}
	return 1;
}

/* A numeric field: octal text, or binary with the top bit set. -1: neither. */
static int64_t number(const char *field, size_t n)
{
	uint64_t v = 0;
	size_t i = 0;
	if ((unsigned char)field[0] & 0x80) {
		v = (unsigned char)field[0] & 0x3f;
		for (i = 1; i < n; i++) {
			if (v >> 54)
				return -1;
			v = v << 8 | (unsigned char)field[i];
		}
		return (unsigned char)field[0] & 0x40 ? -1 : (int64_t)v;
	}
	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(field[i] - '0');
	for (; i < n; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return -1;
	return (int64_t)v;
}

static void set_number(char *field, size_t n, uint64_t v)
{
	char text[32];
	if (v < 1ull << (3 * (n - 1))) {
		snprintf(text, sizeof text, "%0*llo", (int)(n - 1), (unsigned long long)v);
		memcpy(field, text, n); /* with its NUL */
		return;
	}
	memset(field, 0, n);
	for (size_t i = n; i-- > 1; v >>= 8)
		field[i] = (char)v;
	field[0] = (char)0x80;
}

static unsigned checksum(const char *block)
{
	unsigned sum = 8 * ' ';
	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? 0 : (unsigned char)block[i];
	return sum;
}

static void seal(char *block)
{
	snprintf(block + 148, 7, "%06o", checksum(block));
	block[155] = ' ';
}

static void pad(struct buf *b)
{
	while (b->len % BLOCK)
		buf_addc(b, '\0');
}

/* Records "LENGTH KEY=VALUE\n" without those that name an owner. */
static int filter_pax(const char *in, size_t n, struct buf *out, struct perry_err **err)
{
	static const char *const owner[] = { "uid=", "gid=", "uname=", "gname=", NULL };
	while (n) {
		size_t len = 0, digits = 0;
		while (digits < n && digits < 9 && in[digits] >= '0' && in[digits] <= '9')
			len = len * 10 + (size_t)(in[digits++] - '0');
		if (!digits || digits == n || in[digits] != ' ' || len <= digits + 1 || len > n || in[len - 1] != '\n')
			return perry_fail(err, PERRY_EINPUT, "malformed extended header in the tar");
		const char *key = in + digits + 1;
		bool drop = false;
		for (const char *const *o = owner; *o; o++)
			drop |= len - digits - 1 > strlen(*o) && strncmp(key, *o, strlen(*o)) == 0;
		if (!drop)
			buf_add(out, in, len);
		in += len;
		n -= len;
	}
	return 0;
}

static int pass_pax(struct stream_tar *t, char *block, uint64_t size, struct perry_err **err)
{
	if (size > PAX_MAX)
		return perry_fail(err, PERRY_EINPUT, "an extended header in the tar is too large");
	size_t padded = (size_t)(size + BLOCK - 1) / BLOCK * BLOCK;
	cleanup_free char *data = xmalloc(padded + 1);
	cleanup_buf struct buf kept = { 0 };
	int rc = padded ? take(t, data, padded, err) : 1;
	if (rc <= 0)
		return rc < 0 ? -1 : perry_fail(err, PERRY_EINPUT, "the tar ends in the middle of an entry");
	if (filter_pax(data, (size_t)size, &kept, err) < 0)
		return -1;
	set_number(block + 124, 12, kept.len);
	seal(block);
	buf_add(&t->out, block, BLOCK);
	buf_add(&t->out, kept.data, kept.len);
	pad(&t->out);
	return 0;
}

static int pass_header(struct stream_tar *t, char *block, struct perry_err **err)
{
	static const char zeroes[BLOCK];
	if (memcmp(block, zeroes, BLOCK) == 0) {
		t->over = true;
		buf_add(&t->out, zeroes, BLOCK);
		buf_add(&t->out, zeroes, BLOCK);
		return 0;
	}
	int64_t size = number(block + 124, 12), sum = number(block + 148, 8);
	if (sum < 0 || (unsigned)sum != checksum(block))
		return perry_fail(err, PERRY_EINPUT, "what was sent is no tar (or not a plain one: compressed?)");
	if (size < 0 || size > INT64_MAX / 2)
		return perry_fail(err, PERRY_EINPUT, "an entry of the tar has no valid size");
	t->any = true;
	char type = block[156];
	if (type == 'x' || type == 'g')
		return pass_pax(t, block, (uint64_t)size, err);
	if (type == '3' || type == '4')
		return perry_fail(err, PERRY_EINPUT, "the tar holds a device: %.100s", block);
	if (type != 'L' && type != 'K') {
		set_number(block + 108, 8, t->uid);
		set_number(block + 116, 8, t->gid);
		if (memcmp(block + 257, "ustar", 5) == 0)
			memset(block + 265, 0, 64); /* the names would win over the numbers */
		seal(block);
	}
	/* Links and folders may tell a size and have no data. */
	bool has_data = !(type == '1' || type == '2' || type == '5' || type == '6');
	t->data_left = has_data ? (uint64_t)(size + BLOCK - 1) / BLOCK * BLOCK : 0;
	t->sparse = type == 'S' && block[482];
	buf_add(&t->out, block, BLOCK);
	return 0;
}

static int step(struct stream_tar *t, struct perry_err **err)
{
	char block[BLOCK];
	int rc;
	if (t->over) {
		/* Padding after the end mark is read to its end, so that the sender is not left hanging. */
		while ((rc = refill(t)) > 0) {
			t->padding += t->in_len;
			t->in_len = 0;
			if (t->padding > PADDING_MAX)
				return perry_fail(err, PERRY_EINPUT,
						  t->any ? "the tar goes on after its end (several in one?)"
							 : "what was sent is no tar: zeros, and no end");
		}
		return rc < 0 ? perry_fail(err, PERRY_ECANCELLED, "the copy was given up") : 0;
	}
	if (t->data_left && !t->sparse) {
		rc = refill(t);
		if (rc < 0)
			return perry_fail(err, PERRY_ECANCELLED, "the copy was given up");
		if (!rc)
			return perry_fail(err, PERRY_EINPUT, "the tar ends in the middle of an entry");
		size_t n = t->data_left < t->in_len ? (size_t)t->data_left : t->in_len;
		buf_add(&t->out, t->in, n);
		t->in += n;
		t->in_len -= n;
		t->data_left -= n;
		return 1;
	}
	rc = take(t, block, BLOCK, err);
	if (rc < 0)
		return -1;
	if (t->sparse) {
		if (!rc)
			return perry_fail(err, PERRY_EINPUT, "the tar ends in the middle of an entry");
		t->sparse = block[504];
		buf_add(&t->out, block, BLOCK);
		return 1;
	}
	if (!rc) {
		/* Some writers leave the end mark away. */
		memset(block, 0, BLOCK);
	}
	return pass_header(t, block, err) < 0 ? -1 : 1;
}

ssize_t stream_tar_fill(struct stream_tar *t, char *bytes, size_t n, struct perry_err **err)
{
	while (!t->out.len) {
		int rc = step(t, err);
		if (rc <= 0)
			return rc;
	}
	if (n > t->out.len)
		n = t->out.len;
	memcpy(bytes, t->out.data, n);
	buf_consume(&t->out, n);
	return (ssize_t)n;
}

uint64_t stream_tar_announced(const struct stream_tar *t)
{
	return t->data_left;
}

bool stream_tar_find(const char *tar, size_t len, size_t *at, size_t *n)
{
	for (size_t pos = 0; pos + BLOCK <= len;) {
		int64_t size = number(tar + pos + 124, 12);
		char type = tar[pos + 156];
		if (size < 0 || (uint64_t)size > len - pos - BLOCK)
			return false;
		pos += BLOCK;
		if (type == '0' || type == '\0') {
			*at = pos;
			*n = (size_t)size;
			return size > 0;
		}
		pos += (size_t)(size + BLOCK - 1) / BLOCK * BLOCK;
	}
	return false;
}
