/* watch: what goes on in the workspace, told to the agent as lines of JSON, for as long as the agent holds our standard
 * input.
 *   {"ports":[{"number","address","loopback","pid","process"}]}   at first and whenever that changes
 *   {"tailnet":{"state","dnsName","ip","nodeId","keyExpiry","tun","health"}}   of the workspace's own tailscaled, if
 * there is one, likewise
 *   {"serve":{"tcp":[],"web":[],"error"}}   what is in place of what was asked for
 * Standard input: {"serve":{"tcp":[PORT...],"web":[{"port","target"}]}}, the whole set of forwards each time. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "step/activity.h"
#include "step/step.h"
#include "step/watch.h"

#define LOOK_MS 1500
#define LOOK_SOON_MS \
	500 /* while forwards stand: one that outlives its server keeps the next one from binding the port on all \
	       addresses */
#define COMMAND_MAX 65536
#define SLACK_NS    100000000 /* our wake-ups may join others */

struct watch {
	struct ports ports;
	struct tailnet tailnet;
	struct serve serve;
	struct buf told; /* the last line about ports */
	struct buf in;   /* of the command that is not whole yet */
	bool skipping;   /* it is too long */
	long long look_at;
};

static void tell(const struct buf *line)
{
	if (fd_write_all(1, line->data, line->len))
		exit(0); /* nobody listens any more */
}

static void serve(struct watch *w)
{
	struct buf line = { 0 };
	if (!serve_turn(&w->serve, &w->tailnet, &w->ports))
		return;
	serve_print(&w->serve, &line);
	tell(&line);
	buf_free(&line);
}

static void look_at_ports(struct watch *w)
{
	struct buf line = { 0 };
	bool first = !w->look_at, changed = ports_look(&w->ports);
	if (changed || first)
		ports_print(&w->ports, &line);
	if (line.len && strcmp(line.data, buf_str(&w->told))) {
		tell(&line);
		buf_free(&w->told);
		w->told = line;
		serve(w); /* a forward goes at once with its server; one for a new server waits for the agent's word */
	} else {
		buf_free(&line);
	}
	w->look_at = now_ms() + (w->serve.ours.len ? LOOK_SOON_MS : LOOK_MS);
}

static void look_at_tailnet(struct watch *w, bool readable)
{
	struct buf line = { 0 };
	if (!tailnet_turn(&w->tailnet, readable))
		return;
	tailnet_print(&w->tailnet, &line);
	tell(&line);
	buf_free(&line);
	serve(w);
}

static void take_command(struct watch *w)
{
	struct span all = json_check(buf_str(&w->in), w->in.len), wanted = json_get(all, "serve");
	/* One with neither is of an agent that knows more than we do. */
	if (wanted.s) {
		serve_take(&w->serve, wanted);
		serve(w);
	}
	if (json_is(json_get(all, "activity"), "true")) {
		struct buf line = { 0 };
		activity_print(&line);
		tell(&line);
		buf_free(&line);
	}
}

/* False: the agent ended us. */
static bool take_input(struct watch *w)
{
	char bytes[4096];
	ssize_t n = read(0, bytes, sizeof bytes);
	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	for (const char *p = bytes, *end = bytes + n; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t k = (size_t)((nl ? nl : end) - p);
		w->skipping |= w->in.len + k > COMMAND_MAX;
		if (!w->skipping)
			buf_add(&w->in, p, k);
		p += k + (nl ? 1 : 0);
		if (!nl)
			break;
		if (!w->skipping)
			take_command(w);
		w->skipping = false;
		buf_free(&w->in);
	}
	return true;
}

static void sooner(long long *next, long long at)
{
	if (at && at < *next)
		*next = at;
}

/* Commands of an agent that was killed: whoever asked for them is gone. Those of this one carry its life before their
 * id. */
static void end_orphans(const char *life)
{
	struct dirent *d;
	size_t n = life ? strlen(life) : 0;
	DIR *dir = n ? opendir(EXEC_DIR) : NULL;
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.' || (!strncmp(d->d_name, life, n) && d->d_name[n] == '-'))
			continue;
		pid_t pid = fork();
		if (pid > 0)
			waitpid(pid, NULL, 0);
		if (pid)
			continue;
		if (fork())
			_exit(0); /* init takes over the one that waits for the end */
		execl("/proc/self/exe", "perry-step", "kill", "--signal", "HUP", "--grace", "2", d->d_name,
		      (char *)NULL);
		_exit(127);
	}
	closedir(dir);
}

int cmd_watch(int argc, char **argv)
{
	struct watch w = { .tailnet.bus = -1 };
	if (argc > 1)
		die(EXIT_USAGE, "watch takes no arguments");
	/* init, when it stops, asks every process to end but perry-step's, which end with what they supervise. */
	prctl(PR_SET_NAME, "perry-watch");
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	end_orphans(getenv("PERRY_LIFE"));
	ports_open(&w.ports);
	for (;;) {
		long long now = now_ms(), next;
		if (now >= w.look_at)
			look_at_ports(&w);
		look_at_tailnet(&w, false);
		if (w.serve.again_at && now >= w.serve.again_at)
			serve(&w);
		next = w.look_at;
		sooner(&next, w.tailnet.ask_at);
		sooner(&next, w.serve.again_at);
		struct pollfd fds[] = { { .fd = 0, .events = POLLIN }, { .fd = w.tailnet.bus, .events = POLLIN } };
		now = now_ms();
		if (poll(fds, 2, next > now ? (int)(next - now) : 0) <= 0)
			continue;
		if (fds[0].revents && !take_input(&w))
			return 0;
		if (fds[1].revents)
			look_at_tailnet(&w, true);
	}
}
