#!/usr/bin/env bats
# What an agent, and whoever it speaks for, can write to a user's terminal: nothing that the terminal acts on. The agent is a fake.
bats_require_minimum_version 1.5.0

@test "no command shows what a terminal would act on, or a line that is not its own" {
	python3 "$BATS_TEST_DIRNAME/hostile_agent.py" "$(realpath "${BUILD:-$BATS_TEST_DIRNAME/../../build}")/perry" "$BATS_TEST_DIRNAME/../../core/cli" 3>&-
}
