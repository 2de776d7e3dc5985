#include "cli/full/pack_init.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/full/hooks_write.h"
#include "cli/label.h"

#define NAME_MAX_LEN 40 /* of a pack */

static const char meta[] = "{\n"
			   "  \"name\": \"@\",\n"
			   "  \"api\": 1,\n"
			   "  \"description\": \"the policy of @\",\n"
			   "  \"settings\": [\n"
			   "    {\"name\": \"prefix\", \"type\": \"string\", \"default\": \"@\", \"description\": "
			   "\"put before the names of workspaces on the tailnet\"}\n"
			   "  ],\n"
			   "  \"needs\": {}\n"
			   "}\n";
static const char hook[] = "-- perry: api=1\n"
			   "return function(ws, base)\n"
			   "  return perry.label(perry.setting \"prefix\" .. \"-\" .. base())\n"
			   "end\n";
static const char test[] = "return {\n"
			   "  { name = \"puts the prefix before the name\", ws = { name = \"web\" }, base = \"web\", "
			   "expect = \"@-web\" },\n"
			   "  { name = \"the prefix can be set\", settings = { prefix = \"blue\" }, base = \"web\", "
			   "expect = \"blue-web\" },\n"
			   "}\n";
static const char ci[] = "#!/bin/sh\n"
			 "# What a CI runs; it needs the perry binary and nothing else.\n"
			 "set -eu\n"
			 "cd \"$(dirname \"$0\")\"\n"
			 "perry hooks check --strict .\n"
			 "perry hooks test .\n"
			 "perry hooks pack hash .\n";
static const char readme[] = "# @\n\n"
			     "Hooks for Perry. `perry hooks add FOLDER-OR-URL` shows what is in here and asks.\n"
			     "`./ci.sh` checks and tests it, and prints the hash for `perry hooks add --expect`.\n";

static char *name_of(const char *dir)
{
	cleanup_free char *full = realpath(dir, NULL), *name = label_of(full ? full : dir, NAME_MAX_LEN);
	return *name ? take_ptr(name) : xstrdup("policy");
}

static int put(const char *dir, const char *path, const char *text, const char *name, mode_t mode,
	       struct perry_err **err)
{
	cleanup_free char *full = path_join(dir, path), *folder = xstrdup(full);
	cleanup_buf struct buf out = { 0 };
	*strrchr(folder, '/') = 0;
	for (; *text; text++) {
		if (*text == '@')
			buf_adds(&out, name);
		else
			buf_addc(&out, *text);
	}
	if (dir_make(folder, 0755, err) < 0)
		return -1;
	return file_write_atomic(full, out.data, out.len, mode, err);
}

int hooks_pack_init(const struct args *a, struct perry_err **err)
{
	const char *dir = a->words[0];
	cleanup_free char *there = path_join(dir, "pack.json");
	if (access(there, F_OK) == 0)
		return perry_fail(err, PERRY_ECONFLICT, "%s exists already", there);
	if (dir_make(dir, 0755, err) < 0)
		return -1;
	cleanup_free char *name = name_of(dir);
	if (put(dir, "hooks/hostname.lua", hook, name, 0644, err) < 0 ||
	    put(dir, "tests/hostname_test.lua", test, name, 0644, err) < 0 ||
	    put(dir, "ci.sh", ci, name, 0755, err) < 0 || put(dir, "README.md", readme, name, 0644, err) < 0 ||
	    hooks_editor_files(dir, err) < 0 || put(dir, "pack.json", meta, name, 0644, err) < 0)
		return -1;
	printf("%s\n", dir);
	fprintf(stderr, "Try it: perry hooks test %s\n", dir);
	return 0;
}
