/* kill: ends an exec or a run with all of its session. */
#include "step/step.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

#include "base/mem.h"

static bool gone_within(pid_t leader, long long ms, int again)
{
	long long end = now_ms() + ms;
	for (int pause = 2;; pause = pause < 50 ? pause * 2 : 50) {
		if (!proc_signal_session(leader, again))
			return true;
		if (now_ms() >= end)
			return false;
		sleep_ms(pause);
	}
}

int cmd_kill(int argc, char **argv)
{
	static const struct option options[] = { { "signal", required_argument, 0, 's' },
						 { "grace", required_argument, 0, 'g' },
						 { 0 } };
	double grace = -1;
	int sig = SIGTERM, o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		char *end = NULL;
		if (o == 's' && !(sig = signal_number(optarg)))
			die(EXIT_USAGE, "unknown signal %s", optarg);
		if (o == 'g' && ((grace = strtod(optarg, &end)) < 0 || *end || end == optarg || grace > 3600))
			die(EXIT_USAGE, "--grace takes seconds, not %s", optarg);
		if (o == '?')
			return EXIT_USAGE;
	}
	if (optind + 1 != argc || !valid_id(argv[optind]))
		die(EXIT_USAGE, "kill needs the id of one exec or run");
	struct proc p;
	char *exec = xasprintf(EXEC_DIR "/%s", argv[optind]), *run = xasprintf(STEPS_DIR "/%s/pid", argv[optind]);
	if (record_read(exec, &p) && record_read(run, &p))
		die(EXIT_NO_TARGET, "nothing runs with the id %s", argv[optind]);
	proc_tell_session(p.pid, sig);
	if (grace < 0 || gone_within(p.pid, (long long)(grace * 1000), 0))
		return 0;
	/* A session that forks while it is being killed needs more than one pass. */
	if (gone_within(p.pid, 5000, SIGKILL))
		return 0;
	die(1, "processes of %s survive", argv[optind]);
}
