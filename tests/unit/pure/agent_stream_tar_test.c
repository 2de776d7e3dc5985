/* The owner rewriting of copy_in, on tars made by GNU tar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/wait.h>

#include "agent/stream/spool.h"
#include "agent/stream/tar.h"
#include "base/file.h"
#include "base/mem.h"

#include "small_disk.h"

struct feeder {
	const char *data;
	size_t len, at, step;
	int give_up_at; /* calls left, -1: never */
};

static ssize_t feed(void *ctx, const void **bytes)
{
	struct feeder *f = ctx;
	if (f->give_up_at == 0)
		return -1;
	if (f->give_up_at > 0)
		f->give_up_at--;
	size_t n = f->len - f->at < f->step ? f->len - f->at : f->step;
	*bytes = f->data + f->at;
	f->at += n;
	return (ssize_t)n;
}

static int rewrite(const char *data, size_t len, size_t step, int64_t uid, struct buf *out, struct perry_err **err)
{
	struct feeder f = { data, len, 0, step, -1 };
	struct stream_tar *t = stream_tar_new(uid, 1001, feed, &f);
	char bytes[700];
	ssize_t n;
	while ((n = stream_tar_fill(t, bytes, sizeof bytes, err)) > 0)
		buf_add(out, bytes, (size_t)n);
	stream_tar_free(t);
	return (int)n;
}

static char dir[] = "/tmp/perry-tar-XXXXXX";

static void shell(const char *command)
{
	cleanup_free char *line = xasprintf("cd %s && %s", dir, command);
	if (system(line) != 0)
		fail_msg("failed: %s", command);
}

static void read_back(const char *name, struct buf *out)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);
	assert_int_equal(file_read(path, 64 << 20, out, NULL), 0);
}

static int begin(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	shell("mkdir -p src/sub src/empty && cd src && echo hello > a && head -c 100000 /dev/urandom > sub/big && ln "
	      "-s a link && ln a hard && "
	      "printf x > \"$(printf 'bad\\377name')\" && "
	      "printf long > $(printf 'n%.0s' $(seq 200)) && truncate -s 1000000 sparse && printf end >> sparse && "
	      "chmod 4755 a && touch -d '2001-02-03 04:05:06.789' a");
	return 0;
}

static int end(void **state)
{
	cleanup_free char *line = xasprintf("rm -rf %s", dir);
	return system(line);
}

static void formats_keep_everything_but_the_owner(void **state)
{
	static const char *const formats[] = { "gnu", "pax", "ustar", "gnu -S", "pax -S", "v7" };
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		bool short_names = strcmp(formats[i], "ustar") == 0 || strcmp(formats[i], "v7") == 0;
		cleanup_free char *make = xasprintf(
			"rm -rf out && tar -C src --format=%s --owner=someone:4242 --group=others:4343 %s -cf in.tar .",
			formats[i], short_names ? "--exclude='nnn*'" : "");
		shell(make);
		cleanup_buf struct buf in = { 0 }, out = { 0 }, again = { 0 };
		cleanup_err struct perry_err *err = NULL;
		read_back("in.tar", &in);
		assert_int_equal(rewrite(in.data, in.len, 10000, 1234, &out, &err), 0);
		assert_int_equal(rewrite(in.data, in.len, 1, 1234, &again, &err), 0);
		assert_int_equal(out.len, again.len);
		assert_memory_equal(out.data, again.data, out.len);
		cleanup_free char *path = xasprintf("%s/out.tar", dir);
		assert_int_equal(file_write_atomic(path, out.data, out.len, 0600, NULL), 0);
		shell("mkdir out && tar -C out -xpf out.tar");
		/* Read from the list: who is not root unpacks as himself. */
		shell("tar --numeric-owner -tvf out.tar >list && test -s list && ! grep -v ' 1234/1001 ' list");
		shell(short_names ? "cp -a src cmp && rm cmp/nnn* && diff -r --no-dereference cmp out; rc=$?; rm -rf "
				    "cmp; exit $rc"
				  : "diff -r --no-dereference src out");
		shell("test \"$(stat -c '%a %Y' src/a)\" = \"$(stat -c '%a %Y' out/a)\" && test out/a -ef out/hard");
	}
}

static void large_ids(void **state)
{
	shell("tar -C src --format=gnu -cf in.tar a");
	cleanup_buf struct buf in = { 0 }, out = { 0 };
	read_back("in.tar", &in);
	assert_int_equal(rewrite(in.data, in.len, 512, 3000000000, &out, NULL), 0);
	cleanup_free char *path = xasprintf("%s/out.tar", dir);
	assert_int_equal(file_write_atomic(path, out.data, out.len, 0600, NULL), 0);
	shell("tar --numeric-owner -tvf out.tar | grep -q ' 3000000000/1001 '");
}

static void broken_ones_are_refused(void **state)
{
	cleanup_buf struct buf in = { 0 }, out = { 0 };
	cleanup_err struct perry_err *err = NULL;
	shell("tar -C src --format=pax -cf in.tar a sub/big && gzip -k -f in.tar");
	read_back("in.tar.gz", &in);
	assert_int_equal(rewrite(in.data, in.len, 5000, 1, &out, &err), -1);
	assert_int_equal(err->code, PERRY_EINPUT);
	buf_free(&in);
	read_back("in.tar", &in);
	/* Cut anywhere: an error in the middle of an entry, never a crash or a hang. */
	for (size_t n = 0; n < 20000; n += 97) {
		buf_free(&out);
		int rc = rewrite(in.data, n, 300, 1, &out, NULL);
		assert_true(rc == 0 || rc == -1);
		if (n % 512)
			assert_int_equal(rc, -1);
	}
	/* Any byte of the headers changed. */
	for (size_t i = 0; i < 1536; i++) {
		char old = in.data[i];
		in.data[i] = (char)(old ^ 0x55);
		buf_free(&out);
		rewrite(in.data, in.len, 4096, 1, &out, NULL);
		in.data[i] = old;
	}
	/* Devices. */
	if (getuid() == 0) {
		shell("mknod dev c 1 3 && tar -cf in.tar dev; rc=$?; rm dev; exit $rc");
		buf_free(&in);
		buf_free(&out);
		read_back("in.tar", &in);
		assert_int_equal(rewrite(in.data, in.len, 512, 1, &out, NULL), -1);
	}
	/* The sender gives up. */
	struct feeder f = { in.data, in.len, 0, 100, 3 };
	struct stream_tar *t = stream_tar_new(1, 1, feed, &f);
	char bytes[512];
	assert_int_equal(stream_tar_fill(t, bytes, sizeof bytes, NULL), -1);
	stream_tar_free(t);
}

static void an_empty_tar_and_a_missing_end(void **state)
{
	cleanup_buf struct buf in = { 0 }, out = { 0 };
	assert_int_equal(rewrite("", 0, 10, 1, &out, NULL), 0);
	assert_int_equal(out.len, 1024); /* the end mark */
	buf_free(&out);
	shell("tar -C src --format=gnu -cf in.tar a");
	read_back("in.tar", &in);
	assert_int_equal(rewrite(in.data, 1024, 10, 1, &out, NULL), 0);
	assert_int_equal(out.len, 2048);
	size_t at = 0, n = 0;
	assert_true(stream_tar_find(out.data, out.len, &at, &n));
	assert_int_equal(n, 6);
	assert_memory_equal(out.data + at, "hello\n", 6);
	assert_false(stream_tar_find(out.data, 600, &at, &n) && at + n > 600);
}

static ssize_t zeros(void *ctx, const void **bytes)
{
	static const char block[8192];
	*bytes = block;
	++*(int *)ctx;
	return sizeof block;
}

/* /dev/zero begins like an empty tar, whose padding never ends. */
static void padding_has_an_end(void **state)
{
	cleanup_err struct perry_err *err = NULL, *second = NULL;
	int calls = 0;
	struct stream_tar *t = stream_tar_new(1, 1, zeros, &calls);
	char bytes[4096];
	ssize_t n;
	while ((n = stream_tar_fill(t, bytes, sizeof bytes, &err)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(err->code, PERRY_EINPUT);
	assert_non_null(strstr(perry_msg(err), "no tar"));
	assert_true(calls < 1000);
	stream_tar_free(t);
	/* What tar -b 2048 fills up is none of that; a second one that large is not dropped without a word. */
	cleanup_buf struct buf in = { 0 }, out = { 0 }, two = { 0 }, more = { 0 };
	shell("tar -C src -b 2048 -cf in.tar a && head -c 5000000 /dev/zero | cat in.tar - >two.tar");
	read_back("in.tar", &in);
	assert_int_equal(rewrite(in.data, in.len, 10000, 1, &out, NULL), 0);
	read_back("two.tar", &two);
	assert_int_equal(rewrite(two.data, two.len, 10000, 1, &more, &second), -1);
	assert_non_null(strstr(perry_msg(second), "after its end"));
}

/* More than any disk has is refused when it is announced, not when the disk is full. */
static void no_more_than_the_disk_has(void **state)
{
	cleanup_err struct perry_err *err = NULL;
	struct spool s;
	assert_int_equal(spool_open(&s, NULL), 0);
	assert_int_equal(spool_write(&s, "header", 6, 0, NULL), 0);
	assert_int_equal(spool_write(&s, "header", 6, UINT64_C(1) << 60, &err), -1);
	assert_int_equal(err->code, PERRY_ETOOLARGE);
	assert_non_null(strstr(perry_msg(err), "no room for the copy"));
	close(s.fd);
}

/* 16 MiB are less than what stays free. */
static int on_small_disk(void)
{
	struct spool s;
	struct perry_err *err = NULL;
	if (!small_disk(dir, "16m") || setenv("TMPDIR", dir, 1))
		return 77;
	if (spool_open(&s, NULL) < 0)
		return 1;
	return spool_write(&s, "x", 1, 0, &err) == -1 && err->code == PERRY_ETOOLARGE ? 0 : 2;
}

static void others_keep_some_of_the_disk(void **state)
{
	int status;
	pid_t pid = fork();
	if (!pid)
		_exit(on_small_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_keep_everything_but_the_owner),
		cmocka_unit_test(large_ids),
		cmocka_unit_test(broken_ones_are_refused),
		cmocka_unit_test(an_empty_tar_and_a_missing_end),
		cmocka_unit_test(padding_has_an_end),
		cmocka_unit_test(no_more_than_the_disk_has),
		cmocka_unit_test(others_keep_some_of_the_disk),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
