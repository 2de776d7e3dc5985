/* What `perry-step watch` says, a line of JSON at a time. It comes out of a workspace, so any byte of it may be a lie:
 * everything is checked and cut to size here. */
#ifndef PERRY_AGENT_WATCH_LINE_H
#define PERRY_AGENT_WATCH_LINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

#define WATCH_LINE_MAX  (64u << 10)
#define WATCH_PORTS_MAX 256

struct watch_port {
	uint16_t number;
	bool loopback;
	int pid;          /* 0: not known */
	char address[46]; /* a valid one, IPv4 or IPv6 */
	char process[32]; /* UTF-8 without control characters; "" when it is not known */
};

enum watch_kind { WATCH_OTHER, WATCH_PORTS, WATCH_TAILNET, WATCH_SERVE, WATCH_ACTIVITY };
struct watch_line {
	enum watch_kind kind;     /* WATCH_OTHER: of a later version, nothing to do */
	struct watch_port *ports; /* by number */
	size_t nports;
	int more; /* listeners that were left out */
	/* WATCH_TAILNET: {"state","dnsName","ip","nodeId","keyExpiry" (ms),"health":[],"tun"}, WATCH_SERVE:
	 * {"tcp":[],"web":[{"port","scheme","target"}], "error"}, WATCH_ACTIVITY: core/step/activity.h: those that it
	 * has, each of its type. */
	cJSON *object;
};
/* PERRY_EINPUT for a line that perry-step would not write. */
int watch_line_parse(const char *line, size_t n, struct watch_line *out, struct perry_err **err);
void watch_line_free(struct watch_line *l);

#endif
