#include "agent/config.h"

#include <stdlib.h>
#include <string.h>

#include "agent/internal.h"
#include "agent/who/auth.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/random.h"
#include "base/secret.h"
#include "ops/fleet.h"

static void warn_key(void *ctx, const char *key, const char *nearest)
{
	if (nearest)
		log_warn("config", "unknown key \"%s\" (did you mean \"%s\"?)", key, nearest);
	else
		log_warn("config", "unknown key \"%s\"", key);
}

static void stat_file(struct agent *a, struct stat *st)
{
	cleanup_free char *path = path_join(a->dir, "config.json");
	file_stamp(path, st);
}

void agent_config_on_change(struct agent *a,
			    void (*fn)(void *ctx, const struct config *before, const struct config *now), void *ctx)
{
	size_t i = 0;
	pthread_mutex_lock(&a->config_lock);
	while (i < ARRAY_LEN(a->config_followers) && a->config_followers[i].fn)
		i++;
	if (i == ARRAY_LEN(a->config_followers))
		abort(); /* the parts of the agent are as many as its program has */
	a->config_followers[i].fn = fn;
	a->config_followers[i].ctx = ctx;
	pthread_mutex_unlock(&a->config_lock);
}

static int add_token(cJSON *root, void *ctx, struct perry_err **err)
{
	char token[33];
	if (json_at(root, "auth.token")) /* somebody was quicker, or it is "": authentication is off on purpose */
		return 0;
	random_hex(token, 16);
	json_set_str(json_obj(root, "auth"), "token", ctx ? ctx : token);
	wipe(token, sizeof token);
	return 0;
}

/* Nothing that is missing turns authentication off: only "" does. Without a token the file gets the one of before, else
 * a new one; that there is no file any more is no configuration at all. */
static int load_guarded(struct agent *a, struct config **out, struct perry_err **err)
{
	struct config *fresh = NULL;
	for (int attempt = 0; attempt < 2; attempt++) {
		config_unref(take_ptr(fresh));
		/* Before reading: a change meanwhile is seen at the next look. */
		stat_file(a, &a->config_stat);
		if (config_load(a->dir, &fresh, warn_key, NULL, err) < 0)
			return -1;
		if (a->config && !config_has_file(fresh)) {
			config_unref(fresh);
			return perry_fail(err, PERRY_ENOTFOUND, "%s/config.json is gone", a->dir);
		}
		if (config_get(fresh, "auth.token"))
			break;
		cleanup_free char *before = a->config ? xstrdup(config_str(a->config, "auth.token")) : NULL;
		int rc = config_edit(a->dir, add_token, before, err);
		if (before)
			wipe(before, strlen(before));
		if (rc < 0) {
			config_unref(fresh);
			return -1;
		}
	}
	*out = fresh;
	return 0;
}

/* Under the lock. */
static int load(struct agent *a, struct perry_err **err)
{
	struct config *fresh = NULL;
	if (load_guarded(a, &fresh, err) < 0)
		return -1;
	struct config *before = a->config;
	cleanup_free char *idle = config_idle_warning(fresh), *known = before ? config_idle_warning(before) : NULL;
	if (idle && !str_eq(idle, known))
		log_warn("config", "%s", idle);
	a->config = fresh;
	auth_configure(a->auth, config_str(fresh, "auth.token"),
		       a->port ? a->port : (uint16_t)config_int(fresh, "port"), config_get(fresh, "allowedHosts"),
		       config_get(fresh, "allowedOrigins"));
	for (size_t i = 0; i < ARRAY_LEN(a->config_followers) && a->config_followers[i].fn; i++)
		a->config_followers[i].fn(a->config_followers[i].ctx, before, fresh);
	config_unref(before);
	return 0;
}

int agent_config_init(struct agent *a, struct perry_err **err)
{
	pthread_mutex_lock(&a->config_lock);
	int rc = load(a, err);
	if (rc == 0 && !config_str(a->config, "auth.token"))
		log_warn("agent", "authentication is off: every program on this machine may use the agent (perry auth "
				  "init turns it on)");
	pthread_mutex_unlock(&a->config_lock);
	return rc;
}

static void reload(struct agent *a)
{
	cleanup_err struct perry_err *e = NULL;
	if (load(a, &e) < 0)
		log_error("config", "%s; the configuration of before stays in use", perry_msg(e));
	else
		log_info("config", "read anew");
}

struct config *agent_config(struct agent *a)
{
	struct stat now;
	pthread_mutex_lock(&a->config_lock);
	stat_file(a, &now);
	if (!file_stamp_same(&now, &a->config_stat))
		reload(a);
	struct config *c = config_ref(a->config);
	pthread_mutex_unlock(&a->config_lock);
	return c;
}

/* Under the lock. A file that is gone is written again with what it held last. */
static int put_back(struct agent *a, struct perry_err **err)
{
	struct stat now;
	stat_file(a, &now);
	if (now.st_ino || !config_has_file(a->config))
		return 0;
	log_warn("config", "config.json was gone; it is written again as it was");
	return config_put_back(a->dir, a->config, err);
}

void agent_config_reload(struct agent *a)
{
	cleanup_err struct perry_err *e = NULL;
	pthread_mutex_lock(&a->config_lock);
	if (put_back(a, &e) < 0)
		log_error("config", "%s", perry_msg(e));
	reload(a);
	pthread_mutex_unlock(&a->config_lock);
}

struct edit {
	struct agent *a;
	int (*change)(cJSON *root, void *ctx, struct perry_err **err);
	void *ctx;
};

/* What only the agent can check: a new prefix against the workspaces that there are. */
static int change_checked(cJSON *root, void *ctx, struct perry_err **err)
{
	const struct edit *e = ctx;
	cleanup_free char *before = xstrdup(json_str_or(root, "tailscale.hostnamePrefix", ""));
	if (e->change(root, e->ctx, err) < 0)
		return -1;
	const char *prefix = json_str_or(root, "tailscale.hostnamePrefix", "");
	if (strcmp(prefix, before) == 0)
		return 0;
	cleanup_json cJSON *all = fleet_list(e->a->fleet);
	return config_check_prefix(prefix, all, err);
}

int agent_config_edit(struct agent *a, int (*change)(cJSON *root, void *ctx, struct perry_err **err), void *ctx,
		      struct perry_err **err)
{
	struct edit e = { a, change, ctx };
	pthread_mutex_lock(&a->config_lock);
	int rc = put_back(a, err);
	pthread_mutex_unlock(&a->config_lock);
	if (rc < 0 || config_edit(a->dir, change_checked, &e, err) < 0)
		return -1;
	config_unref(agent_config(a));
	return 0;
}

bool agent_host_access(struct agent *a)
{
	struct config *c = agent_config(a);
	bool ok = !a->no_host_access && config_bool(c, "allowHostAccess");
	config_unref(c);
	return ok;
}
