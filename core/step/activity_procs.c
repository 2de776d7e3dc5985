/* Which processes run, seen as what they do. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "step/activity.h"
#include "step/sockets.h"
#include "step/step.h"

#define NAMES_MAX 128

/* By the name of the program, or of a folder that a script of theirs lies in. */
static const struct {
	const char *program, *agent;
} agents[] = {
	{ "claude", "claude" },
	{ "claude-code", "claude" },
	{ "codex", "codex" },
	{ "opencode", "opencode" },
	{ "opencode-ai", "opencode" },
	{ "aider", "aider" },
	{ "aider-chat", "aider" },
	{ "gemini", "gemini" },
	{ "gemini-cli", "gemini" },
	{ "goose", "goose" },
	{ "crush", "crush" },
	{ "amp", "amp" },
	{ "cursor-agent", "cursor-agent" },
	{ "copilot", "copilot" },
	{ "qwen", "qwen" },
	{ "qwen-code", "qwen" },
	{ "auggie", "auggie" },
	{ "cline", "cline" },
	{ "openhands", "openhands" },
};

static const char *const builds[] = {
	"make",
	"gmake",
	"ninja",
	"cmake",
	"meson",
	"scons",
	"bazel",
	"bear",
	"ccache",
	"gcc",
	"g++",
	"cc",
	"c++",
	"cc1",
	"cc1plus",
	"clang",
	"clang++",
	"ld",
	"lld",
	"mold",
	"cargo",
	"rustc",
	"rustup",
	"go",
	"compile",
	"link",
	"zig",
	"ghc",
	"stack",
	"cabal",
	"swiftc",
	"javac",
	"mvn",
	"gradle",
	"gradlew",
	"sbt",
	"dotnet",
	"mix",
	"npm",
	"pnpm",
	"yarn",
	"npx",
	"tsc",
	"webpack",
	"rollup",
	"turbo",
	"nx",
	"jest",
	"vitest",
	"mocha",
	"playwright",
	"pip",
	"pip3",
	"uv",
	"poetry",
	"tox",
	"pytest",
	"bundle",
	"gem",
	"composer",
	"nix",
	"nix-build",
	"docker-buildx",
	"buildctl",
	"apt",
	"apt-get",
	"dpkg",
	"apk",
	"dnf",
	"git",
	"git-remote-http",
	"curl",
	"wget",
	"rsync",
	"scp",
	"sftp-server",
	"ctest",
	"terraform",
	"ansible-playbook",
	"ffmpeg",
};

static bool is_interpreter(const char *name)
{
	static const char *const known[] = { "node", "bun", "deno", "ruby", "perl", "env" };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return !strncmp(name, "python", 6) || strstr(name, "MainThread");
}

static const char *agent_named(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(agents); i++)
		if (strlen(agents[i].program) == n && !strncmp(agents[i].program, name, n))
			return agents[i].agent;
	return NULL;
}

static bool is_build(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(builds); i++)
		if (!strcmp(builds[i], name))
			return true;
	return false;
}

/* Of "/usr/lib/node_modules/@google/gemini-cli/dist/index.js": gemini, by a folder; else "index". */
static void name_of_script(const char *path, char out[32])
{
	for (const char *part = path; *part; part += strcspn(part, "/"), part += *part == '/') {
		const char *agent = agent_named(part, strcspn(part, "/"));
		if (agent) {
			snprintf(out, 32, "%s", agent);
			return;
		}
	}
	const char *base = strrchr(path, '/');
	snprintf(out, 32, "%.31s", base ? base + 1 : path);
	char *dot = strrchr(out, '.');
	if (dot && dot != out)
		*dot = 0;
}

/* "npm run dev" is npm; node, python and their like are what they run. */
static void name_of(const struct proc *p, char out[32])
{
	char path[40], line[1024];
	snprintf(out, 32, "%.*s", (int)strcspn(p->name, " "), p->name);
	if (!is_interpreter(p->name))
		return;
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)p->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	line[n] = 0;
	const char *word = line + strlen(line) + 1;
	while (word < line + n && (*word == '-' || !*word))
		word += strlen(word) + 1;
	if (word < line + n)
		name_of_script(word, out);
	else if (strstr(p->name, "MainThread"))
		name_of_script(line, out);
}

struct named {
	char name[32];
	long long seconds; /* the youngest of that name */
};
struct scan {
	struct proc *v;
	size_t n, cap;
};

static void collect(void *ctx, const struct proc *p)
{
	struct scan *s = ctx;
	if (p->state == 'Z' || p->state == 'X')
		return;
	if (s->n == s->cap)
		s->v = xrealloc(s->v, (s->cap = s->cap ? 2 * s->cap : 64) * sizeof *s->v);
	s->v[s->n++] = *p;
}

static const struct proc *parent_of(const struct scan *s, const struct proc *p)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].pid == p->ppid)
			return &s->v[i];
	return NULL;
}

static bool named_like(const struct proc *p, const char *prefix)
{
	return p && !strncmp(p->name, prefix, strlen(prefix));
}

/* A session is a child of the server that listens, whatever it forks on its own; those of Tailscale SSH are children of
 * tailscaled. */
static bool is_ssh_session(const struct scan *s, const struct proc *p)
{
	const struct proc *parent = parent_of(s, p);
	if (named_like(p, "tailscaled"))
		return named_like(parent, "tailscaled");
	return named_like(p, "sshd") && named_like(parent, "sshd") && !named_like(parent_of(s, parent), "sshd");
}

static long long age_of(const struct proc *p)
{
	struct timespec up;
	clock_gettime(CLOCK_BOOTTIME, &up);
	long long age = up.tv_sec - (long long)(p->start / (unsigned long long)sysconf(_SC_CLK_TCK));
	return age < 0 ? 0 : age;
}

/* False: it is in the list already, or the list is full. */
static bool note(struct named *list, size_t *n, const char *name, long long seconds)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(list[i].name, name)) {
			if (seconds < list[i].seconds)
				list[i].seconds = seconds;
			return false;
		}
	if (*n == NAMES_MAX)
		return false;
	snprintf(list[*n].name, sizeof list[*n].name, "%s", name);
	list[(*n)++].seconds = seconds;
	return true;
}

static void print_names(struct buf *out, const char *key, const struct named *list, size_t n)
{
	buf_addf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		buf_add(out, ",", i > 0);
		json_quote_str(out, list[i].name);
	}
	buf_addc(out, ']');
}

bool activity_processes(struct buf *out)
{
	struct scan s = { 0 };
	struct named all[NAMES_MAX], running[NAMES_MAX], building[NAMES_MAX];
	size_t nall = 0, nrunning = 0, nbuilding = 0;
	int ssh = 0;
	unsigned long long ended = 0;
	bool tailscaled = false;
	proc_each(collect, &s);
	for (size_t i = 0; i < s.n; i++) {
		const struct proc *p = &s.v[i];
		char name[32];
		if (p->pid == 1 || named_like(p, "perry-"))
			continue;
		ssh += is_ssh_session(&s, p);
		/* A session that came and went between two samples has left the page faults of its process with the
		 * server. */
		if (named_like(p, "sshd") && !named_like(parent_of(&s, p), "sshd"))
			ended += p->faults;
		tailscaled |= named_like(p, "tailscaled");
		name_of(p, name);
		note(all, &nall, name, 0);
		const char *agent = agent_named(name, strlen(name));
		if (agent)
			note(running, &nrunning, agent, 0);
		else if (is_build(name))
			note(building, &nbuilding, name, age_of(p));
	}
	free(s.v);
	buf_addf(out, "\"ssh\":%d,\"sshEnded\":%llu", ssh, ended);
	print_names(out, "agents", running, nrunning);
	buf_adds(out, ",\"builds\":[");
	for (size_t i = 0; i < nbuilding; i++) {
		buf_addf(out, "%s{\"name\":", i ? "," : "");
		json_quote_str(out, building[i].name);
		buf_addf(out, ",\"seconds\":%lld}", building[i].seconds);
	}
	buf_addc(out, ']');
	print_names(out, "processes", all, nall);
	return tailscaled;
}

/* --- sockets --- */

struct holders {
	const char *name;
	unsigned long long *v;
	size_t n, cap;
};

static void look_into(void *ctx, const struct proc *p)
{
	struct holders *h = ctx;
	char path[40];
	if (strcmp(p->name, h->name))
		return;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)p->pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		unsigned long long inode;
		if (!socket_of(dirfd(d), e->d_name, &inode))
			continue;
		if (h->n == h->cap)
			h->v = xrealloc(h->v, (h->cap = h->cap ? 2 * h->cap : 32) * sizeof *h->v);
		h->v[h->n++] = inode;
	}
	if (d)
		closedir(d);
}

size_t activity_sockets_of(const char *name, unsigned long long **out)
{
	struct holders h = { .name = name };
	proc_each(look_into, &h);
	*out = h.v;
	return h.n;
}
