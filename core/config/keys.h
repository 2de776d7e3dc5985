/* Every key of config.json: X(key, type, secret, min, max, default as JSON text or NULL, one line of description).
 * "*" stands for any one name. Types: see struct config_key. This table drives validation, masking, `agent config`,
 * show-config and docs/config.md. */
/* clang-format off */
#define CONFIG_KEYS(X) \
	X("port", "integer", false, 1, 65535, "7391", "port of the loopback listener") \
	X("bind", "strings", false, 0, 0, "[]", "further addresses to listen on (a token is asked for there)") \
	X("allowedHosts", "strings", false, 0, 0, "[]", "further names under which browsers may reach this agent (Host header)") \
	X("allowedOrigins", "strings", false, 0, 0, "[]", "web origins other than our own that may call the API") \
	X("allowHostAccess", "boolean", false, 0, 0, "true", "terminals on the host itself (@host), for callers with the right admin") \
	X("auth.token", "string", true, 0, 0, NULL, "bearer token of the loopback listener; made at the first start") \
	X("access", "strings", false, 0, 0, "[]", "tailnet logins and tags that may use this agent") \
	X("credentials.env.*", "string", true, 0, 0, NULL, "environment of every workspace") \
	X("credentials.files.*", "string", false, 0, 0, NULL, "files copied into every workspace: path inside -> path on this machine") \
	X("scripts.post_start", "strings", false, 0, 0, "[\"~/.perry/userscripts\"]", "scripts (or folders of them) run in a workspace after each start") \
	X("scripts.fail_on_error", "boolean", false, 0, 0, "false", "a failing script fails the start") \
	X("cloneTimeout", "integer", false, 5, 86400, "60", "seconds without progress after which the clone of a repository is given up") \
	X("agents.github.token", "string", true, 0, 0, NULL, "GITHUB_TOKEN of workspaces") \
	X("agents.opencode.server.hostname", "string", false, 0, 0, NULL, "kept for clients; has no effect in workspaces yet") \
	X("agents.opencode.server.username", "string", false, 0, 0, NULL, "the same") \
	X("agents.opencode.server.password", "string", true, 0, 0, NULL, "the same") \
	X("agents.*", "object", false, 0, 0, NULL, "settings of a coding agent, kept for clients; no effect in workspaces yet") \
	X("skills", "objects", false, 0, 0, "[]", "skills of coding agents, kept for clients; no effect in workspaces yet") \
	X("mcpServers", "objects", false, 0, 0, "[]", "MCP servers of coding agents, kept for clients; no effect in workspaces yet") \
	X("ssh.autoAuthorizeHostKeys", "boolean", false, 0, 0, "true", "this user's public keys may log in to workspaces") \
	X("ssh.global.copy", "strings", false, 0, 0, "[]", "private keys copied into every workspace") \
	X("ssh.global.authorize", "strings", false, 0, 0, "[]", "public keys (text or file) that may log in to every workspace") \
	X("ssh.workspaces.*", "object", false, 0, 0, NULL, "copy and authorize of one workspace") \
	X("terminal.preferredShell", "string", false, 0, 0, NULL, "shell of terminals, when the workspace has it") \
	X("terminal.idleTimeout", "integer", false, 0, 31536000, "86400", "seconds after which a session that is only a prompt, and that nobody looks at, ends; 0: never") \
	X("tailscale.authKey", "string", true, 0, 0, NULL, "auth key that workspaces join the tailnet with") \
	X("tailscale.enabled", "boolean", false, 0, 0, NULL, "join workspaces to the tailnet; by default when there is a key") \
	X("tailscale.hostnamePrefix", "string", false, 0, 0, "\"\"", "put before a workspace's name to make its hostname") \
	X("tailscale.tags", "strings", false, 0, 0, "[]", "tags asked for with minted keys") \
	X("tailscale.loginServer", "string", false, 0, 0, NULL, "control server, when it is not Tailscale's") \
	X("tailscale.joinTimeout", "integer", false, 5, 20, "15", "seconds that a start waits at most until its workspace is on the tailnet") \
	X("tailscale.credentials.*", "object", false, 0, 0, NULL, "API credentials that keys are minted with, secrets by reference") \
	X("tailscale.serve", "boolean", false, 0, 0, "true", "publish the agent on the tailnet (Tailscale Serve, or the machine's tailnet address)") \
	X("tailscale.socket", "string", false, 0, 0, NULL, "socket of this machine's tailscaled, when it is not the usual one") \
	X("tailscale.exposeLoopback", "boolean", false, 0, 0, "true", "make servers bound to 127.0.0.1 in a workspace reachable by its name") \
	X("allowedMounts", "strings", false, 0, 0, "[]", "folders of this machine that a container policy may mount") \
	X("allowedVolumes", "strings", false, 0, 0, "[]", "volumes of the engine, other than its own, that a container policy may mount") \
	X("allowedNetworks", "strings", false, 0, 0, "[]", "networks of the engine that a container policy may put a workspace into") \
	X("hookPacks", "array", false, 0, 0, "[]", "team packs, highest first: folder or {url, ref}, as approved by perry hooks add") \
	X("hooks.disabled", "strings", false, 0, 0, "[]", "actions to mute, as layer/name") \
	X("packs.*", "object", false, 0, 0, NULL, "settings of a pack, as its pack.json names them; the value of a secret one is a name in secrets") \
	X("secrets.*", "string", true, 0, 0, NULL, "a secret for hooks: its text, file:PATH or env:NAME") \
	X("limits.workspaces", "integer", false, 0, 100000, NULL, "how many workspaces there may be") \
	X("limits.perUser", "integer", false, 0, 100000, NULL, "how many one user may have") \
	X("limits.cpus", "number", false, 0, 100000, NULL, "CPUs of one workspace at most") \
	X("limits.memory", "size", false, 0, 0, NULL, "memory of one workspace at most, and what it has where nothing else is said; three quarters of the machine's, in whole GiB, when unset") \
	X("limits.pids", "integer", false, 16, 4194304, NULL, "processes and threads of one workspace at most; when unset 2048 for each CPU, between 4096 and 16384") \
	X("limits.disk", "size", false, 0, 0, NULL, "disk that all home volumes may take") \
	X("maxOperations", "integer", false, 1, 256, "32", "operations that run at once; the rest queue") \
	X("image", "string", false, 0, 0, NULL, "image of new workspaces, when it is not perry:latest") \
	X("networkRange", "string", false, 0, 0, "\"10.213.0.0/16\"", "range that workspaces' own networks (/28 each) are taken from") \
	X("sshPortRange", "string", false, 0, 0, "\"2200-2400\"", "ports of this machine that workspaces' SSH is published on, 127.0.0.1 only") \
	X("allowHostEquivalentDocker", "boolean", false, 0, 0, "false", "accept that Docker inside a workspace, without sysbox or userns-remap, is root on this machine")
/* clang-format on */
