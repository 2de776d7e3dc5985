/* The table of procedures: it drives dispatch, validation, rights and GET /openapi.json.
 * Schemas are JSON Schema with ' for ".
 * P(path, class, right, input or NULL, output, handler, summary) */
#ifndef PERRY_AGENT_PROCEDURES_H
#define PERRY_AGENT_PROCEDURES_H

/* clang-format off */
#define STR "{'type':'string'}"
#define BOOL "{'type':'boolean'}"
#define NUM "{'type':'number'}"
#define INT "{'type':'integer'}"
#define ANY "{}"
#define ARRAY(item) "{'type':'array','items':" item "}"
#define RECORD(value) "{'type':'object','additionalProperties':" value "}"
#define OBJ(props) "{'type':'object','properties':{" props "}}"
#define OBJ_REQ(props, required) "{'type':'object','properties':{" props "},'required':[" required "]}"
#define MAYBE_OBJ(props) "{'type':'object','properties':{" props "},'default':{}}" /* no body is an empty one */
#define REF(name) "{'$ref':'#/components/schemas/" name "'}"

#define NAME "{'type':'string','format':'workspace-name','maxLength':63,'pattern':'^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'}"
#define ANY_NAME \
	"{'type':'string','format':'workspace-name-or-host','maxLength':63," \
	"'pattern':'^(@host|[a-z0-9]([a-z0-9-]*[a-z0-9])?)$'}"
#define NAMED OBJ_REQ("'name':" NAME, "'name'")
#define PORT "{'type':'integer','minimum':1,'maximum':65535}"
#define CHECK OBJ_REQ("'check':" STR ",'ok':" BOOL ",'message':" STR ",'mend':" STR, "'check','ok','message'")
#define FORWARD OBJ_REQ("'host':" PORT ",'container':" PORT, "'host','container'")
#define SUCCESS OBJ_REQ("'success':" BOOL, "'success'")

#define CLONE_URL "{'type':'string','format':'clone-url'}"
#define START_FIELDS \
	"'name':" NAME ",'clone':" CLONE_URL ",'env':" RECORD(STR) ",'labels':" RECORD(STR) ",'branch':" STR ",'image':" STR \
	",'cpus':{'type':'number','minimum':0.01},'memory':{'anyOf':[" STR "," NUM "]},'docker':" BOOL \
	",'ttl':{'type':'integer','minimum':0,'maximum':315360000},'dryRun':" BOOL
#define START_INPUT OBJ_REQ(START_FIELDS, "'name'")
#define RESTART_INPUT OBJ_REQ("'name':" NAME ",'recreate':" BOOL ",'dryRun':" BOOL, "'name'")
#define DELETE_INPUT OBJ_REQ("'name':" NAME ",'keepHome':" BOOL, "'name'")
#define CLONE_INPUT OBJ_REQ("'sourceName':" NAME ",'cloneName':" NAME, "'sourceName','cloneName'")
#define LOGS_INPUT OBJ_REQ("'name':" NAME ",'tail':{'type':'number','default':100}", "'name'")
#define FORWARDS_INPUT OBJ_REQ("'name':" NAME ",'forwards':" ARRAY(FORWARD), "'name','forwards'")
#define EXEC_INPUT \
	OBJ_REQ("'name':" NAME \
		",'command':{'anyOf':[{'type':'string','minLength':1},{'type':'array','items':" STR ",'minItems':1}]}" \
		",'timeout':{'type':'number','minimum':0},'encoding':{'enum':['utf8','base64']},'user':" STR \
			",'cwd':" STR ",'input':" STR, \
		"'name','command'")
#define EXEC_OUTPUT \
	OBJ_REQ("'stdout':" STR ",'stderr':" STR ",'exitCode':" NUM ",'truncated':" BOOL \
		",'encoding':" STR, "'stdout','stderr','exitCode'")

#define AGENT_TYPE "{'enum':['claude-code','opencode','codex']}"
#define CREDENTIALS OBJ_REQ("'env':" RECORD(STR) ",'files':" RECORD(STR), "'env','files'")
#define SCRIPTS OBJ("'post_start':" ARRAY(STR) ",'fail_on_error':" BOOL)
#define AGENTS \
	OBJ("'opencode':" OBJ("'server':" OBJ("'hostname':" STR ",'username':" STR ",'password':" STR)) \
		",'github':" OBJ("'token':" STR))
#define SKILL \
	OBJ_REQ("'id':" STR \
		",'name':{'type':'string','pattern':'^[a-z0-9][a-z0-9-]*[a-z0-9]$|^[a-z0-9]$'},'description':" STR \
		",'enabled':" BOOL \
		",'appliesTo':{'anyOf':[{'const':'all'}," ARRAY(AGENT_TYPE) "]},'skillMd':" STR, \
		"'id','name','description','enabled','appliesTo','skillMd'")
#define MCP_SERVER \
	"{'type':'object','properties':{'id':" STR ",'name':" STR ",'enabled':" BOOL \
		",'type':{'enum':['local','remote']},'command':" STR \
	",'args':" ARRAY(STR) ",'env':" RECORD(STR) ",'url':" STR ",'headers':" RECORD(STR) \
	",'oauth':{'anyOf':[{'const':false},{'type':'object','properties':{'clientId':" STR \
		",'clientSecret':" STR ",'scope':" STR \
	"},'additionalProperties':false}]}},'required':['id','name','enabled','type'],'additionalProperties':false}"
#define SSH_KEYS_OF_ONE OBJ("'copy':" ARRAY(STR) ",'authorize':" ARRAY(STR))
#define SSH_SETTINGS \
	OBJ_REQ("'autoAuthorizeHostKeys':" BOOL ",'global':" OBJ_REQ("'copy':" ARRAY(STR) \
		",'authorize':" ARRAY(STR), "'copy','authorize'") \
		",'workspaces':" RECORD(SSH_KEYS_OF_ONE), "'autoAuthorizeHostKeys','global','workspaces'")
#define TERMINAL_SETTINGS OBJ("'preferredShell':" STR)
#define TAILSCALE_INPUT OBJ("'enabled':" BOOL ",'authKey':" STR ",'hostnamePrefix':" STR)
#define TAILSCALE_OUTPUT OBJ_REQ("'enabled':" BOOL ",'authKey':" STR ",'hostnamePrefix':" STR, "'enabled'")

#define SESSION_OF OBJ_REQ("'workspaceName':" ANY_NAME ",'sessionId':" STR, "'workspaceName','sessionId'")
#define SESSION_OF_AGENT \
	OBJ_REQ("'workspaceName':" ANY_NAME ",'sessionId':" STR \
		",'agentType':" AGENT_TYPE, "'workspaceName','sessionId','agentType'")
#define SESSIONS_INPUT \
	OBJ_REQ("'workspaceName':" ANY_NAME ",'agentType':" AGENT_TYPE \
		",'limit':{'type':'number','default':50},'offset':{'type':'number','default':0}", \
		"'workspaceName'")
#define SESSION_INPUT \
	OBJ_REQ("'workspaceName':" ANY_NAME ",'sessionId':" STR ",'agentType':" AGENT_TYPE \
		",'projectPath':" STR ",'limit':" NUM ",'offset':" NUM, \
		"'workspaceName','sessionId'")
#define RENAME_INPUT \
	OBJ_REQ("'workspaceName':" ANY_NAME ",'sessionId':" STR \
		",'name':{'type':'string','minLength':1,'maxLength':200}", \
		"'workspaceName','sessionId','name'")
#define SEARCH_INPUT \
	OBJ_REQ("'workspaceName':" ANY_NAME ",'query':{'type':'string','minLength':1,'maxLength':500}", \
		"'workspaceName','query'")
#define REPOS_INPUT \
	OBJ("'search':" STR ",'perPage':{'type':'number','default':30},'page':{'type':'number','default':1}")

#define LIST_OPERATIONS \
	MAYBE_OBJ("'workspace':" NAME ",'limit':{'type':'integer','minimum':1,'maximum':1000,'default':50}")
#define OPERATION_OF OBJ_REQ("'id':" STR, "'id'")
#define EVENTS_INPUT \
	MAYBE_OBJ("'workspace':" NAME ",'after':{'type':'integer','minimum':0},'since':{'anyOf':[" NUM "," STR "]}" \
	    ",'limit':{'type':'integer','minimum':1,'maximum':10000,'default':1000}")
#define LOGIN_OF OBJ_REQ("'login':" STR, "'login'")
#define SERVE_INPUT OBJ_REQ("'name':" NAME ",'port':" PORT ",'httpsPort':" PORT ",'off':" BOOL, "'name','port'")
#define POINT_OF OBJ_REQ("'point':" STR, "'point'")
#define HOOK_RUN \
	OBJ_REQ("'point':" STR ",'workspace':" NAME ",'facts':{'type':'object','additionalProperties':true}", \
		"'point'")
#define PACK_OF OBJ_REQ("'name':" STR, "'name'")
#define PACK_FILE OBJ_REQ("'path':" STR ",'exec':" BOOL ",'data':" STR, "'path','data'")
#define PACK_SOURCE OBJ("'url':" STR ",'ref':" STR ",'commit':" STR ",'path':" STR ",'host':" STR)
#define PACK_APPROVE \
	OBJ_REQ("'files':" ARRAY(PACK_FILE) ",'source':" PACK_SOURCE ",'hash':" STR ",'before':" STR, \
		"'files','source','hash'")
#define EXPLAIN_INPUT OBJ_REQ("'name':" NAME ",'field':" STR ",'all':" BOOL, "'name'")

#define TAILNET_SETUP \
	OBJ_REQ("'authKey':{'type':'string','minLength':1,'maxLength':512},'hostnamePrefix':" STR ",'loginServer':" STR, "'authKey'")
#define TAILNET_STATUS \
	OBJ_REQ("'enabled':" BOOL ",'loginServer':" STR ",'key':" ANY ",'credentials':" ARRAY(ANY) ",'workspaces':" ARRAY(ANY) \
		",'pending':" ARRAY(ANY) ",'warnings':" ARRAY(STR), "'enabled','credentials','workspaces','pending','warnings'")

#define PROCEDURES(P) \
	P("info", JOB, READ, NULL, REF("Info"), agent_info, "the agent and its engine") \
	P("host/info", NOW, READ, NULL, REF("HostInfo"), host_info, \
	  "this machine, and whether its terminal may be opened") \
	P("doctor", JOB, READ, NULL, OBJ_REQ("'checks':" ARRAY(CHECK), "'checks'"), doctor, \
	  "what is wrong with the agent and its machine, and what mends it") \
	P("workspaces/list", NOW, READ, NULL, ARRAY(REF("Workspace")), workspaces_list, \
	  "all workspaces, without asking the engine") \
	P("workspaces/sizes", JOB, READ, NULL, RECORD(NUM), workspaces_sizes, \
	  "bytes of each home, as the engine counts them (it takes its time)") \
	P("workspaces/get", NOW, READ, NAMED, REF("Workspace"), workspaces_get, "one workspace") \
	P("workspaces/inspect", NOW, READ, NAMED, ANY, workspaces_inspect, \
	  "everything that is known of a workspace: its record and its container's state") \
	P("workspaces/create", OPERATION, MANAGE, START_INPUT, REF("Workspace"), workspaces_create, \
	  "makes and starts a workspace") \
	P("workspaces/start", OPERATION, MANAGE, START_INPUT, REF("Workspace"), workspaces_start, \
	  "starts a workspace, makes it when absent") \
	P("workspaces/stop", OPERATION, MANAGE, NAMED, REF("Workspace"), workspaces_stop, "stops a workspace") \
	P("workspaces/restart", OPERATION, MANAGE, RESTART_INPUT, REF("Workspace"), workspaces_restart, \
	  "stops and starts; recreate applies a new plan, home kept") \
	P("workspaces/delete", OPERATION, MANAGE, DELETE_INPUT, SUCCESS, workspaces_delete, \
	  "deletes a workspace with its home, unless keepHome") \
	P("workspaces/clone", OPERATION, MANAGE, CLONE_INPUT, REF("Workspace"), workspaces_clone, \
	  "copies a workspace") \
	P("workspaces/sync", OPERATION, USE, NAMED, SUCCESS, workspaces_sync, \
	  "copies credentials, files and settings into a running workspace") \
	P("workspaces/syncAll", JOB, USE, NULL, REF("SyncAll"), workspaces_sync_all, \
	  "the same for all running workspaces") \
	P("workspaces/exec", JOB, USE, EXEC_INPUT, EXEC_OUTPUT, workspaces_exec, "runs a command and waits for it") \
	P("workspaces/logs", JOB, USE, LOGS_INPUT, STR, workspaces_logs, "the last lines of the container's output") \
	P("workspaces/touch", JOB, USE, NAMED, REF("Workspace"), workspaces_touch, \
	  "notes that the workspace is being used") \
	P("workspaces/getPortForwards", NOW, READ, \
	  NAMED, OBJ_REQ("'forwards':" ARRAY(FORWARD), "'forwards'"), workspaces_get_forwards, \
	  "configured forwards") \
	P("workspaces/setPortForwards", JOB, USE, FORWARDS_INPUT, REF("Workspace"), workspaces_set_forwards, \
	  "configures forwards") \
	P("workspaces/updateWorker", JOB, USE, NAMED, SUCCESS, workspaces_update_worker, \
	  "nothing to do: the helper comes with a volume that all workspaces mount") \
	P("workspaces/prune", OPERATION, MANAGE, MAYBE_OBJ("'dryRun':" BOOL), ANY, workspaces_prune, \
	  "removes what belongs to no workspace any more") \
	P("ports/list", NOW, READ, NAMED, ANY, ports_list, \
	  "what listens in a workspace, how it is reached, and the configured forwards") \
	P("ports/serve", JOB, USE, SERVE_INPUT, OBJ("'url':" STR ",'scheme':" STR ",'port':" INT), ports_serve, \
	  "gives a port of a workspace a web address on the tailnet, with HTTPS where there are certificates") \
	P("image/build", OPERATION, ADMIN, MAYBE_OBJ("'noCache':" BOOL ",'variant':" STR), ANY, image_build, \
	  "builds the workspace image") \
	P("operations/list", JOB, READ, LIST_OPERATIONS, ARRAY(REF("Operation")), operations_list, \
	  "operations of a workspace, newest first; without one those that run") \
	P("operations/get", JOB, READ, OPERATION_OF, REF("Operation"), operations_get, "one operation with its steps") \
	P("operations/wait", OPERATION, READ, OPERATION_OF, REF("Operation"), operations_wait, \
	  "the same, once it has ended") \
	P("operations/cancel", JOB, MANAGE, OPERATION_OF, SUCCESS, operations_cancel, \
	  "asks an operation to stop at its next step") \
	P("events/list", JOB, READ, EVENTS_INPUT, ARRAY(ANY), events_list, \
	  "past events, oldest first (GET /events follows them)") \
	P("explain", JOB, READ, EXPLAIN_INPUT, ANY, explain, \
	  "the newest plan, and who decided what (all: every decision that is kept)") \
	P("hooks/list", JOB, READ, NULL, ANY, hooks_list, "hook points, layers, and which file answers") \
	P("hooks/show", JOB, READ, POINT_OF, ANY, hooks_show, "one hook point: its files and the built-in text") \
	P("hooks/check", JOB, READ, NULL, ANY, hooks_check, "problems in hook files") \
	P("hooks/preview", JOB, ADMIN, MAYBE_OBJ("'packed':{'type':'object'},'reverse':" BOOL), ANY, hooks_preview, \
	  "what a change of policy would change in the plan of each workspace; nothing is touched") \
	P("hooks/run", JOB, ADMIN, HOOK_RUN, ANY, hooks_run, "asks one hook point, touching nothing") \
	P("hooks/packs/list", JOB, READ, NULL, ARRAY(ANY), packs_list, "packs: where from, what was approved, in force or not") \
	P("hooks/packs/get", JOB, ADMIN, PACK_OF, ANY, packs_get, "an approved pack with its files") \
	P("hooks/packs/approve", JOB, ADMIN, PACK_APPROVE, ANY, packs_approve, \
	  "takes a pack into use, whose content the caller has seen (hash); before: the hash that it takes the place of") \
	P("hooks/packs/remove", JOB, ADMIN, PACK_OF, SUCCESS, packs_remove, "takes a pack out of use") \
	P("config/credentials/get", NOW, READ, NULL, CREDENTIALS, credentials_get, \
	  "environment and files of all workspaces") \
	P("config/credentials/update", JOB, ADMIN, CREDENTIALS, CREDENTIALS, credentials_update, \
	  "replaces them; ******** keeps a value") \
	P("config/scripts/get", NOW, READ, NULL, SCRIPTS, scripts_get, "scripts run after each start") \
	P("config/scripts/update", JOB, ADMIN, SCRIPTS, SCRIPTS, scripts_update, "replaces them") \
	P("config/agents/get", NOW, READ, NULL, AGENTS, agents_get, "settings of coding agents") \
	P("config/agents/update", JOB, ADMIN, AGENTS, AGENTS, agents_update, "replaces them") \
	P("config/skills/get", NOW, READ, NULL, ARRAY(SKILL), skills_get, "skills of coding agents") \
	P("config/skills/update", JOB, ADMIN, ARRAY(SKILL), ARRAY(SKILL), skills_update, "replaces them") \
	P("config/mcp/get", NOW, READ, NULL, ARRAY(MCP_SERVER), mcp_get, "MCP servers of coding agents") \
	P("config/mcp/update", JOB, ADMIN, ARRAY(MCP_SERVER), ARRAY(MCP_SERVER), mcp_update, "replaces them") \
	P("config/ssh/get", NOW, READ, NULL, SSH_SETTINGS, ssh_get, "which SSH keys go where") \
	P("config/ssh/update", JOB, ADMIN, SSH_SETTINGS, SSH_SETTINGS, ssh_update, "replaces it") \
	P("config/ssh/listKeys", JOB, READ, NULL, ARRAY(REF("SshKey")), ssh_list_keys, "SSH keys of the agent's user") \
	P("config/terminal/get", NOW, READ, NULL, OBJ("'preferredShell':" STR ",'detectedShell':" STR), terminal_get, \
	  "the shell of terminals") \
	P("config/terminal/update", JOB, ADMIN, TERMINAL_SETTINGS, TERMINAL_SETTINGS, terminal_update, "sets it") \
	P("config/tailscale/get", NOW, READ, NULL, TAILSCALE_OUTPUT, tailscale_get, \
	  "whether workspaces join a tailnet; the key is masked") \
	P("config/tailscale/update", JOB, ADMIN, TAILSCALE_INPUT, TAILSCALE_OUTPUT, tailscale_update, \
	  "sets it; ******** keeps the key") \
	P("tailnet/status", JOB, READ, NULL, TAILNET_STATUS, tailnet_status, \
	  "how workspaces join the tailnet, which have, and which devices are still to be removed") \
	P("tailnet/devices", JOB, READ, NULL, OBJ_REQ("'devices':" ARRAY(ANY) ",'problems':" ARRAY(STR), "'devices','problems'"), \
	  tailnet_devices, "our devices, with what their control servers say of them") \
	P("tailnet/prune", JOB, MANAGE, MAYBE_OBJ("'dryRun':" BOOL ",'forget':" BOOL), ANY, tailnet_prune, \
	  "removes our devices that no workspace uses; forget: takes those left behind off the list") \
	P("tailnet/setup", JOB, ADMIN, TAILNET_SETUP, TAILNET_STATUS, tailnet_setup, \
	  "checks an auth key's form and saves it; the answer warns of what it means") \
	P("config/auth/get", NOW, READ, \
	  NULL, OBJ_REQ("'hasToken':" BOOL ",'tokenPreview':" STR, "'hasToken'"), auth_get, \
	  "is there a token") \
	P("config/auth/generate", JOB, ADMIN, NULL, OBJ_REQ("'token':" STR, "'token'"), auth_generate, \
	  "a new token; sessions end") \
	P("config/auth/disable", JOB, ADMIN, NULL, SUCCESS, auth_disable, \
	  "no token is asked for on this machine any more") \
	P("access/list", JOB, READ, NULL, REF("Access"), access_list, "who of the tailnet may use this agent") \
	P("access/add", JOB, ADMIN, LOGIN_OF, REF("Access"), access_add, "lets a tailnet user, or devices with a tag, use it") \
	P("access/remove", JOB, ADMIN, LOGIN_OF, REF("Access"), access_remove, \
	  "takes that back; also forgets a device that was given the token") \
	P("auth/link", NOW, ADMIN, NULL, OBJ_REQ("'path':" STR ",'port':" INT, "'path'"), auth_link, \
	  "a one-use address that signs a browser in, for two minutes") \
	P("terminal/ticket", NOW, USE, \
	  MAYBE_OBJ("'name':" ANY_NAME), OBJ_REQ("'ticket':" STR, "'ticket'"), terminal_ticket, \
	  "a one-use ticket for a WebSocket, for thirty seconds") \
	P("sessions/list", JOB, READ, SESSIONS_INPUT, REF("Sessions"), sessions_list, "sessions of coding agents") \
	P("sessions/get", JOB, READ, SESSION_INPUT, ANY, sessions_get, "one session") \
	P("sessions/rename", JOB, USE, RENAME_INPUT, SUCCESS, sessions_change, "names a session") \
	P("sessions/clearName", JOB, USE, SESSION_OF, SUCCESS, sessions_change, "forgets the name") \
	P("sessions/getRecent", NOW, READ, \
	  OBJ("'limit':{'type':'number','default':10}"), OBJ_REQ("'sessions':" ARRAY(ANY), \
	  "'sessions'"), sessions_recent, \
	  "sessions used last") \
	P("sessions/recordAccess", JOB, USE, SESSION_OF_AGENT, SUCCESS, sessions_change, \
	  "notes that a session is used") \
	P("sessions/delete", JOB, USE, SESSION_OF_AGENT, SUCCESS, sessions_change, "deletes a session") \
	P("sessions/search", JOB, READ, SEARCH_INPUT, OBJ_REQ("'results':" ARRAY(ANY), "'results'"), sessions_search, \
	  "sessions that contain a text") \
	P("models/list", NOW, READ, \
	  OBJ_REQ("'agentType':{'enum':['claude-code','opencode']},'workspaceName':" ANY_NAME, \
	  "'agentType'"), \
	  OBJ_REQ("'models':" ARRAY(ANY), "'models'"), models_list, "models of coding agents") \
	P("github/listRepos", NOW, READ, \
	  REPOS_INPUT, OBJ_REQ("'configured':" BOOL ",'repos':" ARRAY(ANY) ",'hasMore':" BOOL, \
	  "'configured','repos','hasMore'"), \
	  github_repos, "repositories of the configured GitHub token")
/* clang-format on */

#endif
