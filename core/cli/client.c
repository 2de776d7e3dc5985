#include "cli/client.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/secret.h"
#include "cli/full.h"

enum { MAX_ANSWER = 64 << 20, MAX_REFUSAL = 65536, REFUSAL_MS = 10000, DEFAULT_PORT = 7391 };

const char *client_agent;
int (*client_tls_connect)(const char *host, int port, struct conn *out, struct perry_err **err);

cJSON *client_settings(struct perry_err **err)
{
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *path = path_join(dir, "client.json");
	cleanup_buf struct buf text = { 0 };
	cleanup_err struct perry_err *why = NULL;
	if (file_read(path, 1 << 20, &text, &why) < 0) {
		if (why->code == PERRY_ENOTFOUND)
			return cJSON_CreateObject();
		perry_move(err, take_ptr(why));
		return NULL;
	}
	cJSON *j = json_parse(buf_str(&text), text.len, path, err);
	if (j && !cJSON_IsObject(j)) {
		perry_fail(err, PERRY_EINPUT, "%s: expected an object, got %s", path, json_type_name(j));
		cJSON_Delete(j);
		return NULL;
	}
	/* As early versions of the original called it. */
	const char *worker = json_str(j, "worker");
	if (worker && !json_str(j, "agent"))
		json_set_str(j, "agent", *worker ? worker : NULL);
	json_set(j, "worker", NULL);
	return j;
}

int client_save(const char *agent, const char *token, struct perry_err **err)
{
	cleanup_json cJSON *j = client_settings(err);
	if (!j)
		return -1;
	if (agent)
		json_set_str(j, "agent", *agent ? agent : NULL);
	if (token)
		json_set_str(j, "token", *token ? token : NULL);
	cleanup_free char *dir = path_config_dir();
	cleanup_free char *path = path_join(dir, "client.json");
	cleanup_free char *text = json_pretty(j);
	if (dir_make(dir, 0700, err) < 0)
		return -1;
	return file_write_atomic(path, text, strlen(text), 0600, err);
}

static char *token_for(const cJSON *settings)
{
	const char *env = getenv("PERRY_TOKEN");
	return xstrdup(env && *env ? env : json_str(settings, "token"));
}

int client_for(const char *agent, struct client **out, struct perry_err **err)
{
	cleanup_client struct client *c = xcalloc(1, sizeof *c);
	const char *p = agent;
	c->port = DEFAULT_PORT;
	if (str_starts(p, "https://"))
		p += 8, c->tls = true, c->port = 443;
	else if (str_starts(p, "http://"))
		p += 7, c->port = 80;
	size_t n = strcspn(p, "/");
	cleanup_free char *rest = xstrndup(p, n);
	char *colon = strrchr(rest, ':');
	if (rest[0] == '[') {
		char *close = strchr(rest, ']');
		if (!close)
			return perry_fail(err, PERRY_EUSAGE, "\"%s\" is no agent's address (HOST or HOST:PORT)", agent);
		colon = close[1] == ':' ? close + 1 : NULL;
		c->host = xstrndup(rest + 1, (size_t)(close - rest - 1));
	} else {
		c->host = xstrndup(rest, colon ? (size_t)(colon - rest) : strlen(rest));
	}
	long long port;
	if (!*c->host || strpbrk(c->host, " \t@?#") || (colon && str_to_int(colon + 1, 1, 65535, &port) < 0))
		return perry_fail(err, PERRY_EUSAGE, "\"%s\" is no agent's address (HOST or HOST:PORT)", agent);
	if (colon)
		c->port = (int)port;
	c->where = xasprintf("%s:%d", c->host, c->port);
	cleanup_json cJSON *settings = client_settings(err);
	if (!settings)
		return -1;
	c->token = token_for(settings);
	*out = take_ptr(c);
	return 0;
}

/* Does a Perry agent answer there? The token is for agents only, so it is not shown yet. */
static int probe(const char *url, struct client **out, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	if (client_for(url, &c, err) < 0)
		return -1;
	char *token = take_ptr(c->token);
	int rc = client_get(c, "/health", &j, err);
	c->token = token;
	if (rc < 0)
		return -1;
	if (!str_eq(json_str(j, "status"), "ok") || !json_str(j, "version"))
		return perry_fail(err, PERRY_ENOAGENT, "what answers at %s is no Perry agent", c->where);
	*out = take_ptr(c);
	return 0;
}

static bool is_this_machine(const char *agent)
{
	size_t n = strcspn(agent, ":/");
	return (n == 9 && strncmp(agent, "localhost", n) == 0) || str_starts(agent, "127.") ||
	       str_starts(agent, "[::1]");
}

int client_find(const char *agent, struct client **out, char **url, struct perry_err **err)
{
	cleanup_err struct perry_err *why = NULL, *second = NULL;
	bool scheme = strstr(agent, "://"), plain = str_starts(agent, "http://") || is_this_machine(agent);
	const char *after = agent[0] == '[' && strchr(agent, ']') ? strchr(agent, ']') : agent;
	cleanup_free char *https = scheme ? xstrdup(agent) : xasprintf("https://%s", agent);
	cleanup_free char *http = scheme ? NULL : xasprintf("http://%s%s", agent, strchr(after, ':') ? "" : ":7391");
	if (!plain && !client_tls_connect)
		return full_become(err);
	if ((scheme || !plain) && probe(https, out, &why) == 0) {
		if (url)
			*url = take_ptr(https);
		return 0;
	}
	if (http && probe(http, out, &second) == 0) {
		if (url)
			*url = take_ptr(http);
		return 0;
	}
	if (!why || !second)
		return perry_move(err, why ? take_ptr(why) : take_ptr(second));
	return perry_fail(err, PERRY_ENOAGENT, "no Perry agent answers at %s\n  https: %s\n  http: %s", agent,
			  perry_msg(why), perry_msg(second));
}

static int no_agent(struct perry_err **err)
{
	return perry_fail(
		err, PERRY_ENOAGENT,
		"no agent runs on this machine, and none is configured\n  start one here with: perry agent run\n"
		"  or use another machine's with: perry config agent HOST");
}

struct client *client_local(void)
{
	cleanup_free char *dir = path_config_dir();
	struct client *c = xcalloc(1, sizeof *c);
	c->sock = path_agent_socket(dir);
	c->where = xstrdup("this machine");
	c->host = xstrdup("localhost");
	c->port = DEFAULT_PORT;
	return c;
}

/* A name with a scheme was asked before, and this machine has no TLS. */
static int open_named(const char *agent, struct client **out, struct perry_err **err)
{
	return strstr(agent, "://") || is_this_machine(agent) ? client_for(agent, out, err)
							      : client_find(agent, out, NULL, err);
}

int client_open(struct client **out, struct perry_err **err)
{
	const char *named = client_agent ? client_agent : getenv("PERRY_AGENT");
	if (named && *named)
		return open_named(named, out, err);
	cleanup_json cJSON *settings = client_settings(err);
	if (!settings)
		return -1;
	const char *saved = json_str(settings, "agent");
	if (saved && *saved)
		return open_named(saved, out, err);
	struct client *c = client_local();
	if (access(c->sock, F_OK) < 0) {
		client_free(c);
		return no_agent(err);
	}
	*out = c;
	return 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	if (c->token)
		wipe(c->token, strlen(c->token));
	free(c->token);
	free(c->where);
	free(c->sock);
	free(c->host);
	free(c);
}

static int connect_tcp(const struct client *c, struct perry_err **err)
{
	char port[8];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	snprintf(port, sizeof port, "%d", c->port);
	int rc = getaddrinfo(c->host, port, &hints, &list);
	if (rc != 0)
		return perry_fail(err, PERRY_ENOAGENT, "cannot reach the agent at %s: %s", c->where, gai_strerror(rc));
	int fd = -1, why = 0;
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct timeval limit = { .tv_sec = 10 };
		if (fd >= 0)
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* also bounds connect(2) */
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			why = errno == EINPROGRESS ? ETIMEDOUT : errno;
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	if (fd >= 0)
		fd_watch_peer(fd, true);
	if (fd < 0) {
		perry_fail_errno(err, why, "cannot reach the agent at %s", c->where);
		if (err && *err) {
			(*err)->code = PERRY_ENOAGENT;
			cleanup_free char *msg =
				xasprintf("%s\n  start it there with: perry agent run", perry_msg(*err));
			free((*err)->msg);
			(*err)->msg = take_ptr(msg);
		}
	}
	return fd;
}

static int connect_unix(const struct client *c, struct perry_err **err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(c->sock) >= sizeof a.sun_path)
		return perry_fail(err, PERRY_EINPUT, "%s: too long for a socket's path", c->sock);
	strcpy(a.sun_path, c->sock);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		int why = errno;
		close(fd);
		if (why == ECONNREFUSED || why == ENOENT)
			return no_agent(err);
		return perry_fail_errno(err, why, "%s", c->sock);
	}
	return fd < 0 ? perry_fail_errno(err, errno, "socket") : fd;
}

int client_connect(const struct client *c, struct conn *out, struct perry_err **err)
{
	*out = (struct conn){ .fd = -1 };
	if (c->tls) {
		if (!client_tls_connect)
			return full_become(err);
		return client_tls_connect(c->host, c->port, out, err);
	}
	out->fd = c->sock ? connect_unix(c, err) : connect_tcp(c, err);
	return out->fd < 0 ? -1 : 0;
}

const char *client_host_header(const struct client *c)
{
	return c->host;
}

char *client_headers(const struct client *c)
{
	if (c->token && !c->sock)
		return xasprintf("Authorization: Bearer %s\r\n", c->token);
	return xstrdup("");
}

void client_is_usage(struct perry_err *err)
{
	if (err && err->code == PERRY_EINPUT && cJSON_GetArraySize(json_at(err->data, "issues")) > 0)
		err->code = PERRY_EUSAGE;
}

/* An error answer as an error of ours. */
static int answer_error(const struct client *c, int status, const cJSON *body, const char *text, struct perry_err **err)
{
	const cJSON *j = json_at(body, "json");
	const char *message = json_str(j, "message");
	if (status == 401)
		return perry_fail(err, PERRY_EUNAUTH,
				  "the agent at %s asks for a token\n  show it there with: perry agent show-token\n  "
				  "save it here with: perry config token --stdin",
				  c->where);
	if (!message)
		message = json_str(body, "error");
	perry_fail(err, json_str(j, "code") ? perry_code_from_api(json_str(j, "code")) : perry_code_from_http(status),
		   "%s",
		   message ? message
		   : *text ? text
			   : "the agent failed without a reason");
	if (err && *err) {
		(*err)->status = status;
		(*err)->data = cJSON_Duplicate(json_at(j, "data"), 1);
		client_is_usage(*err);
	}
	return -1;
}

static int call(const struct client *c, const char *method, const char *path, const char *more_headers,
		cJSON *take_body, int *status, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *body = take_body;
	cleanup_free char *text = body ? json_print(body) : NULL;
	cleanup_free char *auth = client_headers(c);
	cleanup_free char *headers = xasprintf("%s%sConnection: close\r\n", auth, more_headers);
	struct conn conn;
	struct answer a = { 0 };
	cleanup_buf struct buf answer = { 0 };
	if (client_connect(c, &conn, err) < 0)
		return -1;
	int rc = wire_send(&conn, method, path, client_host_header(c), headers, text, text ? strlen(text) : 0, &a, err);
	if (rc == 0)
		rc = wire_body_all(&conn, &a, MAX_ANSWER, &answer, err);
	*status = a.status;
	answer_free(&a);
	conn_close(&conn);
	wipe(auth, strlen(auth));
	wipe(headers, strlen(headers));
	if (rc < 0)
		return -1;
	cleanup_json cJSON *j = json_parse(buf_str(&answer), answer.len, "the agent's answer", NULL);
	if (*status >= 400)
		return answer_error(c, *status, j, buf_str(&answer), err);
	if (!j)
		return perry_fail(err, PERRY_EINTERNAL, "what answers at %s is no Perry agent", c->where);
	if (out)
		*out = take_ptr(j);
	return 0;
}

int client_get(const struct client *c, const char *path, cJSON **out, struct perry_err **err)
{
	int status;
	return call(c, "GET", path, "", NULL, &status, out, err);
}

static int rpc(const struct client *c, const char *proc, cJSON *take_input, const char *headers, int *status,
	       cJSON **out, struct perry_err **err)
{
	cleanup_free char *path = xasprintf("/rpc/%s", proc);
	cJSON *body = cJSON_CreateObject();
	cleanup_json cJSON *answer = NULL;
	if (take_input)
		json_set(body, "json", take_input);
	if (call(c, "POST", path, headers, body, status, &answer, err) < 0)
		return -1;
	if (out)
		*out = cJSON_DetachItemFromObjectCaseSensitive(answer, "json");
	return 0;
}

int client_rpc(const struct client *c, const char *proc, cJSON *take_input, cJSON **out, struct perry_err **err)
{
	int status;
	return rpc(c, proc, take_input, "", &status, out, err);
}

int client_rpc_async(const struct client *c, const char *proc, cJSON *take_input, char **operation, cJSON **out,
		     struct perry_err **err)
{
	int status;
	cleanup_json cJSON *j = NULL;
	*operation = NULL;
	if (rpc(c, proc, take_input, "Prefer: respond-async\r\n", &status, &j, err) < 0)
		return -1;
	if (status == 202 && json_str(j, "operation"))
		*operation = xstrdup(json_str(j, "operation"));
	else if (out)
		*out = take_ptr(j);
	return 0;
}

static int no_events(const struct client *c, struct events *ev, struct perry_err **err)
{
	cleanup_buf struct buf answer = { 0 };
	int status = ev->answer.status;
	ev->conn.until = clock_mono_ms() + REFUSAL_MS;
	wire_body_all(&ev->conn, &ev->answer, MAX_REFUSAL, &answer, NULL);
	events_close(ev);
	cleanup_json cJSON *j = json_parse(buf_str(&answer), answer.len, "the agent's answer", NULL);
	return answer_error(c, status, j, "the agent gives no events", err);
}

int events_open(const struct client *c, const char *query, struct events *ev, struct perry_err **err)
{
	*ev = (struct events){ 0 };
	cleanup_free char *path = xasprintf("/events%s%s", *query ? "?" : "", query);
	cleanup_free char *headers = client_headers(c);
	if (client_connect(c, &ev->conn, err) < 0)
		return -1;
	if (wire_send(&ev->conn, "GET", path, client_host_header(c), headers, NULL, 0, &ev->answer, err) < 0) {
		events_close(ev);
		return -1;
	}
	return ev->answer.status == 200 ? 0 : no_events(c, ev, err);
}

/* A whole event out of what was read, or NULL. Comments and keep-alives are skipped. */
static cJSON *take_event(struct events *ev)
{
	char *end;
	while (ev->line.len && (end = strstr(ev->line.data, "\n\n"))) {
		cleanup_free char *block = xstrndup(ev->line.data, (size_t)(end - ev->line.data));
		buf_consume(&ev->line, (size_t)(end - ev->line.data) + 2);
		char *save = NULL;
		for (char *line = strtok_r(block, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			if (!str_starts(line, "data:"))
				continue;
			cJSON *j = json_parse(line + 5, strlen(line + 5), "event", NULL);
			if (j)
				return j;
		}
	}
	return NULL;
}

cJSON *events_next(struct events *ev, int timeout_ms, bool *ended, struct perry_err **err)
{
	ev->conn.until = timeout_ms < 0 ? 0 : clock_mono_ms() + timeout_ms;
	*ended = false;
	for (;;) {
		cJSON *j = take_event(ev);
		if (j)
			return j;
		char bytes[4096];
		cleanup_err struct perry_err *why = NULL;
		ssize_t n = wire_body(&ev->conn, &ev->answer, bytes, sizeof bytes, &why);
		if (n <= 0) {
			*ended = n == 0 || why->code != PERRY_ETIMEOUT;
			if (n < 0 && *ended)
				perry_move(err, take_ptr(why));
			return NULL;
		}
		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] != '\r')
				buf_addc(&ev->line, bytes[i]);
	}
}

void events_close(struct events *ev)
{
	conn_close(&ev->conn);
	answer_free(&ev->answer);
	buf_free(&ev->line);
}
