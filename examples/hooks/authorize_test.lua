local contractor = { kind = "tailnet", login = "tagged-devices", tags = { "tag:contractor" } }
return {
  { name = "may look", req = { kind = "read", caller = contractor }, expect = true },
  { name = "may use", req = { kind = "use", caller = contractor }, expect = true },
  { name = "may not delete", req = { kind = "manage", caller = contractor }, refused = "contractors" },
  { name = "others may", req = { kind = "manage" }, expect = true },
}
