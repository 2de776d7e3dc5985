/* SSH keys of the agent's user: config/ssh/listKeys. */
#include "agent/rpc/handlers.h"
#include "config/ssh_keys.h"

int proc_ssh_list_keys(struct call *c, cJSON **out, struct perry_err **err)
{
	*out = ssh_keys_list();
	return 0;
}
