/* What of this machine's git configuration goes into a workspace. What is kept is compared with what git itself reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/embed.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"

static const char main_file[] =
	"[user]\n\tname = \"Me \\\"X\\\" Here\" # comment\n\temail = me@here ; c\n\tsigningkey = ABC\n"
	"[include]\n\tpath = ~/more\n[include]\n\tpath = rel/more2\n[includeIf \"gitdir:/work/\"]\n\tpath = /h/work\n"
	"[commit]\n\tgpgsign = true\n\ttemplate = /x\n[gpg]\n\tprogram = /usr/local/bin/gpg\n\tformat = ssh\n"
	"[gpg \"ssh\"]\n\tprogram = none\n[credential \"https://github.com\"]\n\thelper = !gh auth git-credential\n"
	"[core]\n\tsshCommand = ssh -i x\n\teditor = code --wait\n\texcludesfile = ~/.gitignore\n\thooksPath = hooks\n"
	"\tautocrlf = input\n\tbare\n[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\trequired = true\n"
	"[alias]\n\tco = checkout\n\troot = !git rev-parse --show-toplevel\n"
	"[url \"git@github.com:\"]\n\tinsteadOf = https://github.com/\n[safe]\n\tdirectory = /srv/x\n"
	"[branch \"a b\\\"c\"]\n\tx = one \\\ntwo\n[init]\n\tdefaultBranch = feature/x\n[foo] bar = /etc/x\n"
	"[diff \"pdf\"]\n\ttextconv = pdftotext\n\tbinary = true\n[http]\n\tproxy = http://proxy:3128\n";

static const char wanted[] = "user.name=Me \"X\" Here\nuser.email=me@here\npull.rebase=true\npush.default=simple\n"
			     "core.autocrlf=input\ncore.bare\nalias.co=checkout\n"
			     "alias.root=!git rev-parse --show-toplevel\n"
			     "url.git@github.com:.insteadof=https://github.com/\nbranch.a b\"c.x=one two\n"
			     "init.defaultbranch=feature/x\ndiff.pdf.binary=true\nhttp.proxy=http://proxy:3128\n";

static const char dropped[] =
	"user.signingkey,core.pager,includeif.gitdir:/work/.path,commit.gpgsign,commit.template,gpg.program,gpg.format,"
	"gpg.ssh.program,credential.https://github.com.helper,core.sshcommand,core.editor,core.excludesfile,"
	"core.hookspath,filter.lfs.clean,filter.lfs.required,safe.directory,foo.bar,diff.pdf.textconv";

/* The globals text and gone, of portable(path) with these files. */
static lua_State *portable(const char *path, const char *file)
{
	lua_State *L = luaL_newstate();
	luaL_openlibs(L);
	const struct embedded *f = embed_files;
	while (f->path && strcmp(f->path, "lua/perry/gitconfig.lua") != 0)
		f++;
	assert_non_null(f->path);
	assert_int_equal(luaL_loadbuffer(L, f->data, (size_t)(f->end - f->data), "=gitconfig"), LUA_OK);
	lua_call(L, 0, 1);
	lua_setglobal(L, "g");
	lua_pushstring(L, file);
	lua_setglobal(L, "file");
	lua_pushstring(L, path);
	lua_setglobal(L, "path");
	if (luaL_dostring(L,
			  "local files = { ['/h/.gitconfig'] = file,\n"
			  "['/h/more'] = '[pull]\\n\\trebase = true\\n[include]\\npath=more\\n',\n"
			  "['/h/rel/more2'] = '\\239\\187\\191[push]\\r\\n\\tdefault = simple\\r\\n[core]\\n\\tpager = "
			  "delta\\n' }\n"
			  "text, gone = g.portable(path, function(p) return files[p] end, '/h')\n"
			  "shown = type(gone) == 'table' and table.concat(gone, ',') or tostring(gone)"))
		fail_msg("%s", lua_tostring(L, -1));
	lua_getglobal(L, "shown");
	lua_getglobal(L, "text");
	return L;
}

static void what_goes(void **state)
{
	(void)state;
	lua_State *L = portable("/h/.gitconfig", main_file);
	assert_string_equal(lua_tostring(L, -2), dropped);
	size_t n;
	const char *text = lua_tolstring(L, -1, &n);
	char path[] = "/tmp/perry-gitconfig-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(file_write_atomic(path, text, n, 0600, NULL), 0);
	cleanup_process struct process_end end = { 0 };
	struct process p = { .argv = (const char *const[]){ "git", "config", "--file", path, "--list", NULL },
			     .max_output = 1 << 16,
			     .timeout_ms = 30000 };
	int rc = process_run(&p, &end, NULL);
	unlink(path);
	if (rc == 0) /* there may be no git */
		assert_string_equal(buf_str(&end.out), wanted);
	lua_close(L);
}

static void what_is_none(void **state)
{
	static const char *const broken[] = { "[broken",          "x = 1\n",   "[a]\n\tb = \"open\n",
					      "[a]\n\tb = \\q\n", "[a \"b]\n", "[a]\n\tb c\n" };
	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		lua_State *L = portable("/h/.gitconfig", broken[i]);
		assert_true(lua_isnil(L, -1));
		assert_string_equal(lua_tostring(L, -2), "true");
		lua_close(L);
	}
	lua_State *L = portable("/none", "");
	assert_true(lua_isnil(L, -1));
	assert_string_equal(lua_tostring(L, -2), "nil");
	lua_close(L);
	L = portable("/h/.gitconfig", "# nothing\n\n; at all");
	assert_string_equal(lua_tostring(L, -1), "");
	lua_close(L);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_goes), cmocka_unit_test(what_is_none) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
