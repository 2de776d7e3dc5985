#include "cli/full/pack_target.h"
#include <stdlib.h>

#include "base/mem.h"
#include "base/paths.h"
#include "config/config.h"
#include "policy/pack/pack.h"
#include "policy/pack/packs.h"
#include "policy/pack/packs_lock.h"

int target_open(struct target *t, struct perry_err **err)
{
	cleanup_err struct perry_err *why = NULL;
	*t = (struct target){ 0 };
	if (client_open(&t->client, &why) < 0) {
		const char *named = client_agent ? client_agent : getenv("PERRY_AGENT");
		if (why->code != PERRY_ENOAGENT || (named && *named))
			return perry_move(err, take_ptr(why));
	} else {
		/* A socket may be there whose agent is not. */
		struct conn conn;
		if (client_connect(t->client, &conn, &why) == 0) {
			conn_close(&conn);
			t->remote = !t->client->sock;
			return 0;
		}
		if (!t->client->sock || why->code != PERRY_ENOAGENT)
			return perry_move(err, take_ptr(why));
		client_free(take_ptr(t->client));
	}
	t->dir = path_config_dir();
	return 0;
}

void target_close(struct target *t)
{
	client_free(take_ptr(t->client));
	free(take_ptr(t->dir));
}

int target_list(const struct target *t, cJSON **packs, struct perry_err **err)
{
	struct config *config;
	if (t->client)
		return client_rpc(t->client, "hooks/packs/list", NULL, packs, err);
	if (config_load(t->dir, &config, NULL, NULL, err) < 0)
		return -1;
	cleanup_json cJSON *public = config_public(config);
	config_unref(config);
	*packs = packs_list(t->dir, public);
	return 0;
}

static cJSON *named(const char *name)
{
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "name", name);
	return in;
}

int target_get(const struct target *t, const char *name, struct pack **out, struct perry_err **err)
{
	cleanup_json cJSON *j = NULL;
	if (t->client)
		return client_rpc(t->client, "hooks/packs/get", named(name), &j, err) < 0
			       ? -1
			       : pack_from_json(json_at(j, "files"), out, err);
	if (packs_approved(t->dir, &j, err) < 0)
		return -1;
	const cJSON *entry = packs_entry(j, name);
	return entry ? packs_read(t->dir, entry, out, err)
		     : perry_fail(err, PERRY_ENOTFOUND, "there is no pack '%s'\n  see: perry hooks list --packs", name);
}

int target_approve(const struct target *t, const struct pack *p, const cJSON *source, const char *before, cJSON **entry,
		   struct perry_err **err)
{
	if (!t->client)
		return packs_approve(t->dir, p, source, before, entry, err);
	cJSON *in = cJSON_CreateObject();
	json_set(in, "files", pack_to_json(p));
	json_set(in, "source", cJSON_Duplicate(source, 1));
	json_set_str(in, "hash", p->hash);
	json_set_str(in, "before", before);
	return client_rpc(t->client, "hooks/packs/approve", in, entry, err);
}

int target_remove(const struct target *t, const char *name, struct perry_err **err)
{
	cleanup_json cJSON *done = NULL;
	return t->client ? client_rpc(t->client, "hooks/packs/remove", named(name), &done, err)
			 : packs_remove(t->dir, name, err);
}
