/* The daemon seen from its own machine: files in the config folder, its process, its log. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/secret.h"
#include "cli/agent_file.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/cmd_help.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/text.h"
#include "config/config.h"

int cmd_agent(const struct args *a, struct perry_err **err)
{
	const char *names[64];
	size_t n = 0;
	for (const struct command *c = commands; c->name && n < ARRAY_LEN(names) - 1; c++)
		if (str_starts(c->name, "agent ") && !strchr(c->name + 6, ' '))
			names[n++] = c->name + 6;
	names[n] = NULL;
	if (a->nwords) {
		const char *near = str_nearest(a->words[0], names);
		return perry_fail(err, PERRY_EUSAGE,
				  near ? "there is no command \"agent %s\" (did you mean \"perry agent %s\"?)"
				       : "there is no command \"agent %s\"\n  see: perry help agent",
				  a->words[0], near);
	}
	if (agent_file_pid())
		printf("The agent of this machine runs (pid %d).\n\n", (int)agent_file_pid());
	else
		printf("No agent runs on this machine. Start it with: perry agent run\nSet it up with: perry agent "
		       "config\n\n");
	help_group("agent");
	return 0;
}

int cmd_agent_status(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *health = NULL;
	if (client_open(&c, err) < 0 || client_get(c, "/health", &health, err) < 0)
		return -1;
	if (c->sock && agent_file_pid())
		json_set_int(health, "pid", agent_file_pid());
	if (args_has(a, "json"))
		return out_json(a, health, err);
	text_printf(stdout, "Perry %s runs on %s", json_str_or(health, "version", "?"), c->where);
	if (json_int_or(health, "pid", 0))
		printf(" (pid %d)", (int)json_int_or(health, "pid", 0));
	printf("\n");
	if (json_str(health, "docker"))
		text_printf(stdout, "Docker: %s\n", json_str(health, "docker"));
	return 0;
}

/* The last n lines of a file, then (follow) what is appended, over the turn-over of the file. */
static int tail(const char *path, long long lines, bool follow, struct perry_err **err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[16384];
	ssize_t n;
	if (fd < 0)
		return perry_fail_errno(err, errno, "%s", path);
	off_t at = lseek(fd, 0, SEEK_END);
	long long seen = -1;
	while (at > 0 && seen < lines) {
		size_t part = at > (off_t)sizeof bytes ? sizeof bytes : (size_t)at;
		at -= (off_t)part;
		if (pread(fd, bytes, part, at) != (ssize_t)part)
			break;
		for (size_t i = part; i-- > 0;)
			if (bytes[i] == '\n' && ++seen == lines) {
				at += (off_t)i + 1;
				break;
			}
	}
	lseek(fd, at, SEEK_SET);
	for (;;) {
		while ((n = read(fd, bytes, sizeof bytes)) > 0)
			fwrite(bytes, 1, (size_t)n, stdout);
		if (out_flush(err) < 0)
			return -1;
		if (!follow)
			return 0;
		struct stat here, there;
		usleep(200000);
		if (fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino != there.st_ino) {
			int next = open(path, O_RDONLY | O_CLOEXEC);
			if (next >= 0) {
				dup2(next, fd);
				close(next);
			}
		}
	}
}

int cmd_agent_logs(const struct args *a, struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *path = path_join(dir, "agent.log");
	long long lines = 100;
	if (args_str(a, "lines") && str_to_int(args_str(a, "lines"), 0, 10000000, &lines) < 0)
		return perry_fail(err, PERRY_EUSAGE, "agent logs: -n needs a number, got \"%s\"", args_str(a, "lines"));
	return tail(path, lines, args_has(a, "follow"), err);
}

int cmd_agent_kill(const struct args *a, struct perry_err **err)
{
	pid_t pid = agent_file_pid();
	if (!pid)
		return perry_fail(err, PERRY_ENOAGENT, "no agent runs on this machine");
	if (kill(pid, SIGTERM) < 0)
		return perry_fail_errno(err, errno, "cannot stop the agent (pid %d)", (int)pid);
	for (int64_t until = clock_mono_ms() + 15000; clock_mono_ms() < until; usleep(20000))
		if (kill(pid, 0) < 0) {
			if (err_is_tty())
				fprintf(stderr, "The agent has stopped. Workspaces go on running.\n");
			return 0;
		}
	return perry_fail(err, PERRY_ETIMEOUT,
			  "the agent (pid %d) has not stopped within 15 s\n  see what it does with: perry agent logs",
			  (int)pid);
}

static void warn_unknown(void *ctx, const char *key, const char *nearest)
{
	fprintf(stderr, "perry: config.json: unknown key \"%s\"", key);
	if (nearest)
		fprintf(stderr, " (did you mean \"%s\"?)", nearest);
	fputc('\n', stderr);
}

int cmd_agent_show_config(const struct args *a, struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	struct config *c = NULL;
	if (config_load(dir, &c, warn_unknown, NULL, err) < 0)
		return -1;
	cleanup_json cJSON *masked = config_masked(c);
	cleanup_free char *idle = config_idle_warning(c);
	if (idle)
		fprintf(stderr, "perry: config.json: %s\n", idle);
	if (args_has(a, "origin")) {
		static const char *const heads[] = { "KEY", "VALUE", "FROM" };
		struct table t = { heads, 3, NULL, 0 };
		for (const struct config_key *k = config_keys(); k->key; k++) {
			const cJSON *v = strchr(k->key, '*') ? NULL : json_at(masked, k->key);
			cleanup_free char *text = v ? json_print(v) : NULL;
			if (!v)
				continue;
			table_add(&t, k->key);
			table_add(&t, text);
			table_add(&t, config_origin(c, k->key));
		}
		table_print(&t);
	} else {
		cleanup_free char *text = json_pretty(masked);
		fputs(text, stdout);
	}
	config_unref(c);
	return 0;
}

int cmd_agent_show_token(const struct args *a, struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	struct config *c = NULL;
	if (config_load(dir, &c, NULL, NULL, err) < 0)
		return -1;
	int rc = 0;
	if (config_str(c, "auth.token"))
		printf("%s\n", config_str(c, "auth.token"));
	else
		rc = perry_fail(err, PERRY_ENOTFOUND,
				"there is no token yet\n  the agent makes one when it first starts: perry agent run");
	config_unref(c);
	return rc;
}

int cmd_agent_config_get(const struct args *a, struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	struct config *c = NULL;
	if (config_load(dir, &c, NULL, NULL, err) < 0)
		return -1;
	cleanup_json cJSON *masked = config_masked(c);
	const cJSON *v = json_at(masked, a->words[0]);
	int rc = 0;
	cleanup_free char *text = v ? cJSON_IsString(v) ? xstrdup(v->valuestring) : json_print(v) : NULL;
	if (text)
		printf("%s\n", text);
	else
		rc = perry_fail(err, PERRY_ENOTFOUND,
				"%s is not set\n  see what is with: perry agent show-config --origin", a->words[0]);
	config_unref(c);
	return rc;
}

/* Without an agent that answers, the workspaces are not known; their next start tells. */
static int check_prefix(const char *prefix, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *all = NULL;
	if (client_open(&c, NULL) < 0 || client_rpc(c, "workspaces/list", NULL, &all, NULL) < 0)
		return 0;
	return config_check_prefix(prefix, all, err);
}

int cmd_agent_config_set(const struct args *a, struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *typed = NULL;
	const char *value = a->nwords > 1 ? a->words[1] : NULL;
	bool secret = false;
	for (const struct config_key *k = config_keys(); k->key; k++) {
		size_t n = strcspn(k->key, "*");
		secret = secret ||
			 (k->secret && strncmp(k->key, a->words[0], n) == 0 && (k->key[n] == '*' || !a->words[0][n]));
	}
	if (value && secret)
		return perry_fail(err, PERRY_EUSAGE,
				  "%s is a secret: it does not belong on a command line\n  usage: perry agent config "
				  "set %s --stdin",
				  a->words[0], a->words[0]);
	if (!value && !args_has(a, "stdin"))
		return perry_fail(
			err, PERRY_EUSAGE,
			"agent config set: which value?\n  usage: perry agent config set KEY VALUE, or --stdin");
	if (!value)
		value = typed = read_stdin_line();
	int rc = strcmp(a->words[0], "tailscale.hostnamePrefix") == 0 ? check_prefix(value, err) : 0;
	if (rc == 0)
		rc = agent_file_set(dir, a->words[0], value, err);
	if (typed)
		wipe(typed, strlen(typed));
	if (rc < 0)
		return -1;
	cleanup_free char *warning = agent_file_warning(dir, a->words[0]);
	if (warning)
		fprintf(stderr, "warning: %s\n", warning);
	return 0;
}

int cmd_agent_config_unset(const struct args *a, struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	return agent_file_set(dir, a->words[0], NULL, err);
}
