/* The executable with everything: the daemon, and the commands that need TLS or Lua. */
#include <stdlib.h>

#include "agent/agent.h"
#include "base/number.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/full.h"
#include "cli/full/hooks_try.h"
#include "cli/full/hooks_write.h"
#include "cli/full/open_qr.h"
#include "cli/full/pack_init.h"
#include "cli/full/packs.h"
#include "cli/full/preview.h"
#include "cli/full/tls.h"
#include "policy/policy.h"

static int run_agent(const struct args *a, struct perry_err **err)
{
	struct agent_options opts = { .config_dir = args_str(a, "config-dir"),
				      .log_level = args_str(a, "log-level"),
				      .no_host_access = args_has(a, "no-host-access") };
	const char *text = args_str(a, "port");
	long long port = 0;
	if (text && str_to_int(text, 1, 65535, &port) < 0)
		return perry_fail(err, PERRY_EUSAGE, "agent run: -p needs a port number, got \"%s\"", text);
	opts.port = (uint16_t)port;
	if (opts.config_dir)
		setenv("PERRY_CONFIG_DIR", opts.config_dir, 1); /* one answer for everything that asks where it is */
	return agent_run(&opts, err);
}

static const struct full_command commands_here[] = {
	{ "agent run", run_agent },
	{ "open --qr", open_qr },
	{ "hooks list --packs", hooks_packs },
	{ "hooks show", hooks_show },
	{ "hooks new", hooks_new },
	{ "hooks edit", hooks_edit },
	{ "hooks check", hooks_check },
	{ "hooks run", hooks_run },
	{ "hooks test", hooks_test },
	{ "hooks preview", hooks_preview },
	{ "hooks add", hooks_add },
	{ "hooks update", hooks_update },
	{ "hooks outdated", hooks_outdated },
	{ "hooks remove", hooks_remove },
	{ "hooks pack init", hooks_pack_init },
	{ "hooks pack hash", hooks_pack_hash },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	policy_main(argc, argv);
	client_tls_connect = tls_connect;
	full_commands = commands_here;
	return cli_main(argc, argv);
}
