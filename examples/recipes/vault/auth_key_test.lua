return {
  { name = "a reference, with the token by reference", expect = perry.key.http {
    url = "https://vault.example.com/v1/secret/data/tailnet",
    headers = { ["X-Vault-Token"] = perry.secret "vault" },
    pointer = "/data/data/authkey" } },
}
