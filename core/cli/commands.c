#include "cli/commands.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
#define END { NULL, 0, NULL, false, NULL }
#define JSON { "json", 0, "[FIELDS]", false, "as JSON; --json=FIELDS chooses fields (a,b.c)" }
#define NO_WAIT { "no-wait", 0, NULL, false, "return at once; the operation goes on" }
#define YES { "yes", 'y', NULL, false, "answer yes" }

static const struct opt start_opts[] = {
	{ "clone", 0, "URL", false, "clone this repository into the new workspace" },
	{ "branch", 0, "BRANCH", false, "its branch, or a tag" },
	{ "depth", 0, "N", false, "only its last N commits" },
	{ "image", 0, "REF", false, "run this image instead of the configured one" },
	{ "env", 'e', "K=V", true, "environment of the workspace; the agent keeps it for restarts" },
	{ "env-file", 0, "FILE", false, "the same from a file of K=V lines" },
	{ "label", 'l', "K=V", true, "label, for hooks and lists" },
	{ "docker", 0, NULL, false, "Docker inside the workspace" },
	{ "cpus", 0, "N", false, "at most so many CPUs" },
	{ "memory", 'm', "SIZE", false, "at most so much memory (4GiB)" },
	{ "ttl", 0, "TIME", false, "stop it after so long, at each start (90s, 30m, 2h, 7d); 0: keep it" },
	{ "dry-run", 0, NULL, false, "print the plan, touch nothing" },
	NO_WAIT, JSON, YES, END,
};
static const struct opt wait_opts[] = { NO_WAIT, JSON, END };
static const struct opt restart_opts[] = {
	{ "recreate", 0, NULL, false, "make the container anew, with today's image and policy; the home stays" }, NO_WAIT, JSON, END,
};
static const struct opt delete_opts[] = { { "keep-home", 0, NULL, false, "keep the home volume" }, NO_WAIT, YES, END };
static const struct opt prune_opts[] = { { "dry-run", 0, NULL, false, "only say what would be removed" }, JSON, END };
static const struct opt adopt_opts[] = {
	{ "dry-run", 0, NULL, false, "only say what would be adopted" },
	{ "from", 0, "ID", false, "what the agent with this id left, which is gone; original: what the original Perry made" }, JSON, END,
};
static const struct opt list_opts[] = {
	{ "quiet", 'q', NULL, false, "names only" }, JSON, { "watch", 'w', NULL, false, "go on showing it" },
	{ "size", 's', NULL, false, "with the size of each home" }, END,
};
static const struct opt json_opts[] = { JSON, END };
static const struct opt sync_opts[] = { { "all", 'a', NULL, false, "all running workspaces" }, NO_WAIT, JSON, END };
static const struct opt logs_opts[] = {
	{ "lines", 'n', "N", false, "the last N lines (100)" }, { "follow", 'f', NULL, false, "go on with new lines" },
	{ "timestamps", 't', NULL, false, "with times" }, END,
};
static const struct opt tail_opts[] = {
	{ "lines", 'n', "N", false, "the last N lines (100)" }, { "follow", 'f', NULL, false, "go on with new lines" }, END,
};
static const struct opt events_opts[] = {
	{ "follow", 'f', NULL, false, "go on with new events" }, { "since", 0, "WHEN", false, "5m, 2h, or a time" }, JSON, END,
};
static const struct opt exec_opts[] = {
	{ "user", 'u', "USER", false, "run as this user (workspace)" }, { "workdir", 'w', "DIR", false, "in this folder" },
	{ "no-stdin", 'n', NULL, false, "do not read standard input: the command finds it at its end" },
	{ "tty", 't', NULL, false, "give the command a terminal, which output and errors then share" }, END,
};
static const struct opt shell_opts[] = {
	{ "attach", 'a', NULL, false, "look at a session that is there: by its id or name; else the one typed in last" },
	{ "list", 'l', NULL, false, "the sessions that are there" },
	{ "title", 't', "NAME", false, "name the new session" },
	{ "read-only", 'r', NULL, false, "look only: nothing that is typed is passed on" },
	{ "ssh", 0, NULL, false, "over SSH instead of through the agent" }, JSON, END,
};
static const struct opt build_opts[] = {
	{ "no-cache", 0, NULL, false, "build every layer anew" }, { "variant", 0, "NAME", false, "full (default) or small" }, END,
};
static const struct opt hook_show_opts[] = { { "built-in", 0, NULL, false, "the built-in one" }, END };
static const struct opt hook_check_opts[] = { { "strict", 0, NULL, false, "notes are errors" }, JSON, END };
static const struct opt hook_run_opts[] = {
	{ "workspace", 'w', "NAME", false, "with the facts of this workspace" }, { "facts", 0, "FILE", false, "with the facts in this JSON file" },
	{ "dir", 0, "DIR", false, "the hooks of this folder instead of yours" }, JSON, END,
};
static const struct opt hook_preview_opts[] = {
	{ "facts", 0, "FILE", false, "for the facts in this JSON file (one or a list), without an agent" }, JSON, END,
};
static const struct opt explain_opts[] = { { "all", 'a', NULL, false, "every decision that is kept, oldest first" }, JSON, END };
#define EXPECT { "expect", 0, "HASH", false, "approve exactly this content without a question" }
#define TIMEOUT { "timeout", 0, "SECONDS", false, "how long a git server may take (60)" }
static const struct opt hook_list_opts[] = { { "packs", 0, NULL, false, "the packs instead" }, JSON, END };
static const struct opt hook_add_opts[] = {
	{ "ref", 0, "REF", false, "branch, tag or commit of the repository" }, EXPECT, TIMEOUT, JSON,
	{ "yes", 'y', NULL, false, "approves nothing by itself: it does not say what (--expect does)" }, END,
};
static const struct opt hook_update_opts[] = {
	EXPECT, TIMEOUT, JSON, { "yes", 'y', NULL, false, "approves nothing by itself: it does not say what (--expect does)" }, END,
};
static const struct opt hook_outdated_opts[] = { TIMEOUT, JSON, END };
static const struct opt token_opts[] = {
	{ "stdin", 0, NULL, false, "read it from standard input" }, { "show", 0, NULL, false, "print the saved one" }, END,
};
static const struct opt run_opts[] = {
	{ "port", 'p', "PORT", false, "listen on this loopback port (7391)" }, { "config-dir", 'c', "DIR", false, "configuration folder" },
	{ "log-level", 0, "LEVEL", false, "error, warn, info or debug ($PERRY_LOG, info)" },
	{ "no-host-access", 0, NULL, false, "no terminals on the host itself" }, END,
};
static const struct opt setup_opts[] = { { "config-dir", 'c', "DIR", false, "configuration folder of the agent on this machine" }, END };
static const struct opt set_opts[] = { { "stdin", 0, NULL, false, "read the value from standard input" }, END };
static const struct opt origin_opts[] = { { "origin", 0, NULL, false, "where each value comes from" }, END };
static const struct opt tailnet_setup_opts[] = {
	{ "stdin", 0, NULL, false, "read the key from standard input" }, { "prefix", 0, "TEXT", false, "put before workspaces' names (\"\": none)" },
	{ "login-server", 0, "URL", false, "the control server, when it is not Tailscale's" }, JSON, END,
};
static const struct opt tailnet_serve_opts[] = {
	{ "https-port", 0, "N", false, "serve it on this port of the name instead of 443" }, { "off", 0, NULL, false, "not any more" }, JSON, END,
};
static const struct opt tailnet_prune_opts[] = {
	{ "dry-run", 0, NULL, false, "only say what would be removed" },
	{ "forget", 0, NULL, false, "take devices that were left behind off the list: you have removed them yourself" }, JSON, END,
};
static const struct opt yes_opts[] = { YES, END };
static const struct opt open_opts[] = {
	{ "print", 0, NULL, false, "print the link instead of opening a browser" },
	{ "qr", 0, NULL, false, "the link as a QR code, for a phone of the tailnet" }, END,
};
static const struct opt ports_opts[] = {
	{ "all", 'a', NULL, false, "the system's own, too" }, { "clear", 0, NULL, false, "no configured forwards any more" }, JSON, END,
};
static const struct opt doctor_opts[] = { { "fix", 0, NULL, false, "mend what can be mended" }, JSON, END };

const struct command commands[] = {
	{ "start", NULL, "[NAME] [--clone URL] [OPTIONS]", "create a workspace if there is none of that name, and start it",
	  "perry start web --clone https://github.com/me/app", start_opts, 0, 1, cmd_start },
	{ "stop", NULL, "NAME...", "stop workspaces; their homes and what is installed stay", "perry stop web", wait_opts, 1, -1, cmd_stop },
	{ "restart", NULL, "NAME... [--recreate]", "stop and start; --recreate applies a new image or policy", "perry restart web --recreate", restart_opts, 1, -1,
	  cmd_restart },
	{ "delete", "rm", "NAME... [--keep-home] [-y]", "delete workspaces, their homes included", "perry delete web", delete_opts, 1, -1, cmd_delete },
	{ "prune", NULL, "[--dry-run]", "remove containers, volumes and networks that belong to no workspace any more", "perry prune --dry-run", prune_opts, 0, 0,
	  cmd_prune },
	{ "adopt", NULL, "[NAME...] [--from ID] [--dry-run]", "take workspaces back whose record was lost, by their containers and homes; nothing is destroyed",
	  "perry adopt --dry-run", adopt_opts, 0, -1, cmd_adopt },
	{ "list", "ls", "[-q] [--json[=FIELDS]] [--watch]", "the workspaces", "perry list --json=name,status", list_opts, 0, 0, cmd_list },
	{ "info", NULL, "[NAME]", "about the agent, or all about one workspace", "perry info web", json_opts, 0, 1, cmd_info },
	{ "logs", NULL, "NAME [-n N] [-f]", "what the workspace's services print", "perry logs web -f", logs_opts, 1, 1, cmd_logs },
	{ "events", NULL, "[-f] [--since WHEN]", "what happens: operations, steps, states", "perry events -f", events_opts, 0, 0, cmd_events },
	{ "shell", NULL, "NAME [-a [SESSION] | -l] [-- CMD...]", "a terminal that lives in the workspace: it outlives this one (leave it with Enter ~.)",
	  "perry shell web", shell_opts, 1, 2, cmd_shell },
	{ "screen", NULL, "NAME [SESSION]", "the screen of a session, as text", "perry screen web", json_opts, 1, 2, cmd_screen },
	{ "exec", NULL, "NAME [-n] [-t] -- CMD...", "run a command in the workspace; input, output and exit code are passed on", "perry exec web -- npm test", exec_opts, 1, -1,
	  cmd_exec },
	{ "cp", NULL, "SRC DST", "copy files into or out of a workspace (NAME:path); - is a tar on standard input or output", "perry cp notes.txt web:notes.txt", NULL, 2, 2, cmd_cp },
	{ "clone", NULL, "SRC NEW", "a new workspace with a copy of another's home", "perry clone web web-2", wait_opts, 2, 2, cmd_clone },
	{ "ports", NULL, "NAME [PORT|HOST:PORT]... [--all]", "what listens in the workspace, and its URL; with ports: configures forwards for proxy",
	  "perry ports web", ports_opts, 1, -1, cmd_ports },
	{ "proxy", NULL, "NAME [PORT|HOST:PORT]...", "lead ports of this machine to servers in the workspace, loopback-only ones too",
	  "perry proxy web 3000 8080:80", NULL, 1, -1, cmd_proxy },
	{ "sync", NULL, "NAME... | --all", "bring credentials, files and keys into running workspaces again", "perry sync web", sync_opts, 0, -1, cmd_sync },
	{ "explain", NULL, "NAME [FIELD] [--all]", "who decided what about a workspace", "perry explain web container.memory", explain_opts, 1, 2, cmd_explain },
	{ "hooks list", NULL, "[--packs]", "hook points, and which file answers each; or the packs, and what was approved", "perry hooks list", hook_list_opts, 0, 0, cmd_hooks_list },
	{ "hooks show", NULL, "POINT [--built-in]", "the text of the hook that answers", "perry hooks show hostname", hook_show_opts, 1, 1, NULL },
	{ "hooks new", NULL, "POINT", "write a hook of your own, three lines to start from", "perry hooks new hostname", NULL, 1, 1, NULL },
	{ "hooks edit", NULL, "POINT", "edit your hook; then it is checked, and you see what changes for which workspace", "perry hooks edit container", NULL, 1, 1,
	  NULL },
	{ "hooks check", NULL, "[DIR...] [--strict]", "check hook files; needs no agent", "perry hooks check ~/.config/perry/hooks", hook_check_opts, 0, -1,
	  NULL },
	{ "hooks run", NULL, "POINT --workspace NAME | --facts FILE", "ask one hook, layer by layer", "perry hooks run hostname --facts facts.json", hook_run_opts, 1, 1,
	  NULL },
	{ "hooks test", NULL, "[DIR]", "run the table tests of a folder of hooks; needs no agent", "perry hooks test examples/hooks", json_opts, 0, 1, NULL },
	{ "hooks preview", NULL, "[DIR|PACK|URL] [--facts FILE]", "what a folder of hooks or the newest version of a pack would change for each workspace; without one: what today's policy would",
	  "perry hooks preview ~/acme-policy", hook_preview_opts, 0, 1, NULL },
	{ "hooks add", NULL, "URL|FOLDER [--ref REF] [--expect HASH]", "take a team's pack into use; shows what is in it and what it needs, and asks",
	  "perry hooks add https://git.example.com/acme/policy --ref v3", hook_add_opts, 1, 1, NULL },
	{ "hooks update", NULL, "[PACK...] [--expect HASH]", "fetch packs anew; shows what changed, and asks", "perry hooks update acme", hook_update_opts, 0, -1,
	  NULL },
	{ "hooks outdated", NULL, "", "packs that are not as they were approved where they come from", "perry hooks outdated", hook_outdated_opts, 0, 0,
	  NULL },
	{ "hooks remove", NULL, "PACK...", "take packs out of use", "perry hooks remove acme", NULL, 1, -1, NULL },
	{ "hooks pack init", NULL, "DIR", "a new pack to start from, with a test and a script for its CI", "perry hooks pack init acme-policy", NULL, 1, 1,
	  NULL },
	{ "hooks pack hash", NULL, "[DIR]", "the content hash of a pack, for hooks add --expect", "perry hooks pack hash acme-policy", json_opts, 0, 1,
	  NULL },
	{ "config show", NULL, "", "which agent and token this client uses", "perry config show", json_opts, 0, 0, cmd_config_show },
	{ "config agent", NULL, "[HOST[:PORT]|local]", "use the agent on another machine", "perry config agent box.tail1234.ts.net", json_opts, 0, 1, cmd_config_agent },
	{ "config token", NULL, "--stdin | --show", "save the token for that agent", "perry config token --stdin", token_opts, 0, 0, cmd_config_token },
	{ "config", NULL, "", "the same as: perry config show", "perry config", json_opts, 0, 0, cmd_config_show },
	{ "access list", NULL, "", "who of the tailnet may use the agent", "perry access list", json_opts, 0, 0, cmd_access_list },
	{ "access add", NULL, "LOGIN | TAG...", "let a tailnet user, or devices with a tag, use the agent", "perry access add anna@example.com", NULL, 1, -1,
	  cmd_access_add },
	{ "access remove", NULL, "LOGIN | TAG | DEVICE...", "take that back; forget a device that was given the token", "perry access remove anna@example.com", NULL, 1, -1,
	  cmd_access_remove },
	{ "agent run", NULL, "[-p PORT] [-c DIR] [--log-level LEVEL] [--no-host-access]", "run the daemon in the foreground", "perry agent run", run_opts, 0, 0, NULL },
	{ "agent status", NULL, "", "does the agent answer?", "perry agent status", json_opts, 0, 0, cmd_agent_status },
	{ "agent logs", NULL, "[-n N] [-f]", "the agent's log on this machine", "perry agent logs -f", tail_opts, 0, 0, cmd_agent_logs },
	{ "agent kill", NULL, "", "stop the agent on this machine; workspaces go on", "perry agent kill", NULL, 0, 0, cmd_agent_kill },
	{ "agent config", NULL, "[token|github|ssh|agents|tailscale] [-c DIR]", "set the agent up, step by step on a terminal; Enter keeps what there is", "perry agent config",
	  setup_opts, 0, -1, cmd_agent_config },
	{ "agent config get", NULL, "KEY", "one key of config.json", "perry agent config get image", NULL, 1, 1, cmd_agent_config_get },
	{ "agent config set", NULL, "KEY VALUE | KEY -- -VALUE | KEY --stdin", "set a key of config.json", "perry agent config set limits.memory 8GiB", set_opts, 1, 2,
	  cmd_agent_config_set },
	{ "agent config unset", NULL, "KEY", "back to the default", "perry agent config unset image", NULL, 1, 1, cmd_agent_config_unset },
	{ "agent show-config", NULL, "[--origin]", "the configuration in force, secrets masked", "perry agent show-config --origin", origin_opts, 0, 0,
	  cmd_agent_show_config },
	{ "agent show-token", NULL, "", "the token that browsers and other machines sign in with", "perry agent show-token", NULL, 0, 0, cmd_agent_show_token },
	{ "agent", NULL, "", "does the agent run here, and what can be done with it", "perry agent", NULL, 0, -1, cmd_agent },
	{ "auth init", NULL, "", "make a token unless there is one", "perry auth init", NULL, 0, 0, cmd_auth_init },
	{ "auth generate", NULL, "", "a new token; the old one is void", "perry auth generate", NULL, 0, 0, cmd_auth_generate },
	{ "auth disable", NULL, "[-y]", "no token on the loopback port", "perry auth disable", yes_opts, 0, 0, cmd_auth_disable },
	{ "tailnet status", NULL, "", "how workspaces join the tailnet, their devices, and what is pending", "perry tailnet status", json_opts, 0, 0, cmd_tailnet_status },
	{ "tailnet setup", NULL, "[--stdin] [--prefix TEXT] [--login-server URL]", "give workspaces an auth key to join the tailnet with",
	  "perry tailnet setup --stdin < key", tailnet_setup_opts, 0, 0, cmd_tailnet_setup },
	{ "tailnet devices", NULL, "", "our devices on the tailnet, as their control server has them", "perry tailnet devices", json_opts, 0, 0, cmd_tailnet_devices },
	{ "tailnet prune", NULL, "[--dry-run] [--forget]", "remove our devices that no workspace uses any more", "perry tailnet prune", tailnet_prune_opts, 0, 0,
	  cmd_tailnet_prune },
	{ "tailnet serve", NULL, "NAME PORT [--https-port N] [--off]", "HTTPS for a port of a workspace, under the workspace's own name",
	  "perry tailnet serve web 3000", tailnet_serve_opts, 2, 2, cmd_tailnet_serve },
	{ "tailnet", NULL, "", "the same as: perry tailnet status", "perry tailnet", json_opts, 0, 0, cmd_tailnet_status },
	{ "build", NULL, "[--no-cache] [--variant NAME]", "build the workspace image", "perry build", build_opts, 0, 0, cmd_build },
	{ "open", NULL, "[--print | --qr]", "the web UI in your browser, signed in by a link that works once", "perry open", open_opts, 0, 0, cmd_open },
	{ "doctor", NULL, "[--fix]", "what is wrong, and the command that mends it", "perry doctor", doctor_opts, 0, 0, cmd_doctor },
	{ "completion", NULL, "bash|zsh|fish", "completion for your shell", "source <(perry completion bash)", NULL, 1, 1, cmd_completion },
	{ "version", NULL, "", "the version", "perry version", json_opts, 0, 0, cmd_version },
	{ "help", NULL, "[COMMAND]", "this help, or that of a command", "perry help start", NULL, 0, 3, cmd_help },
	{ NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL },
};
/* clang-format on */

/* How many words of argv are the command's name, 0 when they are not. */
static int name_words(const char *name, int argc, char **argv)
{
	int used = 0;
	for (const char *p = name; *p; used++) {
		size_t n = strcspn(p, " ");
		if (used >= argc || strlen(argv[used]) != n || strncmp(argv[used], p, n) != 0)
			return 0;
		p += n;
		p += *p == ' ';
	}
	return used;
}

const struct command *command_find(int argc, char **argv, int *used)
{
	const struct command *best = NULL;
	*used = 0;
	for (const struct command *c = commands; c->name; c++) {
		int n = name_words(c->name, argc, argv);
		if (!n && c->alias)
			n = name_words(c->alias, argc, argv);
		if (n > *used) {
			best = c;
			*used = n;
		}
	}
	return best;
}
