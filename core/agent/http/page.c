#include "agent/http/page.h"

#include <string.h>

#include "agent/internal.h"
#include "base/embed.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/server.h"

#define CSP \
	"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " \
	"font-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; " \
	"frame-ancestors 'none'"

#define SAFETY \
	"Content-Security-Policy", CSP, "X-Frame-Options", "DENY", "Referrer-Policy", "no-referrer", \
		"X-Content-Type-Options", "nosniff"

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

/* Does the client take gzip? What is embedded of the user interface is kept so alone. */
static bool takes_gzip(struct server_req *r)
{
	const char *accept = req_header(r, "Accept-Encoding");
	return accept && strcasestr(accept, "gzip");
}

static void answer(struct agent *a, struct server_req *r, int status, const char *type, const char *data, size_t n,
		   const char *const *headers)
{
	atomic_fetch_add_explicit(&a->answers[status / 100], 1, memory_order_relaxed);
	reply_static(r, status, type, data, n, headers);
}

static void answer_file(struct agent *a, struct server_req *r, const char *path, const struct embedded *f)
{
	/* The names of files below /ui/ hold a hash of their content; the page itself is asked for each time. */
	bool lasts = str_starts(path, "/ui/");
	const char *const headers[] = { SAFETY,
					"Content-Encoding",
					"gzip",
					"Vary",
					"Accept-Encoding",
					"Cache-Control",
					lasts ? "public, max-age=31536000, immutable" : "no-cache",
					NULL };
	answer(a, r, 200, type_of(path), f->data, (size_t)(f->end - f->data), headers);
}

static const struct embedded *find(const char *path)
{
	cleanup_free char *name = xasprintf("web%s.gz", path);
	return embed_find(name);
}

bool page_handle(struct agent *a, struct server_req *r)
{
	static const char *const plain[] = { SAFETY, NULL };
	static const char no_gzip[] = "The client must accept gzip.\n";
	const char *path = req_path(r), *base = strrchr(path, '/');
	bool is_file = base && strchr(base, '.');
	/* Every other address is one of the user interface, which looks at it itself. */
	const struct embedded *f = find(is_file ? path : "/index.html");
	if (is_file && !f)
		return false;
	if (f && takes_gzip(r))
		answer_file(a, r, is_file ? path : "/index.html", f);
	else if (is_file)
		answer(a, r, 406, "text/plain;charset=utf-8", no_gzip, sizeof no_gzip - 1, plain);
	else
		answer(a, r, 200, "text/html;charset=utf-8", page, sizeof page - 1, plain);
	return true;
}
