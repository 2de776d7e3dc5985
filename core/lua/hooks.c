/* Policy sessions with the layers of today's configuration, and what hooks may ask of us. The policy module has checked
 * every request against the kind of hook and the layer's needs before it gets here. */
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/process.h"
#include "base/utf8.h"
#include "docker/step_argv.h"
#include "lua/internal.h"
#include "net/http.h"
#include "policy/contract/access.h"
#include "policy/pack/packs.h"
#include "policy/tool/preview.h"
#include "store/store.h"

#define HTTP_TIMEOUT_MS 10000
#define HTTP_BODY_MAX   (1u << 20)
#define EXEC_TIMEOUT_MS 30000
#define EXEC_OUTPUT_MAX (256u << 10)
#define MAX_LAYERS      (PACKS_MAX + 2)

struct lua_hooks {
	struct lua_host *host;
	struct config *config;
	cJSON *public;
	struct policy_layer layers[MAX_LAYERS + 1]; /* one more for lua_hooks_replace */
	char *texts[4];                             /* what the layers point to */
	size_t ntexts;
	struct packs *packs;
	const char **disabled;
	struct policy_setup setup;
	struct policy_session *session;
	struct perry_err *error;
	bool tried;
	char *workspace; /* of the run, for docker.exec without a name; or NULL */
};

static const char *keep_text(struct lua_hooks *s, char *take_text)
{
	s->texts[s->ntexts++] = take_text;
	return take_text;
}

/* The team's, as they were approved. */
static void add_packs(struct lua_hooks *s)
{
	size_t n;
	s->packs = packs_load(s->host->config_dir, s->public);
	const struct policy_layer *layers = packs_layers(s->packs, &n);
	for (size_t i = 0; i < n; i++)
		s->layers[s->setup.nlayers++] = layers[i];
}

static void add_layers(struct lua_hooks *s)
{
	struct policy_layer *user = &s->layers[s->setup.nlayers++];
	user->name = "user";
	user->dir = keep_text(s, path_join(s->host->config_dir, "hooks"));
	user->lib_dir = keep_text(s, path_join(user->dir, "lib"));
	user->owner = getuid();
	user->follow_links = true;
	add_packs(s);
	struct policy_layer *machine = &s->layers[s->setup.nlayers++];
	machine->name = "machine";
	machine->dir = s->host->machine_hooks;
	machine->owner = 0;
}

static void add_disabled(struct lua_hooks *s)
{
	const cJSON *list = s->public ? json_at(s->public, "hooks.disabled") : NULL, *name;
	size_t n = 0;
	s->disabled = xcalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *s->disabled);
	cJSON_ArrayForEach(name, list)
		if (cJSON_IsString(name))
			s->disabled[n++] = name->valuestring;
}

static struct lua_hooks *hooks_new(struct lua_host *h, struct config *take_config, const char *workspace)
{
	struct lua_hooks *s = xcalloc(1, sizeof *s);
	s->host = h;
	s->config = take_config;
	s->public = take_config ? config_public(take_config) : NULL;
	s->workspace = xstrdup(workspace);
	add_layers(s);
	add_disabled(s);
	s->setup.layers = s->layers;
	s->setup.config = s->public;
	s->setup.disabled = s->disabled;
	s->setup.call = hooks_call;
	s->setup.ctx = s;
	return s;
}

struct lua_hooks *lua_hooks_open(struct lua_host *h)
{
	return hooks_new(h, h->setup.config ? h->setup.config(h->setup.ctx) : NULL, NULL);
}

struct lua_hooks *hooks_of_run(struct run *r)
{
	if (!r->hooks)
		r->hooks = hooks_new(r->host, r->config ? config_ref(r->config) : NULL, run_workspace(r));
	return r->hooks;
}

struct policy_session *lua_hooks_session(struct lua_hooks *s)
{
	if (!s->tried && policy_open(s->host->setup.policy, &s->setup, &s->session, &s->error) < 0)
		s->session = NULL;
	s->tried = true;
	return s->session;
}

const struct perry_err *lua_hooks_error(const struct lua_hooks *s)
{
	return s->error;
}

const struct policy_setup *lua_hooks_setup(const struct lua_hooks *s)
{
	return &s->setup;
}

int lua_hooks_replace(struct lua_hooks *s, cJSON *packed, struct perry_err **err)
{
	struct policy_layer layer;
	size_t i = 0;
	if (policy_packed_layer(packed, s->public, &layer, err) < 0)
		return -1;
	while (i < s->setup.nlayers && strcmp(s->layers[i].name, layer.name) != 0)
		i++;
	if (i == s->setup.nlayers) {
		i = 1;
		memmove(&s->layers[i + 1], &s->layers[i], (s->setup.nlayers - i) * sizeof *s->layers);
		s->setup.nlayers++;
	}
	s->layers[i] = layer;
	return 0;
}

int lua_host_subjects(struct lua_host *h, const cJSON *caller, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	json_set(arg, "caller", caller ? cJSON_Duplicate(caller, 1) : cJSON_CreateObject());
	return run_lua(h, NULL, NULL, "plan", "subjects", arg, out, err);
}

cJSON *lua_hooks_inventory(struct lua_hooks *s)
{
	return policy_inventory(&s->setup);
}

void lua_hooks_close(struct lua_hooks *s)
{
	if (!s)
		return;
	policy_close(s->session);
	perry_err_free(s->error);
	cJSON_Delete(s->public);
	config_unref(s->config);
	for (size_t i = 0; i < s->ntexts; i++)
		free(s->texts[i]);
	packs_free(s->packs);
	free(s->disabled);
	free(s->workspace);
	free(s);
}

void run_store_decisions(struct run *r)
{
	cJSON *row;
	const char *ws = run_workspace(r);
	cleanup_err struct perry_err *e = NULL;
	if (!cJSON_GetArraySize(r->decisions))
		return;
	cJSON_ArrayForEach(row, r->decisions) {
		if (!json_at(row, "workspace"))
			json_set_str(row, "workspace", ws);
		json_set_str(row, "op", r->op ? op_id(r->op) : NULL);
	}
	store_decisions_add(r->host->setup.store, r->decisions, &e);
	cJSON_Delete(r->decisions);
	r->decisions = cJSON_CreateArray();
}

/* --- what hooks ask for --- */

static void drop_environment(cJSON *inspect)
{
	cJSON *config = cJSON_GetObjectItemCaseSensitive(inspect, "Config");
	if (config)
		json_set(config, "Env", NULL);
}

/* A workspace's name or a container's: ours only. */
static int inspect_container(struct lua_hooks *s, const char *name, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL, *found = NULL;
	const char *id = name;
	if (store_ws_get(s->host->setup.store, name, &record, NULL) == 0 && *json_str_or(record, "containerId", ""))
		id = json_str(record, "containerId");
	if (docker_container_inspect(s->host->setup.docker, id, &found, err) < 0)
		return -1;
	const cJSON *labels = json_at(found, "Config.Labels");
	const cJSON *agent = cJSON_GetObjectItemCaseSensitive(labels, "perry.agent");
	if (!cJSON_IsString(agent) || strcmp(agent->valuestring, store_agent_id(s->host->setup.store)) != 0)
		return perry_fail(err, PERRY_ENOTFOUND, "no container of this agent is called %s", name);
	drop_environment(found);
	*out = take_ptr(found);
	return 0;
}

static int call_inspect(struct lua_hooks *s, const cJSON *args, cJSON **out, struct perry_err **err)
{
	struct docker *d = s->host->setup.docker;
	const char *name = json_str_or(args, "name", ""), *kind = json_str_or(args, "kind", "container");
	struct perry_err *e = NULL;
	int rc;
	if (strcmp(kind, "image") == 0)
		rc = docker_image_inspect(d, name, out, &e);
	else if (strcmp(kind, "volume") == 0)
		rc = docker_volume_inspect(d, name, out, &e);
	else if (strcmp(kind, "network") == 0)
		rc = docker_network_inspect(d, name, out, &e);
	else
		rc = inspect_container(s, name, out, &e);
	if (rc == 0 || e->code != PERRY_ENOTFOUND)
		return rc == 0 ? 0 : perry_move(err, e);
	perry_err_free(e);
	*out = cJSON_CreateNull();
	return 0;
}

static cJSON *our_filter(const struct lua_host *h)
{
	cJSON *filters = cJSON_CreateObject(), *labels = cJSON_CreateArray();
	cleanup_free char *label = xasprintf("perry.agent=%s", store_agent_id(h->setup.store));
	json_push_str(labels, label);
	json_set(filters, "label", labels);
	return filters;
}

static int call_list(struct lua_hooks *s, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *filters = our_filter(s->host);
	return docker_container_list(s->host->setup.docker, filters, out, err);
}

static void set_scrubbed(cJSON *obj, const char *key, const struct buf *text)
{
	cleanup_buf struct buf clean = { 0 };
	utf8_scrub(&clean, buf_str(text), text->len);
	json_set_strn(obj, key, buf_str(&clean), clean.len);
}

/* {workspace=, argv={...}, user=, cwd=, input=, timeout=seconds} */
static int call_exec(struct lua_hooks *s, const cJSON *args, cJSON **out, struct perry_err **err)
{
	const char *name = json_str_or(args, "workspace", s->workspace ? s->workspace : "");
	const cJSON *argv = json_at(args, "argv");
	cleanup_json cJSON *record = NULL;
	char id[32];
	if (store_ws_get(s->host->setup.store, name, &record, err) < 0)
		return -1;
	if (!cJSON_GetArraySize(argv))
		return perry_fail(err, PERRY_EINPUT, "argv: expected the words of a command");
	step_exec_id(id);
	cleanup_free const char **command = step_words(argv), **words = step_exec_argv(&(struct step_exec){
								      .id = id,
								      .user = json_str(args, "user"),
								      .cwd = json_str(args, "cwd"),
								      .command = command,
							      });
	struct docker_exec opts = { .argv = words,
				    .input = json_str(args, "input"),
				    .input_len = strlen(json_str_or(args, "input", "")),
				    .timeout_ms =
					    (int)(json_num_or(args, "timeout", EXEC_TIMEOUT_MS / 1000.0) * 1000) };
	struct docker_exec_result res = { 0 };
	int rc = docker_exec_collect(s->host->setup.docker, json_str_or(record, "containerId", ""), &opts,
				     EXEC_OUTPUT_MAX, NULL, &res, err);
	if (rc == 0) {
		*out = cJSON_CreateObject();
		json_set_int(*out, "code", res.exit_code);
		set_scrubbed(*out, "stdout", &res.out);
		set_scrubbed(*out, "stderr", &res.err);
	}
	buf_free(&res.out);
	buf_free(&res.err);
	return rc;
}

/* A text or a reference, the value of a header or the body. */
static int resolved(struct lua_hooks *s, const cJSON *value, struct buf *out, struct perry_err **err)
{
	struct run r = { .config = s->config };
	return secret_resolve(&r, value, out, err);
}

/* Every reference inside becomes its text; the copy is wiped with the request. */
static int resolve_all(struct lua_hooks *s, cJSON *j, struct perry_err **err)
{
	cJSON *c, *next;
	for (c = j->child; c; c = next) {
		next = c->next;
		if (json_at(c, "$secret") ||
		    (cJSON_IsObject(c) && c->child && strcmp(c->child->string, "$concat") == 0)) {
			struct buf text = { 0 };
			if (resolved(s, c, &text, err) < 0) {
				buf_free(&text);
				return -1;
			}
			cJSON *plain = cJSON_CreateString(buf_str(&text));
			wipe(text.data, text.cap);
			buf_free(&text);
			plain->string = xstrdup(c->string); /* the replacement's name is its own */
			cJSON_ReplaceItemViaPointer(j, c, plain);
		} else if (resolve_all(s, c, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* Lines (of a request's head, or an environment) and a body, some of them secret. */
struct outgoing {
	char *lines[66];
	size_t n;
	struct buf body;
};

static void outgoing_free(struct outgoing *o)
{
	for (size_t i = 0; i < o->n; i++) {
		wipe(o->lines[i], strlen(o->lines[i]));
		free(o->lines[i]);
	}
	if (o->body.data)
		wipe(o->body.data, o->body.cap);
	buf_free(&o->body);
}

static int prepare(struct lua_hooks *s, const cJSON *args, struct outgoing *o, struct perry_err **err)
{
	const cJSON *h, *body = json_at(args, "body"), *json = json_at(args, "json");
	cJSON_ArrayForEach(h, json_at(args, "headers")) {
		struct buf line = { 0 };
		if (o->n >= 64)
			return perry_fail(err, PERRY_EINPUT, "headers: at most 64");
		buf_addf(&line, "%s: ", h->string);
		int rc = resolved(s, h, &line, err);
		bool bad = strpbrk(buf_str(&line), "\r\n") != NULL;
		o->lines[o->n++] = buf_take(&line);
		if (rc < 0)
			return -1;
		if (bad)
			return perry_fail(err, PERRY_EINPUT, "headers.%s: no line breaks", h->string);
	}
	if (json) {
		cleanup_json cJSON *copy = cJSON_Duplicate(json, 1);
		if (resolve_all(s, copy, err) < 0)
			return -1;
		char *text = json_print(copy);
		buf_adds(&o->body, text);
		wipe(text, strlen(text));
		free(text);
		o->lines[o->n++] = xstrdup("Content-Type: application/json");
	} else if (body && resolved(s, body, &o->body, err) < 0) {
		return perry_wrap(err, "body");
	}
	return 0;
}

static cJSON *answer_headers(const struct http_res *res)
{
	static const char *const names[] = { "content-type", "location", "retry-after", "etag" };
	cJSON *out = cJSON_CreateObject();
	char value[1024];
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (http_header(res, names[i], value, sizeof value))
			json_set_strn(out, names[i], value, strlen(value));
	return out;
}

/* What a pack reaches by a name that it lists itself: the internet, but neither this machine nor what is around it. */
static bool is_outside(void *ctx, const struct sockaddr *to)
{
	struct lua_hooks *s = ctx;
	const char *range = s->config ? config_str(s->config, "networkRange") : NULL;
	cleanup_json cJSON *subnets = NULL;
	struct in_addr v4;
	const cJSON *row;
	if (!address_is_public(to) || address_is_own(to))
		return false;
	if (!address_v4(to, &v4))
		return true; /* workspaces' networks have IPv4 alone */
	if ((range && address_in(v4, range)) || store_subnets(s->host->setup.store, &subnets, NULL) < 0)
		return false;
	cJSON_ArrayForEach(row, subnets)
		if (address_in(v4, json_str_or(row, "subnet", "")))
			return false;
	return true;
}

struct http_options hooks_http(struct lua_hooks *s, const char *layer, const char *url)
{
	struct http_options o = { .env_proxy = true, .connect_timeout_ms = 5000, .keep = 1 };
	for (size_t i = 0; i < s->setup.nlayers; i++) {
		const struct access_layer about = { .name = s->layers[i].name, .needs = s->layers[i].needs };
		if ((!layer || strcmp(about.name, layer) == 0) && access_reach(&about, url) == REACH_PUBLIC)
			o.reach = is_outside;
	}
	o.reach_ctx = s;
	return o;
}

/* {url=, method=, headers={}, body= or json=, timeout=seconds} */
static int call_http(struct lua_hooks *s, const char *layer, const char *method, const cJSON *args, cJSON **out,
		     struct perry_err **err)
{
	const struct http_options options = hooks_http(s, layer, json_str_or(args, "url", ""));
	struct outgoing o = { 0 };
	struct http *http = NULL;
	cleanup_http_res struct http_res res = { 0 };
	double seconds = json_num_or(args, "timeout", HTTP_TIMEOUT_MS / 1000.0);
	struct http_req req = { .method = method,
				.url = json_str_or(args, "url", ""),
				.max = HTTP_BODY_MAX,
				.cancel_fd = -1,
				.timeout_ms = seconds > 0 && seconds < 60 ? (int)(seconds * 1000) : HTTP_TIMEOUT_MS };
	int rc = prepare(s, args, &o, err);
	if (rc == 0)
		rc = http_new(&http, &options, err);
	if (rc == 0) {
		req.headers = (const char *const *)o.lines;
		req.body = o.body.len ? o.body.data : NULL;
		req.body_len = o.body.len;
		rc = http_do(http, &req, &res, err);
	}
	if (rc == 0) {
		*out = cJSON_CreateObject();
		json_set_int(*out, "status", res.status);
		json_set(*out, "headers", answer_headers(&res));
		set_scrubbed(*out, "body", &res.body);
	}
	http_free(http);
	outgoing_free(&o);
	return rc;
}

/* What a command of a hook finds in its environment: the agent's may hold a token. */
static int add_environment(struct lua_hooks *s, const cJSON *more, struct outgoing *o, struct perry_err **err)
{
	static const char *const kept[] = { "PATH", "HOME", "USER", "LANG", "TZ" };
	const cJSON *v;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (getenv(kept[i]))
			o->lines[o->n++] = xasprintf("%s=%s", kept[i], getenv(kept[i]));
	cJSON_ArrayForEach(v, more) {
		struct buf line = { 0 };
		if (o->n >= 64)
			return perry_fail(err, PERRY_EINPUT, "env: at most 50 variables");
		if (!*v->string || strchr(v->string, '='))
			return perry_fail(err, PERRY_EINPUT, "env: \"%s\" is no name of a variable", v->string);
		if (strcmp(v->string, "PATH") == 0 ||
		    str_starts(v->string, "LD_")) /* another program under the name that was agreed to */
			return perry_fail(err, PERRY_EINPUT, "env: %s is not a hook's to set", v->string);
		buf_addf(&line, "%s=", v->string);
		int rc = resolved(s, v, &line, err);
		o->lines[o->n++] = buf_take(&line);
		if (rc < 0)
			return perry_wrap(err, "env.%s", v->string);
	}
	return 0;
}

/* {argv={...}, input=, env={}, cwd=, timeout=seconds} */
static int call_run(struct lua_hooks *s, const cJSON *args, cJSON **out, struct perry_err **err)
{
	const cJSON *argv = json_at(args, "argv"), *input = json_at(args, "input"), *word;
	cleanup_free const char **words = xcalloc((size_t)cJSON_GetArraySize(argv) + 1, sizeof *words);
	double seconds = json_num_or(args, "timeout", EXEC_TIMEOUT_MS / 1000.0);
	struct outgoing o = { 0 };
	cleanup_process struct process_end end = { 0 };
	size_t n = 0;
	cJSON_ArrayForEach(word, argv) {
		if (!cJSON_IsString(word)) /* a secret among them: everybody on this machine could read it */
			return perry_fail(err, PERRY_EINPUT, "argv: expected texts; a secret goes into input or env");
		words[n++] = word->valuestring;
	}
	if (!n || !*words[0] || (strchr(words[0], '/') && words[0][0] != '/'))
		return perry_fail(err, PERRY_EINPUT,
				  "argv: expected a command's name or absolute path, and its arguments");
	int rc = add_environment(s, json_at(args, "env"), &o, err);
	if (rc == 0 && input && (rc = resolved(s, input, &o.body, err)) < 0)
		perry_wrap(err, "input");
	struct process p = { .argv = words,
			     .env = (const char *const *)o.lines,
			     .dir = json_str(args, "cwd"),
			     .input = buf_str(&o.body),
			     .input_len = o.body.len,
			     .max_output = EXEC_OUTPUT_MAX,
			     .timeout_ms = seconds > 0 && seconds <= 60 ? (int)(seconds * 1000) : EXEC_TIMEOUT_MS };
	if (rc == 0)
		rc = process_run(&p, &end, err);
	if (rc == 0) {
		*out = cJSON_CreateObject();
		json_set_int(*out, "code", end.status);
		set_scrubbed(*out, "stdout", &end.out);
		set_scrubbed(*out, "stderr", &end.err);
	}
	outgoing_free(&o);
	return rc;
}

int hooks_call(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out, struct perry_err **err)
{
	struct lua_hooks *s = ctx;
	struct store *store = s->host->setup.store;
	*out = NULL;
	if (strcmp(name, "docker.inspect") == 0)
		return call_inspect(s, args, out, err);
	if (strcmp(name, "docker.list") == 0)
		return call_list(s, out, err);
	if (strcmp(name, "docker.exec") == 0)
		return call_exec(s, args, out, err);
	if (strcmp(name, "http.get") == 0)
		return call_http(s, layer, "GET", args, out, err);
	if (strcmp(name, "http.request") == 0)
		return call_http(s, layer, json_str_or(args, "method", "POST"), args, out, err);
	if (strcmp(name, "run") == 0)
		return call_run(s, args, out, err);
	if (strcmp(name, "kv.get") == 0)
		return store_kv_get(store, layer, json_str_or(args, "key", ""), out, err);
	if (strcmp(name, "kv.set") == 0) {
		const cJSON *value = json_at(args, "value");
		return store_kv_set(store, layer, json_str_or(args, "key", ""), cJSON_IsNull(value) ? NULL : value,
				    err);
	}
	return perry_fail(err, PERRY_EINPUT, "there is no perry.%s", name);
}
