/* Nothing is checked out: the tree is listed, judged, and then its blobs are read. */
#include "cli/full/pack_git.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/process.h"
#include "base/str.h"
#include "cli/out.h"
#include "cli/text.h"
#include "policy/pack/pack.h"

#define REPOSITORY_MAX (64u << 20) /* of what a server sends */
#define LISTING_MAX    (4u << 20)
#define MAX_WORDS      40

struct git {
	const struct pack_source *source;
	char *dir; /* of our own, empty at first */
	int64_t until;
};

bool git_is_url(const char *text)
{
	if (strstr(text, "://"))
		return true;
	/* git@host:path; a folder that looks so can be written ./x */
	const char *colon = strchr(text, ':'), *slash = strchr(text, '/');
	return colon && colon != text && (!slash || colon < slash) && text[0] != '.';
}

int git_check_source(const char *url, const char *ref, struct perry_err **err)
{
	bool scp = !strstr(url, "://");
	const char *rest = scp ? url : strstr(url, "://") + 3;
	size_t authority = strcspn(rest, scp ? ":" : "/?#");
	const char *at = memchr(rest, '@', authority);
	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f)
			return perry_fail(err, PERRY_EUSAGE, "the address of a repository has no blanks in it");
	if (url[0] == '-' || (scp && rest[0] == '-') || rest[0] == '-' || (at && at[1] == '-'))
		return perry_fail(err, PERRY_EUSAGE, "\"%s\" is no address of a repository", url);
	if (!scp && !str_starts(url, "https://") && !str_starts(url, "ssh://") && !str_starts(url, "file:///"))
		return perry_fail(err, PERRY_EUSAGE, "packs come by https, ssh or from a folder; not from %s", url);
	if (at && !scp && (str_starts(url, "https://") || memchr(rest, ':', (size_t)(at - rest))))
		return perry_fail(err, PERRY_EUSAGE,
				  "no name or password in the address: it would be kept in hooks.lock. git's "
				  "credential helper has them");
	if (!ref)
		return 0;
	bool fine = isalnum((unsigned char)ref[0]) && !strstr(ref, "..") && strlen(ref) <= 200;
	for (const char *p = ref; *p; p++)
		fine = fine && (isalnum((unsigned char)*p) || strchr("._/-+", *p));
	return fine ? 0 : perry_fail(err, PERRY_EUSAGE, "--ref: \"%s\" is no branch, tag or commit", ref);
}

/* The environment that it runs in: the user's, without what would lead git elsewhere (as within a git hook). */
static const char **environment(char **held)
{
	static const char *const dropped[] = { "GIT_DIR=",
					       "GIT_WORK_TREE=",
					       "GIT_INDEX_FILE=",
					       "GIT_OBJECT_DIRECTORY=",
					       "GIT_ALTERNATE_OBJECT_DIRECTORIES=",
					       "GIT_NAMESPACE=",
					       "GIT_COMMON_DIR=",
					       "GIT_PREFIX=",
					       "GIT_ALLOW_PROTOCOL=",
					       "GIT_TERMINAL_PROMPT=",
					       "LC_ALL=",
					       "LANGUAGE=",
					       "GIT_EXTERNAL_DIFF=",
					       "GIT_TRACE",
					       "GIT_SHALLOW_FILE=" };
	extern char **environ;
	size_t n = 0, k = 0;
	while (environ[n])
		n++;
	const char **env = xcalloc(n + 4, sizeof *env);
	for (char **e = environ; *e; e++) {
		bool drop = false;
		for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
			drop = drop || str_starts(*e, dropped[i]);
		if (!drop)
			env[k++] = *e;
	}
	*held = xasprintf("GIT_TERMINAL_PROMPT=%d", in_is_tty() ? 1 : 0);
	env[k++] = *held;
	env[k++] = "GIT_ALLOW_PROTOCOL=file:https:ssh";
	env[k++] = "LC_ALL=C"; /* its messages are read below */
	return env;
}

/* Which of git's many lines says it: the first that begins with "fatal:", else the last. */
static char *said(const struct buf *err)
{
	cleanup_free char *text = xstrdup(buf_str(err));
	char *save = NULL, *found = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line = str_trim(line);
		if (*line && !(found && str_starts(found, "fatal:")))
			found = line;
	}
	if (!found)
		return xstrdup("git failed without a reason");
	return printable(str_starts(found, "fatal: ") ? found + 7 : found);
}

/* Runs git with these words. 0 whatever its status, which is in end. */
static int git(struct git *g, const char *const *words, const char *input, size_t max_output, struct process_end *end,
	       struct perry_err **err)
{
	static const char *const always[] = {
		"git",
		"-c",
		"core.hooksPath=/dev/null",
		"-c",
		"gc.auto=0",
		"-c",
		"maintenance.auto=false",
		"-c",
		"fetch.unpackLimit=1",
		"-c",
		"submodule.recurse=false",
		"-c",
		"core.bigFileThreshold=1m",
		"-c",
		"core.fsmonitor=false",
		"-c",
		"advice.detachedHead=false",
	};
	const char *argv[MAX_WORDS + ARRAY_LEN(always) + 1] = { 0 };
	size_t n = ARRAY_LEN(always);
	memcpy(argv, always, sizeof always);
	for (; *words && n < ARRAY_LEN(argv) - 1; words++)
		argv[n++] = *words;
	cleanup_free char *held = NULL;
	cleanup_free const char **env = environment(&held);
	int64_t left = g->until - clock_mono_ms();
	struct process p = { .argv = argv,
			     .env = env,
			     .dir = g->dir,
			     .input = input,
			     .input_len = input ? strlen(input) : 0,
			     .timeout_ms = left > 1 ? (int)left : 1,
			     .max_output = max_output,
			     .file_size = REPOSITORY_MAX,
			     .terminal = in_is_tty() };
	cleanup_err struct perry_err *why = NULL;
	if (process_run(&p, end, &why) == 0)
		return 0;
	if (why->code == PERRY_ETIMEOUT)
		return perry_fail(err, PERRY_ETIMEOUT, "%s: no answer within %d s\n  a slow server: --timeout SECONDS",
				  g->source->url, g->source->timeout_ms / 1000);
	if (why->code == PERRY_ENOTFOUND)
		return perry_fail(err, PERRY_ENOTFOUND,
				  "there is no git on this machine: packs out of repositories need it");
	return perry_move(err, take_ptr(why));
}

/* The same, and it must go well. */
static int git_ok(struct git *g, const char *const *words, const char *input, size_t max_output,
		  struct process_end *end, struct perry_err **err)
{
	if (git(g, words, input, max_output, end, err) < 0)
		return -1;
	if (end->status == 0)
		return 0;
	if (strstr(buf_str(&end->err), "File too large"))
		return perry_fail(err, PERRY_ETOOLARGE,
				  "%s: sends more than %u MiB: a pack's repository holds little else", g->source->url,
				  REPOSITORY_MAX >> 20);
	if (end->status == 130)
		return perry_fail(err, PERRY_ECANCELLED, "interrupted");
	cleanup_free char *text = said(&end->err);
	return perry_fail(err, PERRY_EUNAVAILABLE, "%s: %s", g->source->url, text);
}

static int open_git(struct git *g, const struct pack_source *s, struct perry_err **err)
{
	*g = (struct git){ .source = s, .until = clock_mono_ms() + s->timeout_ms };
	if (dir_temp("perry-pack", &g->dir, err) < 0)
		return -1;
	const char *const words[] = { "init", "-q", "--bare", "--template=", NULL };
	cleanup_process struct process_end end = { 0 };
	return git_ok(g, words, NULL, 4096, &end, err);
}

static void close_git(struct git *g)
{
	if (g->dir)
		dir_remove(g->dir);
	free(g->dir);
}
#define cleanup_git __attribute__((cleanup(close_git)))

static int fetch(struct git *g, const char *depth, char **commit, struct perry_err **err)
{
	const char *const words[] = { "fetch", "-q", "--no-tags",    "--no-recurse-submodules",
				      depth,   "--", g->source->url, g->source->ref ? g->source->ref : "HEAD",
				      NULL },
			  *const parse[] = { "rev-parse", "--verify", "FETCH_HEAD^{commit}", NULL };
	cleanup_process struct process_end end = { 0 }, parsed = { 0 };
	if (git_ok(g, words, NULL, 64 << 10, &end, err) < 0)
		return -1;
	if (git_ok(g, parse, NULL, 4096, &parsed, err) < 0)
		return -1;
	*commit = xstrdup(str_trim(parsed.out.data));
	return 0;
}

/* One line of ls-tree -z -l: "100644 blob HASH    SIZE\tPATH". */
static int take_entry(struct pack *judged, const char *line, struct buf *wanted, struct pack *plan,
		      struct perry_err **err)
{
	char mode[8], type[16], hash[72], size[24];
	const char *tab = strchr(line, '\t');
	long long bytes = 0;
	if (!tab || sscanf(line, "%7s %15s %71s %23s", mode, type, hash, size) != 4)
		return perry_fail(err, PERRY_EINTERNAL, "git: a listing that is none");
	const char *path = tab + 1;
	cleanup_free char *shown = printable(path);
	if (strcmp(mode, "120000") == 0)
		return perry_fail(err, PERRY_EINPUT, "%s: a link; a pack may not have any", shown);
	if (strcmp(type, "blob") != 0)
		return perry_fail(err, PERRY_EINPUT, "%s: a submodule; a pack may not have any", shown);
	if (str_to_int(size, 0, INT64_MAX, &bytes) < 0 || pack_admit(judged, path, (size_t)bytes, err) < 0)
		return err && *err ? -1 : perry_fail(err, PERRY_EINTERNAL, "git: a listing that is none");
	/* In the order of the listing the blobs come; their names and modes wait in plan. */
	judged->n++;
	judged->total += (size_t)bytes;
	buf_addf(wanted, "%s\n", hash);
	plan->files = xrealloc(plan->files, (plan->n + 1) * sizeof *plan->files);
	plan->files[plan->n++] =
		(struct pack_file){ .path = xstrdup(path), .exec = strcmp(mode, "100755") == 0, .len = (size_t)bytes };
	return 0;
}

static int list_tree(struct git *g, const char *commit, struct pack *plan, struct buf *wanted, struct perry_err **err)
{
	const char *const words[] = { "ls-tree", "-r", "-z", "-l", "--full-tree", commit, NULL };
	cleanup_process struct process_end end = { 0 };
	struct pack judged = { 0 };
	if (git_ok(g, words, NULL, LISTING_MAX, &end, err) < 0)
		return -1;
	const char *at = buf_str(&end.out), *stop = at + end.out.len;
	while (at < stop) {
		size_t n = strlen(at);
		if (at + n == stop) /* cut: more than the limit by far, and noticed before */
			break;
		if (take_entry(&judged, at, wanted, plan, err) < 0)
			return perry_wrap(err, "%s", g->source->url);
		at += n + 1;
	}
	return end.cut ? perry_fail(err, PERRY_ETOOLARGE, "%s: " PACK_LIMITS, g->source->url) : 0;
}

/* "HASH blob SIZE\n", the bytes, "\n", for each. */
static int read_blobs(struct git *g, const struct pack *plan, const char *wanted, struct pack *out,
		      struct perry_err **err)
{
	const char *const words[] = { "cat-file", "--batch", NULL };
	cleanup_process struct process_end end = { 0 };
	if (git_ok(g, words, wanted, PACK_MAX_TOTAL + PACK_MAX_FILES * 200, &end, err) < 0)
		return -1;
	const char *at = buf_str(&end.out), *stop = at + end.out.len;
	for (size_t i = 0; i < plan->n; i++) {
		const struct pack_file *f = &plan->files[i];
		const char *nl = memchr(at, '\n', (size_t)(stop - at));
		if (!nl || (size_t)(stop - nl) < f->len + 2 || nl[1 + f->len] != '\n')
			return perry_fail(err, PERRY_EINTERNAL, "%s: git did not give %s", g->source->url, f->path);
		if (pack_add(out, f->path, f->exec, nl + 1, f->len, err) < 0)
			return -1;
		at = nl + 2 + f->len;
	}
	return 0;
}

int git_fetch_pack(const struct pack_source *s, struct pack **out, char **commit, struct perry_err **err)
{
	cleanup_git struct git g = { 0 };
	cleanup_pack struct pack *plan = pack_new(), *p = pack_new();
	cleanup_free char *at = NULL;
	cleanup_buf struct buf wanted = { 0 };
	if (open_git(&g, s, err) < 0 || fetch(&g, "--depth=1", &at, err) < 0 ||
	    list_tree(&g, at, plan, &wanted, err) < 0 || read_blobs(&g, plan, buf_str(&wanted), p, err) < 0 ||
	    pack_finish(p, s->url, err) < 0)
		return -1;
	*out = take_ptr(p);
	*commit = take_ptr(at);
	return 0;
}

int git_rewritten(const struct pack_source *s, const char *old, const char *commit, bool *rewritten,
		  struct perry_err **err)
{
	cleanup_git struct git g = { 0 };
	cleanup_free char *at = NULL;
	cleanup_process struct process_end end = { 0 };
	const char *const words[] = { "merge-base", "--is-ancestor", old, commit, NULL };
	if (open_git(&g, s, err) < 0 || fetch(&g, "--no-auto-gc", &at, err) < 0 ||
	    git(&g, words, NULL, 4096, &end, err) < 0)
		return -1;
	*rewritten = end.status != 0; /* 1: no ancestor, 128: not even there */
	return 0;
}

int git_newest(const struct pack_source *s, char **commit, struct perry_err **err)
{
	cleanup_git struct git g = { 0 };
	cleanup_process struct process_end end = { 0 };
	const char *ref = s->ref ? s->ref : "HEAD";
	cleanup_free char *peeled = xasprintf("refs/tags/%s^{}", ref), *tag = xasprintf("refs/tags/%s", ref),
			  *head = xasprintf("refs/heads/%s", ref);
	const char *const names[] = { peeled, tag, head, ref };
	const char *const words[] = { "ls-remote", "--", s->url, ref, peeled, NULL };
	size_t best = ARRAY_LEN(names);
	char *save = NULL;
	if (strlen(ref) == 40 && strspn(ref, "0123456789abcdef") == 40) { /* a commit stays what it is */
		*commit = xstrdup(ref);
		return 0;
	}
	if (open_git(&g, s, err) < 0 || git_ok(&g, words, NULL, LISTING_MAX, &end, err) < 0)
		return -1;
	cleanup_free char *found = NULL, *text = xstrdup(buf_str(&end.out));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *tab = strchr(line, '\t');
		for (size_t i = 0; tab && i < best; i++)
			if (strcmp(tab + 1, names[i]) == 0) {
				free(found);
				found = xstrndup(line, (size_t)(tab - line));
				best = i;
			}
	}
	if (!found)
		return perry_fail(err, PERRY_ENOTFOUND, "%s: there is no %s any more", s->url, ref);
	*commit = take_ptr(found);
	return 0;
}

/* -- differences -- */

static int lay_out(const struct pack *p, const char *top, const char *name)
{
	cleanup_free char *root = path_join(top, name);
	return dir_make(root, 0700, NULL) < 0 ? -1 : pack_write(p, root, NULL);
}

/* Without a program that compares: which files, at least. */
static char *list_changes(const struct pack *before, const struct pack *after)
{
	struct buf out = { 0 };
	for (size_t i = 0; i < after->n; i++) {
		const struct pack_file *f = &after->files[i], *old = pack_find(before, f->path);
		if (!old || strcmp(old->hash, f->hash) != 0 || old->exec != f->exec)
			buf_addf(&out, "%s %s\n", old ? "changed" : "new    ", f->path);
	}
	for (size_t i = 0; i < before->n; i++)
		if (!pack_find(after, before->files[i].path))
			buf_addf(&out, "gone    %s\n", before->files[i].path);
	return buf_take(&out);
}

char *git_diff(const struct pack *before, const struct pack *after)
{
	cleanup_free char *dir = NULL;
	static const char *const by_git[] = { "git",           "diff",          "--no-index", "--no-color",
					      "--no-ext-diff", "--no-textconv", "--text",     "--",
					      "approved",      "new",           NULL },
				 *const by_diff[] = { "diff", "-ruNa", "approved", "new", NULL },
				 *const *const ways[] = { by_git, by_diff };
	char *text = NULL;
	if (dir_temp("perry-pack", &dir, NULL) < 0)
		return list_changes(before, after);
	bool laid = lay_out(before, dir, "approved") == 0 && lay_out(after, dir, "new") == 0;
	for (size_t i = 0; laid && !text && i < ARRAY_LEN(ways); i++) {
		cleanup_process struct process_end end = { 0 };
		struct process p = { .argv = ways[i], .dir = dir, .timeout_ms = 30000, .max_output = 8 << 20 };
		if (process_run(&p, &end, NULL) == 0 && end.status == 1 && !end.cut)
			text = buf_take(&end.out);
	}
	dir_remove(dir);
	return text ? text : list_changes(before, after);
}
