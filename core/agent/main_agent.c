/* `perry agent run`. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "base/str.h"

static int usage(FILE *to, int status)
{
	fputs("usage: perry agent run [-p PORT] [-c DIR] [--no-host-access]\n"
	      "  -p, --port PORT        port of the loopback listener (default: \"port\" in config.json, 7391)\n"
	      "  -c, --config-dir DIR   where config.json and state.db are (default: $PERRY_CONFIG_DIR, "
	      "~/.config/perry)\n"
	      "      --no-host-access   no terminals on this machine\n",
	      to);
	return status;
}

int cmd_agent_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "config-dir", required_argument, NULL, 'c' },
		{ "no-host-access", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct agent_options opts = { 0 };
	cleanup_err struct perry_err *e = NULL;
	long long port;
	int o;
	optind = 1;
	while ((o = getopt_long(argc, argv, "p:c:h", options, NULL)) != -1) {
		if (o == 'p' && str_to_int(optarg, 1, 65535, &port) == 0) {
			opts.port = (uint16_t)port;
		} else if (o == 'p') {
			fprintf(stderr, "perry: agent run: -p needs a port number, got \"%s\"\n", optarg);
			return 2;
		} else if (o == 'c') {
			opts.config_dir = optarg;
			setenv("PERRY_CONFIG_DIR", optarg, 1); /* one answer for everything that asks where it is */
		} else if (o == 'n') {
			opts.no_host_access = true;
		} else {
			return usage(o == 'h' ? stdout : stderr, o == 'h' ? 0 : 2);
		}
	}
	if (optind < argc)
		return usage(stderr, 2);
	if (agent_run(&opts, &e) == 0)
		return 0;
	fprintf(stderr, "perry: %s\n", perry_msg(e));
	return perry_code_row(e->code)->exit_status;
}
