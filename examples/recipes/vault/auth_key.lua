-- perry: api=1
-- The key is in Vault; the agent fetches it when the workspace joins. "pointer" says where in the answer it is
-- (a JSON pointer). "secrets": { "vault": "file:~/.vault-token" } in config.json
return function()
  return perry.key.http {
    url = "https://vault.example.com/v1/secret/data/tailnet",
    headers = { ["X-Vault-Token"] = perry.secret "vault" },
    pointer = "/data/data/authkey",
  }
end
