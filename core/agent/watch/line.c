#include "agent/watch/line.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TEXT_MAX = 500, LIST_MAX = 16, NAMES_MAX = 128 };
#define DNS_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
#define COUNT_MAX      (INT64_C(1) << 52)

static const char what[] = "perry-step watch";

/* Text for tables and logs: cut, control characters as '?'. */
static void copy_text(char *out, size_t size, const char *s)
{
	size_t n = strlen(s);
	if (n >= size) {
		for (n = size - 1; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? '?' : s[i];
	out[n] = 0;
}

static bool is_address(const char *s)
{
	unsigned char bytes[16];
	return inet_pton(AF_INET, s, bytes) == 1 || inet_pton(AF_INET6, s, bytes) == 1;
}

static int read_port(const cJSON *j, struct watch_port *p, struct perry_err **err)
{
	int64_t number = 0, pid = 0;
	const char *address = NULL, *process = "";
	if (!cJSON_IsObject(j))
		return perry_fail(err, PERRY_EINPUT, "%s: ports: expected objects, got %s", what, json_type_name(j));
	if (json_get_int(j, what, "number", 1, 65535, &number, err) < 0 ||
	    json_get_int(j, what, "pid", 0, INT32_MAX, &pid, err) < 0 ||
	    json_get_str(j, what, "address", &address, err) < 0 ||
	    json_get_str(j, what, "process", &process, err) < 0 ||
	    json_get_bool(j, what, "loopback", &p->loopback, err) < 0)
		return -1;
	if (!number || !address || !is_address(address))
		return perry_fail(err, PERRY_EINPUT, "%s: a listener without a number or an address", what);
	p->number = (uint16_t)number;
	p->pid = (int)pid;
	copy_text(p->address, sizeof p->address, address);
	copy_text(p->process, sizeof p->process, process);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct watch_port *x = a, *y = b;
	return x->number != y->number ? x->number - y->number : strcmp(x->address, y->address);
}

static int read_ports(const cJSON *line, const cJSON *list, struct watch_line *out, struct perry_err **err)
{
	int n = cJSON_GetArraySize(list);
	int64_t more = 0;
	const cJSON *j;
	if (!cJSON_IsArray(list) || n > WATCH_PORTS_MAX)
		return perry_fail(err, PERRY_EINPUT, "%s: ports: expected a list of at most %d", what, WATCH_PORTS_MAX);
	if (json_get_int(line, what, "more", 0, INT32_MAX, &more, err) < 0)
		return -1;
	out->more = (int)more;
	out->ports = xcalloc((size_t)n + 1, sizeof *out->ports);
	cJSON_ArrayForEach(j, list)
		if (read_port(j, &out->ports[out->nports++], err) < 0)
			return -1;
	qsort(out->ports, out->nports, sizeof *out->ports, by_number);
	return 0;
}

static void take_text(cJSON *out, const cJSON *from, const char *key)
{
	char text[TEXT_MAX];
	const char *s = json_str(from, key);
	if (!s)
		return;
	copy_text(text, sizeof text, s);
	json_set_str(out, key, text);
}

static void take_number(cJSON *out, const cJSON *from, const char *key, int64_t min, int64_t max)
{
	int64_t n = min - 1;
	if (json_get_int(from, what, key, min, max, &n, NULL) == 0 && n >= min)
		json_set_int(out, key, n);
}

/* A member that is a list, or NULL. */
static const cJSON *list_of(const cJSON *from, const char *key)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(from, key);
	return cJSON_IsArray(list) ? list : NULL;
}

static void take_texts(cJSON *out, const cJSON *from, const char *key, int most)
{
	const cJSON *list = list_of(from, key), *j;
	cJSON *copy = cJSON_CreateArray();
	cJSON_ArrayForEach(j, list) {
		char text[TEXT_MAX];
		if (!cJSON_IsString(j) || cJSON_GetArraySize(copy) == most)
			continue;
		copy_text(text, sizeof text, j->valuestring);
		json_push_str(copy, text);
	}
	json_set(out, key, copy);
}

static cJSON *read_tailnet(const cJSON *from)
{
	static const char *const texts[] = { "state", "dnsName", "ip", "nodeId" };
	cJSON *out = cJSON_CreateObject();
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		take_text(out, from, texts[i]);
	/* They go into links. */
	const char *dns = json_str(out, "dnsName"), *ip = json_str(out, "ip");
	if (dns && (!isalnum((unsigned char)*dns) || dns[strspn(dns, DNS_CHARACTERS)]))
		json_set(out, "dnsName", NULL);
	if (ip && !is_address(ip))
		json_set(out, "ip", NULL);
	take_number(out, from, "keyExpiry", 1, INT64_C(1) << 52);
	take_texts(out, from, "health", LIST_MAX);
	const cJSON *tun = cJSON_GetObjectItemCaseSensitive(from, "tun");
	if (cJSON_IsBool(tun))
		json_set_bool(out, "tun", cJSON_IsTrue(tun));
	return out;
}

static cJSON *read_serve(const cJSON *from)
{
	cJSON *out = cJSON_CreateObject(), *tcp = cJSON_CreateArray(), *web = cJSON_CreateArray();
	const cJSON *list = list_of(from, "tcp"), *j;
	cJSON_ArrayForEach(j, list)
		if (cJSON_IsNumber(j) && j->valuedouble >= 1 && j->valuedouble <= 65535 &&
		    cJSON_GetArraySize(tcp) < WATCH_PORTS_MAX)
			json_push(tcp, cJSON_CreateNumber((int)j->valuedouble));
	list = list_of(from, "web");
	cJSON_ArrayForEach(j, list) {
		cJSON *row = cJSON_CreateObject();
		take_number(row, j, "port", 1, 65535);
		take_number(row, j, "target", 1, 65535);
		take_text(row, j, "scheme");
		if (cJSON_GetArraySize(row) == 3 && cJSON_GetArraySize(web) < LIST_MAX)
			json_push(web, row);
		else
			cJSON_Delete(row);
	}
	json_set(out, "tcp", tcp);
	json_set(out, "web", web);
	take_text(out, from, "error");
	return out;
}

/* Objects of one text and one number, or of two numbers. */
static void take_rows(cJSON *out, const cJSON *from, const char *key, const char *text, const char *const *numbers)
{
	const cJSON *list = list_of(from, key), *j;
	cJSON *copy = list ? cJSON_CreateArray() : NULL;
	cJSON_ArrayForEach(j, list) {
		cJSON *row = cJSON_CreateObject();
		if (text)
			take_text(row, j, text);
		for (const char *const *n = numbers; *n; n++)
			take_number(row, j, *n, 0, COUNT_MAX);
		if (cJSON_GetArraySize(row) == 2 && cJSON_GetArraySize(copy) < NAMES_MAX)
			json_push(copy, row);
		else
			cJSON_Delete(row);
	}
	json_set(out, key, copy);
}

static cJSON *read_activity(const cJSON *from)
{
	static const char *const numbers[] = { "cpuUsec",  "ioBytes", "netRx",   "netTx", "tailnetRx",
					       "accepted", "typed",   "printed", "ssh",   "sshEnded" };
	static const char *const connection[] = { "port", "count", NULL }, *const build[] = { "seconds", NULL };
	cJSON *out = cJSON_CreateObject();
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		take_number(out, from, numbers[i], 0, COUNT_MAX);
	if (json_bool_or(from, "tailnetUnseen", false))
		json_set_bool(out, "tailnetUnseen", true);
	take_rows(out, from, "connections", NULL, connection);
	take_rows(out, from, "builds", "name", build);
	if (list_of(from, "agents"))
		take_texts(out, from, "agents", NAMES_MAX);
	take_texts(out, from, "processes", NAMES_MAX);
	return out;
}

int watch_line_parse(const char *line, size_t n, struct watch_line *out, struct perry_err **err)
{
	*out = (struct watch_line){ 0 };
	if (n > WATCH_LINE_MAX)
		return perry_fail(err, PERRY_EINPUT, "%s: a line of %zu bytes", what, n);
	cleanup_json cJSON *j = json_parse(line, n, what, err);
	if (!j)
		return -1;
	if (!cJSON_IsObject(j))
		return perry_fail(err, PERRY_EINPUT, "%s: expected object, got %s", what, json_type_name(j));
	const cJSON *ports = cJSON_GetObjectItemCaseSensitive(j, "ports"),
		    *tailnet = cJSON_GetObjectItemCaseSensitive(j, "tailnet"),
		    *serve = cJSON_GetObjectItemCaseSensitive(j, "serve"),
		    *activity = cJSON_GetObjectItemCaseSensitive(j, "activity");
	if (ports) {
		out->kind = WATCH_PORTS;
		if (read_ports(j, ports, out, err) == 0)
			return 0;
		watch_line_free(out);
		return -1;
	}
	const cJSON *object = tailnet ? tailnet : serve ? serve : activity;
	if (object && !cJSON_IsObject(object))
		return perry_fail(err, PERRY_EINPUT, "%s: %s: expected object, got %s", what, object->string,
				  json_type_name(object));
	out->kind = tailnet ? WATCH_TAILNET : serve ? WATCH_SERVE : activity ? WATCH_ACTIVITY : WATCH_OTHER;
	out->object = tailnet    ? read_tailnet(tailnet)
		      : serve    ? read_serve(serve)
		      : activity ? read_activity(activity)
				 : NULL;
	return 0;
}

void watch_line_free(struct watch_line *l)
{
	free(l->ports);
	cJSON_Delete(l->object);
	*l = (struct watch_line){ 0 };
}
