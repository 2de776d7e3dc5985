/* Packs: what pack.json may say, the hash over every file, approval and hooks.lock, what a changed file does. */
#include <dirent.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "policy/pack/pack.h"
#include "policy/pack/pack_json.h"
#include "policy/pack/packs.h"
#include "policy/pack/packs_lock.h"
#include "policy_help.h"

static char conf[160], src[160];

static int fresh(void **state)
{
	(void)state;
	snprintf(conf, sizeof conf, "%s/conf", home);
	snprintf(src, sizeof src, "%s/src/acme", home);
	cleanup_free char *command = xasprintf("rm -rf %s %s/src; mkdir -p %s %s/hooks/on_deleted %s/lib/net %s/tests",
					       conf, home, conf, src, src, src);
	return system(command) == 0 ? 0 : -1;
}

static const char whole[] = "{\n  \"name\": \"acme\",\n  \"api\": 1,\n  \"description\": \"what Acme does\",\n"
			    "  \"settings\": [\n    {\"name\": \"prefix\", \"type\": \"string\", \"default\": "
			    "\"acme\", \"description\": \"x\"},\n"
			    "    {\"name\": \"chat\", \"type\": \"string\", \"secret\": true},\n"
			    "    {\"name\": \"vault\", \"type\": \"string\"}\n  ],\n"
			    "  \"needs\": {\"network\": [\"hooks.example.com\", \"*.acme.example\", "
			    "\"setting:vault\"], \"run\": [\"nsupdate\"], "
			    "\"docker\": [\"list\"], \"kv\": true}\n}\n";

static void make_pack(void)
{
	write_to(src, "pack.json", whole, 0644);
	write_to(src, "README.md", "Acme\n", 0644);
	write_to(src, "hooks/hostname.lua",
		 "local n = require 'net.names'\nreturn function(ws, base) return perry.setting 'prefix' .. '-' .. "
		 "n.of(base()) end\n",
		 0644);
	write_to(src, "hooks/on_deleted/10-chat.lua", "return function(ws, ev) end\n", 0644);
	write_to(src, "lib/net/names.lua", "return { of = function(s) return s end }\n", 0644);
	write_to(src, "tests/hostname_test.lua", "return {}\n", 0644);
	write_to(src, "ci.sh", "#!/bin/sh\n", 0755);
}

static struct pack *read_ok(const char *dir, uid_t owner)
{
	struct perry_err *err = NULL;
	struct pack *p = NULL;
	if (pack_read(dir, owner, &p, &err) < 0)
		fail_msg("%s", perry_msg(err));
	return p;
}

static void read_fails(const char *dir, const char *wanted)
{
	struct perry_err *err = NULL;
	struct pack *p = NULL;
	if (pack_read(dir, (uid_t)-1, &p, &err) == 0 || !strstr(perry_msg(err), wanted))
		fail_msg("got:    %s\nwanted: %s", err ? perry_msg(err) : "a pack", wanted);
	perry_err_free(err);
}

static cJSON *source(void)
{
	cJSON *j = cJSON_CreateObject();
	json_set_str(j, "path", src);
	return j;
}

static void approve(void)
{
	struct perry_err *err = NULL;
	cleanup_pack struct pack *p = read_ok(src, (uid_t)-1);
	cleanup_json cJSON *from = source();
	if (packs_approve(conf, p, from, NULL, NULL, &err) < 0)
		fail_msg("%s", perry_msg(err));
}

/* config.json as hooks see it. */
static cJSON *config_now(const char *more)
{
	cleanup_free char *path = path_join(conf, "config.json");
	cleanup_buf struct buf text = { 0 };
	assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
	cJSON *j = parse(buf_str(&text));
	cleanup_json cJSON *add = parse(more);
	json_merge(j, add);
	return j;
}

/* A session with the packs of conf; NULL with *err. */
static struct policy_session *open_packs(struct packs **packs, const cJSON *config, call_fn call, void *ctx,
					 struct perry_err **err)
{
	struct policy_session *s = NULL;
	size_t n;
	*packs = packs_load(conf, config);
	const struct policy_layer *layers = packs_layers(*packs, &n);
	struct policy_setup setup = { .layers = layers, .nlayers = n, .config = config, .call = call, .ctx = ctx };
	return policy_open(policy, &setup, &s, err) < 0 ? NULL : s;
}

static void opens(const char *more)
{
	struct perry_err *err = NULL;
	struct packs *packs;
	cleanup_json cJSON *config = config_now(more);
	struct policy_session *s = open_packs(&packs, config, NULL, NULL, &err);
	if (!s)
		fail_msg("%s", perry_msg(err));
	policy_close(s);
	packs_free(packs);
}

static void stops(const char *more, const char *wanted)
{
	struct perry_err *err = NULL;
	struct packs *packs;
	cleanup_json cJSON *config = config_now(more);
	struct policy_session *s = open_packs(&packs, config, NULL, NULL, &err);
	if (s || err->code != PERRY_EPOLICY || !strstr(perry_msg(err), wanted))
		fail_msg("got:    %s\nwanted: %s", err ? perry_msg(err) : "a session", wanted);
	perry_err_free(err);
	packs_free(packs);
}

/* -- pack.json -- */

static void every_field_of_pack_json(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "[]", "p/pack.json:1: expected an object, got array" },
		{ "{\n\"name\": ", "p/pack.json:2:9: " },
		{ "{}", "p/pack.json:1: name: expected the pack's name, got nothing" },
		{ "{\n \"name\": 3, \"api\": 1}", "p/pack.json:2: name: expected the pack's name, got number" },
		{ "{\n\n \"name\": \"Acme\", \"api\": 1}",
		  "p/pack.json:3: name: expected a name of a-z, 0-9 and hyphens within, at most 40, got \"Acme\"" },
		{ "{\"name\": \"machine\", \"api\": 1}", "name: expected another name: this one is perry's own" },
		{ "{\"name\": \"a/b\", \"api\": 1}", "name: expected a name of" },
		{ "{\"name\": \"\", \"api\": 1}", "name: expected a name of" },
		{ "{\"name\": \"a\"}", "api: expected the number of the hook API that it is written for, got nothing" },
		{ "{\"name\": \"a\", \"api\": \"1\"}", "api: expected the number of the hook API" },
		{ "{\"name\": \"a\",\n \"api\": 2}",
		  "p/pack.json:2: api: the pack 'a' is written for api=2; this perry serves api=1" },
		{ "{\"name\": \"a\", \"api\": 0}", "api: the pack 'a' is written for api=0" },
		{ "{\"name\": \"a\", \"api\": 1.5}", "api: expected" },
		{ "{\"name\": \"a\", \"api\": 1, \"descripton\": \"x\"}",
		  "descripton: there is no such field (did you mean \"description\"?)" },
		{ "{\"name\": \"a\", \"api\": 1, \"description\": 1}", "description: expected a text, got number" },
		{ "{\"name\": \"a\", \"api\": 1, \"description\": \"\\u001b[2J\"}",
		  "description: has a control character" },
		{ "{\"name\": \"a\", \"api\": 1, \"name\": \"b\"}", "name: is there twice" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": {}}", "settings: expected a list, got object" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [\n{\"name\": \"x\", \"type\": \"string\"},\n3]}",
		  "p/pack.json:3: settings[1]: expected an object" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"type\": \"string\"}]}",
		  "settings[0].name: expected a name of letters" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x-y\", \"type\": \"string\"}]}",
		  "settings[0].name: expected a name" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"string\"}, {\"name\": "
		  "\"x\", \"type\": \"string\"}]}",
		  "settings[1].name: there is a setting \"x\" already" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\",\n\"type\": \"text\"}]}",
		  "p/pack.json:2: settings[0].type: expected one of string, boolean, integer, number, strings, got "
		  "\"text\"" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\"}]}",
		  "settings[0].type: expected one of" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"integer\", \"default\": "
		  "1.5}]}",
		  "settings[0].default: expected a whole number, got number" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"strings\", \"default\": "
		  "[1]}]}",
		  "settings[0].default: expected a list of strings" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"string\", \"secret\": "
		  "1}]}",
		  "settings[0].secret: expected true or false" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"string\", \"secret\": "
		  "true, \"default\": \"k\"}]}",
		  "settings[0].default: a secret has no default" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"boolean\", \"secret\": "
		  "true}]}",
		  "settings[0].type: a secret is a string" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"string\", \"descr\": "
		  "1}]}",
		  "settings[0].descr: there is no such field" },
		{ "{\"name\": \"a\", \"api\": 1, \"settings\": [{\"name\": \"x\", \"type\": \"string\", "
		  "\"description\": []}]}",
		  "settings[0].description: expected a text" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": []}", "needs: expected an object" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"netwrok\": []}}",
		  "needs.netwrok: there is no such field (did you mean \"network\"?)" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": true}}",
		  "needs.network: expected a list of texts, got boolean" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": [1]}}",
		  "needs.network[0]: expected a text, got number" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": [\"ok.example\",\n\"https://x\"]}}",
		  "p/pack.json:2: needs.network[1]: expected a host in lower case, without scheme, port and path, got "
		  "\"https://x\"" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": [\"x:80\"]}}",
		  "needs.network[0]: expected a host" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": [\"X.example\"]}}",
		  "needs.network[0]: expected a host" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": [\"*\"]}}",
		  "needs.network[0]: expected a host" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": [\"*.com\"]}}",
		  "needs.network[0]: expected a host" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"network\": [\"setting:x\"]}}",
		  "needs.network[0]: expected the name of a setting" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"run\": [\"sh -c\"]}}",
		  "needs.run[0]: expected the name of a command" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"run\": [\"bin/x\"]}}",
		  "needs.run[0]: expected the name of a command" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"docker\": [\"run\"]}}",
		  "needs.docker[0]: expected one of inspect, list, exec, got \"run\"" },
		{ "{\"name\": \"a\", \"api\": 1, \"needs\": {\"kv\": 1}}",
		  "needs.kv: expected true or false, got number" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct perry_err *err = NULL;
		cJSON *out = NULL;
		if (pack_parse(cases[i].text, strlen(cases[i].text), "p/pack.json", &out, &err) == 0 ||
		    !strstr(perry_msg(err), cases[i].wanted))
			fail_msg("%s\ngot:    %s\nwanted: %s", cases[i].text, err ? perry_msg(err) : "fine",
				 cases[i].wanted);
		perry_err_free(err);
	}
	cJSON *out = NULL;
	assert_int_equal(pack_parse(whole, strlen(whole), "p", &out, NULL), 0);
	cJSON_Delete(out);
}

/* A field of each kind at a time is replaced, left out, doubled: never a crash, and always an error or a pack. */
static void pack_json_under_mutation(void **state)
{
	static const char *const values[] = { "null", "true", "-1",        "1e400",     "\"\"",   "\"\\ud800\"",
					      "[]",   "{}",   "[[[[1]]]]", "\"../..\"", "\"\\n\"" };
	size_t refused = 0, tried = 0;
	(void)state;
	for (size_t at = 0; at < strlen(whole); at++) {
		if (whole[at] != ':' || whole[at + 1] != ' ')
			continue;
		for (size_t v = 0; v < ARRAY_LEN(values); v++, tried++) {
			cleanup_free char *text = xasprintf("%.*s %s%s", (int)at + 1, whole, values[v],
							    whole + at + 1 + strcspn(whole + at + 1, ",}\n"));
			cleanup_err struct perry_err *err = NULL;
			cleanup_json cJSON *out = NULL;
			int r = pack_parse(text, strlen(text), "p", &out, &err);
			assert_true((r == 0) == (err == NULL));
			refused += r < 0;
		}
	}
	assert_true(tried > 100 && refused > tried * 3 / 4);
}

/* -- files -- */

static void the_hash_is_of_names_modes_and_bytes(void **state)
{
	(void)state;
	make_pack();
	cleanup_pack struct pack *a = read_ok(src, (uid_t)-1);
	assert_int_equal(a->n, 7);
	/* by other means, as docs/hooks/packs.md says */
	cleanup_free char *command = xasprintf("cd %s && { echo 'perry-pack 1'; find . -type f | LC_ALL=C sort | while "
					       "read -r f; do [ -x \"$f\" ] && m=755 || m=644; "
					       "echo \"$m $(sha256sum <\"$f\" | cut -c1-64) $(stat -c %%s \"$f\") "
					       "${f#./}\"; done; } | sha256sum | cut -c1-64",
					       src);
	char line[80] = "";
	FILE *f = popen(command, "r");
	assert_non_null(fgets(line, sizeof line, f));
	pclose(f);
	line[64] = 0;
	assert_string_equal(a->hash + 7, line);
	cleanup_free char *readme = path_join(src, "README.md"), *other = path_join(src, "READ.md"),
			  *ci = path_join(src, "ci.sh");
	assert_int_equal(chmod(readme, 0600), 0); /* who may read it is no content */
	cleanup_pack struct pack *b = read_ok(src, (uid_t)-1);
	assert_string_equal(a->hash, b->hash);
	assert_int_equal(rename(readme, other), 0);
	cleanup_pack struct pack *c = read_ok(src, (uid_t)-1);
	assert_string_not_equal(a->hash, c->hash);
	assert_int_equal(rename(other, readme), 0);
	assert_int_equal(chmod(ci, 0644), 0);
	cleanup_pack struct pack *d = read_ok(src, (uid_t)-1);
	assert_string_not_equal(a->hash, d->hash);
	/* what git keeps there is not the pack's */
	assert_int_equal(chmod(ci, 0755), 0);
	cleanup_free char *git = path_join(src, ".git");
	assert_int_equal(mkdir(git, 0700), 0);
	write_to(git, "config", "x", 0600);
	cleanup_pack struct pack *e = read_ok(src, (uid_t)-1);
	assert_string_equal(a->hash, e->hash);
}

static void what_is_no_pack_is_refused(void **state)
{
	(void)state;
	cleanup_free char *path = path_join(src, "hooks/image.lua");
	read_fails("/nonexistent/pack", "No such file or directory");
	read_fails(src, "~/src/acme: no pack: there is no pack.json in it");
	make_pack();
	assert_int_equal(symlink("/etc/passwd", path), 0);
	read_fails(src, "~/src/acme/hooks/image.lua: a link; a pack may not have any");
	unlink(path);
	assert_int_equal(symlink(home, path), 0);
	read_fails(src, "hooks/image.lua: a link");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	read_fails(src, "hooks/image.lua: not a regular file");
	unlink(path);
	write_to(src, "hooks/Hostname.lua", "x", 0644);
	read_fails(src, "hooks/Hostname.lua and hooks/hostname.lua differ only in case");
	cleanup_free char *upper = path_join(src, "hooks/Hostname.lua"), *folder = path_join(src, "LIB");
	unlink(upper);
	assert_int_equal(mkdir(folder, 0700), 0);
	write_to(folder, "x.lua", "x", 0644);
	read_fails(src, "LIB and lib differ only in case");
	cleanup_free char *in = path_join(folder, "x.lua");
	unlink(in);
	rmdir(folder);
	write_to(src, "a\nb", "x", 0644);
	read_fails(src, "its name has a control character");
	cleanup_free char *odd = path_join(src, "a\nb");
	unlink(odd);
	write_to(src, "\xff", "x", 0644);
	read_fails(src, "its name is not UTF-8");
	cleanup_free char *bytes = path_join(src, "\xff");
	unlink(bytes);
}

static void the_limits_are_said(void **state)
{
	char name[32];
	(void)state;
	make_pack();
	cleanup_free char *big = path_join(src, "big"), *many = path_join(src, "many");
	FILE *f = fopen(big, "w");
	assert_int_equal(ftruncate(fileno(f), 100 << 20), 0); /* 100 MB */
	fclose(f);
	read_fails(src, "big: has 102400 KiB: a pack has at most 500 files, of 256 KiB each and 640 KiB in all");
	unlink(big);
	assert_int_equal(mkdir(many, 0700), 0);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "%d", i);
		cleanup_free char *path = path_join(many, name);
		fclose(fopen(path, "w"));
	}
	read_fails(src, "a file too many: a pack has at most 500 files");
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "%d", i);
		cleanup_free char *path = path_join(many, name);
		unlink(path);
	}
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "%d", i);
		cleanup_free char *path = path_join(many, name);
		f = fopen(path, "w");
		assert_int_equal(ftruncate(fileno(f), 200 << 10), 0);
		fclose(f);
	}
	read_fails(src, "too much with it: a pack has at most");
}

/* -- approval -- */

static void an_approved_pack_is_a_layer(void **state)
{
	struct perry_err *err = NULL;
	struct packs *packs;
	(void)state;
	make_pack();
	approve();
	cleanup_json cJSON *config = config_now("{\"packs\":{\"acme\":{\"prefix\":\"blue\"}}}"),
			   *facts = facts_of("web"), *rows = cJSON_CreateArray();
	struct policy_session *s = open_packs(&packs, config, NULL, NULL, &err);
	if (!s)
		fail_msg("%s", perry_msg(err));
	cJSON *answer = NULL;
	if (policy_ask(s, "hostname", facts, NULL, &answer, rows, &err) < 0)
		fail_msg("%s", perry_msg(err));
	assert_string_equal(cJSON_GetStringValue(answer), "blue-web");
	const cJSON *row = NULL, *r;
	cJSON_ArrayForEach(r, rows)
		row = str_eq(json_str(r, "layer"), "acme") ? r : row;
	assert_non_null(strstr(json_str(row, "file"), "~/conf/packs/acme-"));
	assert_int_equal(strlen(json_str(row, "hash")), 64);
	cJSON_Delete(answer);
	policy_close(s);
	packs_free(packs);
	/* the source may change or go: what was approved counts */
	write_to(src, "hooks/hostname.lua", "return function() return 'evil' end", 0644);
	opens("{}");
}

static void settings_are_checked(void **state)
{
	(void)state;
	make_pack();
	approve();
	stops("{\"packs\":{\"acme\":{\"prefix\":3}}}", "config.json: packs.acme.prefix: expected string, got number");
	stops("{\"packs\":{\"acme\":{\"prefx\":\"a\"}}}",
	      "config.json: packs.acme.prefx: the pack has no such setting (did you mean \"prefix\"?)");
	stops("{\"packs\":{\"acme\":{\"chat\":\"xoxb-the-token\"}}}",
	      "config.json: packs.acme.chat: expected the name of a secret");
	opens("{\"packs\":{\"acme\":{\"chat\":\"slack\"}},\"secrets\":{\"slack\":{\"$secret\":\"secrets.slack\"}}}");
}

static void what_is_not_approved_stops(void **state)
{
	(void)state;
	make_pack();
	cleanup_free char *listed = xasprintf("{\"hookPacks\":[\"%s\"]}", src);
	write_to(conf, "config.json", listed, 0600);
	stops("{}", "is not approved\n  look at it with: perry hooks add");
	approve();
	opens("{}");
	opens("{\"hookPacks\":[\"~/src/acme/\"]}"); /* the same folder, said otherwise */
	stops("{\"hookPacks\":[{\"url\":\"https://x.example/y\",\"ref\":\"v2\"}]}",
	      "hookPacks: https://x.example/y is not approved\n  look at it with: perry hooks add https://x.example/y "
	      "--ref v2");
	stops("{\"hookPacks\":[3]}", "hookPacks: each entry is a folder or {\"url\": ..., \"ref\": ...}");
	stops("{\"hookPacks\":[{}]}", "hookPacks: each entry is a folder");
	cleanup_free char *lock = path_join(conf, "hooks.lock");
	assert_int_equal(chmod(lock, 0666), 0);
	stops("{}", "~/conf/hooks.lock: others may write to it (mode 0666");
	assert_int_equal(chmod(lock, 0600), 0);
	opens("{}");
	write_to(conf, "hooks.lock", "{\"packs\": [{\"name\": \"../..\"}]}", 0600);
	stops("{}", "~/conf/hooks.lock: packs: an entry is not what perry writes");
	write_to(conf, "hooks.lock", "{", 0600);
	stops("{}", "~/conf/hooks.lock:1:2: ");
	unlink(lock);
	stops("{}", "is not approved");
}

static char *approved_folder(void)
{
	cleanup_free char *packs = path_join(conf, "packs");
	char *found = NULL;
	DIR *d = opendir(packs);
	for (struct dirent *e; (e = readdir(d));)
		if (strncmp(e->d_name, "acme-", 5) == 0) {
			assert_null(found); /* nothing else of the name stays behind */
			found = path_join(packs, e->d_name);
		}
	closedir(d);
	assert_non_null(found);
	return found;
}

/* Every file, and in it a byte at a time: each change stops operations, and the message has the file's name. */
static void any_changed_byte_stops(void **state)
{
	(void)state;
	make_pack();
	approve();
	cleanup_free char *dir = approved_folder();
	cleanup_pack struct pack *p = read_ok(dir, geteuid());
	cleanup_json cJSON *config = config_now("{}");
	size_t mutations = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct pack_file *f = &p->files[i];
		cleanup_free char *path = path_join(dir, f->path);
		for (size_t at = 0; at <= f->len; at++, mutations++) {
			cleanup_free char *bytes = xmalloc(f->len + 2);
			size_t len = f->len;
			memcpy(bytes, f->data, f->len + 1);
			if (at < len)
				bytes[at] ^= (char)(1 << (at % 8)); /* a bit */
			else
				bytes[len++] = '\n'; /* one byte more */
			FILE *out = fopen(path, "w");
			assert_int_equal(fwrite(bytes, 1, len, out), len);
			fclose(out);
			struct packs *packs = packs_load(conf, config);
			size_t n;
			const struct perry_err *why = packs_layers(packs, &n)[0].broken;
			if (!why || !strstr(perry_msg(why), f->path))
				fail_msg("%s, byte %zu: %s", f->path, at, why ? perry_msg(why) : "nobody noticed");
			packs_free(packs);
		}
		FILE *out = fopen(path, "w");
		fwrite(f->data, 1, f->len, out);
		fclose(out);
	}
	print_message("# %zu changes, each refused by the file's name\n", mutations);
	opens("{}");
}

static void what_is_done_to(const char *file, const char *command, const char *wanted)
{
	cleanup_free char *dir = approved_folder(), *line = xasprintf("cd %s && %s", dir, command);
	assert_int_equal(system(line), 0);
	cleanup_free char *text = xasprintf("%s%s", file, wanted);
	stops("{}", text);
	/* approving it again mends it */
	approve();
	opens("{}");
}

static void any_other_change_stops(void **state)
{
	(void)state;
	make_pack();
	approve();
	what_is_done_to("README.md", "rm README.md",
			": is gone since the pack 'acme' was approved\n  have it again: perry hooks update acme");
	what_is_done_to("hooks/image.lua", "echo x >hooks/image.lua", ": was added since");
	what_is_done_to("ci.sh", "chmod -x ci.sh", ": has another mode since");
	what_is_done_to("README.md", "chmod +x README.md", ": has another mode since");
	what_is_done_to("README.md", "chmod 666 README.md", ": others may write to it (mode 0666; chmod go-w)");
	what_is_done_to("lib/net", "chmod 777 lib/net", ": others may write to it (mode 0777; chmod go-w)");
	what_is_done_to("", "chmod 775 .", ": others may write to it (mode 0775; chmod go-w)");
	what_is_done_to("hooks/hostname.lua", "mv hooks/hostname.lua ../x && ln -s ../../x hooks/hostname.lua",
			": a link; a pack may not have any");
	what_is_done_to("lib", "mv lib ../y && ln -s ../y lib", ": a link; a pack may not have any");
	what_is_done_to("tests/p", "mkfifo tests/p", ": not a regular file");
	if (geteuid() == 0)
		what_is_done_to("pack.json", "chown 12345 pack.json", ": belongs to uid 12345, not to uid 0 or root");
	cleanup_free char *dir = approved_folder(), *gone = xasprintf("rm -r %s", dir);
	assert_int_equal(system(gone), 0);
	stops("{}", "No such file or directory");
}

/* hooks.lock itself: needs that were not agreed to, a hash of other files. */
static void a_lock_changed_by_hand_stops(void **state)
{
	(void)state;
	make_pack();
	approve();
	cleanup_free char *lock = path_join(conf, "hooks.lock");
	cleanup_buf struct buf text = { 0 };
	assert_int_equal(file_read(lock, 1 << 20, &text, NULL), 0);
	cleanup_json cJSON *j = parse(buf_str(&text));
	cJSON *entry = cJSON_GetArrayItem(json_at(j, "packs"), 0);
	json_push_str(cJSON_GetObjectItemCaseSensitive(json_obj(entry, "needs"), "network"), "evil.example");
	cleanup_free char *more = json_print(j);
	write_to(conf, "hooks.lock", more, 0600);
	stops("{}", "hooks.lock: the entry of the pack 'acme' does not fit its files");
}

static void approval_is_of_what_was_seen(void **state)
{
	struct perry_err *err = NULL;
	(void)state;
	make_pack();
	approve();
	cleanup_pack struct pack *seen = read_ok(src, (uid_t)-1);
	cleanup_json cJSON *from = source(), *approved = NULL;
	write_to(src, "README.md", "two\n", 0644);
	cleanup_pack struct pack *second = read_ok(src, (uid_t)-1);
	write_to(src, "README.md", "three\n", 0644);
	cleanup_pack struct pack *third = read_ok(src, (uid_t)-1);
	assert_int_equal(packs_approve(conf, second, from, NULL, NULL, &err), -1); /* not knowing of the first */
	assert_non_null(strstr(perry_msg(err), "was approved meanwhile with another content"));
	perry_err_free(take_ptr(err));
	assert_int_equal(packs_approve(conf, second, from, seen->hash, NULL, &err), 0);
	assert_int_equal(packs_approve(conf, third, from, seen->hash, NULL, &err), -1);
	assert_int_equal(err->code, PERRY_ECONFLICT);
	perry_err_free(take_ptr(err));
	assert_int_equal(packs_approve(conf, second, from, NULL, NULL, &err), 0); /* the same again is fine */
	cleanup_free char *one = approved_folder();                               /* and the old content is gone */
	json_set_str(from, "path", "/elsewhere");
	assert_int_equal(packs_approve(conf, third, from, second->hash, NULL, &err), -1);
	assert_non_null(strstr(perry_msg(err), "there is a pack 'acme' already, from"));
	perry_err_free(take_ptr(err));
	assert_int_equal(packs_remove(conf, "acme", &err), 0);
	assert_int_equal(packs_remove(conf, "acme", &err), -1);
	assert_int_equal(err->code, PERRY_ENOTFOUND);
	perry_err_free(take_ptr(err));
	assert_int_equal(packs_approved(conf, &approved, NULL), 0);
	assert_int_equal(cJSON_GetArraySize(approved), 0);
	cleanup_json cJSON *config = config_now("{}");
	assert_int_equal(cJSON_GetArraySize(json_at(config, "hookPacks")), 0);
}

/* Eight processes approve other contents at once, each having seen none in force: one wins, seven are told, and what
 * is there is whole. */
static void approvals_at_once_are_serialised(void **state)
{
	int won = 0, told = 0;
	pid_t pids[8];
	(void)state;
	make_pack();
	for (int i = 0; i < 8; i++) {
		if ((pids[i] = fork()) == 0) {
			struct perry_err *err = NULL;
			struct pack *p = NULL;
			cleanup_free char *own = xasprintf("%s/src/%d", home, i),
					  *copy = xasprintf("cp -r %s %s && echo %d >%s/README.md", src, own, i, own);
			cleanup_json cJSON *from = source();
			if (system(copy) != 0 || pack_read(own, (uid_t)-1, &p, NULL) < 0)
				_exit(9);
			_exit(packs_approve(conf, p, from, NULL, NULL, &err) == 0 ? 0
			      : err->code == PERRY_ECONFLICT                      ? 1
										  : 2);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status;
		waitpid(pids[i], &status, 0);
		won += status == 0;
		told += WIFEXITED(status) && WEXITSTATUS(status) == 1;
	}
	assert_int_equal(won, 1);
	assert_int_equal(told, 7);
	cleanup_free char *one = approved_folder();
	opens("{}");
}

/* While packs are approved one after the other, whoever opens a session finds one of them whole. */
static void sessions_beside_approvals_are_whole(void **state)
{
	(void)state;
	make_pack();
	approve();
	cleanup_pack struct pack *a = read_ok(src, (uid_t)-1);
	write_to(src, "README.md", "two\n", 0644);
	cleanup_pack struct pack *b = read_ok(src, (uid_t)-1);
	pid_t pid = fork();
	if (pid == 0) {
		cleanup_json cJSON *from = source();
		for (int i = 0; i < 30; i++)
			if (packs_approve(conf, i % 2 ? a : b, from, i % 2 ? b->hash : a->hash, NULL, NULL) < 0)
				_exit(1);
		_exit(0);
	}
	cleanup_json cJSON *config = config_now("{}");
	int status, loads = 0;
	for (; waitpid(pid, &status, WNOHANG) == 0; loads++) {
		struct packs *packs = packs_load(conf, config);
		size_t n;
		const struct perry_err *why = packs_layers(packs, &n)[0].broken;
		if (why)
			fail_msg("%s", perry_msg(why));
		packs_free(packs);
	}
	assert_int_equal(status, 0);
	assert_true(loads > 10);
}

static void a_pack_travels_unchanged(void **state)
{
	struct perry_err *err = NULL;
	struct pack *got = NULL;
	(void)state;
	make_pack();
	cleanup_pack struct pack *p = read_ok(src, (uid_t)-1);
	cleanup_json cJSON *j = pack_to_json(p);
	assert_int_equal(pack_from_json(j, &got, &err), 0);
	assert_string_equal(got->hash, p->hash);
	pack_free(take_ptr(got));
	static const char *const bad[] = { "../x",        "/etc/x",   "a/../../x", "a//b", "",
					   ".git/config", "a/.GIT/x", "a/./b",     "x\\y" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_json cJSON *copy = cJSON_Duplicate(j, 1);
		json_set_str(cJSON_GetArrayItem(copy, 0), "path", bad[i]);
		assert_int_equal(pack_from_json(copy, &got, &err), -1);
		perry_err_free(take_ptr(err));
	}
	cJSON *twice = cJSON_Duplicate(cJSON_GetArrayItem(j, 1), 1);
	json_push(j, twice);
	assert_int_equal(pack_from_json(j, &got, &err), -1);
	assert_non_null(strstr(perry_msg(err), "is in it twice"));
	perry_err_free(err);
}

/* Two packs, one written for an API of the future: it is named, and nothing runs without it. */
static void packs_of_different_api(void **state)
{
	(void)state;
	make_pack();
	approve();
	cleanup_free char *dir = approved_folder(), *other = xasprintf("%s/src/new", home),
			  *copy = xasprintf("cp -r %s %s", src, other);
	assert_int_equal(system(copy), 0);
	write_to(other, "pack.json", "{\n\"name\": \"new\",\n\"api\": 2}", 0644);
	read_fails(other, "~/src/new/pack.json:3: api: the pack 'new' is written for api=2; this perry serves api=1");
	/* approved by a newer perry, then this one runs again */
	cleanup_free char *lock = path_join(conf, "hooks.lock");
	write_to(dir, "pack.json", "{\n\"name\": \"acme\",\n\"api\": 2}", 0600);
	stops("{}", "pack.json:3: api: the pack 'acme' is written for api=2; this perry serves api=1");
}

/* -- what a pack does not need it does not get -- */

static int count(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out, struct perry_err **err)
{
	(void)layer, (void)name, (void)args, (void)err;
	++*(int *)ctx;
	*out = cJSON_CreateObject();
	return 0;
}

static void needs_hold(void **state)
{
	static const struct {
		const char *point, *code, *wanted; /* NULL: it may */
	} cases[] = {
		{ "image", "perry.http.get 'https://hooks.example.com/'", NULL },
		{ "image", "perry.http.get 'https://a.b.acme.example/'", NULL },
		{ "image", "perry.http.get 'https://acme.example/'",
		  "the pack 'acme' does not list acme.example in needs.network" },
		{ "image", "perry.http.get 'https://hooks.example.com.evil.example/'",
		  "does not list hooks.example.com.evil.example" },
		{ "image", "perry.http.get 'https://vault.internal:8200/v1'", NULL }, /* the setting */
		{ "image", "perry.http.get 'https://169.254.169.254/'", "does not list 169.254.169.254" },
		{ "image", "perry.kv.get 'x'", NULL },
		{ "image", "perry.docker.list()", NULL },
		{ "image", "perry.docker.inspect 'x'", "does not list inspect in needs.docker" },
		{ "on_created", "perry.run { argv = { 'nsupdate', '-l' } }", NULL },
		{ "on_created", "perry.run { argv = { 'sh', '-c', 'nsupdate' } }", "does not list sh in needs.run" },
		{ "on_created", "perry.run { argv = { '/tmp/nsupdate' } }",
		  "does not list /tmp/nsupdate in needs.run" },
		{ "on_created", "perry.run { argv = {} }", "does not list it in needs.run" },
		{ "on_created", "perry.run {}", "does not list it in needs.run" },
		{ "image", "perry.run { argv = { 'nsupdate' } }", "a decision may look, not touch" },
		{ "on_created", "perry.docker.exec { argv = { 'id' } }", "does not list exec in needs.docker" },
		{ "on_created",
		  "perry.http.request { url = 'https://hooks.example.com/', headers = { A = perry.secret 'chat' } }",
		  NULL },
		{ "on_created",
		  "perry.http.request { url = 'https://hooks.example.com/', headers = { A = perry.secret 'other' } }",
		  "the pack 'acme' has no secret setting 'other'" },
		{ "on_created",
		  "perry.http.request { url = 'https://hooks.example.com/', headers = { A = perry.secret 'prefix' } }",
		  "the pack 'acme' has no secret setting 'prefix'" },
		{ "on_created",
		  "perry.http.request { url = 'https://hooks.example.com/', json = { A = perry.config "
		  "'agents.github.token' or 'none' } }",
		  NULL },
		{ "image", "if perry.config 'agents.github.token' then error 'a reference' end perry.kv.get 'x'",
		  NULL },
		{ "image", "if perry.config('agents.github').token then error 'a reference' end perry.kv.get 'x'",
		  NULL },
		{ "image", "if perry.config 'networkRange' ~= '10.0.0.0/8' then error 'no config' end perry.kv.get 'x'",
		  NULL },
		{ "env", "local e = base() e.MINE = e.GITHUB_TOKEN perry.kv.get 'x' do return e end", NULL },
		{ "image", "perry.http.get('https://hooks.example.com/', { headers = { ['$secret'] = 'other' } })",
		  "http.get" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct perry_err *err = NULL;
		struct packs *packs;
		int calls = 0;
		fresh(NULL);
		make_pack();
		cleanup_free char *hook = xasprintf("return function(ws, base)\n  %s\n  return 'fine'\nend",
						    cases[i].code),
				  *name = xasprintf("hooks/%s.lua", cases[i].point);
		write_to(src, name, hook, 0644);
		approve();
		cleanup_json cJSON
			*config = config_now(
				"{\"packs\":{\"acme\":{\"chat\":\"slack\",\"vault\":\"https://vault.internal:8200\"}},"
				"\"secrets\":{\"slack\":{\"$secret\":\"secrets.slack\"},\"other\":{\"$secret\":"
				"\"secrets.other\"}},"
				"\"networkRange\":\"10.0.0.0/"
				"8\",\"agents\":{\"github\":{\"token\":{\"$secret\":\"agents.github.token\"}}}}"),
			*facts = facts_of("web"), *extra = parse("{\"ev\":{\"kind\":\"created\"}}");
		struct policy_session *s = open_packs(&packs, config, count, &calls, &err);
		if (!s)
			fail_msg("%s", perry_msg(err));
		cJSON *answer = NULL;
		policy_ask(s, cases[i].point, facts, extra, &answer, NULL, &err);
		if (cases[i].wanted ? !err || !strstr(perry_msg(err), cases[i].wanted) : err != NULL)
			fail_msg("%s: %s", cases[i].code, err ? perry_msg(err) : "allowed");
		assert_int_equal(calls, cases[i].wanted ? 0 : 1);
		cJSON_Delete(answer);
		perry_err_free(err);
		policy_close(s);
		packs_free(packs);
	}
}

/* Answers that make the agent read a file, a variable or an address. */
static void answers_hold_too(void **state)
{
	static const struct {
		const char *point, *code, *wanted;
	} cases[] = {
		{ "auth_key", "return base()", NULL },
		{ "auth_key", "return perry.key.config()", NULL },
		{ "auth_key", "return perry.key.file '/etc/shadow'",
		  "may name the file of a key only through one of its settings" },
		{ "auth_key", "return perry.key.env 'AWS_SECRET'",
		  "may name the variable of a key only through one of its settings" },
		{ "auth_key", "return perry.key.file(perry.setting 'prefix')", NULL },
		{ "auth_key", "return perry.key.http { url = 'https://evil.example/' }",
		  "does not list evil.example in needs.network" },
		{ "auth_key",
		  "return perry.key.http { url = 'https://hooks.example.com/', headers = { A = perry.secret 'chat' } }",
		  NULL },
		{ "tailscale_up", "local u = base() u.login_server = 'https://evil.example' return u",
		  "does not list evil.example in needs.network" },
		{ "tailscale_up", "local u = base() u.login_server = 'https://x.acme.example' return u", NULL },
		{ "env", "return { TOKEN = perry.secret 'chat' }", NULL },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct perry_err *err = NULL;
		struct packs *packs;
		fresh(NULL);
		make_pack();
		cleanup_free char *hook = xasprintf("return function(ws, base)\n  %s\nend", cases[i].code),
				  *name = xasprintf("hooks/%s.lua", cases[i].point);
		write_to(src, name, hook, 0644);
		approve();
		cleanup_json cJSON *config = config_now(
					   "{\"packs\":{\"acme\":{\"chat\":\"slack\",\"prefix\":\"/etc/"
					   "ts.key\"}},\"secrets\":{\"slack\":{\"$secret\":\"secrets.slack\"}}}"),
				   *facts = facts_of("web");
		struct policy_session *s = open_packs(&packs, config, NULL, NULL, &err);
		if (!s)
			fail_msg("%s", perry_msg(err));
		cJSON *answer = NULL;
		policy_ask(s, cases[i].point, facts, NULL, &answer, NULL, &err);
		if (cases[i].wanted ? !err || !strstr(perry_msg(err), cases[i].wanted) : err != NULL)
			fail_msg("%s: %s", cases[i].code, err ? perry_msg(err) : "allowed");
		cJSON_Delete(answer);
		perry_err_free(err);
		policy_close(s);
		packs_free(packs);
	}
}

int main(int argc, char **argv)
{
	help_main(argc, argv);
	umask(022);
#define T(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest tests[] = {
		T(every_field_of_pack_json),
		T(pack_json_under_mutation),
		T(the_hash_is_of_names_modes_and_bytes),
		T(what_is_no_pack_is_refused),
		T(the_limits_are_said),
		T(an_approved_pack_is_a_layer),
		T(settings_are_checked),
		T(what_is_not_approved_stops),
		T(any_changed_byte_stops),
		T(any_other_change_stops),
		T(a_lock_changed_by_hand_stops),
		T(approval_is_of_what_was_seen),
		T(approvals_at_once_are_serialised),
		T(sessions_beside_approvals_are_whole),
		T(a_pack_travels_unchanged),
		T(packs_of_different_api),
		T(needs_hold),
		T(answers_hold_too),
	};
	return cmocka_run_group_tests(tests, NULL, help_end);
}
