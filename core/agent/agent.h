/* The daemon: boot, listeners, authentication, procedures. */
#ifndef PERRY_AGENT_AGENT_H
#define PERRY_AGENT_AGENT_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct agent_options {
	const char *config_dir; /* NULL: path_config_dir() */
	uint16_t port;          /* 0: from the configuration */
	const char *log_level;  /* "debug"; NULL: $PERRY_LOG, else "info" */
	bool no_host_access;
	bool quiet; /* no line on standard output */
};

/* Runs until SIGTERM or SIGINT. Call it before anything else is read or started: it forks the policy process first. */
int agent_run(const struct agent_options *opts, struct perry_err **err);

#endif
