#include "cli/tar_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/tar_head.h"
#include "cli/text.h"

/* What is still to be packed: paths on this machine with their names in the archive, as a stack. */
struct todo {
	char *path, *name;
	struct todo *next;
};

struct packer {
	struct todo *todo;
	struct buf out; /* heads and padding that wait to be read */
	int fd;         /* of the file under way, -1: none */
	char *path;
	int64_t size, left; /* of it */
	bool ended;
	int left_out;
	struct perry_err *err;
};

static void push(struct packer *p, char *take_path, char *take_name)
{
	struct todo *t = xcalloc(1, sizeof *t);
	t->path = take_path;
	t->name = take_name;
	t->next = p->todo;
	p->todo = t;
}

int packer_new(struct packer **out, const char *src, const char *top, struct perry_err **err)
{
	struct stat st;
	if (lstat(src, &st) < 0)
		return perry_fail_errno(err, errno, "%s", src);
	struct packer *p = xcalloc(1, sizeof *p);
	p->fd = -1;
	push(p, xstrdup(src), xstrdup(top));
	*out = p;
	return 0;
}

static void add_padding(struct buf *out, int64_t size)
{
	static const char zeros[TAR_BLOCK];
	buf_add(out, zeros, (size_t)tar_padding(size));
}

/* A pax record counts its own length. */
static void pax_record(struct buf *out, const char *key, const char *value)
{
	size_t n = strlen(key) + strlen(value) + 3, total = n + 1;
	char digits[24];
	while ((size_t)snprintf(digits, sizeof digits, "%zu", total) + n != total)
		total = (size_t)snprintf(digits, sizeof digits, "%zu", total) + n;
	buf_addf(out, "%zu %s=%s\n", total, key, value);
}

static void member(struct buf *out, const char *name, const char *link, char type, const struct stat *st, int64_t size)
{
	cleanup_buf struct buf pax = { 0 };
	char text[24];
	if (strlen(name) >= TAR_NAME)
		pax_record(&pax, "path", name);
	if (strlen(link) >= TAR_NAME)
		pax_record(&pax, "linkpath", link);
	if (size >= TAR_SIZE_MAX) {
		snprintf(text, sizeof text, "%lld", (long long)size);
		pax_record(&pax, "size", text);
	}
	if (pax.len) {
		tar_head_add(out, "pax", "", 'x', 0600, (int64_t)pax.len, 0);
		buf_add(out, pax.data, pax.len);
		add_padding(out, (int64_t)pax.len);
	}
	tar_head_add(out, name, link, type, st->st_mode, size, st->st_mtime);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)b, *(char *const *)a);
}

/* Pushes a folder's entries so that they come in order of name. */
static int push_folder(struct packer *p, const char *path, const char *name)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char **list = NULL;
	size_t n = 0;
	if (!d)
		return perry_fail_errno(&p->err, errno, "%s", path);
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		list = xrealloc(list, (n + 1) * sizeof *list);
		list[n++] = xstrdup(e->d_name);
	}
	closedir(d);
	if (n)
		qsort(list, n, sizeof *list, by_name);
	for (size_t i = 0; i < n; i++) {
		push(p, path_join(path, list[i]), path_join(name, list[i]));
		free(list[i]);
	}
	free(list);
	return 0;
}

static int begin_file(struct packer *p, const char *path, const char *name)
{
	struct stat st;
	p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (p->fd < 0 || fstat(p->fd, &st) < 0)
		return perry_fail_errno(&p->err, errno, "%s", path);
	member(&p->out, name, "", '0', &st, st.st_size);
	p->left = p->size = st.st_size;
	free(p->path);
	p->path = xstrdup(path);
	return 0;
}

static int begin_next(struct packer *p)
{
	static const char zeros[2 * TAR_BLOCK];
	struct todo *t = p->todo;
	if (!t) {
		buf_add(&p->out, zeros, sizeof zeros);
		p->ended = true;
		return 0;
	}
	p->todo = t->next;
	cleanup_free char *path = t->path;
	cleanup_free char *name = t->name;
	free(t);
	struct stat st;
	if (lstat(path, &st) < 0)
		return perry_fail_errno(&p->err, errno, "%s", path);
	if (S_ISDIR(st.st_mode)) {
		cleanup_free char *slashed = xasprintf("%s/", name);
		if (strcmp(name, ".") != 0)
			member(&p->out, slashed, "", '5', &st, 0);
		return push_folder(p, path, name);
	}
	if (S_ISLNK(st.st_mode)) {
		char target[4096];
		ssize_t n = readlink(path, target, sizeof target - 1);
		if (n < 0)
			return perry_fail_errno(&p->err, errno, "%s", path);
		target[n] = '\0';
		member(&p->out, name, target, '2', &st, 0);
		return 0;
	}
	if (S_ISREG(st.st_mode))
		return begin_file(p, path, name);
	cleanup_free char *shown = printable(path);
	fprintf(stderr, "perry: cp: left out %s (no file, folder or link)\n", shown);
	p->left_out++;
	return 0;
}

static ssize_t file_bytes(struct packer *p, char *bytes, size_t n)
{
	if (p->left == 0) {
		add_padding(&p->out, p->size);
		close(p->fd);
		p->fd = -1;
		return 0;
	}
	ssize_t k = read(p->fd, bytes, (int64_t)n < p->left ? n : (size_t)p->left);
	if (k <= 0)
		return k < 0 ? perry_fail_errno(&p->err, errno, "%s", p->path)
			     : perry_fail(&p->err, PERRY_ESTATE, "%s: shrank while it was copied", p->path);
	p->left -= k;
	return k;
}

ssize_t packer_fill(void *packer, char *bytes, size_t n)
{
	struct packer *p = packer;
	while (n > 0) {
		if (p->out.len) {
			size_t k = p->out.len < n ? p->out.len : n;
			memcpy(bytes, p->out.data, k);
			buf_consume(&p->out, k);
			return (ssize_t)k;
		}
		if (p->fd >= 0) {
			ssize_t k = file_bytes(p, bytes, n);
			if (k != 0)
				return k;
			continue;
		}
		if (p->ended)
			return 0;
		if (begin_next(p) < 0)
			return -1;
	}
	return 0;
}

const struct perry_err *packer_error(const struct packer *p)
{
	return p->err;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	for (struct todo *t = p->todo, *next; t; t = next) {
		next = t->next;
		free(t->path);
		free(t->name);
		free(t);
	}
	if (p->fd >= 0)
		close(p->fd);
	free(p->path);
	buf_free(&p->out);
	perry_err_free(p->err);
	free(p);
}

int packer_left_out(const struct packer *p)
{
	return p->left_out;
}
