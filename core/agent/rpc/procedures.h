/* The table of procedures: it drives dispatch, validation, rights and GET /openapi.json.
 * P(path, class, right, input or NULL, output, handler, summary)
 * To add one:
 * - a row here, which declares its handler, too (handlers.h);
 * - proc_HANDLER in a file of core/agent/proc;
 * - the schemas that input and output name in schemas.json, where none of those there fits. */
#ifndef PERRY_AGENT_PROCEDURES_H
#define PERRY_AGENT_PROCEDURES_H

/* clang-format off */
#define PROCEDURES(P) \
	P("info", JOB, READ, NULL, "Info", agent_info, "the agent and its engine") \
	P("setup/finish", JOB, MANAGE, NULL, "Success", setup_finish, \
	  "the first visit's questions were answered or left: info says so from now on") \
	P("host/info", NOW, READ, NULL, "HostInfo", host_info, "this machine, and whether its terminal may be opened") \
	P("doctor", JOB, READ, NULL, "Doctor", doctor, \
	  "what is wrong with the agent and its machine, and what mends it") \
	P("workspaces/list", NOW, READ, NULL, "Workspaces", workspaces_list, \
	  "all workspaces, without asking the engine") \
	P("workspaces/sizes", JOB, READ, NULL, "Sizes", workspaces_sizes, \
	  "bytes of each home, as the engine counts them (it takes its time)") \
	P("workspaces/get", NOW, READ, "NameInput", "Workspace", workspaces_get, "one workspace") \
	P("workspaces/inspect", NOW, READ, "NameInput", "Any", workspaces_inspect, \
	  "everything that is known of a workspace: its record and its container's state") \
	P("workspaces/create", OPERATION, MANAGE, "StartInput", "Workspace", workspaces_create, \
	  "makes and starts a workspace") \
	P("workspaces/start", OPERATION, MANAGE, "StartInput", "Workspace", workspaces_start, \
	  "starts a workspace, makes it when absent") \
	P("workspaces/stop", OPERATION, MANAGE, "NameInput", "Workspace", workspaces_stop, "stops a workspace") \
	P("workspaces/restart", OPERATION, MANAGE, "RestartInput", "Workspace", workspaces_restart, \
	  "stops and starts; recreate applies a new plan, home kept") \
	P("workspaces/delete", OPERATION, MANAGE, "DeleteInput", "Success", workspaces_delete, \
	  "deletes a workspace with its home, unless keepHome") \
	P("workspaces/clone", OPERATION, MANAGE, "CloneInput", "Workspace", workspaces_clone, "copies a workspace") \
	P("workspaces/sync", OPERATION, USE, "NameInput", "Success", workspaces_sync, \
	  "copies credentials, files and settings into a running workspace") \
	P("workspaces/syncAll", JOB, USE, NULL, "SyncAll", workspaces_sync_all, "the same for all running workspaces") \
	P("workspaces/exec", JOB, USE, "ExecInput", "ExecResult", workspaces_exec, "runs a command and waits for it") \
	P("workspaces/logs", JOB, USE, "LogsInput", "Text", workspaces_logs, \
	  "the last lines of the container's output") \
	P("workspaces/touch", JOB, USE, "NameInput", "Workspace", workspaces_touch, \
	  "notes that the workspace is being used") \
	P("workspaces/getPortForwards", NOW, READ, "NameInput", "Forwards", workspaces_get_forwards, \
	  "configured forwards") \
	P("workspaces/setPortForwards", JOB, USE, "ForwardsInput", "Workspace", workspaces_set_forwards, \
	  "configures forwards") \
	P("workspaces/updateWorker", JOB, USE, "NameInput", "Success", workspaces_update_worker, \
	  "nothing to do: the helper comes with a volume that all workspaces mount") \
	P("workspaces/prune", OPERATION, MANAGE, "PruneInput", "Any", workspaces_prune, \
	  "removes what belongs to no workspace any more") \
	P("workspaces/adopt", OPERATION, ADMIN, "AdoptInput", "Any", workspaces_adopt, \
	  "makes records of workspaces whose record is gone, by what is on the engine; destroys nothing") \
	P("ports/list", NOW, READ, "NameInput", "Any", ports_list, \
	  "what listens in a workspace, how it is reached, and the configured forwards") \
	P("ports/hints", JOB, USE, "NameInput", "PortHints", ports_hints, \
	  "which servers refuse the name that they are listed under, and what they must be told (each is asked once)") \
	P("ports/serve", JOB, USE, "ServeInput", "ServedPort", ports_serve, \
	  "gives a port of a workspace a web address on the tailnet, with HTTPS where there are certificates") \
	P("image/build", OPERATION, ADMIN, "ImageBuildInput", "Any", image_build, "builds the workspace image") \
	P("operations/list", JOB, READ, "OperationsInput", "Operations", operations_list, \
	  "operations of a workspace, newest first; without one those that run") \
	P("operations/get", JOB, READ, "OperationInput", "Operation", operations_get, "one operation with its steps") \
	P("operations/wait", OPERATION, READ, "OperationInput", "Operation", operations_wait, \
	  "the same, once it has ended") \
	P("operations/cancel", JOB, MANAGE, "OperationInput", "Success", operations_cancel, \
	  "asks an operation to stop at its next step") \
	P("events/list", JOB, READ, "EventsInput", "Events", events_list, \
	  "past events, oldest first (GET /events follows them)") \
	P("explain", JOB, READ, "ExplainInput", "Any", explain, \
	  "the newest plan, and who decided what (all: every decision that is kept)") \
	P("hooks/list", JOB, READ, NULL, "Any", hooks_list, "hook points, layers, and which file answers") \
	P("hooks/show", JOB, READ, "HookPointInput", "Any", hooks_show, \
	  "one hook point: its files and the built-in text") \
	P("hooks/check", JOB, READ, NULL, "Any", hooks_check, "problems in hook files") \
	P("hooks/preview", JOB, ADMIN, "HooksPreviewInput", "Any", hooks_preview, \
	  "what a change of policy would change in the plan of each workspace; nothing is touched") \
	P("hooks/run", JOB, ADMIN, "HookRunInput", "Any", hooks_run, "asks one hook point, touching nothing") \
	P("hooks/packs/list", JOB, READ, NULL, "Packs", packs_list, \
	  "packs: where from, what was approved, in force or not") \
	P("hooks/packs/get", JOB, ADMIN, "PackInput", "Any", packs_get, "an approved pack with its files") \
	P("hooks/packs/approve", JOB, ADMIN, "PackApproveInput", "Any", packs_approve, \
	  "takes a pack into use, whose content the caller has seen (hash); before: the hash that it takes the place of") \
	P("hooks/packs/remove", JOB, ADMIN, "PackInput", "Success", packs_remove, "takes a pack out of use") \
	P("config/credentials/get", NOW, READ, NULL, "Credentials", credentials_get, \
	  "environment and files of all workspaces") \
	P("config/credentials/update", JOB, ADMIN, "Credentials", "Credentials", credentials_update, \
	  "replaces them; ******** keeps a value") \
	P("config/scripts/get", NOW, READ, NULL, "Scripts", scripts_get, "scripts run after each start") \
	P("config/scripts/update", JOB, ADMIN, "ScriptsInput", "ScriptsInput", scripts_update, "replaces them") \
	P("config/agents/get", NOW, READ, NULL, "Agents", agents_get, "settings of coding agents") \
	P("config/agents/update", JOB, ADMIN, "Agents", "Agents", agents_update, "replaces them") \
	P("config/skills/get", NOW, READ, NULL, "Skills", skills_get, "skills of coding agents") \
	P("config/skills/update", JOB, ADMIN, "Skills", "Skills", skills_update, "replaces them") \
	P("config/mcp/get", NOW, READ, NULL, "McpServers", mcp_get, "MCP servers of coding agents") \
	P("config/mcp/update", JOB, ADMIN, "McpServers", "McpServers", mcp_update, "replaces them") \
	P("config/ssh/get", NOW, READ, NULL, "SshSettings", ssh_get, "which SSH keys go where") \
	P("config/ssh/update", JOB, ADMIN, "SshSettings", "SshSettings", ssh_update, "replaces it") \
	P("config/ssh/listKeys", JOB, READ, NULL, "SshKeys", ssh_list_keys, "SSH keys of the agent's user") \
	P("config/terminal/get", NOW, READ, NULL, "TerminalSettings", terminal_get, "the shell of terminals") \
	P("config/terminal/update", JOB, ADMIN, "TerminalInput", "TerminalInput", terminal_update, "sets it") \
	P("config/tailscale/get", NOW, READ, NULL, "TailscaleSettings", tailscale_get, \
	  "whether workspaces join a tailnet; the key is masked") \
	P("config/tailscale/update", JOB, ADMIN, "TailscaleInput", "TailscaleSettings", tailscale_update, \
	  "sets it; ******** keeps the key") \
	P("tailnet/status", JOB, READ, NULL, "TailnetStatus", tailnet_status, \
	  "how workspaces join the tailnet, which have, and which devices are still to be removed") \
	P("tailnet/devices", JOB, READ, NULL, "TailnetDevices", tailnet_devices, \
	  "our devices, with what their control servers say of them") \
	P("tailnet/prune", JOB, MANAGE, "TailnetPruneInput", "Any", tailnet_prune, \
	  "removes our devices that no workspace uses; forget: takes those left behind off the list") \
	P("tailnet/setup", JOB, ADMIN, "TailnetSetupInput", "TailnetStatus", tailnet_setup, \
	  "checks an auth key's form and saves it; the answer warns of what it means") \
	P("config/auth/get", NOW, READ, NULL, "AuthState", auth_get, "is there a token") \
	P("config/auth/generate", JOB, ADMIN, NULL, "Token", auth_generate, "a new token; sessions end") \
	P("config/auth/disable", JOB, ADMIN, NULL, "Success", auth_disable, \
	  "no token is asked for on this machine any more") \
	P("access/list", JOB, READ, NULL, "Access", access_list, "who of the tailnet may use this agent") \
	P("access/add", JOB, ADMIN, "LoginInput", "Access", access_add, \
	  "lets a tailnet user, or devices with a tag, use it") \
	P("access/remove", JOB, ADMIN, "LoginInput", "Access", access_remove, \
	  "takes that back; also forgets a device that was given the token") \
	P("auth/link", NOW, ADMIN, NULL, "SignInLink", auth_link, \
	  "a one-use address that signs a browser in, for two minutes") \
	P("terminal/ticket", NOW, READ, "TicketInput", "Ticket", terminal_ticket, \
	  "a one-use ticket for a WebSocket, for thirty seconds") \
	P("terminals/list", JOB, READ, "NameInput", "Terminals", terminals_list, "the terminals that live in a workspace") \
	P("terminals/start", JOB, USE, "TerminalStartInput", "TerminalStarted", terminals_start, \
	  "begins a terminal that lives in the workspace, with a command or the login shell") \
	P("terminals/end", JOB, USE, "TerminalSessionInput", "Success", terminals_end, "ends one with all that runs in it") \
	P("terminals/rename", JOB, USE, "TerminalRenameInput", "Success", terminals_rename, "names one") \
	P("terminals/screen", JOB, USE, "TerminalSessionInput", "TerminalScreen", terminals_screen, \
	  "its screen, as lines of text") \
	P("sessions/list", JOB, READ, "SessionsInput", "Sessions", sessions_list, "sessions of coding agents") \
	P("sessions/get", JOB, READ, "SessionInput", "Any", sessions_get, "one session") \
	P("sessions/rename", JOB, USE, "SessionRenameInput", "Success", sessions_change, "names a session") \
	P("sessions/clearName", JOB, USE, "SessionIdInput", "Success", sessions_change, "forgets the name") \
	P("sessions/getRecent", NOW, READ, "RecentSessionsInput", "RecentSessions", sessions_recent, \
	  "sessions used last") \
	P("sessions/recordAccess", JOB, USE, "AgentSessionInput", "Success", sessions_change, \
	  "notes that a session is used") \
	P("sessions/delete", JOB, USE, "AgentSessionInput", "Success", sessions_change, "deletes a session") \
	P("sessions/search", JOB, READ, "SessionSearchInput", "SessionsFound", sessions_search, \
	  "sessions that contain a text") \
	P("models/list", NOW, READ, "ModelsInput", "Models", models_list, "models of coding agents") \
	P("github/listRepos", JOB, MANAGE, "ReposInput", "Repos", github_repos, \
	  "repositories of the configured GitHub token, those that were last pushed to first")
/* clang-format on */

#endif
