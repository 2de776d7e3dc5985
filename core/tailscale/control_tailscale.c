/* Tailscale's API v2, with an OAuth client's token or an API access token. */
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "tailscale/control_priv.h"

enum {
	TOKENS_KEPT = 8,
	TOKEN_MARGIN_MS = 60000, /* not used in its last minute */
	ONLINE_MS = 120000,      /* where the answer does not say it, a device seen so lately counts as online */
};

/* --- tokens: for the whole process, because a credential is opened anew for each use --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char whose[65];
	struct secret *token;
	int64_t until; /* monotonic ms */
} tokens[TOKENS_KEPT];

static void whose(const struct control *c, char hex[65])
{
	struct buf b = { 0 };
	buf_addf(&b, "%s\n%s\n", c->url, c->client_id);
	buf_add(&b, secret_reveal(c->secret), secret_len(c->secret));
	sha256_hex(b.data, b.len, hex);
	wipe(b.data, b.cap);
	buf_free(&b);
}

static struct secret *kept_token(const char hex[65], bool forget)
{
	struct secret *found = NULL;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < TOKENS_KEPT; i++) {
		if (!tokens[i].token || strcmp(tokens[i].whose, hex) != 0)
			continue;
		if (forget || tokens[i].until <= clock_mono_ms())
			secret_free(take_ptr(tokens[i].token));
		else
			found = secret_new(secret_reveal(tokens[i].token), secret_len(tokens[i].token));
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void keep_token(const char hex[65], const struct secret *token, int64_t seconds)
{
	size_t at = 0;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < TOKENS_KEPT; i++) { /* its own place, an empty one, else that of the oldest */
		if (tokens[i].token && strcmp(tokens[i].whose, hex) == 0) {
			at = i;
			break;
		}
		if (!tokens[i].token || (tokens[at].token && tokens[i].until < tokens[at].until))
			at = i;
	}
	secret_free(tokens[at].token);
	memcpy(tokens[at].whose, hex, 65);
	tokens[at].token = secret_new(secret_reveal(token), secret_len(token));
	tokens[at].until = clock_mono_ms() + seconds * 1000 - TOKEN_MARGIN_MS;
	pthread_mutex_unlock(&lock);
}

static int fetch_token(struct control *c, struct secret **out, int64_t *seconds, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL;
	struct buf form = { 0 };
	buf_adds(&form, "grant_type=client_credentials&client_id=");
	http_escape(&form, c->client_id, NULL);
	buf_adds(&form, "&client_secret=");
	http_escape(&form, secret_reveal(c->secret), NULL);
	struct control_call call = { .method = "POST",
				     .path = "/api/v2/oauth/token",
				     .type = "application/x-www-form-urlencoded",
				     .body = form.data };
	int rc = control_request(c, &call, &answer, err);
	wipe(form.data, form.cap);
	buf_free(&form);
	if (rc < 0)
		return -1;
	cJSON *token = cJSON_GetObjectItemCaseSensitive(answer, "access_token");
	bool fine = cJSON_IsString(token) && *token->valuestring;
	for (const char *p = fine ? token->valuestring : ""; *p; p++)
		fine = fine && *p > ' ' && *p < 127;
	if (fine)
		*out = secret_new(token->valuestring, strlen(token->valuestring));
	if (cJSON_IsString(token))
		wipe(token->valuestring, strlen(token->valuestring));
	*seconds = json_int_or(answer, "expires_in", 0);
	return fine ? 0 : control_odd(c, "an access token", err);
}

int control_token(struct control *c, bool fresh, struct secret **out, struct perry_err **err)
{
	char hex[65];
	int64_t seconds = 0;
	whose(c, hex);
	*out = kept_token(hex, fresh);
	if (*out)
		return 0;
	if (fetch_token(c, out, &seconds, err) < 0)
		return perry_wrap(err, "no access token");
	if (seconds * 1000 > TOKEN_MARGIN_MS && seconds <= 24 * 3600)
		keep_token(hex, *out, seconds);
	return 0;
}

/* --- keys --- */

static char *tailnet_path(const struct control *c, const char *rest)
{
	struct buf path = { 0 };
	buf_adds(&path, "/api/v2/tailnet/");
	http_escape(&path, c->tailnet, "@");
	buf_adds(&path, rest);
	return buf_take(&path);
}

static int mint(struct control *c, const struct control_mint *want, struct control_key *out, struct perry_err **err)
{
	cleanup_json cJSON *body = cJSON_CreateObject(), *answer = NULL;
	cleanup_free char *path = tailnet_path(c, "/keys");
	cJSON *create = json_obj(json_obj(json_obj(body, "capabilities"), "devices"), "create"),
	      *tags = cJSON_CreateArray();
	json_set_bool(create, "reusable", false);
	json_set_bool(create, "ephemeral", want->ephemeral);
	json_set_bool(create, "preauthorized", true);
	for (const char *const *t = want->tags; t && *t; t++)
		json_push_str(tags, *t);
	json_set(create, "tags", tags);
	json_set_int(body, "expirySeconds", want->expiry_s);
	if (want->description)
		json_set_strn(body, "description", want->description, strnlen(want->description, 50));
	struct control_call call = { .method = "POST", .path = path };
	if (control_json(c, &call, body, &answer, err) < 0)
		return -1;
	if (!answer)
		return control_odd(c, "a key", err);
	return control_take_key(c, answer, "expires", out, err);
}

static int key_revoke(struct control *c, const char *id, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL;
	cleanup_free char *rest = xasprintf("/keys/%s", id), *path = tailnet_path(c, rest);
	struct control_call call = { .method = "DELETE", .path = path, .absent_ok = true };
	return control_json(c, &call, NULL, &answer, err);
}

/* --- devices --- */

static cJSON *view(const cJSON *device)
{
	cJSON *out = cJSON_CreateObject();
	const char *name = json_str_or(device, "name", "");
	const cJSON *connected = cJSON_GetObjectItemCaseSensitive(device, "connectedToControl"), *ephemeral;
	json_set_str(out, "id", json_str(device, "nodeId"));
	json_set_strn(out, "name", name, strcspn(name, "."));
	json_set_str(out, "hostname", json_str_or(device, "hostname", ""));
	control_copy_texts(out, "addresses", json_at(device, "addresses"));
	control_copy_texts(out, "tags", json_at(device, "tags"));
	json_set_str(out, "user", json_str(device, "user"));
	control_set_time(out, "created", device, "created");
	control_set_time(out, "lastSeen", device, "lastSeen");
	if (!json_bool_or(device, "keyExpiryDisabled", false))
		control_set_time(out, "expires", device, "expires");
	json_set_bool(out, "online",
		      cJSON_IsBool(connected) ? cJSON_IsTrue(connected)
					      : clock_ms() - json_int_or(out, "lastSeen", 0) < ONLINE_MS);
	ephemeral = cJSON_GetObjectItemCaseSensitive(device, "isEphemeral");
	if (cJSON_IsBool(ephemeral))
		json_set_bool(out, "ephemeral", cJSON_IsTrue(ephemeral));
	return out;
}

static int devices(struct control *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL, *list = cJSON_CreateArray();
	cleanup_free char *path = tailnet_path(c, "/devices?fields=all");
	const cJSON *device, *all;
	struct control_call call = { .method = "GET", .path = path, .max = CONTROL_LIST_MAX };
	if (control_json(c, &call, NULL, &answer, err) < 0)
		return -1;
	all = cJSON_GetObjectItemCaseSensitive(answer, "devices");
	if (!cJSON_IsArray(all))
		return control_odd(c, "a list of devices", err);
	cJSON_ArrayForEach(device, all) {
		if (!control_id_ok(json_str(device, "nodeId")))
			return control_odd(c, "devices with node ids", err);
		json_push(list, view(device));
	}
	*out = take_ptr(list);
	return 0;
}

static int device(struct control *c, const char *id, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL;
	cleanup_free char *path = xasprintf("/api/v2/device/%s?fields=all", id);
	struct control_call call = { .method = "GET", .path = path };
	if (control_json(c, &call, NULL, &answer, err) < 0)
		return -1;
	if (!str_eq(json_str(answer, "nodeId"), id))
		return control_odd(c, "the device that was asked for", err);
	*out = view(answer);
	return 0;
}

static int device_delete(struct control *c, const char *id, struct perry_err **err)
{
	cleanup_json cJSON *answer = NULL;
	cleanup_free char *path = xasprintf("/api/v2/device/%s", id);
	struct control_call call = { .method = "DELETE", .path = path, .absent_ok = true };
	return control_json(c, &call, NULL, &answer, err);
}

const struct control_api control_tailscale = { mint, key_revoke, devices, device, device_delete };
