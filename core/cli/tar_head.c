#include "cli/tar_head.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct block {
	char name[TAR_NAME], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[TAR_NAME];
	char magic[6], version[2], user[32], group[32], device[16], prefix[155], unused[12];
};
_Static_assert(sizeof(struct block) == TAR_BLOCK, "a head is one block");

/* Of all bytes, those of the sum itself as blanks. */
static unsigned sum_of(const struct block *b)
{
	struct block blank = *b;
	unsigned sum = 0;
	memset(blank.sum, ' ', sizeof blank.sum);
	for (size_t i = 0; i < sizeof blank; i++)
		sum += ((const unsigned char *)&blank)[i];
	return sum;
}

static void put_number(char *field, int size, int64_t v)
{
	for (int i = size - 2; i >= 0; i--, v >>= 3)
		field[i] = (char)('0' + (v & 7));
}

static void put_text(char *field, size_t size, const char *text)
{
	memcpy(field, text, strnlen(text, size));
}

void tar_head_add(struct buf *out, const char *name, const char *link, char type, mode_t mode, int64_t size,
		  int64_t mtime)
{
	struct block b = { .type = type, .magic = "ustar", .version = { '0', '0' } };
	put_text(b.name, sizeof b.name, name);
	put_text(b.link, sizeof b.link, link);
	put_number(b.mode, sizeof b.mode, mode & 07777);
	put_number(b.uid, sizeof b.uid, 0);
	put_number(b.gid, sizeof b.gid, 0);
	put_number(b.size, sizeof b.size, size < TAR_SIZE_MAX ? size : 0);
	put_number(b.mtime, sizeof b.mtime, mtime > 0 ? mtime : 0);
	snprintf(b.sum, sizeof b.sum, "%06o", sum_of(&b));
	b.sum[7] = ' ';
	buf_add(out, &b, sizeof b);
}

/* -1: neither octal nor GNU's base 256. */
static int64_t number(const char *field, int size)
{
	int64_t v = 0;
	if ((unsigned char)*field == 0x80) {
		for (int i = 1; i < size; i++)
			v = (int64_t)((uint64_t)v << 8 | (unsigned char)field[i]);
		return v;
	}
	for (int i = 0; i < size && field[i]; i++) {
		if (field[i] == ' ')
			continue;
		if (field[i] < '0' || field[i] > '7')
			return -1;
		v = v * 8 + (field[i] - '0');
	}
	return v;
}

int tar_head_read(const char block[TAR_BLOCK], struct tar_head *out, struct perry_err **err)
{
	static const char zeros[TAR_BLOCK];
	struct block b;
	if (memcmp(block, zeros, TAR_BLOCK) == 0)
		return 0;
	memcpy(&b, block, sizeof b);
	int64_t size = number(b.size, sizeof b.size), mode = number(b.mode, sizeof b.mode);
	if (number(b.sum, sizeof b.sum) != (int64_t)sum_of(&b) || size < 0 || mode < 0)
		return perry_fail(err, PERRY_EINPUT, "the archive is broken (a head with a wrong sum)");
	*out = (struct tar_head){ .type = b.type, .mode = (mode_t)mode, .size = size };
	bool prefix = memcmp(b.magic, "ustar", sizeof b.magic) == 0 && b.prefix[0];
	snprintf(out->name, sizeof out->name, "%.*s%s%.*s", prefix ? (int)sizeof b.prefix : 0, b.prefix,
		 prefix ? "/" : "", (int)sizeof b.name, b.name);
	snprintf(out->link, sizeof out->link, "%.*s", (int)sizeof b.link, b.link);
	return 1;
}

int64_t tar_padding(int64_t size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}
