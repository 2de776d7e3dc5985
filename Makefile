# Perry: one file. `make help` lists the targets, which are those with "## ..." behind them.
MAKEFLAGS += --no-print-directory
BUILD ?= build
ifeq ($(origin CC),default)
  CC = gcc
endif
SAN ?=
PREFIX ?= /usr/local
LIBEXEC = $(PREFIX)/libexec/perry
VERSION := 0.4.0

WARN = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wpointer-arith \
       -Wformat=2 -Wundef -Wvla -Wno-unused-parameter
OPT ?= -O2 -g
HARDEN = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fno-plt
comma := ,
ifneq ($(SAN),)
  OPT = -O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) $(addprefix -DPERRY_SAN_,$(filter address undefined thread,$(subst $(comma), ,$(SAN))))
  # The null checks that a sanitizer adds make gcc see null where none can be.
  HARDEN = -fPIE -Wno-format-overflow
  SANLINK = -fsanitize=$(SAN)
endif
LUA_CFLAGS := $(shell pkg-config --cflags lua5.4 2>/dev/null)
CPPFLAGS += -D_GNU_SOURCE -Icore -I$(BUILD)/gen $(LUA_CFLAGS) -DPERRY_VERSION='"$(VERSION)"'
CFLAGS += -std=gnu11 $(OPT) $(HARDEN) $(WARN) -pthread -ffunction-sections -fdata-sections
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--gc-sections -Wl,--as-needed -pthread $(SANLINK)

# Libraries a module brings along; the CLI links only what its objects pull in.
LIBS_base = -lcjson -lm
LIBS_net = -lmicrohttpd -lcurl -lwslay
LIBS_docker = -larchive
LIBS_store = -lsqlite3
LIBS_cli = -lqrencode
LIBS_policy = -llua5.4 -lseccomp
LIBS_lua = -llua5.4

MODULES = base net config store docker tailscale ops policy lua agent cli
# Each module with the modules below it, in link order.
DEPS_base = base
DEPS_net = net base
DEPS_config = config base
DEPS_store = store base
DEPS_docker = docker net base
DEPS_tailscale = tailscale net base
DEPS_ops = ops docker store config net base
DEPS_policy = policy config net base
DEPS_lua = lua ops policy docker tailscale store config net base
DEPS_agent = agent lua ops policy docker tailscale store config net base
DEPS_cli = cli config net base
libs_of = $(foreach m,$(1),$(LIBS_$(m)))
archive = $(BUILD)/lib$(1).a

all: $(BUILD)/perry $(BUILD)/perry-agent $(BUILD)/perry-step ## the CLI, the agent, the helper in workspaces, all in build/

define module_rules
SRC_$(1) := $$(wildcard core/$(1)/*.c core/$(1)/*/*.c)
OBJ_$(1) := $$(SRC_$(1):core/%.c=$$(BUILD)/obj/%.o)
$$(BUILD)/lib$(1).a: $$(OBJ_$(1))
	@rm -f $$@ && ar rcs $$@ $$(OBJ_$(1))
lib-$(1): $$(BUILD)/lib$(1).a
TEST_$(1) := $$(patsubst %.c,$$(BUILD)/test/%,$$(notdir $$(wildcard $$(UNIT:%=tests/unit/%/$(1)_*_test.c))))
$$(TEST_$(1)): $$(BUILD)/test/%: %.c $$(foreach m,$$(DEPS_$(1)),$$(call archive,$$(m))) $$(BUILD)/libembed.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CPPFLAGS) -Itests/unit $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(foreach m,$$(DEPS_$(1)),$$(call archive,$$(m))) $$(BUILD)/libembed.a -Wl,--end-group $$(call libs_of,$$(DEPS_$(1))) -lcmocka
endef
Q = @
# Unit tests: a folder says what they need (pure: nothing), the prefix of a name which module they test.
UNIT ?= pure engine
vpath %_test.c $(UNIT:%=tests/unit/%)
# Files that travel in the binary. The table is made anew when a file comes, goes or changes.
EMBED := core/agent/rpc/schemas.json $(sort $(shell find lua hooks image -type f ! -name '*_test.lua'))
$(BUILD)/gen/embed.list: FORCE
	@mkdir -p $(@D); printf '%s\n' $(EMBED) > $@.new; cmp -s $@ $@.new && rm $@.new || mv $@.new $@
# The web UI: modules as they are, and of its packages what they offer to browsers; nothing is bundled.
WEB := $(sort $(shell find web -type f ! -path 'web/node_modules/*'))
$(BUILD)/web/index.html.gz: $(WEB) scripts/web.sh
	@scripts/web.sh build
	@node web/build.mjs $(BUILD)/web
$(BUILD)/libembed.a: $(BUILD)/gen/embed.list $(EMBED) $(BUILD)/web/index.html.gz scripts/embed.sh
	@scripts/embed.sh $(EMBED) $$(cd $(BUILD)/web && find * -type f | sort | sed 's,.*,web/&=$(BUILD)/web/&,') > $(BUILD)/gen/embed.c
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $(BUILD)/gen/embed.o $(BUILD)/gen/embed.c
	@rm -f $@ && ar rcs $@ $(BUILD)/gen/embed.o
FORCE:
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

$(BUILD)/obj/%.o: core/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

M ?= $(MODULES)
UNIT_TESTS = $(foreach m,$(M),$(TEST_$(m)))
test-unit: ## the C tests; M="base net": only of these modules; UNIT=pure: only those without an engine
	@CC="$(CC)" scripts/need.sh $@
	@[ -n "$(UNIT_TESTS)" ] || { echo "there is no unit test of \"$(M)\" in \"$(UNIT)\"" >&2; exit 1; }
	@$(MAKE) $(UNIT_TESTS)
	@fail=0; for t in $(UNIT_TESTS); do echo "# $$t"; $$t || fail=1; done; exit $$fail

# Every test that needs neither root nor an engine (the fuzzers set aside), and every one that needs an engine. `make check` runs everything.
test: ## every test that needs neither root nor an engine; under a minute
	@CC="$(CC)" scripts/need.sh $@
	@BUILD=$(BUILD) scripts/check.sh --as-is pure lua scripts
test-engine: ## every test that needs an engine
	@CC="$(CC)" scripts/need.sh $@
	@BUILD=$(BUILD) scripts/check.sh --as-is unit-engine step engine cli api
test-web: ## the pages in a real browser; needs an engine
	@CC="$(CC)" scripts/need.sh $@
	@BUILD=$(BUILD) scripts/check.sh --as-is web

# The agent: everything. The CLI: the same commands, without what a local call does not need.
ALL = agent cli lua ops policy docker tailscale store config net base
CLI = cli config net base
$(BUILD)/perry-agent: $(BUILD)/obj/main_agent.o $(foreach m,$(ALL),$(call archive,$(m))) $(BUILD)/libembed.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(foreach m,$(ALL),$(call archive,$(m))) $(BUILD)/libembed.a -Wl,--end-group $(call libs_of,$(ALL))
$(BUILD)/perry: $(BUILD)/obj/main.o $(foreach m,$(CLI),$(call archive,$(m))) $(BUILD)/libembed.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(foreach m,$(CLI),$(call archive,$(m))) $(BUILD)/libembed.a -Wl,--end-group -lwslay -lcjson -lm
# The tiny static helper that goes into every workspace; one file per duty under core/step, plain libc only, and what of
# core/base needs no more.
STEP_CC ?= musl-gcc
STEP_BASE = mem buf fd quote utf8 frame
STEP_SRC := $(wildcard core/step/*.c) $(STEP_BASE:%=core/base/%.c)
$(BUILD)/perry-step: $(STEP_SRC) $(wildcard core/step/*.h) $(STEP_BASE:%=core/base/%.h)
	@mkdir -p $(@D)
	$(Q)$(STEP_CC) -std=gnu11 -Os -D_GNU_SOURCE -Icore $(WARN) -DPERRY_VERSION='"$(VERSION)"' -ffunction-sections -Wl,--gc-sections -static -s -o $@ $(STEP_SRC)
# What root in a workspace can make of it, for the hostile.bats of tests/tailnet and tests/engine.
$(BUILD)/test/hostile-step: tests/lib/hostile_step.c $(STEP_SRC) $(wildcard core/step/*.h) $(STEP_BASE:%=core/base/%.h)
	@mkdir -p $(@D)
	$(Q)$(STEP_CC) -std=gnu11 -Os -D_GNU_SOURCE -Icore $(WARN) -DPERRY_VERSION='"$(VERSION)"' -static -s -o $@ tests/lib/hostile_step.c $(filter-out core/step/main.c,$(STEP_SRC))
$(TEST_agent): | $(BUILD)/perry-step

# The same tests, rebuilt with a sanitizer.
asan ubsan tsan: ## the C tests, built with a sanitizer (M= and UNIT= as in test-unit)
	@CC="$(CC)" scripts/need.sh $@
	@$(MAKE) BUILD=$(BUILD)/$@ SAN=$(subst asan,address,$(subst ubsan,undefined,$(subst tsan,thread,$@))) test-unit

# Programs that measure one thing each and print their figures.
$(BUILD)/bench/%: tests/bench/%.c $(foreach m,$(ALL),$(call archive,$(m))) $(BUILD)/libembed.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(foreach m,$(ALL),$(call archive,$(m))) $(BUILD)/libembed.a -Wl,--end-group $(call libs_of,$(ALL))

layers: ## do dependencies point one way?
	@sh scripts/layers.sh

# All C in the form of .clang-format.
C_FILES = $(shell git ls-files '*.c' '*.h')
fmt: ## all C in the form of .clang-format
	@clang-format -i $(C_FILES)
fmt-check: ## is it?
	@clang-format --dry-run -Werror $(C_FILES)

# gcc's warnings are errors in every build; this adds those of others.
lint: ## warnings of clang, shellcheck, luacheck, layers, form of C, commit subjects, files and links in docs
	@CC="$(CC)" scripts/need.sh $@
	@$(MAKE) layers fmt-check
	@fail=0; for f in $(wildcard core/*.c core/*/*.c core/*/*/*.c); do case $$f in core/step/*) continue ;; esac; clang -fsyntax-only $(CPPFLAGS) -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers $$f || fail=1; done; exit $$fail
	@shellcheck -x $(wildcard scripts/*.sh tests/tailnet/*.sh tests/tailnet/lab.bash tests/lib/*.bash) .ci/run
	@scripts/docs-config.sh | cmp - docs/config.md
	@for d in reference recipes; do scripts/docs-hooks.sh $$d | cmp - docs/hooks/$$d.md || exit 1; done
	@luacheck -q lua hooks examples
	@scripts/web.sh check && web/node_modules/.bin/tsc -p web
	@scripts/docs-files.sh
	@scripts/commits.sh

# An agent from build/ that leaves yours alone: in a folder of its own, on a free port. ARGS: more of its arguments.
run: ## an agent from build/ in a scratch folder, in the foreground
	@CC="$(CC)" scripts/need.sh $@
	@$(MAKE) all
	@BUILD=$(BUILD) scripts/run.sh $(ARGS)
gdb: ## the same under gdb
	@CC="$(CC)" scripts/need.sh $@
	@$(MAKE) all
	@BUILD=$(BUILD) scripts/run.sh --gdb $(ARGS)
help: ## this list
	@sed -n 's/^\([a-z][a-z -]*\):[^#]*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r t d; do printf '  %-18s %s\n' "$$t" "$$d"; done

.PHONY: help run gdb all test test-engine test-web asan ubsan tsan layers lint fmt fmt-check FORCE test-unit $(foreach m,$(MODULES),lib-$(m))

# --- installation, the two commands of the README, tests: the work is done by scripts/ ---
STRIP ?= strip
INST = install -C -D
$(BUILD)/out/%: $(BUILD)/%
	@mkdir -p $(@D) && $(STRIP) -o $@ $<
stripped: $(BUILD)/out/perry $(BUILD)/out/perry-agent $(BUILD)/out/perry-step
# TAILSCALE: no, or the folder to take tailscale and tailscaled from, which workspaces join a tailnet with; see scripts/tailscale.sh.
TAILSCALE ?=
install: stripped ## below DESTDIR and PREFIX (/usr/local)
	@$(INST) -m 755 $(BUILD)/out/perry $(DESTDIR)$(PREFIX)/bin/perry
	@$(INST) -m 755 $(BUILD)/out/perry-agent $(DESTDIR)$(LIBEXEC)/perry-agent
	@$(INST) -m 755 $(BUILD)/out/perry-step $(DESTDIR)$(LIBEXEC)/perry-step
	@BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install.sh
	@TAILSCALE=$(TAILSCALE) scripts/tailscale.sh $(DESTDIR)$(LIBEXEC)
uninstall: ## takes away what install put there
	@BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install.sh --remove
up: ## from a fresh machine to a running agent: packages, engine, image, install
	@BUILD=$(BUILD) PREFIX=$(PREFIX) TAILSCALE=$(TAILSCALE) scripts/up.sh
down: ## the reverse of up; YES=1 asks nothing
	@PREFIX=$(PREFIX) scripts/down.sh $(if $(YES),-y)
check: ## everything that this machine can run, as CI does; installs what is missing
	@scripts/check.sh
unit-tests: $(foreach m,$(MODULES),$(TEST_$(m))) $(BUILD)/perry-step
test-tailnet: ## on a real tailnet of its own (root; the first time minutes of compiling)
	@CC="$(CC)" scripts/need.sh $@
	@$(MAKE) all
	@tests/tailnet/build.sh >/dev/null || [ $$? = 3 ]
	@BUILD=$(abspath $(BUILD)) bats tests/tailnet
test-tailnet-long: ## the agent killed a hundred times while workspaces join and leave
	@CC="$(CC)" scripts/need.sh $@
	@$(MAKE) all
	@BUILD=$(abspath $(BUILD)) LEAVE_ROUNDS=$(or $(LEAVE_ROUNDS),100) bats tests/tailnet/leave_kill.bats
# The agent killed at random instants over operations of all kinds: ROUNDS rounds, from SEED.
test-killed: all
	@BUILD=$(abspath $(BUILD)) ROUNDS=$(or $(ROUNDS),1000) BOUND=$(or $(BOUND),30) bats tests/engine/killed.bats
# EXECS commands in a workspace, one after the other: nothing adds up.
test-execs: all
	@BUILD=$(abspath $(BUILD)) EXECS=$(or $(EXECS),10000) bats tests/engine/execs.bats
.PHONY: test-killed test-execs
.PHONY: test-tailnet test-tailnet-long
# libFuzzer targets: every parser of outside bytes, FUZZ_SECONDS each. Built by clang, in a folder of its own.
FUZZ_SECONDS ?= 60
FUZZ_BIN = $(patsubst tests/fuzz/%_fuzz.c,$(BUILD)/fuzzer/%,$(wildcard tests/fuzz/*_fuzz.c))
$(BUILD)/fuzzer/%: tests/fuzz/%_fuzz.c $(foreach m,$(MODULES),$(call archive,$(m))) $(BUILD)/libembed.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer,address,undefined -Wl,--gc-sections -o $@ $< -Wl,--start-group $(foreach m,$(MODULES),$(call archive,$(m))) $(BUILD)/libembed.a -Wl,--end-group $(call libs_of,$(MODULES))
fuzz-targets: $(FUZZ_BIN)
fuzz-build:
	@$(MAKE) -s BUILD=$(BUILD)/fuzz CC=clang SAN=address,undefined,fuzzer-no-link WARN='-Wall -Wno-unknown-warning-option' fuzz-targets
fuzz: ## the fuzzers, FUZZ_SECONDS (60) each
	@CC=clang scripts/need.sh $@
	@$(MAKE) fuzz-build
	@for f in $(FUZZ_BIN:$(BUILD)/%=$(BUILD)/fuzz/%); do echo "# $$f"; mkdir -p $$f.corpus; $$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=$$f. $$f.corpus || exit 1; done
.PHONY: stripped install uninstall up down check unit-tests fuzz fuzz-build fuzz-targets

# The figures, beside docker itself in the same run; needs an engine and the image.
bench: ## the figures, beside docker itself; BENCH="--only start": one part
	@CC="$(CC)" scripts/need.sh $@
	@$(MAKE) all
	@python3 scripts/bench.py --build $(BUILD) $(BENCH)
.PHONY: bench
