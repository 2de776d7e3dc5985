return {
  { name = "one line", ev = { error = "no space left" }, calls = {} },
}
