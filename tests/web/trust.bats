#!/usr/bin/env bats
# What pages of others can do to the agent's page, and what it gives away.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { need_browser && engine_use; }
teardown() { all_gone; }

@test "a page of another origin, and one on another port of the same name, can neither read nor act" { browse trust strangers; }
@test "the page allows nothing inline and nothing from elsewhere" { browse trust headers; }
@test "a terminal's ticket works once, and no address holds a secret" { browse trust tickets; }
