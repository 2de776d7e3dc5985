/* Our entries in the serve configuration of the workspace's own tailscaled: a TCP forward for each exposed server on a
 * loopback address, and web addresses. The configuration outlives us and the container, and others have entries in it:
 * which are ours is noted beside tailscaled's state, and an entry that reads otherwise than we wrote it is somebody
 * else's from then on. The note has a line for each: "tcp PORT TARGET" or "web PORT SCHEME HOST TARGET". */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "step/localapi.h"
#include "step/step.h"
#include "step/watch.h"

#define MARKER   "/var/lib/tailscale/perry-serve"
#define CALL_MS  2000
#define AGAIN_MS 5000
#define TRIES    4 /* when others change it at the same time */

void serve_take(struct serve *s, struct span command)
{
	struct span list = json_get(command, "tcp"), v;
	size_t at = 0;
	long long n, target;
	s->wanted = true;
	s->ntcp = s->nweb = 0;
	while (s->ntcp < SERVE_MAX && json_next(list, &at, NULL, &v))
		if (json_int(v, 1, 65535, &n))
			s->tcp[s->ntcp++] = (unsigned short)n;
	list = json_get(command, "web");
	for (at = 0; s->nweb < ARRAY_LEN(s->web) && json_next(list, &at, NULL, &v);)
		if (json_int(json_get(v, "port"), 1, 65535, &n) && json_int(json_get(v, "target"), 1, 65535, &target))
			s->web[s->nweb++] = (struct serve_web){ (unsigned short)n, (unsigned short)target };
}

/* --- what is wanted now, as lines of the note --- */

/* Where a server on this port is reached when only this node can: "127.0.0.1:5173". NULL: none is, or everybody can. */
static char *loopback_target(const struct ports *p, unsigned short port, bool tun)
{
	const struct listener *best = NULL;
	for (size_t i = 0; i < p->n; i++) {
		const struct listener *l = &p->v[i];
		if (l->port != port || l->tailscaled)
			continue;
		if (!listener_is_loopback(l))
			return NULL;
		if (!best || (best->v6 && !l->v6))
			best = l;
	}
	/* Without an interface tailscaled hands what arrives to 127.0.0.1 itself. */
	if (!best || (!tun && !best->v6 && best->addr[3] == 1))
		return NULL;
	char addr[INET6_ADDRSTRLEN] = "";
	inet_ntop(best->v6 ? AF_INET6 : AF_INET, best->addr, addr, sizeof addr);
	return xasprintf(best->v6 ? "[%s]:%d" : "%s:%d", addr, port);
}

static bool is_web_port(const struct serve *s, unsigned short port)
{
	for (size_t i = 0; i < s->nweb; i++)
		if (s->web[i].port == port)
			return true;
	return false;
}

static void wanted_lines(const struct serve *s, const struct tailnet *t, const struct ports *p, struct buf *out)
{
	for (size_t i = 0; i < s->nweb && t->dns_name; i++) {
		/* Without certificates the usual port of HTTPS becomes that of HTTP. */
		int port = s->web[i].port == 443 && !t->certificates ? 80 : s->web[i].port;
		buf_addf(out, "web %d %s %s %d\n", port, t->certificates ? "https" : "http", t->dns_name,
			 s->web[i].target);
	}
	for (size_t i = 0; i < s->ntcp; i++) {
		char *target = is_web_port(s, s->tcp[i]) ? NULL : loopback_target(p, s->tcp[i], t->tun);
		if (target)
			buf_addf(out, "tcp %d %s\n", s->tcp[i], target);
		free(target);
	}
}

/* --- the configuration --- */

struct line {
	bool web;
	int port, target_port;
	char scheme[8], host[260], target[64];
};

/* The next line of a note; NULL at its end. */
static const char *next_line(const char *at, struct line *l)
{
	for (; at && *at; at += strcspn(at, "\n") + 1) {
		*l = (struct line){ 0 };
		if (sscanf(at, "tcp %d %63s", &l->port, l->target) == 2)
			return at + strcspn(at, "\n") + 1;
		l->web = true;
		if (sscanf(at, "web %d %7s %259s %d", &l->port, l->scheme, l->host, &l->target_port) == 4)
			return at + strcspn(at, "\n") + 1;
	}
	return NULL;
}

static char *tcp_value(const struct line *l)
{
	if (!l->web)
		return xasprintf("{\"TCPForward\":\"%s\"}", l->target);
	return xasprintf("{\"%s\":true}", !strcmp(l->scheme, "https") ? "HTTPS" : "HTTP");
}
static char *web_value(const struct line *l)
{
	return xasprintf("{\"Handlers\":{\"/\":{\"Proxy\":\"http://127.0.0.1:%d\"}}}", l->target_port);
}

/* Values are compared without blanks: tailscaled writes none, and neither do we. */
static bool is_ours(const char *note, bool web, const char *key, struct span value)
{
	struct line l;
	bool found = false;
	for (const char *at = note; !found && (at = next_line(at, &l));) {
		char *name = web ? xasprintf("%s:%d", l.host, l.port) : xasprintf("%d", l.port),
		     *text = web ? web_value(&l) : tcp_value(&l);
		found = (!web || l.web) && !strcmp(name, key) && json_is(value, text);
		free(name);
		free(text);
	}
	return found;
}

static void add_member(struct buf *out, bool *first, const char *key, const char *value, size_t n)
{
	buf_adds(out, *first ? "" : ",");
	json_quote_str(out, key);
	buf_addf(out, ":%.*s", (int)n, value);
	*first = false;
}

/* What became of the wanted lines: those in place, and the ports where somebody else's entry stands, which stays. */
struct outcome {
	struct buf placed, taken;
};

/* One of the two maps with what is ours in it replaced. The outcome is that of TCP, which has an entry for each line.
 */
static void rewrite(struct span old, const char *ours, const char *wanted, bool web, struct buf *out, struct outcome *o)
{
	struct span k, v;
	struct line l;
	size_t at = 0;
	bool first = true;
	buf_adds(out, "{");
	while (json_next(old, &at, &k, &v)) {
		char *key = json_text(k);
		if (!is_ours(ours, web, key, v))
			add_member(out, &first, key, v.s, v.n);
		free(key);
	}
	for (const char *p = wanted, *next; (next = next_line(p, &l)); p = next) {
		if (web && !l.web)
			continue;
		char *key = web ? xasprintf("%s:%d", l.host, l.port) : xasprintf("%d", l.port),
		     *text = web ? web_value(&l) : tcp_value(&l);
		struct span there = json_get(old, key);
		bool ok = !there.s || is_ours(ours, web, key, there);
		if (ok)
			add_member(out, &first, key, text, strlen(text));
		if (!web && ok)
			buf_add(&o->placed, p, (size_t)(next - p));
		else if (!web)
			buf_addf(&o->taken, "%s%s", o->taken.len ? ", " : "", key);
		free(key);
		free(text);
	}
	buf_adds(out, "}");
}

static char *merge(struct span config, const char *ours, const char *wanted, struct outcome *o)
{
	struct buf out = { 0 };
	struct span k, v;
	size_t at = 0;
	bool first = true;
	buf_adds(&out, "{");
	while (json_next(config, &at, &k, &v)) {
		char *key = json_text(k);
		if (strcmp(key, "TCP") && strcmp(key, "Web"))
			add_member(&out, &first, key, v.s, v.n);
		free(key);
	}
	buf_addf(&out, "%s\"TCP\":", first ? "" : ",");
	rewrite(json_get(config, "TCP"), ours, wanted, false, &out, o);
	buf_adds(&out, ",\"Web\":");
	rewrite(json_get(config, "Web"), ours, wanted, true, &out, o);
	buf_adds(&out, "}");
	return buf_take(&out);
}

/* Nothing of ours is to go or to come? */
static bool as_wanted(struct span config, const char *ours, const char *wanted)
{
	struct line l;
	if (strcmp(ours, wanted))
		return false;
	for (const char *p = wanted; (p = next_line(p, &l));) {
		char *key = xasprintf("%d", l.port), *text = tcp_value(&l);
		bool there = json_is(json_get(json_get(config, "TCP"), key), text);
		free(key);
		free(text);
		if (!there)
			return false;
	}
	return true;
}

/* --- changing it --- */

static int post(const char *body, const char *etag)
{
	struct local_answer a = { 0 };
	char *headers = *etag ? xasprintf("If-Match: %s\r\n", etag) : NULL;
	int status = local_call("POST", "serve-config", headers, body, CALL_MS, &a) == 0 ? a.status : 0;
	if (status != 200 && status != 412)
		warn_line("serve-config: %d %.300s", status, a.body ? a.body : strerror(errno));
	free(headers);
	free(a.body);
	return status;
}

/* 1: done, 0: try again, -1: it cannot be done now (*why, caller frees). */
static int change(struct serve *s, const char *wanted, struct outcome *o, char **why)
{
	struct local_answer a = { 0 };
	if (local_call("GET", "serve-config", NULL, NULL, CALL_MS, &a) || a.status != 200) {
		*why = xasprintf("tailscaled does not show its serve configuration (%d)", a.status);
		free(a.body);
		return -1;
	}
	struct span config = json_check(a.body, a.len);
	int rc = 1;
	buf_consume(&o->placed, o->placed.len);
	buf_consume(&o->taken, o->taken.len);
	if (as_wanted(config, buf_str(&s->ours), wanted)) {
		buf_adds(&o->placed, wanted);
	} else {
		char *body = merge(config, buf_str(&s->ours), wanted, o),
		     *both = xasprintf("%s%s", buf_str(&s->ours), wanted);
		/* Whatever comes in between: what may be ours is in the note. */
		put_file(MARKER, both, 0600);
		int status = post(body, a.etag);
		rc = status == 200 ? 1 : status == 412 ? 0 : -1;
		if (rc > 0)
			put_file(MARKER, buf_str(&o->placed), 0600);
		else if (rc < 0)
			*why = xasprintf("tailscaled refuses the change of its serve configuration (%d)", status);
		free(body);
		free(both);
	}
	free(a.body);
	return rc;
}

static void report(const struct serve *s, const char *taken, const char *why, struct buf *out)
{
	struct line l;
	bool first = true;
	buf_adds(out, "{\"tcp\":[");
	for (const char *p = buf_str(&s->ours); (p = next_line(p, &l));)
		if (!l.web) {
			buf_addf(out, "%s%d", first ? "" : ",", l.port);
			first = false;
		}
	buf_adds(out, "],\"web\":[");
	first = true;
	for (const char *p = buf_str(&s->ours); (p = next_line(p, &l));)
		if (l.web) {
			buf_addf(out, "%s{\"port\":%d,\"scheme\":\"%s\",\"target\":%d}", first ? "" : ",", l.port,
				 l.scheme, l.target_port);
			first = false;
		}
	buf_adds(out, "]");
	if (why || *taken) {
		char *text = why ? xstrdup(why)
				 : xasprintf("the workspace's serve configuration has something else there: %s", taken);
		buf_adds(out, ",\"error\":");
		json_quote_str(out, text);
		free(text);
	}
	buf_adds(out, "}");
}

bool serve_turn(struct serve *s, const struct tailnet *t, const struct ports *p)
{
	struct buf wanted = { 0 }, now = { 0 };
	struct outcome o = { 0 };
	char *why = NULL;
	s->again_at = 0;
	if (!s->wanted || !t->running)
		return false;
	if (!s->read_marker) {
		char *note = read_file(MARKER, NULL);
		s->read_marker = true;
		buf_adds(&s->ours, note ? note : "");
		free(note);
	}
	wanted_lines(s, t, p, &wanted);
	int rc = 0;
	for (int i = 0; i < TRIES && rc == 0; i++)
		rc = change(s, buf_str(&wanted), &o, &why);
	s->again_at = rc > 0 ? 0 : now_ms() + AGAIN_MS;
	if (rc > 0) {
		buf_free(&s->ours);
		s->ours = o.placed;
		o.placed = (struct buf){ 0 };
	}
	report(s, buf_str(&o.taken), rc == 0 ? "others keep changing the serve configuration" : why, &now);
	buf_free(&wanted);
	buf_free(&o.placed);
	buf_free(&o.taken);
	free(why);
	if (!strcmp(now.data, buf_str(&s->told))) {
		buf_free(&now);
		return false;
	}
	buf_free(&s->told);
	s->told = now;
	return true;
}

void serve_print(const struct serve *s, struct buf *out)
{
	buf_addf(out, "{\"serve\":%s}\n", s->told.data);
}
