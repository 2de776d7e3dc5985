#include "agent/tailnet/publish.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { TRIES = 8 }; /* each but the first is lost only when somebody else's change came in between */

static cJSON *member(const cJSON *j, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(j, key);
}

static void drop_if_empty(cJSON *parent, const char *key)
{
	const cJSON *j = member(parent, key);
	if (j && !j->child)
		json_set(parent, key, NULL);
}

/* "host:443" -> "443" */
static const char *port_of(const char *host_port)
{
	const char *colon = strrchr(host_port, ':');
	return colon ? colon + 1 : "";
}

static bool web_has_port(const cJSON *scope, const char *port)
{
	const cJSON *web;
	cJSON_ArrayForEach(web, member(scope, "Web"))
		if (strcmp(port_of(web->string), port) == 0)
			return true;
	return false;
}

/* Takes ours out of the top level, or of one session. */
static void remove_from(cJSON *scope, publication_ours ours, void *ctx)
{
	cJSON *webs = member(scope, "Web"), *web, *next;
	for (web = webs ? webs->child : NULL; web; web = next) {
		next = web->next;
		cJSON *handlers = member(web, "Handlers");
		const char *target = json_str(member(handlers, "/"), "Proxy");
		if (!target || !ours(ctx, target))
			continue;
		json_set(handlers, "/", NULL);
		if (handlers->child)
			continue; /* somebody added paths of his own */
		cleanup_free char *port = xstrdup(port_of(web->string));
		cJSON_Delete(cJSON_DetachItemViaPointer(webs, web));
		if (!web_has_port(scope, port))
			json_set(member(scope, "TCP"), port, NULL);
	}
	drop_if_empty(scope, "Web");
	drop_if_empty(scope, "TCP");
}

void publication_remove(cJSON *config, publication_ours ours, void *ctx)
{
	cJSON *sessions = member(config, "Foreground"), *session, *next;
	remove_from(config, ours, ctx);
	for (session = sessions ? sessions->child : NULL; session; session = next) {
		next = session->next;
		remove_from(session, ours, ctx);
		if (!session->child)
			cJSON_Delete(cJSON_DetachItemViaPointer(sessions, session));
	}
	drop_if_empty(config, "Foreground");
}

static bool uses_port(const cJSON *scope, const char *port)
{
	return member(member(scope, "TCP"), port) || web_has_port(scope, port);
}

static bool is_taken(const cJSON *config, const char *port)
{
	const cJSON *session, *funnel;
	if (uses_port(config, port))
		return true;
	cJSON_ArrayForEach(session, member(config, "Foreground"))
		if (uses_port(session, port))
			return true;
	/* What is served there would be on the internet. */
	cJSON_ArrayForEach(funnel, member(config, "AllowFunnel"))
		if (cJSON_IsTrue(funnel) && strcmp(port_of(funnel->string), port) == 0)
			return true;
	return false;
}

int publication_put(cJSON *config, const struct publication *p, publication_ours ours, void *ctx)
{
	static const int ports[2][3] = { { 80, 8080, 8081 }, { 443, 8443, 10443 } };
	publication_remove(config, ours, ctx);
	for (size_t i = 0; i < 3; i++) {
		char port[8];
		snprintf(port, sizeof port, "%d", ports[p->https][i]);
		if (is_taken(config, port))
			continue;
		cJSON *scope = p->session ? json_obj(json_obj(config, "Foreground"), p->session) : config;
		cleanup_free char *host = xasprintf("%s:%s", p->name, port);
		json_set_bool(json_obj(json_obj(scope, "TCP"), port), p->https ? "HTTPS" : "HTTP", true);
		json_set_str(json_obj(json_obj(json_obj(json_obj(scope, "Web"), host), "Handlers"), "/"), "Proxy",
			     p->target);
		return ports[p->https][i];
	}
	return 0;
}

/* p NULL: only takes out. tailscaled refuses to move a port from one place to another, so what is ours elsewhere goes
 * first. */
static int change(struct tslocal *t, const struct publication *p, publication_ours ours, void *ctx, int *port,
		  struct perry_err **err)
{
	for (int i = 0;; i++) {
		cleanup_json cJSON *config = NULL;
		struct perry_err *why = NULL;
		char etag[TSLOCAL_ETAG];
		if (tslocal_serve_get(t, &config, etag, err) < 0)
			return -1;
		cleanup_json cJSON *before = cJSON_Duplicate(config, 1), *without = cJSON_Duplicate(config, 1);
		publication_remove(without, ours, ctx);
		bool clean = json_equal(before, without);
		if (p)
			*port = publication_put(config, p, ours, ctx);
		if (p ? json_equal(before, config) : clean)
			return 0;
		if (tslocal_serve_set(t, clean ? config : without, etag, &why) == 0 && (clean || !p))
			return 0;
		if (why && (why->code != PERRY_ECONFLICT || i == TRIES))
			return perry_move(err, why);
		perry_err_free(why);
		if (i == TRIES)
			return perry_fail(
				err, PERRY_ECONFLICT,
				"tailscaled: serve-config: what is ours there comes back as often as it is taken out");
	}
}

int publication_apply(struct tslocal *t, const struct publication *p, publication_ours ours, void *ctx, int *port,
		      struct perry_err **err)
{
	return change(t, p, ours, ctx, port, err);
}

int publication_withdraw(struct tslocal *t, publication_ours ours, void *ctx, struct perry_err **err)
{
	return change(t, NULL, ours, ctx, NULL, err);
}
