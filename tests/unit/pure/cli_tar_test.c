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
	if (rc == 0)
		rc = unpacker_left_out(u);
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

/* Beside the folder of the copy there is a file, and in the folder of the copy a link of the user's own leads out. All
 * that is there afterwards is looked at: nothing new beside it, no link that leads out, no file that is half there. */
static const char look_py[] = "import os,sys\n"
			      "root=os.path.realpath(sys.argv[1])\n"
			      "for case in sorted(os.listdir(root)):\n"
			      " d=os.path.join(root,case)\n"
			      " assert sorted(os.listdir(d)) in (['beside'],['beside','in']),(case,os.listdir(d))\n"
			      " assert open(os.path.join(d,'beside')).read()=='mine',case\n"
			      " top=os.path.join(d,'in')\n"
			      " assert not os.path.islink(top),case\n"
			      " for at,dirs,files in os.walk(top):\n"
			      "  for n in dirs+files:\n"
			      "   p=os.path.join(at,n)\n"
			      "   assert not n.startswith('.perry-cp'),(case,p)\n"
			      "   if os.path.islink(p) and os.path.relpath(p,top)!='own':\n"
			      "    r=os.path.realpath(p)\n"
			      "    assert r==top or r.startswith(top+'/'),(case,p,os.readlink(p),r)\n";

static void run_python(const char *script, const char *args)
{
	cleanup_free char *path = in_root("script.py");
	assert_int_equal(file_write_atomic(path, script, strlen(script), 0600, NULL), 0);
	cleanup_free char *cmd = xasprintf("python3 %s %s", path, args);
	assert_int_equal(system(cmd), 0);
}

/* Makes the archive by a script, unpacks it in a folder of its own, and looks. */
static int unpack_case(const struct buf *tar, const char *name, struct perry_err **err)
{
	cleanup_free char *dir = xasprintf("cases/%s", name);
	cleanup_free char *in = xasprintf("cases/%s/in", name);
	cleanup_free char *beside = xasprintf("cases/%s/beside", name);
	cleanup_free char *own = xasprintf("%s/cases/%s/in/own", root, name);
	cleanup_free char *dir_path = in_root(dir), *in_path = in_root(in);
	assert_int_equal(mkdir(dir_path, 0755), 0);
	assert_int_equal(mkdir(in_path, 0755), 0);
	assert_int_equal(symlink("../..", own), 0);
	put(beside, "mine", 0600);
	return unpack(tar, dir, "in", 4096, err);
}

static void hostile(const char *name, const char *script, const char *expect)
{
	cleanup_free char *text =
		xasprintf("import sys,tarfile,io\nt=tarfile.open(sys.argv[1],'w')\n"
			  "def f(name,data=b'x',**k):\n i=tarfile.TarInfo(name); i.size=len(data)\n for a,b in "
			  "k.items(): setattr(i,a,b)\n"
			  " t.addfile(i,io.BytesIO(data))\n"
			  "def l(name,to): f(name,b'',type=tarfile.SYMTYPE,linkname=to)\n"
			  "def h(name,to): f(name,b'',type=tarfile.LNKTYPE,linkname=to)\n"
			  "def d(name): f(name,b'',type=tarfile.DIRTYPE,mode=0o755)\n%s\nt.close()\n",
			  script);
	cleanup_buf struct buf tar = { 0 };
	struct perry_err *err = NULL;
	cleanup_free char *path = in_root("evil.tar"), *cases = in_root("cases");
	run_python(text, path);
	assert_int_equal(file_read(path, 1 << 20, &tar, NULL), 0);
	int rc = unpack_case(&tar, name, &err);
	if (expect && *expect) {
		assert_int_equal(rc, -1);
		if (!strstr(perry_msg(err), expect))
			fail_msg("%s: expected \"%s\" in \"%s\"", name, expect, perry_msg(err));
	} else if (expect && rc <= 0) {
		fail_msg("%s: something should have been left out: %s", name, perry_msg(err));
	}
	perry_err_free(err);
	run_python(look_py, cases);
}

static void cases_begin(void)
{
	cleanup_free char *cmd = xasprintf("rm -rf %s/cases && mkdir %s/cases", root, root);
	assert_int_equal(system(cmd), 0);
}

/* expect: "" is "left out", NULL either of the two. */
static void nothing_leaves_the_folder(void **state)
{
	(void)state;
	cases_begin();
	hostile("dots", "d('p')\nf('p/../escaped')", "leaves the folder");
	hostile("deep-dots", "d('p')\nf('p/a/../../escaped')", "leaves the folder");
	hostile("absolute", "f('/tmp/perry-escaped')", "leaves the folder");
	hostile("top-dots", "d('..')\nf('../beside',b'evil')", "leaves the folder");
	/* What was asked for, and a file beside it. */
	hostile("sibling", "d('p')\nf('p/a')\nf('beside',b'evil')", "leaves the folder");
	hostile("twice", "f('p')\nf('p',b'evil')", "folder");
	/* A link out, then a file through it. */
	hostile("through", "d('p')\nl('p/l','..')\nf('p/l/escaped')", NULL);
	hostile("through-deep", "d('p')\nl('p/d/l','../..')\nf('p/d/l/beside',b'evil')", NULL);
	hostile("through-absolute", "d('p')\nl('p/m','/tmp')\nf('p/m/perry-escaped')", NULL);
	hostile("through-own", "d('p')\nf('p/own/beside',b'evil')", "own");
	hostile("onto-own", "d('p')\nf('p/x')\nl('p/y','own/beside')", "");
	/* Links that lead out together. */
	hostile("nested",
		"d('p')\nn='p'\nfor i in range(1,9):\n n+='/'+str(i) if i<2 else ''\n d('p/%d'%i)\n "
		"l('p/%d/s'%i,'../..' if i<2 else '../%d/s/..'%(i-1))\nl('p/README','1/../8/s/../../etc/passwd')",
		"");
	hostile("climb", "d('p')\nd('p/a')\nd('p/a/b')\nl('p/a/b/s','../..')\nl('p/r','a/b/s/../beside')", "");
	hostile("climb-first", "d('p')\nl('p/r','a/b/s/../beside')\nd('p/a')\nd('p/a/b')\nl('p/a/b/s','../..')", "");
	hostile("later-folder", "d('p')\nl('p/r','a/../../beside')\nd('p/a')", "");
	hostile("dangling", "d('p')\nl('p/r','a/../../beside')", "");
	hostile("up", "d('p')\nl('p/up','../.bashrc')", "");
	hostile("hard-of-link", "d('p')\nl('p/a/l','..')\nh('p/l','p/a/l')", "");
	hostile("hard-out", "d('p')\nh('p/h','../../../../etc/passwd')", "leaves the folder");
	hostile("hard-beside", "d('p')\nh('p/h','beside')", "leaves the folder");
	hostile("hard-own", "d('p')\nh('p/h','p/own')", "");
	hostile("hard-of-own", "d('p')\nh('p/h','p/own/beside')\nf('p/h')", NULL);
	hostile("device", "d('p')\nf('p/dev',b'',type=tarfile.CHRTYPE)", "");
	hostile("long", "d('p')\nf('p'+'/d'*3000)", "leaves the folder");
	/* The name of what is written while it is not whole. */
	hostile("temporary", "d('p')\nimport os\nl('p/.perry-cp-%d-0'%os.getppid(),'../beside')\nf('p/f')", NULL);
	assert_int_equal(access("/tmp/perry-escaped", F_OK), -1);
}

/* Any members in any order. */
static void no_order_of_members_leaves_the_folder(void **state)
{
	(void)state;
	static const char make_py[] =
		"import random,tarfile,io,sys\n"
		"r=random.Random(9)\n"
		"step=lambda: r.choice(['a','b','c'])\n"
		"leaf=lambda own: r.choice(own if r.random()<.97 else ['a','b','l','m','f','own'])\n"
		"name=lambda own: '/'.join(['p']+[step() for _ in range(r.randint(0,3))]+[leaf(own)])\n"
		"to=lambda: r.choice(['','','','/'])+'/'.join(r.choice(['a','b','c','l','m','n','own','..','..','.']) "
		"for _ in "
		"range(r.randint(1,7)))\n"
		"for n in range(300):\n"
		" t=tarfile.open('%s/%d.tar'%(sys.argv[1],n),'w')\n"
		" i=tarfile.TarInfo('p'); i.type=tarfile.DIRTYPE; i.mode=0o755; t.addfile(i)\n"
		" for _ in range(r.randint(1,40)):\n"
		"  type,own=r.choice([(tarfile.REGTYPE,'fg'),(tarfile.DIRTYPE,'abc'),(tarfile.LNKTYPE,'hf')]+"
		"[(tarfile.SYMTYPE,'lmn')]*6)\n"
		"  i=tarfile.TarInfo(name(own)); i.mode=0o755; i.type=type\n"
		"  i.linkname=to() if type==tarfile.SYMTYPE else name('flm')\n"
		"  t.addfile(i,io.BytesIO(b''))\n"
		" t.close()\n";
	cases_begin();
	cleanup_free char *dir = in_root("tars"), *cases = in_root("cases");
	assert_int_equal(mkdir(dir, 0755), 0);
	run_python(make_py, dir);
	int whole = 0;
	for (int i = 0; i < 300; i++) {
		cleanup_free char *path = xasprintf("%s/%d.tar", dir, i);
		cleanup_free char *name = xasprintf("%d", i);
		cleanup_buf struct buf tar = { 0 };
		assert_int_equal(file_read(path, 1 << 20, &tar, NULL), 0);
		whole += unpack_case(&tar, name, NULL) >= 0;
	}
	assert_true(whole > 100); /* not only refusals were tried */
	run_python(look_py, cases);
}

static int count_in(const char *dir)
{
	cleanup_free char *cmd = xasprintf("exit $(ls -A %s/%s | wc -l)", root, dir);
	return WEXITSTATUS(system(cmd));
}

static void a_copy_that_breaks_off_leaves_the_old_file(void **state)
{
	(void)state;
	cleanup_free char *big = xcalloc(1, 100001);
	memset(big, 'n', 100000);
	put("big", big, 0644);
	cleanup_buf struct buf tar = packed("big", "big");
	tar.len = 60000;
	cleanup_free char *dir = in_root("broken");
	assert_int_equal(mkdir(dir, 0755), 0);
	put("broken/file", "old", 0644);
	assert_int_equal(unpack(&tar, "broken", "file", 4096, NULL), -1);
	assert_int_equal(unpack(&tar, "broken", "new", 4096, NULL), -1);
	cleanup_free char *path = in_root("broken/file");
	cleanup_buf struct buf text = { 0 };
	assert_int_equal(file_read(path, 1000, &text, NULL), 0);
	assert_string_equal(buf_str(&text), "old");
	assert_int_equal(count_in("broken"), 1);
}

/* Good links stay, read-only folders are filled, and what a later member replaced is replaced. */
static void what_is_right_arrives(void **state)
{
	(void)state;
	static const char make_py[] =
		"import tarfile,io,sys\n"
		"t=tarfile.open(sys.argv[1],'w')\n"
		"def add(name,type,to='',data=b'',mode=0o755):\n"
		" i=tarfile.TarInfo(name); i.type=type; i.linkname=to; i.mode=mode; i.size=len(data); "
		"t.addfile(i,io.BytesIO(data))\n"
		"D,L,F,H=tarfile.DIRTYPE,tarfile.SYMTYPE,tarfile.REGTYPE,tarfile.LNKTYPE\n"
		"add('p',D)\nadd('p/bin',D)\nadd('p/bin/x',L,'../lib/x.js')\nadd('p/lib',D,mode=0o555)\n"
		"add('p/lib/x.js',F,data=b'x')\nadd('p/round',L,'bin/../lib/x.js')\nadd('p/gone',L,'lib/not-there')\n"
		"add('p/h',H,'p/lib/x.js')\nadd('p/was-link',L,'lib')\nadd('p/was-link',F,data=b'file')\n"
		"add('p/two',L,'bin')\nadd('p/two',L,'lib')\nt.close()\n";
	cleanup_free char *path = in_root("good.tar");
	cleanup_buf struct buf tar = { 0 };
	run_python(make_py, path);
	assert_int_equal(file_read(path, 1 << 20, &tar, NULL), 0);
	assert_int_equal(unpack(&tar, "good", "q", 100, NULL), 0);
	cleanup_free char *cmd = xasprintf(
		"cd %s/good/q && test \"$(cat bin/x round h)\" = xxx && test \"$(readlink gone)\" = lib/not-there && "
		"test ! -L was-link && test \"$(cat was-link)\" = file && test \"$(readlink two)\" = lib && "
		"test \"$(stat -c %%a lib)\" = 555 && test \"$(stat -c %%h h)\" = 2 && chmod 755 lib",
		root);
	assert_int_equal(system(cmd), 0);
}

static void broken_archives_are_errors(void **state)
{
	(void)state;
	struct perry_err *err = NULL;
	put("one", "some text", 0644);
	cleanup_buf struct buf tar = packed("one", "one");
	cleanup_buf struct buf cut = { 0 };
	buf_add(&cut, tar.data, 515);
	assert_int_equal(unpack(&cut, "cut", "one", 4096, &err), -1);
	assert_non_null(strstr(perry_msg(err), "cut off"));
	perry_err_free(err);
	err = NULL;
	tar.data[130] ^= 1;
	assert_int_equal(unpack(&tar, "sum", "one", 4096, &err), -1);
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
		cmocka_unit_test(no_order_of_members_leaves_the_folder),
		cmocka_unit_test(a_copy_that_breaks_off_leaves_the_old_file),
		cmocka_unit_test(what_is_right_arrives),
		cmocka_unit_test(broken_archives_are_errors),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	cleanup_free char *cmd = xasprintf("rm -rf %s", root);
	return system(cmd) ? 1 : rc;
}
