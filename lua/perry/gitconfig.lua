-- Git's configuration of this machine, as it makes sense in a workspace: files that it includes are put in, and what names a program, a key or a path of this machine is
-- left out, for git stops where one of them is not there.
local M = {}

local max_depth = 10 -- as git has it

-- Names as git compares them: section and variable in small letters; "*" stands for any subsection, or none.
local host_only = {
  -- programs
  "core.sshcommand", "core.editor", "core.pager", "core.askpass", "core.fsmonitor", "core.gitproxy", "core.alternaterefscommand", "sequence.editor",
  "interactive.difffilter", "credential.*", "gpg.*", "pager.*", "browser.*", "web.browser", "man.*", "instaweb.*", "help.browser", "diff.external", "diff.tool",
  "diff.guitool", "diff.*.command", "diff.*.textconv", "difftool.*", "merge.tool", "merge.guitool", "merge.*.driver", "mergetool.*", "filter.*", "sendemail.*",
  "gui.*", "guitool.*", "uploadpack.packobjectshook", "remote.*.uploadpack", "remote.*.receivepack", "trailer.*.command", "trailer.*.cmd", "tar.*.command",
  "hook.*", "imap.tunnel", "submodule.*.update",
  -- keys: who signs needs one
  "user.signingkey", "commit.gpgsign", "tag.gpgsign", "tag.forcesignannotated", "push.gpgsign", "log.showsignature", "http.sslcert", "http.sslkey",
  "http.*.sslcert", "http.*.sslkey",
  -- files and folders
  "core.hookspath", "core.excludesfile", "core.attributesfile", "core.worktree", "init.templatedir", "commit.template", "blame.ignorerevsfile", "mailmap.file",
  "fsck.skiplist", "http.sslcainfo", "http.sslcapath", "http.cookiefile", "http.savecookies", "http.*.sslcainfo", "http.*.sslcapath", "http.*.cookiefile",
  "maintenance.*", "scalar.*", "trace2.*", "safe.directory", "safe.barerepository", "include.*", "includeif.*", "extensions.*", "gc.recentobjectshook",
}

local exact, anything = {}, {}
for _, name in ipairs(host_only) do
  local section, middle, last = name:match("^([^.]+)%.(.-)%.?([^.]+)$")
  if last == "*" then anything[section] = true else exact[section .. "." .. (middle == "*" and "*." or "") .. last] = true end
end

-- Paths of this machine, whatever they are for. Aliases and URLs are none.
local function is_path(section, value)
  if section == "alias" or section == "url" or type(value) ~= "string" then return false end
  return value:find("^[/~]") or value:find("^%%%(prefix%)") or value:find("^:%(optional%)")
end

local function is_host_only(e)
  return anything[e.section] or exact[e.section .. "." .. (e.sub and "*." or "") .. e.name] or is_path(e.section, e.value)
end

-- --- reading, as git-config(1) says ---

local escapes = { n = "\n", t = "\t", b = "\b", ['"'] = '"', ["\\"] = "\\" }

-- A value from position i on: its text and where it ends; nil where git would refuse it.
local function read_value(text, i)
  local out, quoted, kept = {}, false, 0
  while true do
    local c = text:sub(i, i)
    if c == "" or c == "\n" then
      if quoted then return nil end
      break
    elseif c == "\\" then
      local n = text:sub(i + 1, i + 1)
      if n == "\n" then
        i = i + 2
        goto continue
      end
      if not escapes[n] then return nil end
      out[#out + 1] = escapes[n]
      kept, i = #out, i + 2
    elseif c == '"' then
      quoted, i, kept = not quoted, i + 1, #out
    elseif (c == "#" or c == ";") and not quoted then
      i = text:find("\n", i, true) or #text + 1
      break
    else
      if not (c:find("%s") and not quoted and #out == 0) then out[#out + 1] = c end
      if quoted or not c:find("%s") then kept = #out end
      i = i + 1
    end
    ::continue::
  end
  return table.concat(out, "", 1, kept), i
end

-- The variables of a text, in its order: {section, sub, name, value}, value true where there is no "=". nil: git would refuse the file.
local function parse(text)
  local list, section, sub, i = {}, nil, nil, 1
  text = text:gsub("^\239\187\191", ""):gsub("\r\n", "\n")
  while true do
    i = text:find("[^%s]", i)
    if not i then return list end
    local c = text:sub(i, i)
    if c == "#" or c == ";" then
      i = text:find("\n", i, true) or #text + 1
    elseif c == "[" then
      local name, after = text:match("^%[([%w.-]+)%]()", i)
      if name then
        section, sub = name:match("^([^.]+)%.(.+)$")
        section, sub, i = (section or name):lower(), sub and sub:lower(), after
      else
        local raw, rest = text:match('^%[([%w.-]+)[ \t]+"()', i)
        if not raw then return nil end
        local out = {}
        while text:sub(rest, rest) ~= '"' do
          if text:sub(rest, rest) == "\\" then rest = rest + 1 end
          local one = text:sub(rest, rest)
          if one == "" or one == "\n" then return nil end
          out[#out + 1], rest = one, rest + 1
        end
        if text:sub(rest + 1, rest + 1) ~= "]" then return nil end
        section, sub, i = raw:lower(), table.concat(out), rest + 2
      end
    else
      local name, after = text:match("^(%a[%w-]*)[ \t]*()", i)
      if not name or not section then return nil end
      local value = true
      i = after
      if text:sub(i, i) == "=" then
        value, i = read_value(text, i + 1)
        if not value then return nil end
      elseif text:find("^[#;]", i) then
        i = text:find("\n", i, true) or #text + 1
      elseif not text:find("^[\r\n]", i) and i <= #text then
        return nil
      end
      list[#list + 1] = { section = section, sub = sub, name = name:lower(), value = value }
    end
  end
end

-- --- putting together ---

local function quote(text) return '"' .. text:gsub('[\\"]', "\\%0"):gsub("\n", "\\n"):gsub("\t", "\\t"):gsub("\b", "\\b") .. '"' end

-- path: of the file; read(path): its text, or nil; home: what ~ is. Included files come where they are included; what is only included for some folders of this machine is
-- left out. Gives the text, and the names of what was left out; nil where there is no such file, nil and true where git would refuse it.
function M.portable(path, read, home)
  local kept, dropped, seen, open, bad = {}, {}, {}, {}, nil
  local function leave_out(e)
    local name = e.section .. "." .. (e.sub and e.sub .. "." or "") .. e.name
    if not seen[name] then dropped[#dropped + 1] = name end
    seen[name] = true
  end
  local function add(file, depth)
    local text = read(file)
    local list = text and parse(text)
    if not list then
      bad = text ~= nil or bad
      return text ~= nil
    end
    open[file] = true
    for _, e in ipairs(list) do
      if e.section == "include" and not e.sub and e.name == "path" and type(e.value) == "string" and depth < max_depth then
        local target = e.value:gsub("^~/", home .. "/")
        target = target:sub(1, 1) == "/" and target or file:match("^(.*/)") .. target
        if not open[target] then add(target, depth + 1) end -- one that includes itself is an error to git
      elseif is_host_only(e) then
        leave_out(e)
      else
        kept[#kept + 1] = e
      end
    end
    open[file] = nil
    return true
  end
  if not add(path, 0) then return nil end
  if bad and #kept == 0 then return nil, true end
  local out, last = {}, nil
  for _, e in ipairs(kept) do
    local head = e.sub and ("[%s %s]"):format(e.section, quote(e.sub)) or ("[%s]"):format(e.section)
    if head ~= last then out[#out + 1] = head end
    last = head
    out[#out + 1] = "\t" .. e.name .. (e.value == true and "" or " = " .. quote(e.value))
  end
  return #out > 0 and table.concat(out, "\n") .. "\n" or "", dropped
end

return M
