#include "agent/who/auth.h"

#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/sha256.h"

enum {
	SECRET_LEN = 64, /* hex digits of sessions, links and tickets */
	MAX_PASSES = 64, /* of each kind; the oldest goes */
	LINK_MS = 2 * 60 * 1000,
	TICKET_MS = 30 * 1000,
	KEEP_MS = 10 * 60 * 1000, /* how much longer a session lives until that is worth keeping */
};
#define IDLE_MS  (SESSION_IDLE_S * 1000LL)
#define MAX_MS   (SESSION_MAX_S * 1000LL)
#define ADMIN_MS (SESSION_ADMIN_S * 1000LL)

enum pass_kind { PASS_SESSION, PASS_LINK, PASS_TICKET, PASS_KINDS };

/* Secrets are known by their hashes only: there is nothing to read out of memory or the store. */
struct pass {
	char secret[SECRET_LEN + 1]; /* hash; "" when free */
	int64_t until;               /* monotonic ms */
	char key[SECRET_LEN + 1];    /* of a session: hash of its other half */
	int64_t opened, kept;        /* monotonic ms; kept: the until that was told last */
	struct caller caller;        /* of a ticket */
	char name[64 + 1];           /* whose terminal a ticket opens; "": any workspace's; AUTH_TICKET_STREAM */
};

struct auth {
	pthread_mutex_t lock;
	char *token;
	uint16_t port;
	char hostname[256];
	cJSON *hosts, *origins, *tailnet;
	struct pass passes[PASS_KINDS][MAX_PASSES];
	void (*changed)(void *ctx);
	void *changed_ctx;
};

static const struct {
	enum right right;
	const char *name;
} rights[] = { { RIGHT_READ, "read" }, { RIGHT_USE, "use" }, { RIGHT_MANAGE, "manage" }, { RIGHT_ADMIN, "admin" } };

const char *right_name(enum right r)
{
	for (size_t i = 0; i < ARRAY_LEN(rights); i++)
		if (rights[i].right == r)
			return rights[i].name;
	return "?";
}

cJSON *caller_json(const struct caller *c)
{
	cJSON *j = cJSON_CreateObject(), *list = cJSON_CreateArray();
	json_set_str(j, "kind", c->kind);
	json_set_str(j, "login", c->login);
	if (strcmp(c->kind, "local") == 0)
		json_set_num(j, "uid", c->uid);
	if (strcmp(c->kind, "tailnet") == 0) {
		cJSON *tags = cJSON_CreateArray();
		cleanup_free char *copy = xstrdup(c->tags);
		char *save = NULL;
		for (char *tag = strtok_r(copy, " ", &save); tag; tag = strtok_r(NULL, " ", &save))
			json_push_str(tags, tag);
		json_set(j, "tags", tags);
		json_set_str(j, "node_id", c->node_id);
		json_set_str(j, "address", c->address);
	}
	for (size_t i = 0; i < ARRAY_LEN(rights); i++)
		if (c->rights & rights[i].right)
			json_push_str(list, rights[i].name);
	json_set(j, "rights", list);
	json_set_bool(j, "owner", c->owner);
	return j;
}

bool caller_json_may(const cJSON *caller, enum right r)
{
	return json_list_has(cJSON_GetObjectItemCaseSensitive(caller, "rights"), right_name(r));
}

bool caller_json_is(const cJSON *caller, const char *name)
{
	if (!str_eq(json_str(caller, "kind"), "tailnet"))
		return false;
	return json_list_has(cJSON_GetObjectItemCaseSensitive(caller, "tags"), name) ||
	       str_eq(json_str(caller, "login"), name) || str_eq(json_str(caller, "node_id"), name);
}

struct auth *auth_new(void)
{
	struct auth *a = xcalloc(1, sizeof *a);
	pthread_mutex_init(&a->lock, NULL);
	if (gethostname(a->hostname, sizeof a->hostname - 1) != 0)
		a->hostname[0] = 0;
	return a;
}

static void forget(char **secret)
{
	if (*secret)
		wipe(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	forget(&a->token);
	cJSON_Delete(a->hosts);
	cJSON_Delete(a->origins);
	cJSON_Delete(a->tailnet);
	pthread_mutex_destroy(&a->lock);
	wipe(a->passes, sizeof a->passes);
	free(a);
}

/* Not under the lock. */
static void tell_changed(struct auth *a)
{
	pthread_mutex_lock(&a->lock);
	void (*changed)(void *ctx) = a->changed;
	void *ctx = a->changed_ctx;
	pthread_mutex_unlock(&a->lock);
	if (changed)
		changed(ctx);
}

void auth_configure(struct auth *a, const char *token, uint16_t port, const cJSON *hosts, const cJSON *origins)
{
	if (token && !*token)
		token = NULL;
	pthread_mutex_lock(&a->lock);
	bool another = !str_eq(token, a->token);
	if (another) {
		wipe(a->passes, sizeof a->passes);
		forget(&a->token);
		a->token = xstrdup(token);
	}
	a->port = port;
	cJSON_Delete(a->hosts);
	cJSON_Delete(a->origins);
	a->hosts = cJSON_Duplicate(hosts, 1);
	a->origins = cJSON_Duplicate(origins, 1);
	pthread_mutex_unlock(&a->lock);
	if (another)
		tell_changed(a);
}

void auth_set_tailnet_names(struct auth *a, const cJSON *names)
{
	cJSON *copy = cJSON_Duplicate(names, 1);
	pthread_mutex_lock(&a->lock);
	cJSON_Delete(a->tailnet);
	a->tailnet = copy;
	pthread_mutex_unlock(&a->lock);
}

/* "name:port" or "[v6]:port" to its name; false for what is no host. */
static bool host_name(const char *host, char out[256])
{
	size_t n = strcspn(host, host[0] == '[' ? "]" : ":");
	if (host[0] == '[' && host[n++] != ']')
		return false;
	const char *port = host + n;
	if (n == 0 || n > 255 || (*port && *port++ != ':') || strspn(port, "0123456789") != strlen(port))
		return false;
	memcpy(out, host, n);
	out[n] = 0;
	if (n > 1 && out[n - 1] == '.') /* localhost. is localhost */
		out[n - 1] = 0;
	return true;
}

static bool listed(const cJSON *list, const char *text)
{
	const cJSON *s;
	cJSON_ArrayForEach(s, list)
		if (cJSON_IsString(s) && strcasecmp(s->valuestring, text) == 0)
			return true;
	return false;
}

bool auth_host_ok(struct auth *a, const struct auth_request *r)
{
	static const char *const own[] = { "localhost", "127.0.0.1", "[::1]" };
	char name[256];
	if (r->listener == LISTENER_SOCKET)
		return true;
	if (!r->host || !host_name(r->host, name))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcasecmp(name, own[i]) == 0)
			return true;
	pthread_mutex_lock(&a->lock);
	bool ok = (*a->hostname && strcasecmp(name, a->hostname) == 0) || listed(a->hosts, name) ||
		  listed(a->hosts, r->host) || listed(a->tailnet, name);
	pthread_mutex_unlock(&a->lock);
	return ok;
}

bool auth_origin_allowed(struct auth *a, const char *origin)
{
	if (!origin || strcmp(origin, "null") == 0)
		return false;
	pthread_mutex_lock(&a->lock);
	bool ok = listed(a->origins, origin);
	pthread_mutex_unlock(&a->lock);
	return ok;
}

bool auth_origin_ok(struct auth *a, const struct auth_request *r)
{
	bool safe = !r->method || strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0 ||
		    strcmp(r->method, "OPTIONS") == 0;
	if ((safe && !r->upgrade) || !r->origin)
		return true;
	const char *at = strstr(r->origin, "://");
	bool web = str_starts(r->origin, "http://") || str_starts(r->origin, "https://");
	/* Host was found to be one of our names before. On the unix socket no browser can be. */
	if (web && r->listener != LISTENER_SOCKET && r->host && strcasecmp(at + 3, r->host) == 0)
		return true;
	return auth_origin_allowed(a, r->origin);
}

/* Under the lock. */
static struct pass *find_pass(struct auth *a, enum pass_kind kind, const char *secret)
{
	int64_t now = clock_mono_ms();
	struct pass *found = NULL;
	char hash[SECRET_LEN + 1];
	if (strlen(secret) != SECRET_LEN)
		return NULL;
	sha256_hex(secret, SECRET_LEN, hash);
	for (int i = 0; i < MAX_PASSES; i++) {
		struct pass *p = &a->passes[kind][i];
		if (p->secret[0] && p->until <= now)
			wipe(p, sizeof *p);
		if (p->secret[0] && secret_equal(p->secret, hash))
			found = p;
	}
	return found;
}

/* Under the lock: one that is free, or the one that would end first. */
static struct pass *free_pass(struct auth *a, enum pass_kind kind)
{
	struct pass *first = &a->passes[kind][0];
	int64_t now = clock_mono_ms();
	for (int i = 0; i < MAX_PASSES; i++) {
		struct pass *p = &a->passes[kind][i];
		if (!p->secret[0] || p->until <= now)
			return p;
		if (p->until < first->until)
			first = p;
	}
	return first;
}

static void add_pass(struct auth *a, enum pass_kind kind, int64_t lifetime, const struct caller *c, const char *name,
		     char out[SECRET_LEN + 1])
{
	int64_t now = clock_mono_ms();
	random_hex(out, SECRET_LEN / 2);
	pthread_mutex_lock(&a->lock);
	struct pass *p = free_pass(a, kind);
	memset(p, 0, sizeof *p);
	sha256_hex(out, SECRET_LEN, p->secret);
	p->until = now + lifetime;
	p->opened = now;
	if (c)
		p->caller = *c;
	snprintf(p->name, sizeof p->name, "%s", name ? name : "");
	pthread_mutex_unlock(&a->lock);
}

static void cookie_name(const struct auth *a, char out[32])
{
	/* Cookies do not know ports: two agents on one machine need two names. */
	snprintf(out, 32, "perry_%u", a->port);
}

/* The value of our cookie in a Cookie header. */
static bool session_of(struct auth *a, const char *cookie, char out[SECRET_LEN + 1])
{
	char name[32];
	cookie_name(a, name);
	for (const char *p = cookie; p && *p; p = strchr(p, ';')) {
		p += strspn(p, "; ");
		size_t n = strlen(name);
		if (strncmp(p, name, n) != 0 || p[n] != '=')
			continue;
		const char *v = p + n + 1;
		if (strcspn(v, "; ") != SECRET_LEN)
			return false;
		memcpy(out, v, SECRET_LEN);
		out[SECRET_LEN] = 0;
		return true;
	}
	return false;
}

/* Under the lock. due: it lives so much longer than was kept that this should be kept. */
static const struct pass *session_pass(struct auth *a, const struct auth_request *r, bool *due)
{
	char secret[SECRET_LEN + 1];
	/* A page on another port of this machine is of the same site, so the cookie comes along. It must not count. */
	if (r->fetch_site && strcmp(r->fetch_site, "same-origin") != 0 && strcmp(r->fetch_site, "none") != 0)
		return NULL;
	if (!r->cookie || !r->session_key || !session_of(a, r->cookie, secret))
		return NULL;
	struct pass *p = find_pass(a, PASS_SESSION, secret);
	char key[SECRET_LEN + 1];
	sha256_hex(r->session_key, strlen(r->session_key), key);
	if (!p || !secret_equal(key, p->key))
		return NULL;
	int64_t idle = clock_mono_ms() + IDLE_MS, end = p->opened + MAX_MS;
	p->until = idle < end ? idle : end;
	*due = p->until - p->kept >= KEEP_MS;
	if (*due)
		p->kept = p->until;
	return p;
}

static void set_caller(struct caller *c, const char *kind, unsigned may, bool owner)
{
	memset(c, 0, sizeof *c);
	c->kind = kind;
	c->rights = may;
	c->owner = owner;
	snprintf(c->login, sizeof c->login, "%s", kind);
}

static bool local_caller(const struct auth_request *r, struct caller *out)
{
	if (r->uid != geteuid())
		return false;
	set_caller(out, "local", RIGHT_ALL, true);
	out->uid = r->uid;
	struct passwd pw, *found = NULL;
	char text[1024];
	if (getpwuid_r(r->uid, &pw, text, sizeof text, &found) == 0 && found)
		snprintf(out->login, sizeof out->login, "%s", found->pw_name);
	else
		snprintf(out->login, sizeof out->login, "uid %u", (unsigned)r->uid);
	return true;
}

/* A browser stays signed in for days, and is left open on desks. */
static void session_caller(const struct pass *p, struct caller *out)
{
	bool fresh = clock_mono_ms() < p->opened + ADMIN_MS;
	set_caller(out, "session", fresh ? RIGHT_ALL : RIGHT_ALL & ~(unsigned)RIGHT_ADMIN, fresh);
	if (!fresh)
		snprintf(out->why, sizeof out->why, "%s", "sign in again, it was too long ago");
}

bool auth_check(struct auth *a, const struct auth_request *r, struct caller *out)
{
	if (r->listener == LISTENER_SOCKET)
		return local_caller(r, out);
	pthread_mutex_lock(&a->lock);
	bool ok = true, due = false;
	const struct pass *session;
	/* Without a token this machine is trusted, not who comes from elsewhere or through a proxy of it. */
	if (!a->token && r->listener == LISTENER_TCP && r->loopback && !r->forwarded)
		set_caller(out, "open", RIGHT_READ | RIGHT_USE | RIGHT_MANAGE, false);
	else if (a->token && r->authorization && str_starts(r->authorization, "Bearer ") &&
		 secret_equal(r->authorization + 7, a->token))
		set_caller(out, "token", RIGHT_ALL, true);
	else if (a->token && (session = session_pass(a, r, &due)))
		session_caller(session, out);
	else
		ok = false;
	pthread_mutex_unlock(&a->lock);
	if (due)
		tell_changed(a);
	return ok;
}

bool auth_check_token(struct auth *a, const char *token, struct caller *out)
{
	pthread_mutex_lock(&a->lock);
	bool ok = a->token && secret_equal(token, a->token);
	pthread_mutex_unlock(&a->lock);
	if (ok)
		set_caller(out, "token", RIGHT_ALL, true);
	return ok;
}

static void cookie_line(const struct auth *a, const struct auth_request *r, const char *secret, int seconds,
			char out[192])
{
	char name[32];
	cookie_name(a, name);
	/* Serve speaks https alone. */
	snprintf(out, 192, "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", name, secret, seconds,
		 r->listener == LISTENER_SERVE ? "; Secure" : "");
}

static void new_session(struct auth *a, const struct auth_request *r, struct session *out)
{
	char secret[SECRET_LEN + 1];
	int64_t now = clock_mono_ms();
	random_hex(secret, SECRET_LEN / 2);
	random_hex(out->key, SECRET_LEN / 2);
	pthread_mutex_lock(&a->lock);
	struct pass *p = free_pass(a, PASS_SESSION);
	memset(p, 0, sizeof *p);
	sha256_hex(secret, SECRET_LEN, p->secret);
	sha256_hex(out->key, SECRET_LEN, p->key);
	p->opened = now;
	p->until = p->kept = now + IDLE_MS;
	pthread_mutex_unlock(&a->lock);
	cookie_line(a, r, secret, SESSION_MAX_S, out->cookie);
	wipe(secret, sizeof secret);
	tell_changed(a);
}

bool auth_login_token(struct auth *a, const struct auth_request *r, const char *token, struct session *out)
{
	struct caller c;
	bool ok = auth_check_token(a, token, &c);
	if (ok)
		new_session(a, r, out);
	return ok;
}

static bool use_up(struct auth *a, enum pass_kind kind, const char *secret, struct pass *out)
{
	pthread_mutex_lock(&a->lock);
	struct pass *p = find_pass(a, kind, secret);
	bool ok = p;
	if (ok && out)
		*out = *p;
	if (ok)
		wipe(p, sizeof *p);
	pthread_mutex_unlock(&a->lock);
	return ok;
}

bool auth_login_link(struct auth *a, const struct auth_request *r, const char *link, struct session *out)
{
	if (!use_up(a, PASS_LINK, link, NULL))
		return false;
	new_session(a, r, out);
	return true;
}

void auth_logout(struct auth *a, const struct auth_request *r, char out[192])
{
	char secret[SECRET_LEN + 1];
	if (r->cookie && session_of(a, r->cookie, secret) && use_up(a, PASS_SESSION, secret, NULL))
		tell_changed(a);
	cookie_line(a, r, "", 0, out);
}

void auth_new_link(struct auth *a, char out[65])
{
	add_pass(a, PASS_LINK, LINK_MS, NULL, NULL, out);
}

void auth_new_ticket(struct auth *a, const struct caller *c, const char *name, char out[65])
{
	add_pass(a, PASS_TICKET, TICKET_MS, c, name, out);
}

bool auth_use_ticket(struct auth *a, const char *ticket, const char *name, struct caller *out)
{
	struct pass p;
	if (!use_up(a, PASS_TICKET, ticket, &p))
		return false;
	bool fits = p.name[0] ? strcmp(p.name, name) == 0 : name[0] != '@' && name[0] != '/';
	if (fits)
		*out = p.caller;
	wipe(&p, sizeof p);
	return fits;
}

/* --- sessions outlive the agent --- */

void auth_on_change(struct auth *a, void (*changed)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&a->lock);
	a->changed = changed;
	a->changed_ctx = ctx;
	pthread_mutex_unlock(&a->lock);
}

cJSON *auth_sessions(struct auth *a)
{
	cJSON *out = cJSON_CreateArray();
	int64_t mono = clock_mono_ms(), to_wall = clock_ms() - mono;
	pthread_mutex_lock(&a->lock);
	for (int i = 0; i < MAX_PASSES; i++) {
		const struct pass *p = &a->passes[PASS_SESSION][i];
		if (!p->secret[0] || p->until <= mono)
			continue;
		cJSON *row = cJSON_CreateObject();
		json_set_str(row, "cookie", p->secret);
		json_set_str(row, "key", p->key);
		json_set_int(row, "opened", p->opened + to_wall);
		json_set_int(row, "until", p->until + to_wall);
		json_push(out, row);
	}
	pthread_mutex_unlock(&a->lock);
	return out;
}

static bool is_hash(const char *s)
{
	return s && strlen(s) == SECRET_LEN && strspn(s, "0123456789abcdef") == SECRET_LEN;
}

void auth_restore(struct auth *a, const cJSON *sessions)
{
	int64_t mono = clock_mono_ms(), wall = clock_ms();
	const cJSON *row;
	pthread_mutex_lock(&a->lock);
	cJSON_ArrayForEach(row, sessions) {
		const char *cookie = json_str(row, "cookie"), *key = json_str(row, "key");
		int64_t age = wall - json_int_or(row, "opened", 0), left = json_int_or(row, "until", 0) - wall;
		/* A clock that was put back makes no session younger. */
		if (!is_hash(cookie) || !is_hash(key) || age < 0 || age >= MAX_MS || left <= 0)
			continue;
		struct pass *p = free_pass(a, PASS_SESSION);
		memset(p, 0, sizeof *p);
		memcpy(p->secret, cookie, sizeof p->secret);
		memcpy(p->key, key, sizeof p->key);
		p->opened = mono - age;
		p->until = p->kept = mono + (left < IDLE_MS ? left : IDLE_MS);
	}
	pthread_mutex_unlock(&a->lock);
}
