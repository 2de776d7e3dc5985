/* Repositories of the configured GitHub token, for whoever picks one to clone. */
#include <ctype.h>
#include <string.h>

#include "agent/config.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "net/http.h"

enum {
	PER_PAGE = 100, /* GitHub's most */
	PAGES = 3,      /* that are searched */
	ANSWER_MAX = 4 << 20,
	TEXT_MAX = 500,
	ASK_MS = 10000,
};

/* GitHub's own, or another that speaks like it (GitHub Enterprise, by the variable that its runners set). */
static const char *api_url(void)
{
	const char *given = getenv("GITHUB_API_URL");
	return given && *given ? given : "https://api.github.com";
}

static int answered_badly(int status, struct perry_err **err)
{
	if (status == 401)
		return perry_fail(err, PERRY_EUNAVAILABLE,
				  "GitHub does not take the token: it has expired or was revoked. Set another one in "
				  "the settings, or by perry agent config set agents.github.token");
	if (status == 403 || status == 429)
		return perry_fail(err, PERRY_EUNAVAILABLE,
				  "GitHub refuses to list repositories: the token may not, or asks too often");
	return perry_fail(err, PERRY_EUNAVAILABLE, "GitHub answers with status %d", status);
}

static int ask(struct call *c, struct http *http, const struct secret *token, int page, int per_page, cJSON **out,
	       struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	cleanup_free char *url = xasprintf("/user/repos?sort=pushed&per_page=%d&page=%d", per_page, page);
	char *bearer = xasprintf("Authorization: Bearer %s", secret_reveal(token));
	const char *const headers[] = { bearer, "Accept: application/vnd.github+json", "User-Agent: perry",
					"X-GitHub-Api-Version: 2022-11-28", NULL };
	const struct http_req req = { .url = url,
				      .headers = headers,
				      .max = ANSWER_MAX,
				      .timeout_ms = ASK_MS,
				      .cancelled = &c->cancel.set,
				      .cancel_fd = c->cancel.fd };
	int rc = http_do(http, &req, &res, err);
	wipe(bearer, strlen(bearer));
	free(bearer);
	if (rc < 0)
		return perry_wrap(err, "GitHub");
	if (res.status != 200)
		return answered_badly(res.status, err);
	*out = json_parse(buf_str(&res.body), res.body.len, "GitHub's answer", err);
	if (*out && !cJSON_IsArray(*out)) {
		cJSON_Delete(take_ptr(*out));
		return perry_fail(err, PERRY_EUNAVAILABLE, "GitHub answers with no list of repositories");
	}
	return *out ? 0 : -1;
}

static void take_text(cJSON *out, const char *as, const cJSON *repo, const char *key)
{
	const char *text = json_str(repo, key);
	if (text && strlen(text) <= TEXT_MAX)
		json_set_str(out, as, text);
}

static bool matches(const cJSON *repo, const char *search)
{
	return !search || !*search || strcasestr(json_str_or(repo, "full_name", ""), search);
}

/* Adds those that match, at most most of them; true: there was one too many. */
static bool add_matching(cJSON *repos, const cJSON *page, const char *search, int most)
{
	const cJSON *repo;
	cJSON_ArrayForEach(repo, page) {
		if (!str_starts(json_str_or(repo, "clone_url", ""), "http") || !matches(repo, search))
			continue;
		if (cJSON_GetArraySize(repos) >= most)
			return true;
		cJSON *row = cJSON_CreateObject();
		take_text(row, "name", repo, "name");
		take_text(row, "fullName", repo, "full_name");
		take_text(row, "cloneUrl", repo, "clone_url");
		take_text(row, "sshUrl", repo, "ssh_url");
		take_text(row, "description", repo, "description");
		take_text(row, "defaultBranch", repo, "default_branch");
		take_text(row, "updatedAt", repo, "pushed_at");
		json_set_bool(row, "private", json_bool_or(repo, "private", false));
		json_push(repos, row);
	}
	return false;
}

static int list(struct call *c, const struct secret *token, cJSON *repos, bool *more, struct perry_err **err)
{
	const char *search = call_str(c, "search");
	bool searching = search && *search;
	int per_page = (int)json_int_or(c->input, "perPage", 30), page = (int)json_int_or(c->input, "page", 1);
	struct http *http = NULL;
	const struct http_options options = { .base = api_url(), .env_proxy = true, .connect_timeout_ms = 5000 };
	if (per_page < 1 || per_page > PER_PAGE || page < 1 || page > 1000)
		return perry_fail(err, PERRY_EINPUT, "perPage is 1 to %d, page 1 to 1000", PER_PAGE);
	for (const char *p = secret_reveal(token); *p; p++)
		if (!isgraph((unsigned char)*p))
			return perry_fail(err, PERRY_EINPUT, "agents.github.token is not one word");
	if (http_new(&http, &options, err) < 0)
		return perry_wrap(err, "GITHUB_API_URL");
	int rc = 0, first = searching ? 1 : page, last = searching ? PAGES : page;
	for (int i = first; rc == 0 && i <= last; i++) {
		cleanup_json cJSON *answer = NULL;
		int asked = searching ? PER_PAGE : per_page;
		rc = ask(c, http, token, i, asked, &answer, err);
		if (rc < 0)
			break;
		*more = add_matching(repos, answer, search, per_page) || cJSON_GetArraySize(answer) == asked;
		if (cJSON_GetArraySize(answer) < asked || (searching && cJSON_GetArraySize(repos) >= per_page))
			break;
	}
	http_free(http);
	return rc;
}

int proc_github_repos(struct call *c, cJSON **out, struct perry_err **err)
{
	struct config *config = agent_config(c->a);
	const char *set = config_str(config, "agents.github.token");
	bool configured = set && *set, more = false;
	cleanup_secret struct secret *token = NULL;
	int rc = configured ? config_secret(config, "agents.github.token", &token, err) : 0;
	config_unref(config);
	cleanup_json cJSON *repos = cJSON_CreateArray();
	if (rc < 0 || (configured && list(c, token, repos, &more, err) < 0))
		return -1;
	*out = cJSON_CreateObject();
	json_set_bool(*out, "configured", configured);
	json_set(*out, "repos", take_ptr(repos));
	json_set_bool(*out, "hasMore", more);
	return 0;
}
