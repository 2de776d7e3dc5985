/* join: brings this workspace onto its tailnet under the wanted name, whatever state tailscaled is in, and says in one
 * line of JSON how it went. standard input: one object {hostname, key, login_server, accept_dns, accept_routes, ssh,
 * timeout: seconds, again}; key may be missing standard output: {"did", "state", "dnsName", "ip", "nodeId",
 * "keyExpiry", "tun", "magicDns", "health": [], "taken": {nodeId, online}, "error"} did: "nothing" (all was as wanted),
 * "set" (the name or a flag was changed), "up". taken: the device that has the wanted name. again: the name is asked
 * for once more, because who had it is gone. leave: logs out, and says {"left", "nodeId", "error", "timeout", "never"}.
 * never: it has never been logged in, so there is no device. Both exit with 0, also when the answer has an error. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/quote.h"
#include "step/json.h"
#include "step/localapi.h"
#include "step/step.h"
#include "step/tailnet.h"

#define CALL_MS         5000
#define LOOK_MS         20
#define RENAME_MS       5000 /* until control has answered with the new name */
#define OUTPUT_MAX      16384
#define ONLINE_MS       5000
#define LOCK_FILE       TAILNET_DIR "/lock"
#define DEFAULT_CONTROL "https://controlplane.tailscale.com"

struct wanted {
	char *hostname, *key, *login_server;
	bool accept_dns, accept_routes, ssh, again;
	long long until; /* now_ms */
};

/* What tailscaled says of itself; texts may be NULL. */
struct state {
	struct local_answer raw;
	struct span all, self;
	char *backend, *dns_name;
};

static void state_free(struct state *s)
{
	free(s->raw.body);
	free(s->backend);
	free(s->dns_name);
	*s = (struct state){ 0 };
}

static bool state_get(struct state *s, const char *path)
{
	state_free(s);
	if (local_call("GET", path, NULL, NULL, CALL_MS, &s->raw) || s->raw.status != 200)
		return false;
	s->all = json_check(s->raw.body, s->raw.len);
	s->self = json_get(s->all, "Self");
	s->backend = json_text(json_get(s->all, "BackendState"));
	s->dns_name = json_text(json_get(s->self, "DNSName"));
	if (s->dns_name && *s->dns_name && s->dns_name[strlen(s->dns_name) - 1] == '.')
		s->dns_name[strlen(s->dns_name) - 1] = 0;
	return s->backend != NULL;
}

static bool is(const struct state *s, const char *backend)
{
	return s->backend && !strcmp(s->backend, backend);
}

static long long left_ms(const struct wanted *w)
{
	return w->until - now_ms();
}

static bool first_label_is(const char *dns_name, const char *label)
{
	size_t n = strlen(label);
	return dns_name && !strncasecmp(dns_name, label, n) && (dns_name[n] == '.' || !dns_name[n]);
}

/* "web", or "web-1" and so on when another device has that name. */
static bool name_is_for(const char *dns_name, const char *label)
{
	size_t n = strlen(label), digits;
	if (first_label_is(dns_name, label))
		return true;
	if (!dns_name || strncasecmp(dns_name, label, n) || dns_name[n] != '-')
		return false;
	digits = strspn(dns_name + n + 1, "0123456789");
	return digits && (dns_name[n + 1 + digits] == '.' || !dns_name[n + 1 + digits]);
}

/* --- asking tailscaled --- */

/* Until it has made up its mind: running, or waiting for something that we or the user must do. With what it remembers
 * of the tailnet it says that it runs before the control server has let it in again, which may also refuse; without an
 * answer it does run, on that memory. */
static bool wait_settled(struct state *s, const struct wanted *w, char **error)
{
	long long remembered = 0;
	for (;;) {
		bool answers = state_get(s, "status?peers=false");
		if (is(s, "Running") && !remembered)
			remembered = now_ms();
		if (is(s, "Running") &&
		    (json_is(json_get(s->self, "Online"), "true") || now_ms() - remembered > ONLINE_MS))
			return true;
		if (answers && !is(s, "Running") && !is(s, "NoState") && !is(s, "Starting"))
			return true;
		if (left_ms(w) <= 0 && !is(s, "Running")) {
			*error = answers ? xstrdup("no answer from the control server in time")
					 : xstrdup("tailscaled does not answer; " TAILSCALED_LOG " says more");
			return false;
		}
		sleep_ms(LOOK_MS);
	}
}

static bool wait_name(struct state *s, const struct wanted *w, const char *label)
{
	long long until = now_ms() + RENAME_MS;
	while (!name_is_for(s->dns_name, label) && now_ms() < until && left_ms(w) > 0) {
		sleep_ms(LOOK_MS);
		state_get(s, "status?peers=false");
	}
	return name_is_for(s->dns_name, label);
}

static char *set_prefs(const char *body)
{
	struct local_answer a;
	char *problem = NULL;
	if (local_call("PATCH", "prefs", NULL, body, CALL_MS, &a))
		return xasprintf("tailscaled: %s", strerror(errno));
	if (a.status != 200)
		problem = xasprintf("tailscaled refuses the change: %.200s", a.body);
	free(a.body);
	return problem;
}

static char *set_hostname(const char *name)
{
	struct buf t = { 0 };
	buf_adds(&t, "{\"HostnameSet\":true,\"Hostname\":");
	json_quote_str(&t, name);
	buf_adds(&t, "}");
	char *problem = set_prefs(t.data);
	buf_free(&t);
	return problem;
}

/* Changes what differs from what is wanted. *relogin: that takes a new login. */
static bool adjust(const struct wanted *w, bool *changed, bool *relogin, char **error)
{
	struct local_answer a;
	*changed = *relogin = false;
	if (local_call("GET", "prefs", NULL, NULL, CALL_MS, &a) || a.status != 200) {
		*error = xstrdup("tailscaled does not show its preferences");
		return false;
	}
	struct span prefs = json_check(a.body, a.len);
	char *url = json_text(json_get(prefs, "ControlURL")), *name = json_text(json_get(prefs, "Hostname"));
	bool renamed = !name || strcmp(name, w->hostname);
	struct buf t = { 0 };
	buf_adds(&t, "{");
	if (renamed) {
		buf_adds(&t, "\"HostnameSet\":true,\"Hostname\":");
		json_quote_str(&t, w->hostname);
	}
	const struct {
		const char *pref;
		bool wanted;
	} flags[] = { { "CorpDNS", w->accept_dns }, { "RouteAll", w->accept_routes }, { "RunSSH", w->ssh } };
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (json_is(json_get(prefs, flags[i].pref), "true") != flags[i].wanted)
			buf_addf(&t, "%s\"%sSet\":true,\"%s\":%s", t.len > 1 ? "," : "", flags[i].pref, flags[i].pref,
				 flags[i].wanted ? "true" : "false");
	*changed = t.len > 1;
	buf_adds(&t, "}");
	*relogin = url && *url && strcmp(url, w->login_server ? w->login_server : DEFAULT_CONTROL);
	if (*changed && !*relogin)
		*error = set_prefs(t.data);
	buf_free(&t);
	free(url);
	free(name);
	free(a.body);
	return !*error;
}

/* --- tailscale up --- */

/* Outlives us, should we be killed, just long enough to take the key away. The end of it is the end of the pipe that we
 * hold. */
static int guard_key_file(void)
{
	int pipefd[2];
	if (pipe2(pipefd, O_CLOEXEC))
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		setsid();
		close(pipefd[1]);
		for (int fd = 0; fd < 3; fd++) /* nobody waits for these to close */
			close(fd);
		while (read(pipefd[0], &byte, 1) < 0 && errno == EINTR)
			;
		unlink(KEY_FILE);
		_exit(0);
	}
	close(pipefd[0]);
	if (pid < 0) {
		close(pipefd[1]);
		return -1;
	}
	return pipefd[1];
}

/* Runs argv until its end or the deadline. Its output, at most OUTPUT_MAX of it, the caller's; *code: its exit code, -1
 * when it was killed by us. */
static char *run_tailscale(char **argv, long long until, int *code)
{
	int pipefd[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC), status;
	char *out = xmalloc(OUTPUT_MAX + 1);
	size_t n = 0;
	out[0] = 0;
	*code = -1;
	if (pipe2(pipefd, O_CLOEXEC))
		return out;
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 0);
		dup2(pipefd[1], 1);
		dup2(pipefd[1], 2);
		signals_restore();
		execv(TAILSCALE, argv);
		dprintf(2, TAILSCALE ": %s\n", strerror(errno));
		_exit(EXIT_CANNOT_RUN);
	}
	close(pipefd[1]);
	close(null);
	for (;;) {
		struct pollfd p = { pipefd[0], POLLIN, 0 };
		char bytes[2048];
		long long left = until - now_ms();
		if (pid < 0 || left <= 0)
			break;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		ssize_t got = read(pipefd[0], bytes, sizeof bytes);
		if (got <= 0)
			break;
		size_t room = OUTPUT_MAX - n, take = (size_t)got < room ? (size_t)got : room;
		memcpy(out + n, bytes, take);
		out[n += take] = 0;
	}
	close(pipefd[0]);
	bool late = until - now_ms() <= 0;
	if (pid > 0 && late)
		kill(pid, SIGKILL);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && !late)
		*code = exit_code(status);
	return out;
}

/* Whatever is said, the key is not. */
static void hide(char *text, const char *secret)
{
	size_t n = secret ? strlen(secret) : 0;
	for (char *p = text; n && (p = strstr(p, secret)); p += n)
		memset(p, '*', n);
}

static char *last_line(char *text)
{
	size_t n = strlen(text);
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		text[--n] = 0;
	char *nl = strrchr(text, '\n');
	return nl ? nl + 1 : text;
}

/* What stands in the way, as tailscaled has it: its first complaint that says more than that we are not there yet. */
static char *complaint(struct state *s)
{
	static const char logged_out[] = "You are logged out. The last login error was: ";
	size_t at = 0;
	struct span v;
	char *found = NULL;
	state_get(s, "status?peers=false");
	while (!found && json_next(json_get(s->all, "Health"), &at, NULL, &v)) {
		char *text = json_text(v);
		if (text && !strncmp(text, logged_out, sizeof logged_out - 1))
			found = xstrdup(text + sizeof logged_out - 1);
		else if (text && !strstr(text, "Tailscale is starting") && !strstr(text, "Tailscale is stopped"))
			found = xstrdup(text);
		free(text);
	}
	return found;
}

static char *why_up_failed(struct state *s, char *output, int code)
{
	static const char backend[] = "backend error: ";
	char *line = last_line(output), *health = NULL;
	if (code < 0 || strstr(line, "timeout waiting for") || !*line) {
		health = complaint(s);
		return health ? health : xstrdup("no answer from the control server in time");
	}
	if (!strncmp(line, backend, sizeof backend - 1))
		line += sizeof backend - 1;
	return xstrdup(line);
}

static char *up(struct state *s, const struct wanted *w, bool relogin)
{
	char *argv[16], *problem = NULL;
	int n = 0, code, guard = -1;
	long long left = left_ms(w);
	argv[n++] = (char *)"tailscale";
	argv[n++] = (char *)"up";
	argv[n++] = (char *)"--reset";
	argv[n++] = xasprintf("--timeout=%llds", left > 1000 ? left / 1000 : 1);
	argv[n++] = xasprintf("--hostname=%s", w->hostname);
	argv[n++] = xasprintf("--accept-dns=%s", w->accept_dns ? "true" : "false");
	argv[n++] = xasprintf("--accept-routes=%s", w->accept_routes ? "true" : "false");
	if (w->ssh)
		argv[n++] = (char *)"--ssh";
	if (w->login_server)
		argv[n++] = xasprintf("--login-server=%s", w->login_server);
	if (relogin)
		argv[n++] = (char *)"--force-reauth";
	if (w->key) {
		argv[n++] = (char *)"--auth-key=file:" KEY_FILE;
		guard = guard_key_file();
		if (guard < 0 || put_file(KEY_FILE, w->key, 0600))
			problem = xasprintf(KEY_FILE ": %s", strerror(errno));
	}
	argv[n] = NULL;
	if (!problem) {
		char *output = run_tailscale(argv, w->until + 2000, &code);
		unlink(KEY_FILE);
		hide(output, w->key);
		if (code)
			problem = why_up_failed(s, output, code);
		free(output);
	}
	if (guard >= 0)
		close(guard);
	return problem;
}

/* --- the whole of it --- */

static const char *join(struct state *s, const struct wanted *w, char **error)
{
	const char *did = "nothing";
	bool changed = false, relogin = false;
	if (access(TAILSCALED, X_OK)) {
		*error = xstrdup("there is no tailscaled on the tools volume");
		return did;
	}
	if (!wait_settled(s, w, error)) {
		char *health = is(s, "Starting") || is(s, "NoState") ? complaint(s) : NULL;
		if (health) {
			free(*error);
			*error = health;
		}
		return did;
	}
	if (is(s, "Running") && !adjust(w, &changed, &relogin, error))
		return did;
	if (is(s, "Running") && !relogin) {
		if (w->again && !changed && !first_label_is(s->dns_name, w->hostname)) {
			char *other = xasprintf("%.60s-x", w->hostname);
			*error = set_hostname(other);
			if (!*error && wait_name(s, w, other))
				*error = set_hostname(w->hostname);
			changed = true;
			free(other);
		}
		if (changed && !*error)
			wait_name(s, w, w->hostname);
		return changed ? "set" : did;
	}
	if (is(s, "NeedsMachineAuth")) {
		*error = xstrdup("the device waits for an admin of the tailnet to approve it");
		return did;
	}
	if (!w->key && (relogin || !is(s, "Stopped"))) {
		*error = xstrdup("it is logged out, and there is no key to join with");
		return did;
	}
	*error = up(s, w, relogin);
	state_get(s, "status?peers=false");
	if (!*error)
		wait_name(s, w, w->hostname);
	return "up";
}

/* Who has the name that we wanted? */
static void print_taken(const struct wanted *w, struct buf *t)
{
	struct state all = { 0 };
	struct span peer;
	size_t at = 0;
	state_get(&all, "status");
	while (json_next(json_get(all.all, "Peer"), &at, NULL, &peer)) {
		char *name = json_text(json_get(peer, "DNSName")), *id = json_text(json_get(peer, "ID"));
		if (id && first_label_is(name, w->hostname)) {
			buf_addf(t, ",\"taken\":{\"online\":%s,\"nodeId\":",
				 json_is(json_get(peer, "Online"), "true") ? "true" : "false");
			json_quote_str(t, id);
			buf_adds(t, "}");
		}
		free(name);
		free(id);
	}
	state_free(&all);
}

static void print_text(struct buf *t, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_addf(t, ",\"%s\":", name);
	json_quote_str(t, value);
}

static void print_string(struct buf *t, const char *name, struct span v)
{
	char *text = json_text(v);
	print_text(t, name, text);
	free(text);
}

static void print_bool(struct buf *t, const char *name, struct span v)
{
	if (v.s)
		buf_addf(t, ",\"%s\":%s", name, json_is(v, "true") ? "true" : "false");
}

static void print_list(struct buf *t, const char *name, struct span list)
{
	struct span v;
	size_t at = 0;
	bool first = true;
	buf_addf(t, ",\"%s\":[", name);
	for (; json_next(list, &at, NULL, &v); first = false) {
		char *text = json_text(v);
		buf_adds(t, first ? "" : ",");
		json_quote_str(t, text);
		free(text);
	}
	buf_adds(t, "]");
}

static void report(const struct state *s, const struct wanted *w, const char *did, const char *error)
{
	struct buf t = { 0 };
	struct span ip = { 0 };
	size_t at = 0;
	json_next(json_get(s->self, "TailscaleIPs"), &at, NULL, &ip);
	buf_addf(&t, "{\"did\":\"%s\"", did);
	print_text(&t, "state", s->backend);
	print_text(&t, "dnsName", s->dns_name);
	print_string(&t, "ip", ip);
	print_string(&t, "nodeId", json_get(s->self, "ID"));
	long long expiry = json_time(json_get(s->self, "KeyExpiry"));
	if (expiry)
		buf_addf(&t, ",\"keyExpiry\":%lld", expiry);
	print_bool(&t, "tun", json_get(s->all, "TUN"));
	print_bool(&t, "magicDns", json_get(json_get(s->all, "CurrentTailnet"), "MagicDNSEnabled"));
	print_list(&t, "health", json_get(s->all, "Health"));
	if (is(s, "Running") && s->dns_name && !first_label_is(s->dns_name, w->hostname))
		print_taken(w, &t);
	print_text(&t, "error", error);
	buf_adds(&t, "}\n");
	fd_write_all(1, t.data, t.len);
	/* For `docker logs`: only what has changed, and what did not work. */
	int log = strcmp(did, "nothing") || error ? open("/proc/1/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	if (log >= 0 && error)
		dprintf(log, "[perry] tailscale: not connected: %s\n", error);
	else if (log >= 0)
		dprintf(log, "[perry] tailscale: connected as %s\n", s->dns_name);
	if (log >= 0)
		close(log);
	buf_free(&t);
}

static bool wish(struct span in, const char *name)
{
	return json_is(json_get(in, name), "true");
}

static void read_wanted(struct wanted *w)
{
	size_t len = 0;
	long long seconds;
	char *text = read_fd(0, &len);
	struct span in = text ? json_check(text, len) : (struct span){ 0 };
	if (!in.s)
		die(EXIT_USAGE, "join needs one JSON object on its standard input");
	*w = (struct wanted){
		.hostname = json_text(json_get(in, "hostname")),
		.key = json_text(json_get(in, "key")),
		.login_server = json_text(json_get(in, "login_server")),
		.accept_dns = wish(in, "accept_dns"),
		.accept_routes = wish(in, "accept_routes"),
		.ssh = wish(in, "ssh"),
		.again = wish(in, "again"),
	};
	if (!json_int(json_get(in, "timeout"), 1, 3600, &seconds))
		seconds = 30;
	w->until = now_ms() + seconds * 1000;
	explicit_bzero(text, len);
	free(text);
	if (!w->hostname || !*w->hostname)
		die(EXIT_USAGE, "join needs a hostname");
}

/* Nothing of this process comes out in a core, or to a debugger. */
static void keep_secrets(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
}

/* One at a time: an agent that was killed asks again, and finds it done. */
static void wait_turn(long long until)
{
	make_dirs(TAILNET_DIR, 0700);
	int lock = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) && now_ms() < until)
		sleep_ms(LOOK_MS);
}

int cmd_join(int argc, char **argv)
{
	struct wanted w;
	struct state s = { 0 };
	char *error = NULL;
	if (argc != 1)
		die(EXIT_USAGE, "join takes nothing but its standard input");
	keep_secrets();
	read_wanted(&w);
	wait_turn(w.until);
	const char *did = join(&s, &w, &error);
	if (w.key)
		explicit_bzero(w.key, strlen(w.key));
	report(&s, &w, did, error);
	return 0;
}

int cmd_leave(int argc, char **argv)
{
	static const struct option options[] = { { "timeout", required_argument, 0, 't' }, { 0 } };
	char *logout[] = { (char *)"tailscale", (char *)"logout", NULL }, *end = NULL, *error = NULL, *output = NULL;
	double seconds = 10;
	int o, code = 0;
	struct wanted w = { 0 };
	struct state s = { 0 };
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 't' && ((seconds = strtod(optarg, &end)) <= 0 || *end || seconds > 3600))
			die(EXIT_USAGE, "--timeout takes seconds, not %s", optarg);
		if (o == '?')
			return EXIT_USAGE;
	}
	keep_secrets();
	w.until = now_ms() + (long long)(seconds * 1000);
	wait_turn(w.until);
	/* It knows its own id until it has logged out. One that waits for a login has, unless it still holds its key:
	 * then it was told to before, and the control server has not heard of it. */
	if (wait_settled(&s, &w, &error) && (!is(&s, "NeedsLogin") || json_is(json_get(s.all, "HaveNodeKey"), "true")))
		output = run_tailscale(logout, w.until, &code);
	if (code)
		error = xstrdup(code < 0 ? "no answer from the control server in time" : last_line(output));
	struct buf t = { 0 };
	buf_addf(&t, "{\"left\":%s", error ? "false" : "true");
	print_string(&t, "nodeId", json_get(s.self, "ID"));
	print_text(&t, "error", error);
	if (error && left_ms(&w) <= 0)
		buf_adds(&t, ",\"timeout\":true");
	if (!error && s.all.s && !json_is(json_get(s.all, "HaveNodeKey"), "true"))
		buf_adds(&t, ",\"never\":true");
	buf_adds(&t, "}\n");
	fd_write_all(1, t.data, t.len);
	free(output);
	return 0;
}
