-- The words with which a join ends that did not succeed, as the control servers (Tailscale's, Headscale), tailscaled and the network have them, each with the one thing
-- to do about it. docs/tailscale.md shows the same table.
local M = {}

local tailscale_keys, headscale_keys = "https://login.tailscale.com/admin/settings/keys", "headscale preauthkeys create"
local retry = "then: perry start %NAME"
local save = "and save it: perry tailnet setup; the workspace joins as soon as it is saved"

-- In order, the first that has one of the words counts. Words are plain text in lower case. refused: the control server itself said no, so no device came of it.
local kinds = {
  -- What joins, in the workspace.
  { kind = "helper", words = { "perry-step join" }, mend = "perry restart %NAME; docker logs %CONTAINER says more" },
  -- The key itself. Tailscale says the same of a key that is used, expired or revoked.
  { kind = "key used", refused = true, words = { "already used", "has already been used" },
    mend = "that key was for one use: make a reusable one (%KEYS) " .. save },
  { kind = "key expired", refused = true, words = { "authkey expired", "auth-key expired", "key expired" }, mend = "make a new key (%KEYS) " .. save },
  { kind = "key of another kind", refused = true, words = { "key cannot be used for node auth" },
    mend = "that is no auth key: make one (%KEYS) " .. save },
  { kind = "key unknown", refused = true,
    words = {
      "invalid key", "invalid pre auth key", "invalid auth key", "invalid authkey", "auth-key not found", "authkey not found", "failed to parse auth-key",
      "user not found", "finding user",
    },
    mend = "the control server does not know that key, or it is used, expired or revoked, or its user is gone: make a new one (%KEYS) " .. save },
  { kind = "no key", refused = true, words = { "no key to join", "no auth key" }, mend = "make a key (%KEYS) " .. save },
  -- What it is for.
  { kind = "tags", refused = true, words = { "are invalid or not permitted", "tag is invalid", "tags are invalid" },
    mend = "add the tag to tagOwners in the tailnet's access rules, for the one who makes the key (an OAuth client must own every tag of tailscale.tags), " .. retry },
  { kind = "tags missing", refused = true, words = { "must be either tagged or owned", "must have tags", "require --advertise-tags", "tags are required" },
    mend = "name the tags of the key in tailscale.tags (config.json), " .. retry },
  { kind = "approval", words = { "approve", "approval", "not yet authorized", "needsmachineauth" },
    mend = "approve the device in %MACHINES, or make a preauthorised key (%KEYS) for the next one" },
  { kind = "tailnet lock", words = { "tailnet lock", "network lock", "locked out", "not signed" },
    mend = "sign the key on a signing device: tailscale lock sign KEY, save what it prints (perry tailnet setup), " .. retry },
  { kind = "device limit", refused = true, words = { "device limit", "node limit", "too many devices", "too many nodes", "maximum number of" },
    mend = "remove devices in %MACHINES, " .. retry },
  { kind = "same state twice", refused = true, words = { "different machine key", "already in use by another machine", "ambiguous node ownership", "already been registered" },
    mend = "its Tailscale state belongs to another device: log it out with docker exec %CONTAINER tailscale logout, " .. retry },
  -- The API, which makes keys.
  { kind = "rate limit", words = { "rate limited", "too many requests", "http 429", "asks to be left alone" }, mend = "wait some minutes, " .. retry },
  { kind = "credential", words = { "does not accept tailscale.credentials", "api token invalid", "not have enough permissions", "http 401", "http 403" },
    mend = "give the credential the scopes auth_keys and devices:core, or a new secret (tailscale.credentials in config.json), " .. retry },
  -- The machine.
  { kind = "not installed", words = { "tools volume" },
    mend = "install tailscale for workspaces (make install says how), restart the agent, then: perry stop %NAME && perry start %NAME" },
  { kind = "clock", words = { "not yet valid", "certificate has expired", "clock" },
    mend = "set this machine's clock (timedatectl), or renew the control server's certificate, " .. retry },
  { kind = "certificate", words = { "x509", "certificate", "tls:", "tls handshake", "does not look like a tls", "server gave http response" },
    mend = "let workspaces trust the control server's certificate, and check that tailscale.loginServer says https:// or http:// as it speaks; a proxy in between shows here, too; "
      .. retry },
  { kind = "name", words = { "no such host", "failed to resolve", "server misbehaving", "name resolution" },
    mend = "check the name in tailscale.loginServer, and the DNS that workspaces use (docker exec %CONTAINER getent hosts HOST), " .. retry },
  { kind = "a proxy or portal", words = { "invalid character '<'", "unexpected http response", "proxy", "captive", "bad gateway", "307 ", "302 " },
    mend = "something else answers in the control server's place: sign in to the network, or let workspaces past the proxy, " .. retry },
  { kind = "unreachable",
    words = {
      "connection refused", "connection reset", "no route to host", "unreachable", "timeout", "timed out", "deadline exceeded", "control server", "could not reach", "eof",
      "no complete answer", "coordination server", "network is down", "no answer", "cannot be reached", "http 5", "answers 5",
    },
    mend = "check that the control server runs and that workspaces reach it (tailscale.loginServer in config.json), " .. retry },
}

-- What stands in an address is no word of whoever answers there.
local function words_of(reason) return reason:gsub("%a+://%S+", ""):gsub("/api/%S+", ""):lower() end

local function find(reason)
  local said = words_of(reason)
  for _, row in ipairs(kinds) do
    for _, word in ipairs(row.words) do
      if said:find(word, 1, true) then return row end
    end
  end
end

-- The name of the kind, or nil: words that nobody has heard yet.
function M.kind(reason)
  local row = find(reason)
  return row and row.kind
end

-- It is certain that no device came of the attempt.
function M.is_refusal(reason)
  local row = find(reason)
  return row ~= nil and row.refused == true
end

-- Where keys and devices are managed; login_server: nil is Tailscale's own.
function M.places(login_server)
  if login_server and not login_server:find("tailscale%.com") then return { keys = headscale_keys, machines = "the control server (Headscale: headscale nodes list)",
      magic_dns = "set dns.magic_dns: true in the control server's configuration" } end
  return { keys = tailscale_keys, machines = "https://login.tailscale.com/admin/machines",
    magic_dns = "enable MagicDNS at https://login.tailscale.com/admin/dns" }
end

-- The one thing to do. about = {name, container, login_server}.
function M.mend(reason, about)
  local row, places = find(reason), M.places(about.login_server)
  local text = row and row.mend or "perry start %NAME tries again; docker exec %CONTAINER tailscale status says more"
  local values = { NAME = about.name, CONTAINER = about.container, KEYS = places.keys, MACHINES = places.machines }
  return (text:gsub("%%(%u+)", values))
end

return M
