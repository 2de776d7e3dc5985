/* What the idle hook is told of a workspace: made of samples (`perry-step activity`), of what this agent has open in
 * it, and of when each was last seen. Knows no clock: every call says the time, in monotonic milliseconds. What is not
 * known counts as activity. */
#ifndef PERRY_AGENT_IDLE_FACTS_H
#define PERRY_AGENT_IDLE_FACTS_H
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

/* X(constant, the name that hooks see) */
#define IDLE_KINDS(X) \
	X(STARTED, "started")       /* it began to be watched: with its start, or with the agent's */ \
	X(OPERATION, "operation")   /* start, sync, clone ... */ \
	X(TERMINAL, "terminal")     /* a terminal of perry is open */ \
	X(EXEC, "exec")             /* a command of perry exec, or of the API */ \
	X(STREAM, "stream")         /* logs -f, a copy, a forwarded connection of perry */ \
	X(USED, "used")             /* somebody touched it (lastUsed) */ \
	X(TYPED, "typed")           /* something was typed in any terminal of it */ \
	X(SSH, "ssh")               /* an SSH session is open */ \
	X(CONNECTION, "connection") /* a client is connected to a server of it */ \
	X(TAILNET, "tailnet")       /* something came from the tailnet */ \
	X(NETWORK, "network") \
	X(CPU, "cpu") \
	X(DISK, "disk") \
	X(AGENT, "agent")     /* a coding agent runs */ \
	X(BUILD, "build")     /* a build, a download, a test runs */ \
	X(UNKNOWN, "unknown") /* nobody could look */

enum idle_kind {
#define CONSTANT(name, text) IDLE_##name,
	IDLE_KINDS(CONSTANT)
#undef CONSTANT
		IDLE_N_KINDS
};

/* From here on it counts as activity, on the average since the sample before. What only waits (shells, servers,
 * tailscaled, sshd) stays below. */
#define IDLE_CPU_SHARE 0.03  /* of one processor; a full image with its services takes up to 0.012 */
#define IDLE_DISK_RATE 10000 /* bytes a second */
#define IDLE_NET_RATE  1000
/* Two samples further apart: the machine slept, or this agent did. */
#define IDLE_GAP_MS (15 * 60000)

struct idle_counters {
	double cpu, disk, net, tailnet, accepted, ssh; /* microseconds, bytes, connections, anything; -1: not told */
};
struct idle_track {
	int64_t last[IDLE_N_KINDS]; /* when it was active so */
	int64_t since;
	int64_t at; /* of the newest sample; 0: none yet */
	struct idle_counters counters;
	bool known;                           /* all that matters was told the last time */
	unsigned present;                     /* 1 << kind: it was there at the newest sample */
	double span, cpu, disk, net, tailnet; /* rates since the sample before, -1: not known */
	cJSON *sample, *own;                  /* the newest, or NULL */
};
void idle_track_begin(struct idle_track *t, int64_t now); /* of a zeroed one, or anew */
void idle_track_free(struct idle_track *t);
/* sample: what perry-step says ("activity" without its envelope), NULL: nothing. own:
 * {"terminals","sessions","busySessions","execs","streams","operations" (numbers), "used" (ms, to see that it
 * changed)}. Both are copied. */
void idle_track_take(struct idle_track *t, int64_t now, const cJSON *sample, const cJSON *own);
/* The argument `activity` of the hook. started: wall seconds of now. ttl: seconds, 0: none; ttl_left in ms. Caller
 * frees. */
cJSON *idle_track_facts(const struct idle_track *t, int64_t now, int64_t wall_s, int64_t ttl, int64_t ttl_left);

#endif
