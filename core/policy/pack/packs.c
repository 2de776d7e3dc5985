#include "policy/pack/packs.h"

#include <sys/file.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/pack/pack_json.h"
#include "policy/pack/packs_lock.h"

struct one {
	struct pack *pack;
	cJSON *settings, *needs;
	struct perry_err *error;
	char *name;
};
struct packs {
	struct one packs[PACKS_MAX];
	struct policy_layer layers[PACKS_MAX];
	size_t n;
};

/* The entry of hooks.lock with the source that an entry of hookPacks names; NULL: not approved. */
static const cJSON *approved_as(const cJSON *approved, const cJSON *wanted)
{
	const cJSON *entry;
	cJSON_ArrayForEach(entry, approved)
		if (packs_same_source(entry, wanted) && str_eq(json_str(entry, "ref"), json_str(wanted, "ref")))
			return entry;
	return NULL;
}

static int not_approved(const cJSON *approved, const cJSON *wanted, struct perry_err **err)
{
	const char *url = json_str(wanted, "url"), *from = url ? url : json_str_or(wanted, "path", "?"),
		   *ref = json_str(wanted, "ref");
	const cJSON *entry;
	cJSON_ArrayForEach(entry, approved)
		if (packs_same_source(entry, wanted))
			return perry_fail(err, PERRY_EPOLICY,
					  "hookPacks: %s is approved at %s, not at %s\n  look at it with: perry hooks "
					  "add %s%s%s",
					  from, json_str_or(entry, "ref", "its default branch"),
					  ref ? ref : "its default branch", from, ref ? " --ref " : "", ref ? ref : "");
	return perry_fail(err, PERRY_EPOLICY,
			  "hookPacks: %s is not approved\n  look at it with: perry hooks add %s%s%s", from, from,
			  ref ? " --ref " : "", ref ? ref : "");
}

static int load_one(const char *config_dir, const cJSON *approved, const cJSON *listed, const cJSON *config,
		    struct one *o, struct perry_err **err)
{
	cleanup_json cJSON *wanted = packs_source_of(listed, err);
	if (!wanted)
		return -1;
	const cJSON *entry = approved_as(approved, wanted);
	if (!entry)
		return not_approved(approved, wanted, err);
	free(o->name);
	o->name = xstrdup(json_str_or(entry, "name", "?"));
	if (packs_read(config_dir, entry, &o->pack, err) < 0 ||
	    pack_settings(o->pack->meta, config, &o->settings, err) < 0)
		return -1;
	o->needs = pack_needs(o->pack->meta, o->settings, config);
	return 0;
}

static void add_layer(struct packs *p, const struct one *o)
{
	p->layers[p->n++] = (struct policy_layer){
		.name = o->name,
		.pack = o->pack,
		.needs = o->needs,
		.settings = o->settings,
		.broken = o->error,
	};
}

struct packs *packs_load(const char *config_dir, const cJSON *config)
{
	struct packs *p = xcalloc(1, sizeof *p);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, "hookPacks"), *listed;
	cleanup_json cJSON *approved = NULL;
	struct perry_err *lock_error = NULL;
	if (!cJSON_GetArraySize(list))
		return p;
	/* Nothing is approved or removed while the files are read. */
	cleanup_fd int lock = packs_lock(config_dir, LOCK_SH, NULL);
	(void)lock;
	packs_approved(config_dir, &approved, &lock_error);
	cJSON_ArrayForEach(listed, list) {
		struct one *o = &p->packs[p->n];
		if (p->n == PACKS_MAX - 1) /* the last place is for saying so */
			perry_fail(&o->error, PERRY_EPOLICY, "hookPacks: more than %d packs", PACKS_MAX - 1);
		else if (lock_error)
			o->error = perry_err_copy(lock_error);
		o->name = xstrdup("hookPacks");
		if (!o->error && load_one(config_dir, approved, listed, config, o, &o->error) < 0)
			o->error->code = PERRY_EPOLICY;
		add_layer(p, o);
		if (p->n == PACKS_MAX)
			break;
	}
	perry_err_free(lock_error);
	return p;
}

const struct policy_layer *packs_layers(const struct packs *p, size_t *n)
{
	*n = p->n;
	return p->layers;
}

/* Without the files: whoever wants them asks for them. */
static cJSON *described(const cJSON *entry, const struct pack *p, const char *state, const struct perry_err *problem)
{
	static const char *const of_meta[] = { "description", "settings" };
	cJSON *row = entry ? cJSON_Duplicate(entry, 1) : cJSON_CreateObject();
	json_set(row, "files", NULL);
	for (size_t i = 0; p && i < ARRAY_LEN(of_meta); i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(p->meta, of_meta[i]);
		json_set(row, of_meta[i], v ? cJSON_Duplicate(v, 1) : NULL);
	}
	json_set_str(row, "state", state);
	json_set_str(row, "problem", problem ? perry_msg(problem) : NULL);
	return row;
}

cJSON *packs_list(const char *config_dir, const cJSON *config)
{
	struct packs *p = packs_load(config_dir, config);
	cleanup_json cJSON *approved = NULL;
	cJSON *out = cJSON_CreateArray();
	const cJSON *entry;
	packs_approved(config_dir, &approved, NULL);
	for (size_t i = 0; i < p->n; i++) {
		const struct one *o = &p->packs[i];
		cJSON *row =
			described(packs_entry(approved, o->name), o->pack, o->error ? "refused" : "used", o->error);
		json_set_str(row, "name", o->name);
		json_push(out, row);
	}
	cJSON_ArrayForEach(entry, approved) {
		bool used = false;
		for (size_t i = 0; i < p->n; i++)
			used = used || str_eq(json_str(entry, "name"), p->packs[i].name);
		if (!used)
			json_push(out, described(entry, NULL, "unused", NULL));
	}
	packs_free(p);
	return out;
}

void packs_free(struct packs *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		pack_free(p->packs[i].pack);
		cJSON_Delete(p->packs[i].settings);
		cJSON_Delete(p->packs[i].needs);
		perry_err_free(p->packs[i].error);
		free(p->packs[i].name);
	}
	free(p);
}
