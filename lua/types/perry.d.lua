---@meta perry
-- Types of the hook API, for editors. Never loaded. `perry hooks new POINT` puts a copy beside your hooks.
-- Say which point a hook file answers, and the editor knows the arguments:
--
--   ---@type perry.hook.hostname
--   return function(ws, base)
--     return "alice-" .. base()
--   end
error("perry.d.lua describes types; it is not for require")

-- ---------------------------------------------------------------------------------------------------------------- facts --

---What a hook is asked about. Read-only. A field that is not known now is nil; a field that does not exist is an error.
---@class perry.ws
---@field name string
---@field labels table<string, string> from --label K=V
---@field created? integer seconds since the epoch
---@field owner? string who created it
---@field repo? perry.ws.repo
---@field branch? string from --branch, else HEAD as last seen
---@field request? perry.ws.request what was asked for
---@field reason "create"|"start"|"restart"|"clone"|"delete"|"stop"|"exec"|"shell"|string
---@field action? string what is done to the workspace, where reason alone does not say
---@field user? perry.ws.user who asked
---@field state? string "creating", "running", "stopped" ...
---@field tailnet? perry.ws.tailnet
---@field agent? perry.ws.agent
---@field local_image? boolean whether the engine has perry:latest

---@class perry.ws.repo
---@field url string
---@field host? string
---@field owner? string
---@field name? string

---@class perry.ws.request
---@field image? string
---@field cpus? number
---@field memory? integer|string
---@field docker? boolean
---@field env? table<string, string>
---@field clone? string
---@field branch? string
---@field depth? integer
---@field labels? table<string, string>

---@class perry.ws.user
---@field kind "local"|"token"|"tailnet"|string
---@field login? string
---@field tags? string[]
---@field node_id? string
---@field address? string

---@class perry.ws.tailnet
---@field hostname? string
---@field dns_name? string
---@field ip? string
---@field node_id? string
---@field ephemeral? boolean
---@field online? boolean
---@field state? string

---@class perry.ws.agent
---@field hostname? string
---@field os? string
---@field arch? string
---@field cpus? integer
---@field memory? integer bytes
---@field tailnet? string
---@field id? string
---@field version? string
---@field workspaces? integer how many there are
---@field owned? integer how many of them the caller has
---@field disk? integer bytes that all homes take; at a creation, when limits.disk is set
---@field engine? perry.ws.agent.engine

---@class perry.ws.agent.engine
---@field version? string
---@field runtimes? string[]
---@field userns? boolean userns-remap is on
---@field cgroup? string
---@field tun? boolean whether the machine has /dev/net/tun

---The plan so far, for container; the whole of it, for review. Read-only.
---@class perry.plan
---@field image? string
---@field joins boolean whether the workspace joins a tailnet
---@field key? "config"|"file"|"env"|"mint"|"http" by which kind of key
---@field hostname? string
---@field tailscale_up? perry.plan.tailscale_up
---@field env? table<string, string|perry.secretref>
---@field container? perry.plan.container

---@class perry.plan.tailscale_up
---@field accept_dns? boolean
---@field accept_routes? boolean
---@field ssh? boolean
---@field login_server? string
---@field userspace? boolean

---A container spec. As an answer, everything is optional; in a plan, lists and tables are there.
---@class perry.plan.container
---@field cpus? number
---@field memory? integer|string bytes or "4GiB"; nil: no limit
---@field shm? integer|string size of /dev/shm
---@field pids? integer
---@field privileged? boolean
---@field runtime? string
---@field network? string "own" (default), "none" or the name of a network
---@field capabilities? string[]
---@field devices? (string|perry.plan.container.devices)[]
---@field mounts? (string|perry.plan.container.mounts)[] "source:target", "source:target:ro" or a table
---@field labels? table<string, string>
---@field security? string[]
---@field sysctls? table<string, string>
---@field hosts? string[] "name:address"
---@field dns? string[]
---@field gpus? "all"|integer
---@field docker? false|"sysbox"|"userns"|"host" what keeps Docker inside apart from the host

---@class perry.plan.container.devices
---@field host string
---@field container? string
---@field permissions? string some of "rwm"

---@class perry.plan.container.mounts
---@field type? "bind"|"volume"|"tmpfs"
---@field source? string a folder of the host, or the name of a volume
---@field target string
---@field readonly? boolean

---What happened, for actions; the device that holds the name, for collision.
---@class perry.ev
---@field kind string
---@field at? integer seconds since the epoch
---@field user? perry.ev.user
---@field operation? string
---@field error? string
---@field step? string the step that failed
---@field duration? number seconds
---@field hostname? string
---@field wanted? string
---@field device? perry.ev.device

---@class perry.ev.user
---@field kind string
---@field login? string
---@field tags? string[]

---@class perry.ev.device
---@field node_id? string
---@field ours? boolean
---@field online? boolean
---@field kept? boolean

---A server that listens in a workspace.
---@class perry.port
---@field number integer
---@field process? string
---@field address? string
---@field loopback? boolean bound to 127.0.0.1 only

---What goes on in a workspace, for idle. What is not known counts as activity.
---@class perry.activity
---@field since? integer it is watched since then: since its start, or the agent's (seconds since the epoch)
---@field idle_seconds? integer since it was active in any way
---@field kind? string in which way it was active last, a name of quiet
---@field known? boolean false: nobody could look this time, and idle_seconds is 0
---@field quiet? perry.activity.quiet seconds since it was active in each way
---@field span? number seconds between this look and the one before; the rates are of this time
---@field cpu? number processors used, 0.02 is 2 % of one
---@field disk? number bytes a second
---@field network? number bytes a second, the tailnet's not included
---@field tailnet? number bytes a second that came from the tailnet
---@field terminals? integer open terminals of perry
---@field sessions? integer sessions that are there, whether anybody looks or not
---@field busySessions? integer those of them in which something runs: more than a prompt
---@field execs? integer commands of perry exec and of the API that run
---@field streams? integer logs -f, copies, forwarded connections of perry
---@field ssh? integer SSH sessions
---@field connections? perry.activity.connections[] clients of its servers, those in the workspace itself not included
---@field agents? string[] coding agents that run, "claude"
---@field builds? perry.activity.builds[] builds, downloads, tests that run
---@field processes? string[] names of all its processes
---@field typed? integer seconds since something was typed in any terminal of it
---@field printed? integer seconds since something was printed there
---@field ttl? perry.activity.ttl perry start --ttl

---@class perry.activity.quiet
---@field started integer it began to be watched: with its start, or with the agent's
---@field operation integer start, sync, clone ...
---@field terminal integer a terminal of perry was open
---@field exec integer a command of perry exec or of the API ran
---@field stream integer perry logs -f, a copy or a forwarded connection was open
---@field used integer somebody touched it
---@field typed integer something was typed in any of its terminals
---@field ssh integer an SSH session was open
---@field connection integer a client was connected to one of its servers
---@field tailnet integer something came from the tailnet
---@field network integer at least 1 kB/s on the average between two looks
---@field cpu integer at least 3 % of a processor on the average
---@field disk integer at least 10 kB/s on the average
---@field agent integer a coding agent ran
---@field build integer a build, a download or a test ran
---@field unknown integer nobody could look

---@class perry.activity.connections
---@field port integer
---@field count integer

---@class perry.activity.builds
---@field name string
---@field seconds integer how long the youngest of that name runs

---@class perry.activity.ttl
---@field seconds integer
---@field left integer seconds; 0: it is over

---A caller's request, for authorize.
---@class perry.req
---@field kind "read"|"use"|"manage"|"admin"
---@field caller perry.req.caller
---@field node? perry.req.node the agent's own node

---@class perry.req.caller
---@field kind "local"|"token"|"tailnet"|string
---@field login? string
---@field tags? string[]
---@field node_id? string
---@field address? string
---@field approved? boolean a token once approved this device
---@field workspace? string it is one of our workspaces
---@field own? boolean it is one of this machine's own addresses
---@field unproven? boolean a key that workspaces were given may have made this device

---@class perry.req.node
---@field login? string
---@field tagged? boolean

-- -------------------------------------------------------------------------------------------------------------- answers --

---A reference to a secret. It can be joined to text with .. and put into env, headers and bodies; its value is known to the agent only.
---@class perry.secretref
---@operator concat(string): perry.secretref

---@class perry.key

---@alias perry.hook.admit fun(ws: perry.ws): boolean, string?
---@alias perry.hook.image fun(ws: perry.ws, base: fun(): string): string
---@alias perry.hook.auth_key fun(ws: perry.ws, base: fun(): perry.key|false): perry.key|false
---@alias perry.hook.hostname fun(ws: perry.ws, base: fun(): string): string
---@alias perry.hook.env fun(ws: perry.ws, base: fun(): table<string, string|perry.secretref>): table<string, string|perry.secretref>
---@alias perry.hook.container fun(ws: perry.ws, base: (fun(): perry.plan.container), plan: perry.plan): perry.plan.container
---@alias perry.hook.review fun(ws: perry.ws, plan: perry.plan): boolean, string?
---@alias perry.hook.authorize fun(req: perry.req): boolean, string?
---@alias perry.hook.tailscale_up fun(ws: perry.ws, base: fun(): table): { accept_dns?: boolean, accept_routes?: boolean, ssh?: boolean, login_server?: string, userspace?: boolean }
---@alias perry.hook.collision fun(ws: perry.ws, base: (fun(): string), ev: perry.ev): "keep"|"replace_offline"|"refuse"
---@alias perry.hook.deregister fun(ws: perry.ws, base: fun(): "keep"|string[]): "keep"|("logout"|"api")[]
---@alias perry.hook.ports fun(ws: perry.ws, base: (fun(): table), port: perry.port): { announce?: boolean, label?: string, expose?: boolean }
---@alias perry.hook.idle fun(ws: perry.ws, base: (fun(): table), activity: perry.activity): "keep"|"stop"|{ action: "keep"|"stop", reason?: string, next?: number }
---@alias perry.hook.on_created fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_started fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_joined fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_stopping fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_stopped fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_deleting fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_deleted fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_failed fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_agent_start fun(ws: perry.ws, ev: perry.ev)
---@alias perry.hook.on_agent_stop fun(ws: perry.ws, ev: perry.ev)

-- ----------------------------------------------------------------------------------------------------------- primitives --

perry = {}
perry.json = {}
perry.key = {}
perry.docker = {}
perry.http = {}
perry.kv = {}

---A value of config.json by dotted key ("limits.memory"). Secrets come as references.
---@param key string
---@return any
function perry.config(key) end

---A setting of this pack.
---@param name string
---@return any
function perry.setting(name) end

---A reference to a secret of config.json's `secrets`.
---@param name string
---@return perry.secretref
function perry.secret(name) end

---A line for the agent's log. print is the same.
function perry.log(...) end

---The moment of this decision, in seconds since the epoch; the same during one plan.
---@return integer
function perry.time() end

---Any text as a DNS label of at most 63 characters; a longer one is cut and gets a hash.
---@param text string
---@return string
function perry.label(text) end

---"4GiB" as a number of bytes. A number stays what it is.
---@param size string|integer
---@return integer
function perry.bytes(size) end

---Ends the hook with a refusal that the user reads.
---@param reason string
function perry.refuse(reason) end

---@param value any
---@return string
function perry.json.encode(value) end

---@param text string
---@return any
function perry.json.decode(text) end

---Marks a table as a list, so that an empty one stays a list.
---@generic T: table
---@param list T
---@return T
function perry.json.array(list) end

---@return perry.key
function perry.key.config() end

---@param path string a file of the host, 0600
---@return perry.key
function perry.key.file(path) end

---@param name string a variable of the agent
---@return perry.key
function perry.key.env(name) end

---A key made for this one join by an API credential of config.json (tailscale.credentials; the first one). Defaults: the configured tags or
---"tag:perry-workspace", ephemeral, ten minutes. expiry: seconds or "10m".
---@param options? { credential?: string, tags?: string[], ephemeral?: boolean, expiry?: integer|string }
---@return perry.key
function perry.key.mint(options) end

---The agent fetches it (GET, ten seconds, no redirect): the whole answer, or the text that a JSON pointer leads to.
---@param options { url: string, headers?: table<string, string|perry.secretref>, pointer?: string }
---@return perry.key
function perry.key.http(options) end

---What the engine says; nil when there is none.
---@param name string
---@param kind? "container"|"image"|"volume"|"network"
---@return table?
function perry.docker.inspect(name, kind) end

---The containers of this agent.
---@param options? { filters?: table<string, string[]> }
---@return table[]
function perry.docker.list(options) end

---Runs a command in a workspace. Actions only.
---@param options { workspace?: string, argv: string[], user?: string, cwd?: string, input?: string, timeout?: number }
---@return { code: integer, stdout: string, stderr: string }
function perry.docker.exec(options) end

---@class perry.http.answer
---@field status integer
---@field headers table<string, string>
---@field body string

---@param url string
---@param options? { headers?: table<string, string|perry.secretref>, timeout?: number }
---@return perry.http.answer
function perry.http.get(url, options) end

---Any request. Actions only. json is sent as the body, with references resolved.
---@param options { method?: string, url: string, headers?: table<string, string|perry.secretref>, body?: string|perry.secretref, json?: any, timeout?: number }
---@return perry.http.answer
function perry.http.request(options) end

---A value that this layer kept; nil when there is none.
---@param key string
---@return any
function perry.kv.get(key) end

---Keeps a value for this layer; nil removes it. Actions only.
---@param key string
---@param value any
function perry.kv.set(key, value) end

---Runs a command on the agent's machine, without a shell. Actions only; a pack lists its commands in needs.run. References are for
---input and env: an argument list is no place for a secret.
---@param options { argv: string[], input?: string|perry.secretref, env?: table<string, string|perry.secretref>, cwd?: string, timeout?: number }
---@return { code: integer, stdout: string, stderr: string }
function perry.run(options) end

return perry
