/* watch: what goes on in the workspace, told to the agent as lines of JSON, for as long as the agent holds our standard input.
 * {"ports":[{"number","address","loopback","pid","process"}]} at first and whenever that changes. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "step/step.h"
#include "step/watch.h"

#define LOOK_MS 1500
#define COMMAND_MAX 65536
#define SLACK_NS 100000000 /* our wake-ups may join others */

struct watch {
	struct ports ports;
	struct text in; /* of the command that is not whole yet */
	long long look_at;
};

static void say(struct text *line)
{
	if (write_all(1, line->s, line->n))
		exit(0); /* nobody listens any more */
	free(line->s);
	*line = (struct text){ 0 };
}

static void look_at_ports(struct watch *w)
{
	struct text line = { 0 };
	bool first = !w->look_at;
	if (ports_look(&w->ports) || first) {
		ports_print(&w->ports, &line);
		say(&line);
	}
	w->look_at = now_ms() + LOOK_MS;
}

/* What the agent wants of us. There is nothing yet: it ends us by ending our input. False: it did. */
static bool take_commands(struct watch *w)
{
	char bytes[4096];
	ssize_t n = read(0, bytes, sizeof bytes);
	(void)w;
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

int cmd_watch(int argc, char **argv)
{
	struct watch w = { 0 };
	(void)argv;
	if (argc > 1)
		die(EXIT_USAGE, "watch takes no arguments");
	/* init, when it stops, asks every process to end but perry-step's, which end with what they supervise. */
	prctl(PR_SET_NAME, "perry-watch");
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	ports_open(&w.ports);
	for (;;) {
		long long left = w.look_at - now_ms();
		struct pollfd fds[] = { { .fd = 0, .events = POLLIN } };
		if (left <= 0) {
			look_at_ports(&w);
			continue;
		}
		if (poll(fds, 1, (int)left) > 0 && !take_commands(&w))
			return 0;
	}
}
