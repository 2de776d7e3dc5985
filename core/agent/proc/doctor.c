/* Procedure doctor: what this agent finds wrong with itself and its machine, each with the command that mends it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/operations.h"
#include "agent/proc/doctor_note.h"
#include "agent/proc/doctor_tailnet.h"
#include "agent/proc/doctor_workspaces.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "base/mem.h"
#include "base/paths.h"
#include "docker/docker.h"
#include "lua/lua.h"
#include "ops/fleet.h"
#include "policy/policy.h"

#define MIN_FREE      (2ull << 30)
#define WORKSPACE_UID 1000 /* image/Dockerfile */
#define GIB           (double)(1ull << 30)
enum { ENGINE_WAIT_MS = 4000, INFO_WAIT_MS = 10000 };

/* --- the engine --- */

static bool is_local(const struct docker *d)
{
	return str_starts(docker_host(d), "unix://");
}

static bool check_engine(struct agent *a, cJSON *checks)
{
	cleanup_json cJSON *version = NULL;
	cleanup_err struct perry_err *e = NULL;
	if (docker_answers(a->docker, ENGINE_WAIT_MS, &e) == 0 && docker_version(a->docker, &version, &e) == 0) {
		doctor_note(checks, "engine", true,
			    xasprintf("Docker Engine %s, API %s, at %s", json_str_or(version, "Version", "?"),
				      json_str_or(version, "ApiVersion", "?"), docker_host(a->docker)),
			    NULL);
		return true;
	}
	/* It answers, but not in a way that we understand: too old, or no engine at all. */
	bool reached = version || !e || e->code != PERRY_EUNAVAILABLE, hangs = strstr(perry_msg(e), "does not answer");
	doctor_note(checks, "engine", false, xstrdup(perry_msg(e)),
		    xstrdup(reached ? "install Docker Engine 20.10 or newer"
			    : !is_local(a->docker)
				    ? "start the engine there, or correct DOCKER_HOST and restart the agent"
			    : hangs ? "sudo systemctl restart docker"
				    : "sudo systemctl start docker"));
	return false;
}

static void check_disk(struct agent *a, const cJSON *info, cJSON *checks)
{
	const char *root = json_str(info, "DockerRootDir");
	struct statvfs v;
	if (!is_local(a->docker) || !root || statvfs(root, &v) < 0)
		return; /* another machine's, or in a virtual machine */
	unsigned long long left = (unsigned long long)v.f_bavail * v.f_frsize;
	doctor_note(checks, "disk", left >= MIN_FREE, xasprintf("%.1f GiB free at %s", (double)left / GIB, root),
		    xstrdup("perry prune, then docker system df (it shows what takes the space)"));
}

static const char *runtime_version(const cJSON *version)
{
	const cJSON *part;
	cJSON_ArrayForEach(part, json_at(version, "Components"))
		if (str_eq(json_str(part, "Name"), "runc"))
			return json_str(part, "Version");
	return NULL;
}

/* The storage driver and the runtime are told, not judged: distributions mend old version numbers. */
static void check_storage(struct agent *a, const cJSON *info, cJSON *checks)
{
	cleanup_json cJSON *version = NULL;
	const char *driver = json_str_or(info, "Driver", "?");
	docker_version(a->docker, &version, NULL);
	doctor_note(checks, "storage", true,
		    xasprintf("%s%s, runc %s", driver,
			      strcmp(driver, "vfs") == 0
				      ? " (copies the whole image for each workspace: slow, and large on disk)"
				      : "",
			      runtime_version(version) ? runtime_version(version) : "of an unknown version"),
		    NULL);
}

static bool has_user_namespaces(const cJSON *info)
{
	const cJSON *opt;
	cJSON_ArrayForEach(opt, json_at(info, "SecurityOptions"))
		if (cJSON_IsString(opt) &&
		    (strstr(opt->valuestring, "name=userns") || strstr(opt->valuestring, "name=rootless")))
			return true;
	return false;
}

static void check_docker_inside(struct agent *a, const cJSON *info, cJSON *checks)
{
	const char *how = json_at(info, "Runtimes.sysbox-runc") ? "sysbox-runc"
			  : has_user_namespaces(info)           ? "user namespaces"
								: NULL;
	struct config *c = agent_config(a);
	bool accepted = config_bool(c, "allowHostEquivalentDocker");
	config_unref(c);
	doctor_note(
		checks, "docker inside", true,
		how ? xasprintf("possible: the engine has %s", how)
		: accepted
			? xstrdup("possible, and equal to root on this machine: allowHostEquivalentDocker accepts that")
			: xstrdup("not possible: the engine has neither sysbox-runc nor user namespaces (--docker is "
				  "refused)"),
		NULL);
}

/* Who is what in a workspace is so to the kernel: one of this machine with the same number reads the environment and
 * the files of its processes, and signals them. Told, not judged: remapping users is a decision about all of an
 * engine's containers. */
static void check_user(struct agent *a, const cJSON *info, cJSON *checks)
{
	struct passwd pw, *found = NULL;
	char text[1024];
	char *message;
	if (!is_local(a->docker))
		return;
	if (has_user_namespaces(info))
		message = xstrdup("mapped by the engine: nobody of this machine");
	else if (getpwuid_r(WORKSPACE_UID, &pw, text, sizeof text, &found) != 0 || !found)
		message = xasprintf("uid %d, which nobody has on this machine", WORKSPACE_UID);
	else if (pw.pw_uid == geteuid())
		message = xasprintf("uid %d, which is yours: your programs may read and signal those in workspaces",
				    WORKSPACE_UID);
	else
		message = xasprintf("uid %d, which is %s's: %s may read the environment, secrets included, and the "
				    "files of every workspace's programs, and signal them; userns-remap of the engine "
				    "keeps them apart",
				    WORKSPACE_UID, pw.pw_name, pw.pw_name);
	doctor_note(checks, "workspaces' user", true, message, NULL);
}

static void check_image(struct agent *a, cJSON *checks)
{
	struct config *c = agent_config(a);
	cleanup_free char *ref = xstrdup(config_str(c, "image") ? config_str(c, "image") : "perry:latest");
	cleanup_json cJSON *image = NULL;
	cleanup_err struct perry_err *e = NULL;
	config_unref(c);
	bool ours = strcmp(ref, "perry") == 0 || str_starts(ref, "perry:");
	if (docker_image_inspect(a->docker, ref, &image, &e) == 0)
		doctor_note(checks, "image", true, xasprintf("%s is here", ref), NULL);
	else if (e->code != PERRY_ENOTFOUND)
		doctor_note(checks, "image", false, xstrdup(perry_msg(e)), xstrdup("perry agent logs"));
	else
		doctor_note(
			checks, "image", false,
			xasprintf("%s is not on this machine%s", ref, ours ? "" : "; the first start has to pull it"),
			ours ? xstrdup(strcmp(ref, "perry:small") == 0 ? "perry build --variant small" : "perry build")
			     : xasprintf("docker pull %s", ref));
}

/* --- ports and addresses --- */

static bool port_is_free(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;
	if (fd < 0)
		return true;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	return bind(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno != EADDRINUSE;
}

static void check_ports(struct agent *a, cJSON *checks)
{
	int min = 0, max = 0, used = 0, foreign = 0;
	struct config *c = agent_config(a);
	cleanup_json cJSON *all = fleet_list(a->fleet);
	const cJSON *record;
	cleanup_free bool *ours = xcalloc(65536, sizeof *ours);
	config_port_range(c, &min, &max);
	config_unref(c);
	cJSON_ArrayForEach(record, all) {
		int64_t port = json_int_or(record, "ports.ssh", 0);
		if (port > 0 && port < 65536)
			ours[port] = true;
	}
	for (int port = min; port <= max; port++) {
		used += ours[port];
		foreign += !ours[port] && !port_is_free(port);
	}
	int left = max - min + 1 - used - foreign;
	int top = max + 200 <= 65535 ? max + 200 : 65535, from = max + 200 <= 65535 ? min : min > 200 ? min - 200 : 1;
	doctor_note(checks, "SSH ports", left > 0,
		    xasprintf("%d of %d-%d are free (%d of workspaces, %d of other programs)", left, min, max, used,
			      foreign),
		    xasprintf("perry agent config set sshPortRange %d-%d", from, top));
}

struct range {
	uint32_t first, last;
};

static struct range range_of(uint32_t addr, unsigned bits)
{
	uint32_t mask = bits ? ~(uint32_t)0 << (32 - bits) : 0;
	return (struct range){ addr & mask, addr | ~mask };
}

/* The first route of this machine that meets the range, without the default one and those of workspaces' own networks.
 */
static bool meets_route(struct range r, char name[32], char text[32])
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[512];
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		unsigned dest, mask;
		if (sscanf(line, "%31s %x %*s %*s %*s %*s %*s %x", name, &dest, &mask) != 3 || mask == 0 ||
		    str_starts(name, "perry-"))
			continue;
		unsigned bits = (unsigned)__builtin_popcount(mask);
		struct range route = range_of(ntohl(dest), bits);
		char addr[INET_ADDRSTRLEN];
		struct in_addr in = { dest };
		found = route.first <= r.last && r.first <= route.last;
		snprintf(text, 32, "%s/%u", inet_ntop(AF_INET, &in, addr, sizeof addr), bits);
	}
	if (f)
		fclose(f);
	return found;
}

static void check_network(struct agent *a, cJSON *checks)
{
	struct config *c = agent_config(a);
	cleanup_free char *text = xstrdup(config_str(c, "networkRange"));
	char addr[32], name[32], route[32];
	unsigned bits;
	struct in_addr in;
	config_unref(c);
	if (sscanf(text, "%31[0-9.]/%u", addr, &bits) != 2 || bits > 32 || inet_pton(AF_INET, addr, &in) != 1) {
		doctor_note(checks, "networks", false, xasprintf("networkRange \"%s\" is no range of addresses", text),
			    xstrdup("perry agent config unset networkRange"));
		return;
	}
	if (!meets_route(range_of(ntohl(in.s_addr), bits), name, route)) {
		doctor_note(checks, "networks", true, xasprintf("%s is used by nothing else on this machine", text),
			    NULL);
		return;
	}
	char *message = xasprintf("%s overlaps with %s (%s): workspaces may not reach it, or get no network", text,
				  route, name);
	char *mend = xstrdup("choose another networkRange in config.json");
	for (uint32_t second = 200; second < 255; second++) {
		char n2[32], r2[32];
		if (meets_route(range_of(10u << 24 | second << 16, 16), n2, r2))
			continue;
		free(mend);
		mend = xasprintf("perry agent config set networkRange 10.%u.0.0/16", second);
		break;
	}
	doctor_note(checks, "networks", false, message, mend);
}

/* Those made before there were any, and those that the container hook gives none. */
static void check_limits(struct agent *a, cJSON *checks)
{
	cleanup_json cJSON *all = fleet_list(a->fleet);
	cleanup_buf struct buf without = { 0 };
	const cJSON *record;
	cJSON_ArrayForEach(record, all) {
		const cJSON *plan = json_at(record, "plan.container");
		if (plan && (json_num_or(plan, "memory", 0) <= 0 || json_num_or(plan, "pids", 0) <= 0))
			buf_addf(&without, "%s%s", without.len ? ", " : "", json_str_or(record, "name", "?"));
	}
	doctor_note(checks, "limits", true,
		    without.len
			    ? xasprintf("no limit of memory or of processes, so the machine's all: %s (perry restart "
					"gives what config.json and the hooks say)",
					buf_str(&without))
			    : xstrdup("each workspace has one of memory and of processes (perry info NAME)"),
		    NULL);
}

/* --- the agent itself --- */

static void check_confinement(struct agent *a, cJSON *checks)
{
	cleanup_json cJSON *is = policy_confinement(a->policy);
	cleanup_buf struct buf loose = { 0 };
	const cJSON *tried;
	cJSON_ArrayForEach(tried, json_at(is, "forbidden"))
		if (!cJSON_IsTrue(tried))
			buf_addf(&loose, "%s%s", loose.len ? ", " : "", tried->string);
	if (!json_bool_or(is, "no_new_privs", false))
		buf_addf(&loose, "%sno_new_privs", loose.len ? ", " : "");
	doctor_note(checks, "confinement", loose.len == 0,
		    loose.len ? xasprintf("hooks are not confined as they should be: %s", buf_str(&loose))
			      : xstrdup("hooks run without files, sockets and other programs (tried just now)"),
		    xstrdup("use a kernel with seccomp filters, and restart the agent"));
}

static char *mend_of_hook(const cJSON *problem)
{
	const char *file = json_str(problem, "file"), *near = json_str(problem, "nearest");
	const char *slash = file ? strrchr(file, '/') : NULL;
	if (slash && near)
		return xasprintf("mv %s %.*s/%s.lua", file, (int)(slash - file), file, near);
	if (slash && strstr(json_str_or(problem, "message", ""), "chmod go-w"))
		return xasprintf("chmod go-w %s", file);
	return xstrdup("perry hooks check");
}

static void check_hooks(struct agent *a, cJSON *checks)
{
	struct lua_hooks *s = lua_hooks_open(a->lua);
	cleanup_json cJSON *all = lua_hooks_inventory(s);
	lua_hooks_close(s);
	const cJSON *p;
	cJSON_ArrayForEach(p, json_at(all, "problems"))
		doctor_note(checks, "hooks", false, xstrdup(json_str_or(p, "message", "?")), mend_of_hook(p));
	if (cJSON_GetArraySize(json_at(all, "problems")) == 0)
		doctor_note(checks, "hooks", true, xstrdup("no problem found"), NULL);
}

static void check_files(struct agent *a, cJSON *checks)
{
	cleanup_free char *step = agent_step_path(), *log = path_join(a->dir, "agent.log");
	doctor_note(checks, "perry-step", access(step, R_OK) == 0,
		    xasprintf("%s%s", step, access(step, R_OK) == 0 ? "" : " is not there; workspaces need it"),
		    xstrdup("install perry anew (make install)"));
	cleanup_fd int fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC);
	int why = errno;
	doctor_note(checks, "log", fd >= 0, fd >= 0 ? xstrdup(log) : xasprintf("%s: %s", log, strerror(why)),
		    xasprintf("chown $(id -u) %s; chmod 600 %s", log, log));
}

static void check_token(struct agent *a, cJSON *checks)
{
	struct config *c = agent_config(a);
	const char *token = config_str(c, "auth.token");
	bool there = token && *token;
	config_unref(c);
	doctor_note(checks, "token", there,
		    xstrdup(there ? "callers on the network ports need it"
				  : "there is none: every user of this machine may use the agent"),
		    xstrdup("perry auth generate"));
}

int proc_doctor(struct call *c, cJSON **out, struct perry_err **err)
{
	struct agent *a = c->a;
	cJSON *checks = cJSON_CreateArray();
	cleanup_json cJSON *info = NULL;
	bool up = check_engine(a, checks);
	cleanup_err struct perry_err *e = NULL;
	if (up && docker_call(a->docker, "GET", "/info", NULL, INFO_WAIT_MS, &info, &e) < 0) {
		doctor_note(checks, "engine", false, xstrdup(perry_msg(e)), xstrdup("sudo systemctl restart docker"));
		up = false;
	}
	if (up) {
		check_storage(a, info, checks);
		check_disk(a, info, checks);
		check_image(a, checks);
		check_docker_inside(a, info, checks);
		check_user(a, info, checks);
	}
	check_ports(a, checks);
	check_network(a, checks);
	check_limits(a, checks);
	check_confinement(a, checks);
	check_hooks(a, checks);
	check_files(a, checks);
	check_token(a, checks);
	doctor_tailnet(a, checks);
	if (up)
		doctor_workspaces(a, checks);
	*out = cJSON_CreateObject();
	json_set(*out, "checks", checks);
	return 0;
}
