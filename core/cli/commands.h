/* The command table. Help, man page and completion are made from the same rows. */
#ifndef PERRY_CLI_COMMANDS_H
#define PERRY_CLI_COMMANDS_H
#include "cli/command.h"

extern const struct command commands[]; /* ends with name NULL */

/* Finds the row ("agent run" before "agent"); *used is how many words the name took. NULL: none. */
const struct command *command_find(int argc, char **argv, int *used);

/* Each in a file cmd_*.c. */
command_fn cmd_start;
command_fn cmd_stop;
command_fn cmd_restart;
command_fn cmd_delete;
command_fn cmd_adopt;
command_fn cmd_prune;
command_fn cmd_list;
command_fn cmd_info;
command_fn cmd_logs;
command_fn cmd_events;
command_fn cmd_screen;
command_fn cmd_shell;
command_fn cmd_exec;
command_fn cmd_cp;
command_fn cmd_clone;
command_fn cmd_sync;
command_fn cmd_build;
command_fn cmd_explain;
command_fn cmd_hooks_list;
command_fn cmd_config_show;
command_fn cmd_config_agent;
command_fn cmd_config_token;
command_fn cmd_access_list;
command_fn cmd_access_add;
command_fn cmd_access_remove;
command_fn cmd_agent_status;
command_fn cmd_agent_logs;
command_fn cmd_agent_kill;
command_fn cmd_agent;
command_fn cmd_agent_config; /* setup/setup.c */
command_fn cmd_agent_config_get;
command_fn cmd_agent_config_set;
command_fn cmd_agent_config_unset;
command_fn cmd_agent_show_config;
command_fn cmd_agent_show_token;
command_fn cmd_auth_init;
command_fn cmd_auth_generate;
command_fn cmd_auth_disable;
command_fn cmd_ports;
command_fn cmd_proxy;
command_fn cmd_tailnet_status;
command_fn cmd_tailnet_setup;
command_fn cmd_tailnet_devices;
command_fn cmd_tailnet_prune;
command_fn cmd_tailnet_serve;
command_fn cmd_open;
command_fn cmd_doctor;
command_fn cmd_completion;
command_fn cmd_version;
command_fn cmd_help;

#endif
