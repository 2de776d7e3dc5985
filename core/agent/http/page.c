#include "agent/http/page.h"

#include <string.h>

#include "agent/internal.h"
#include "base/embed.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/server.h"

#define CSP \
	"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; font-src " \
	"'self'; form-action 'self'; " \
	"base-uri 'none'; frame-ancestors 'none'"

static const char *const headers[] = {
	"Content-Security-Policy", CSP, "X-Frame-Options", "DENY", "Referrer-Policy", "no-referrer", NULL,
};

static const char page[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>Perry</title>\n"
	"</head>\n"
	"<body>\n"
	"<h1>Perry agent</h1>\n"
	"<p>This is a Perry agent, version " PERRY_VERSION
	". It runs isolated development workspaces on this machine.</p>\n"
	"<h2>Sign in</h2>\n"
	"<p>On the agent's machine, <code>perry open</code> opens this page signed in. Or paste the token that "
	"<code>perry agent show-token</code> prints:</p>\n"
	"<form method=\"post\" action=\"/login\">\n"
	"<label>Token <input type=\"password\" name=\"token\" autocomplete=\"current-password\" required></label>\n"
	"<button>Sign in</button>\n"
	"</form>\n"
	"<h2>Use it</h2>\n"
	"<p>From a terminal: <code>perry list</code>, <code>perry start NAME</code>, <code>perry shell NAME</code>.\n"
	"From a program: <code>POST /rpc/workspaces/list</code> with <code>Authorization: Bearer TOKEN</code>; "
	"<a href=\"/openapi.json\">openapi.json</a> describes the rest.</p>\n"
	"</body>\n"
	"</html>\n";

static const char *type_of(const char *path)
{
	static const struct {
		const char *suffix, *type;
	} types[] = {
		{ ".html", "text/html;charset=utf-8" },
		{ ".js", "text/javascript;charset=utf-8" },
		{ ".mjs", "text/javascript;charset=utf-8" },
		{ ".css", "text/css;charset=utf-8" },
		{ ".json", "application/json" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
		{ ".ico", "image/x-icon" },
		{ ".woff2", "font/woff2" },
		{ ".webmanifest", "application/manifest+json" },
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_ends(path, types[i].suffix))
			return types[i].type;
	return "application/octet-stream";
}

static void answer(struct agent *a, struct server_req *r, const char *type, const char *data, size_t n)
{
	atomic_fetch_add_explicit(&a->answers[2], 1, memory_order_relaxed);
	reply_static(r, 200, type, data, n, headers);
}

bool page_handle(struct agent *a, struct server_req *r)
{
	const char *path = req_path(r), *base = strrchr(path, '/');
	const struct embedded *f = NULL;
	if (base && strchr(base, '.')) {
		cleanup_free char *name = xasprintf("web%s", path);
		f = embed_find(name);
		if (!f)
			return false;
		answer(a, r, type_of(path), f->data, (size_t)(f->end - f->data));
		return true;
	}
	/* Every other address is one of the user interface, which looks at it itself. */
	f = embed_find("web/index.html");
	if (f)
		answer(a, r, "text/html;charset=utf-8", f->data, (size_t)(f->end - f->data));
	else
		answer(a, r, "text/html;charset=utf-8", page, sizeof page - 1);
	return true;
}
