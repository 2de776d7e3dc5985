#include "agent/who/mark.h"

#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "config/config.h"
#include "store/store.h"

void agent_token_mark(struct agent *a, char out[65])
{
	cleanup_buf struct buf text = { 0 };
	struct config *config = agent_config(a);
	const char *token = config_str(config, "auth.token");
	buf_addf(&text, "%s\n%s\n", store_agent_id(a->store), token ? token : "");
	config_unref(config);
	sha256_hex(text.data, text.len, out);
	explicit_bzero(text.data, text.len);
	out[16] = 0;
}
