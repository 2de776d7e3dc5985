/* What the workspace's own tailscaled says of itself. Its notifications tell when to ask; what they say is left alone,
 * because only the status is a promised format. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "step/localapi.h"
#include "step/step.h"
#include "step/watch.h"

#define BUS        "watch-ipn-bus?mask=2" /* begins with the state it is in */
#define TRY_MS     1500
#define GATHER_MS  50
#define PAUSE_MS   1000 /* between two questions */
#define CALL_MS    1000
#define LINE_MAX   8192 /* of a notification; what matters stands at its beginning, or it is large enough to matter */
#define HEALTH_MAX 8

static void add_string(struct buf *out, const char *name, struct span v, bool dns)
{
	char *s = json_text(v);
	size_t n = s ? strlen(s) : 0;
	if (n && dns && s[n - 1] == '.')
		s[n - 1] = 0;
	if (n) {
		buf_addf(out, ",\"%s\":", name);
		json_quote_str(out, s);
	}
	free(s);
}

static bool list_has(struct span list, const char *wanted)
{
	struct span v;
	size_t at = 0;
	bool found = false;
	while (!found && json_next(list, &at, NULL, &v)) {
		char *s = json_text(v);
		found = s && !strcmp(s, wanted);
		free(s);
	}
	return found;
}

static void add_health(struct buf *out, struct span list)
{
	struct span v;
	size_t at = 0, n = 0;
	buf_adds(out, ",\"health\":[");
	for (; n < HEALTH_MAX && json_next(list, &at, NULL, &v); n++)
		buf_addf(out, "%s%.*s", n ? "," : "", (int)v.n, v.s);
	buf_adds(out, "]");
}

static void take_status(struct tailnet *t, struct span status, struct buf *out)
{
	struct span self = json_get(status, "Self"), ip = { 0 };
	char *state = json_text(json_get(status, "BackendState")), *dns = json_text(json_get(self, "DNSName"));
	size_t at = 0;
	long long expiry = json_time(json_get(self, "KeyExpiry"));
	if (dns && *dns && dns[strlen(dns) - 1] == '.')
		dns[strlen(dns) - 1] = 0;
	free(t->dns_name);
	t->dns_name = dns && *dns ? xstrdup(dns) : NULL;
	t->running = state && !strcmp(state, "Running");
	t->tun = !json_is(json_get(status, "TUN"), "false");
	t->certificates = t->dns_name && list_has(json_get(status, "CertDomains"), t->dns_name);
	buf_adds(out, "{\"state\":");
	json_quote_str(out, state ? state : "NoState");
	add_string(out, "dnsName", json_get(self, "DNSName"), true);
	if (json_next(json_get(self, "TailscaleIPs"), &at, NULL, &ip))
		add_string(out, "ip", ip, false);
	add_string(out, "nodeId", json_get(self, "ID"), false);
	if (expiry)
		buf_addf(out, ",\"keyExpiry\":%lld", expiry);
	buf_addf(out, ",\"tun\":%s", t->tun ? "true" : "false");
	add_health(out, json_get(status, "Health"));
	buf_adds(out, "}");
	free(state);
	free(dns);
}

/* True: it is another state than the one told last. */
static bool settle(struct tailnet *t, struct buf *now)
{
	bool same = !strcmp(now->data, buf_str(&t->told));
	if (same) {
		buf_free(now);
		return false;
	}
	buf_free(&t->told);
	t->told = *now;
	return true;
}

static bool ask(struct tailnet *t)
{
	struct local_answer a = { 0 };
	struct buf now = { 0 };
	bool news = false;
	t->ask_at = 0;
	t->asked = now_ms();
	if (local_call("GET", "status?peers=false", NULL, NULL, CALL_MS, &a) == 0 && a.status == 200) {
		struct span status = json_check(a.body, a.len);
		if (status.s) {
			take_status(t, status, &now);
			news = settle(t, &now);
		}
	} else {
		t->ask_at = t->asked + TRY_MS;
	}
	free(a.body);
	return news;
}

static bool matters(const char *line, size_t n)
{
	static const char *const words[] = { "\"SelfChange\":", "\"Health\":", "\"ErrMessage\":\"",
					     "\"LoginFinished\":{" };
	const char *state = memmem(line, n, "\"State\":", 8);
	if (n >= LINE_MAX || (state && state + 8 < line + n && isdigit((unsigned char)state[8])))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (memmem(line, n, words[i], strlen(words[i])))
			return true;
	return false;
}

static void note(struct tailnet *t)
{
	long long at = now_ms() + GATHER_MS;
	if (at < t->asked + PAUSE_MS)
		at = t->asked + PAUSE_MS;
	if (!t->ask_at || at < t->ask_at)
		t->ask_at = at;
}

static void take_line(struct tailnet *t)
{
	if (matters(buf_str(&t->line), t->line.len))
		note(t);
	buf_free(&t->line);
}

/* The head is skipped: whether it is one of success shows in what follows. False: the connection has ended. */
static bool hear(struct tailnet *t)
{
	char bytes[8192];
	ssize_t n = read(t->bus, bytes, sizeof bytes);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	for (const char *p = bytes, *end = bytes + n; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t k = (size_t)((nl ? nl : end) - p), room = LINE_MAX - t->line.len;
		buf_add(&t->line, p, k < room ? k : room);
		p += k + (nl ? 1 : 0);
		if (!nl)
			break;
		if (t->headed)
			take_line(t);
		else {
			t->headed = t->line.len <= 1;
			buf_free(&t->line);
		}
	}
	return true;
}

/* Forgets the connection, not what was told: it may only be starting again. */
static bool gone(struct tailnet *t)
{
	struct buf now = { 0 };
	close(t->bus);
	t->bus = -1;
	t->open_at = now_ms() + TRY_MS;
	t->ask_at = 0;
	t->running = false;
	buf_free(&t->line);
	buf_adds(&now, "{\"state\":\"NoState\",\"health\":[\"tailscaled does not run\"]}");
	return settle(t, &now);
}

bool tailnet_turn(struct tailnet *t, bool readable)
{
	long long now = now_ms();
	if (t->bus < 0 && now >= t->open_at) {
		t->open_at = now + TRY_MS;
		t->bus = local_open("GET", BUS, NULL, NULL);
		t->headed = false;
		if (t->bus >= 0)
			note(t);
	}
	if (readable && t->bus >= 0 && !hear(t))
		return gone(t);
	return t->bus >= 0 && t->ask_at && now >= t->ask_at && ask(t);
}

void tailnet_print(const struct tailnet *t, struct buf *out)
{
	buf_addf(out, "{\"tailnet\":%s}\n", t->told.data);
}
