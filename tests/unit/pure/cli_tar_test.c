#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/tar_read.h"
#include "cli/tar_write.h"

static char root[] = "/tmp/perry-tar-XXXXXX";

static char *in_root(const char *name)
{
	return path_join(root, name);
}

static void put(const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = in_root(name);
	assert_int_equal(file_write_atomic(path, text, strlen(text), mode, NULL), 0);
}

static struct buf packed(const char *src, const char *top)
{
	struct packer *p;
	struct buf out = { 0 };
	char bytes[777];
	ssize_t n;
	cleanup_free char *path = in_root(src);
	assert_int_equal(packer_new(&p, path, top, NULL), 0);
	while ((n = packer_fill(p, bytes, sizeof bytes)) > 0)
		buf_add(&out, bytes, (size_t)n);
	assert_int_equal(n, 0);
	packer_free(p);
	return out;
}

static int unpack(const struct buf *tar, const char *dir, const char *as, size_t piece, struct perry_err **err)
{
	cleanup_free char *path = in_root(dir);
	mkdir(path, 0755);
	struct unpacker *u = unpacker_new(path, as);
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < tar->len; at += piece)
		rc = unpacker_feed(u, tar->data + at, tar->len - at < piece ? tar->len - at : piece, err);
	if (rc == 0)
		rc = unpacker_end(u, err);
	unpacker_free(u);
	return rc;
}

static void a_tree_goes_there_and_back(void **state)
{
	(void)state;
	cleanup_free char *src = in_root("src");
	cleanup_free char *sub = in_root("src/sub");
	cleanup_free char *deep = in_root("src/sub/"
					  "a-folder-name-that-is-quite-long-so-that-the-whole-path-needs-a-pax-record-"
					  "because-it-passes-one-hundred-bytes");
	mkdir(src, 0755);
	mkdir(sub, 0755);
	mkdir(deep, 0755);
	put("src/a", "hello", 0640);
	put("src/empty", "", 0600);
	put("src/run", "#!/bin/sh\n", 0755);
	cleanup_free char *inner = path_join(deep, "file");
	assert_int_equal(file_write_atomic(inner, "deep", 4, 0644, NULL), 0);
	cleanup_free char *link = in_root("src/link");
	assert_int_equal(symlink("sub/../a", link), 0);
	cleanup_buf struct buf tar = packed("src", "src");
	assert_int_equal(tar.len % 512, 0);
	static const size_t pieces[] = { 1, 511, 512, 513, 100000 };
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		char name[16];
		snprintf(name, sizeof name, "out%zu", i);
		assert_int_equal(unpack(&tar, name, "copy", pieces[i], NULL), 0);
		cleanup_free char *cmd =
			xasprintf("diff -r %s/src %s/%s/copy && test -x %s/%s/copy/run && test -L %s/%s/copy/link",
				  root, root, name, root, name, root, name);
		assert_int_equal(system(cmd), 0);
	}
	/* The system's tar reads it too. */
	cleanup_free char *file = in_root("x.tar");
	assert_int_equal(file_write_atomic(file, tar.data, tar.len, 0600, NULL), 0);
	cleanup_free char *cmd = xasprintf("mkdir %s/sys && tar -C %s/sys -xf %s && diff -r %s/src %s/sys/src", root,
					   root, file, root, root);
	assert_int_equal(system(cmd), 0);
}

/* Long names in a prefix, in records of GNU tar, in pax records. */
static void every_dialect_is_read(void **state)
{
	static const char *const dialects[] = { "USTAR", "GNU", "PAX" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
		cleanup_free char *cmd = xasprintf(
			"python3 - %s/dialect.tar <<'E'\nimport sys,tarfile,io\n"
			"t=tarfile.open(sys.argv[1],'w',format=tarfile.%s_FORMAT)\n"
			"i=tarfile.TarInfo('top/'+'d'*90+'/'+'f'*90); i.size=3; t.addfile(i,io.BytesIO(b'abc'))\n"
			"i=tarfile.TarInfo('top/link'); i.type=tarfile.SYMTYPE; i.linkname='d'*90; t.addfile(i)\n"
			"t.close()\nE",
			root, dialects[i]);
		cleanup_free char *path = in_root("dialect.tar");
		cleanup_buf struct buf tar = { 0 };
		assert_int_equal(system(cmd), 0);
		assert_int_equal(file_read(path, 1 << 20, &tar, NULL), 0);
		assert_int_equal(unpack(&tar, dialects[i], "as", 700, NULL), 0);
		cleanup_free char *look =
			xasprintf("cd %s/%s/as && test \"$(cat link/ffff*)\" = abc", root, dialects[i]);
		assert_int_equal(system(look), 0);
	}
}

static void hostile(const char *script, const char *expect)
{
	cleanup_free char *cmd =
		xasprintf("python3 - %s/evil.tar <<'E'\nimport sys,tarfile,io\nt=tarfile.open(sys.argv[1],'w')\n"
			  "def f(name,data=b'x',**k):\n i=tarfile.TarInfo(name); i.size=len(data)\n for a,b in "
			  "k.items(): setattr(i,a,b)\n"
			  " t.addfile(i,io.BytesIO(data))\n%s\nt.close()\nE",
			  root, script);
	cleanup_buf struct buf tar = { 0 };
	struct perry_err *err = NULL;
	cleanup_free char *path = in_root("evil.tar");
	assert_int_equal(system(cmd), 0);
	assert_int_equal(file_read(path, 1 << 20, &tar, NULL), 0);
	int rc = unpack(&tar, "victim/in", NULL, 4096, &err);
	if (expect) {
		assert_int_equal(rc, -1);
		if (!strstr(perry_msg(err), expect))
			fail_msg("expected \"%s\" in \"%s\"", expect, perry_msg(err));
	}
	perry_err_free(err);
	cleanup_free char *escaped = in_root("victim/escaped");
	assert_int_equal(access(escaped, F_OK), -1);
	assert_int_equal(access("/tmp/perry-escaped", F_OK), -1);
}

static void nothing_leaves_the_folder(void **state)
{
	(void)state;
	cleanup_free char *victim = in_root("victim");
	mkdir(victim, 0755);
	hostile("f('../escaped')", "leaves the folder");
	hostile("f('a/../../escaped')", "leaves the folder");
	hostile("f('/tmp/perry-escaped')", "leaves the folder");
	/* A link out, then a file through it. */
	hostile("f('l',b'',type=tarfile.SYMTYPE,linkname='..')\nf('l/escaped')", NULL);
	hostile("f('d/l',b'',type=tarfile.SYMTYPE,linkname='../..')\nf('d/l/escaped')", NULL);
	hostile("f('m',b'',type=tarfile.SYMTYPE,linkname='/tmp')\nf('m/perry-escaped')", NULL);
	hostile("f('h',b'',type=tarfile.LNKTYPE,linkname='../../../../etc/passwd')", "leaves the folder");
	hostile("f('dev',b'',type=tarfile.CHRTYPE)", NULL);
}

static void broken_archives_are_errors(void **state)
{
	(void)state;
	struct perry_err *err = NULL;
	put("one", "some text", 0644);
	cleanup_buf struct buf tar = packed("one", "one");
	cleanup_buf struct buf cut = { 0 };
	buf_add(&cut, tar.data, 515);
	assert_int_equal(unpack(&cut, "cut", NULL, 4096, &err), -1);
	assert_non_null(strstr(perry_msg(err), "cut off"));
	perry_err_free(err);
	err = NULL;
	tar.data[130] ^= 1;
	assert_int_equal(unpack(&tar, "sum", NULL, 4096, &err), -1);
	assert_non_null(strstr(perry_msg(err), "broken"));
	perry_err_free(err);
}

int main(void)
{
	if (!mkdtemp(root))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_goes_there_and_back),
		cmocka_unit_test(every_dialect_is_read),
		cmocka_unit_test(nothing_leaves_the_folder),
		cmocka_unit_test(broken_archives_are_errors),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	cleanup_free char *cmd = xasprintf("rm -rf %s", root);
	return system(cmd) ? 1 : rc;
}
