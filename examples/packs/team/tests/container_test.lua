return {
  { name = "4 GiB for everybody", base = {}, expect = { memory = "4GiB" } },
  { name = "less stays less", base = { memory = "1GiB" }, expect = { memory = "1GiB" } },
  { name = "more does not stay more", base = { memory = "64GiB" }, expect = { memory = "4GiB" } },
  { name = "the limit is a setting", settings = { memory = "8GiB" }, base = {}, expect = { memory = "8GiB" } },
  { name = "who trains models has all of it", ws = { labels = { gpu = "1" } }, base = { memory = "64GiB" },
    expect = { memory = "64GiB", gpus = "all" } },
}
