/* Where the kernel counts what a container takes: its control group, of version 1 or 2. */
#ifndef PERRY_AGENT_STATS_CGROUP_H
#define PERRY_AGENT_STATS_CGROUP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup {
	bool unified;               /* version 2 */
	char memory[512], cpu[512]; /* below the root of the file system of groups; the same when unified */
};

/* Finds the container's group in what /proc/PID/cgroup of its first process says. False: that process is in no group
 * that bears the container's id (the engine is elsewhere, and this is somebody else's process). */
bool cgroup_find(const char *text, const char *container, struct cgroup *out);
/* CPU time in microseconds since the container began, and memory in bytes without the file cache that can go at once.
 * root: "/sys/fs/cgroup". False: it cannot be read. */
bool cgroup_read(const char *root, const struct cgroup *g, int64_t *cpu_us, int64_t *memory);

#endif
