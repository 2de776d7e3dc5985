-- The made-up moment of tests is Tuesday, 14 November 2023.
return {
  { name = "lets a Tuesday pass", expect = true },
  { name = "on a Saturday", time = 1700308800, refused = "working days" },
  { name = "an old workspace may start any day", time = 1700308800, ws = { reason = "start" }, expect = true },
}
