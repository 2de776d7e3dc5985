return {
  { name = "caps the memory", expect = { memory = "4GiB", network = "own" } },
  { name = "leaves what was asked for", ws = { request = { memory = "1GiB" } }, expect = { memory = "1GiB" } },
  { name = "no cap with a GPU", ws = { labels = { gpu = "1" } }, base = { memory = "64GiB" },
    expect = { gpus = "all", memory = "64GiB" } },
}
