/* Procedures on packs: what the command line looked at and approved comes here, also from another machine. */
#include "agent/config.h"
#include "agent/internal.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "base/log.h"
#include "policy/pack/pack.h"
#include "policy/pack/packs.h"
#include "policy/pack/packs_lock.h"
#include "store/store.h"

static cJSON *public_config(struct call *c)
{
	struct config *config = agent_config(c->a);
	cJSON *out = config_public(config);
	config_unref(config);
	return out;
}

int proc_packs_list(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *config = public_config(c);
	*out = packs_list(c->a->dir, config);
	return 0;
}

int proc_packs_get(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name");
	cleanup_json cJSON *approved = NULL;
	cleanup_pack struct pack *p = NULL;
	if (packs_approved(c->a->dir, &approved, err) < 0)
		return -1;
	const cJSON *entry = packs_entry(approved, name);
	if (!entry)
		return perry_fail(err, PERRY_ENOTFOUND, "There is no pack '%s'", name);
	if (packs_read(c->a->dir, entry, &p, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set(*out, "entry", cJSON_Duplicate(entry, 1));
	json_set(*out, "files", pack_to_json(p));
	return 0;
}

int proc_packs_approve(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_pack struct pack *p = NULL;
	const char *hash = call_str(c, "hash");
	if (pack_from_json(cJSON_GetObjectItemCaseSensitive(c->input, "files"), &p, err) < 0)
		return -1;
	if (!str_eq(p->hash, hash))
		return perry_fail(err, PERRY_ECONFLICT, "What arrived is %s, not %s: nothing is approved", p->hash,
				  hash);
	if (packs_approve(c->a->dir, p, cJSON_GetObjectItemCaseSensitive(c->input, "source"), call_str(c, "before"),
			  out, err) < 0)
		return -1;
	agent_config_reload(c->a);
	log_info("agent", "the pack '%s' is approved: %s", p->name, p->hash);
	return 0;
}

/* What it kept goes with it: another pack may come under its name. */
static void forget(struct call *c, const char *name)
{
	cleanup_json cJSON *kept = NULL;
	cleanup_err struct perry_err *err = NULL;
	int rc = store_kv_list(c->a->store, name, NULL, &kept, &err);
	for (const cJSON *v = kept ? kept->child : NULL; v && rc == 0; v = v->next)
		rc = store_kv_set(c->a->store, name, v->string, NULL, &err);
	if (rc < 0)
		log_warn("agent", "what the pack '%s' kept: %s", name, perry_msg(err));
}

int proc_packs_remove(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name");
	if (packs_remove(c->a->dir, name, err) < 0)
		return -1;
	agent_config_reload(c->a);
	forget(c, name);
	log_info("agent", "the pack '%s' is removed", name);
	*out = cJSON_CreateObject();
	json_set_bool(*out, "success", true);
	return 0;
}
