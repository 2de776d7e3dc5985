/* What is wrong, and the command that mends it. Looks from this machine; the agent's own view is asked of the agent. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/mem.h"
#include "base/paths.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/text.h"
#include "config/config.h"

struct report {
	cJSON *list;
	int bad;
	bool json;
};

/* One finding: ok, or what is wrong and what to do. */
static void note(struct report *r, const char *what, bool ok, const char *message, const char *mend)
{
	cJSON *row = cJSON_CreateObject();
	json_set_str(row, "check", what);
	json_set_bool(row, "ok", ok);
	json_set_str(row, "message", message);
	json_set_str(row, "mend", ok ? NULL : mend);
	json_push(r->list, row);
	r->bad += !ok;
	if (r->json)
		return;
	text_printf(stdout, "%s %-16s %s\n", ok ? "ok  " : "FAIL", what, message);
	if (!ok && mend)
		text_printf(stdout, "     mend it: %s\n", mend);
}

/* The mode of a file is not what it should be: mends it, or tells. */
static void check_mode(struct report *r, const char *what, const char *path, mode_t wanted, bool fix)
{
	bool mended = fix && chmod(path, wanted & 07777) == 0;
	cleanup_free char *text =
		mended ? xasprintf("%s: its mode is %04o now", path, (unsigned)(wanted & 07777))
		       : xasprintf("%s: others may %s it%s%s", path, wanted & 044 ? "write to" : "read",
				   fix ? ", and it cannot be changed: " : "", fix ? strerror(errno) : "");
	note(r, what, mended, text, fix ? "sudo perry doctor --fix" : "perry doctor --fix");
}

/* Files with secrets are ours alone; hooks that others may write to are not used. */
static void check_modes(struct report *r, const char *dir, bool fix)
{
	static const char *const secret[] = { "config.json",  "client.json",  "state.db",
					      "state.db-wal", "state.db-shm", "agent.log" };
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(secret); i++) {
		cleanup_free char *path = path_join(dir, secret[i]);
		if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077))
			check_mode(r, "file mode", path, st.st_mode & ~077u, fix);
	}
	cleanup_free char *hooks = path_join(dir, "hooks");
	if (stat(hooks, &st) == 0 && (st.st_mode & 022))
		check_mode(r, "hooks folder", hooks, st.st_mode & ~022u, fix);
	DIR *d = opendir(hooks);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		cleanup_free char *path = path_join(hooks, e->d_name);
		if (str_ends(e->d_name, ".lua") && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 022))
			check_mode(r, "hook", path, st.st_mode & ~022u, fix);
	}
	if (d)
		closedir(d);
}

static void check_config(struct report *r, bool fix)
{
	cleanup_free char *dir = path_config_dir();
	cleanup_err struct perry_err *err = NULL;
	struct config *c = NULL;
	struct stat st;
	if (stat(dir, &st) == 0 && (st.st_mode & 077))
		check_mode(r, "config folder", dir, st.st_mode & ~077u, fix);
	check_modes(r, dir, fix);
	if (config_load(dir, &c, NULL, NULL, &err) < 0) {
		note(r, "config.json", false, perry_msg(err), "edit the file at that place");
		return;
	}
	note(r, "config.json", true, dir, NULL);
	config_unref(c);
}

/* Can this user open the engine's socket? Only the default place; DOCKER_HOST is the agent's business. */
static void check_socket(struct report *r)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/var/run/docker.sock" };
	if (getenv("DOCKER_HOST"))
		return;
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		note(r, "docker socket", true, a.sun_path, NULL);
	else if (errno == EACCES)
		note(r, "docker socket", false, "this user may not use it",
		     "sudo usermod -aG docker $USER, then log in again");
	else
		note(r, "docker socket", false, strerror(errno),
		     "sudo systemctl start docker (or install Docker: make up)");
}

/* Adoption destroys nothing, so --fix does it. */
static bool adopt_lost(struct report *r, struct client *c)
{
	cleanup_json cJSON *out = NULL;
	cleanup_err struct perry_err *err = NULL;
	cleanup_buf struct buf names = { 0 };
	const cJSON *row;
	if (client_rpc(c, "workspaces/adopt", NULL, &out, &err) < 0) {
		note(r, "lost records", false, perry_msg(err), "perry adopt");
		return true;
	}
	cJSON_ArrayForEach(row, json_at(out, "adopted"))
		buf_addf(&names, "%s%s", names.len ? ", " : "", json_str_or(row, "name", "?"));
	if (cJSON_GetArraySize(json_at(out, "failed")) || !names.len)
		return false;
	cleanup_free char *text = xasprintf("adopted: %s", buf_str(&names));
	note(r, "lost records", true, text, NULL);
	return true;
}

static void check_agent(struct report *r, bool fix)
{
	cleanup_client struct client *c = NULL;
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *health = NULL;
	cleanup_json cJSON *findings = NULL;
	if (client_open(&c, &err) < 0 || client_get(c, "/health", &health, &err) < 0) {
		cleanup_free char *first = xstrndup(perry_msg(err), strcspn(perry_msg(err), "\n"));
		note(r, "agent", false, first, "perry agent run");
		return;
	}
	cleanup_free char *text = xasprintf("Perry %s on %s", json_str_or(health, "version", "?"), c->where);
	note(r, "agent", true, text, NULL);
	if (client_rpc(c, "doctor", NULL, &findings, &err) < 0) {
		note(r, "agent's checks", false, perry_msg(err), "perry agent logs");
		return;
	}
	const cJSON *f;
	cJSON_ArrayForEach(f, json_at(findings, "checks")) {
		if (fix && str_eq(json_str(f, "check"), "lost records") && adopt_lost(r, c))
			continue;
		note(r, json_str_or(f, "check", "?"), json_bool_or(f, "ok", false), json_str_or(f, "message", ""),
		     json_str(f, "mend"));
	}
}

int cmd_doctor(const struct args *a, struct perry_err **err)
{
	struct report r = { cJSON_CreateArray(), 0, args_has(a, "json") };
	check_config(&r, args_has(a, "fix"));
	check_socket(&r);
	check_agent(&r, args_has(a, "fix"));
	int rc = r.json ? out_json(a, r.list, err) : 0;
	cJSON_Delete(r.list);
	return rc < 0 ? rc : r.bad ? 1 : 0;
}
