/* The terminal that existing clients speak, against the real engine and this machine's shell. Skipped without an
 * engine. */
#include "agent_stream_util.h"

struct screen {
	struct ws *ws;
	struct buf text;
	bool gone;
};

static void on_bytes(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct screen *t = ctx;
	assert_true(binary);
	buf_add(&t->text, bytes, n);
}

static void dial(struct screen *t, const char *name, const char *user)
{
	int fds[2];
	memset(t, 0, sizeof *t);
	cleanup_json cJSON *caller = cJSON_CreateObject();
	json_set_str(caller, "user", user);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	t->ws = ws_new(fds[0], false, 1 << 20, NULL, on_bytes, t);
	streams_take_terminal(streams, fds[1], NULL, 0, caller, name);
}

static void hang_up(struct screen *t)
{
	ws_free(t->ws);
	buf_free(&t->text);
}

static void type(struct screen *t, bool binary, const char *text)
{
	ws_send(t->ws, binary, text, strlen(text));
}

static void turn(struct screen *t, int ms)
{
	if (t->gone)
		return;
	struct pollfd p = { .fd = ws_fd(t->ws), .events = (short)(POLLIN | (ws_wants_write(t->ws) ? POLLOUT : 0)) };
	poll(&p, 1, ms);
	if ((p.revents & (POLLIN | POLLHUP)) && ws_on_readable(t->ws) < 0)
		t->gone = true;
	if (!t->gone && ws_wants_write(t->ws) && ws_on_writable(t->ws) < 0)
		t->gone = true;
}

static bool shows(struct screen *t, const char *text)
{
	for (int64_t end = clock_mono_ms() + FOREVER; clock_mono_ms() < end && !t->gone; turn(t, 20))
		if (t->text.data && memmem(t->text.data, t->text.len, text, strlen(text)))
			return true;
	return t->text.data && memmem(t->text.data, t->text.len, text, strlen(text));
}

static void closes_with(struct screen *t, uint16_t code, const char *reason)
{
	const char *got = NULL;
	for (int64_t end = clock_mono_ms() + FOREVER; clock_mono_ms() < end && !t->gone && !ws_close_code(t->ws, NULL);)
		turn(t, 20);
	assert_int_equal(ws_close_code(t->ws, &got), code);
	assert_string_equal(got, reason);
}

static void a_session(void **state)
{
	struct screen t;
	dial(&t, "web", "me");
	/* Nothing happens before the first resize, and nothing typed before it is lost. */
	type(&t, false, "echo ea''rly $TERM\n");
	type(&t, true, "{echo} \"{\" br''ace\n");
	for (int i = 0; i < 10; i++)
		turn(&t, 30);
	assert_int_equal(t.text.len, 0);
	assert_int_equal(streams_count(streams), 1);
	type(&t, false, "{\"type\":\"resize\",\"cols\":100,\"rows\":30}");
	assert_true(shows(&t, "early xterm-256color"));
	type(&t, false, "stty size; id -un; echo $0\n");
	assert_true(shows(&t, "30 100\r\n"));
	assert_true(shows(&t, "workspace\r\n"));
	assert_true(shows(&t, "-bash\r\n"));
	type(&t, true, "{\"type\":\"resize\",\"cols\":77,\"rows\":11}");
	type(&t, true, "sleep 0.3; stty size\n");
	assert_true(shows(&t, "11 77\r\n"));
	/* What only looks like a resize is input. */
	type(&t, false, "{\"type\":\"resize\",\"cols\":\"a\"}\n");
	assert_true(shows(&t, "type:resize: command not found"));
	type(&t, false, "exit 3\n");
	closes_with(&t, 1000, "Process exited with code 3");
	hang_up(&t);
	EVENTUALLY(streams_count(streams) == 0);
}

static void all_output_comes_before_the_close(void **state)
{
	struct screen t;
	dial(&t, "web", "me");
	type(&t, false, "{\"type\":\"resize\",\"cols\":80,\"rows\":24}");
	type(&t, false, "stty -onlcr; head -c 3000000 /dev/zero | tr '\\0' z; echo; echo the''end; exit\n");
	closes_with(&t, 1000, "Process exited with code 0");
	assert_true(t.text.len > 3000000);
	assert_true(shows(&t, "theend"));
	hang_up(&t);
}

static void a_large_paste(void **state)
{
	struct screen t;
	dial(&t, "web", "me");
	type(&t, false, "{\"type\":\"resize\",\"cols\":80,\"rows\":24}");
	type(&t, false, "stty -echo; echo re''ady; sleep 1; head -c 2000000 | wc -c; exit\n");
	assert_true(shows(&t, "ready"));
	char line[1001];
	memset(line, 'p', 999);
	line[999] = '\n';
	line[1000] = '\0';
	for (int i = 0; i < 2000; i++) {
		type(&t, true, line);
		turn(&t, 0);
	}
	assert_true(shows(&t, "2000000"));
	closes_with(&t, 1000, "Process exited with code 0");
	hang_up(&t);
}

static void hanging_up_ends_the_shell(void **state)
{
	struct screen t;
	dial(&t, "web", "me");
	type(&t, false, "{\"type\":\"resize\",\"cols\":80,\"rows\":24}");
	type(&t, false, "sleep 7101\n");
	for (int64_t end = clock_mono_ms() + FOREVER; clock_mono_ms() < end && processes("sleep 7101") == 0;)
		turn(&t, 20);
	assert_int_equal(processes("sleep 7101"), 1);
	hang_up(&t);
	EVENTUALLY(processes("sleep 7101") == 0);
	EVENTUALLY(processes("-bash") == 0);
	EVENTUALLY(streams_count(streams) == 0);
}

static void stopping(void **state)
{
	struct screen t, other, waiting;
	dial(&t, "web", "me");
	dial(&other, "other", "me");
	dial(&waiting, "web", "me");
	type(&t, false, "{\"type\":\"resize\",\"cols\":80,\"rows\":24}");
	type(&t, false, "echo he''re\n");
	assert_true(shows(&t, "here"));
	turn(&other, 0);
	turn(&waiting, 0);
	streams_close_workspace(streams, "web", 1001, "Workspace stopped");
	closes_with(&t, 1001, "Workspace stopped");
	closes_with(&waiting, 1001, "Workspace stopped");
	assert_int_equal(ws_close_code(other.ws, NULL), 0);
	type(&other, false, "{\"type\":\"resize\",\"cols\":80,\"rows\":24}");
	type(&other, false, "echo he''re\n");
	assert_true(shows(&other, "here"));
	int64_t begun = clock_mono_ms();
	end_streams(NULL);
	assert_true(clock_mono_ms() - begun < FOREVER);
	closes_with(&other, 1001, "Server shutting down");
	hang_up(&t);
	hang_up(&other);
	hang_up(&waiting);
	assert_int_equal(processes("-bash"), 0);
}

static void what_cannot_be_opened(void **state)
{
	static const struct {
		const char *name, *user;
		int code;
		const char *reason;
	} cases[] = {
		{ "stopped", "me", 1011, "Workspace is not running" },
		{ "gone", "me", 1011, "Workspace 'gone' not found" },
		{ "web", "nobody", 1008, "nobody may not terminal web" },
		{ "@host", "me", 4003, "Host access is disabled" },
	};
	struct screen t;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		dial(&t, cases[i].name, cases[i].user);
		type(&t, false, "{\"type\":\"resize\",\"cols\":80,\"rows\":24}");
		closes_with(&t, (uint16_t)cases[i].code, cases[i].reason);
		hang_up(&t);
	}
	/* Too much before the first resize. */
	static char block[60000];
	memset(block, 'x', sizeof block - 1);
	dial(&t, "web", "me");
	type(&t, false, block);
	type(&t, false, block);
	closes_with(&t, 1009, "too much input before the first resize");
	hang_up(&t);
}

/* --- who shows the token by the first message --- */

#define AUTH(token) "{\"type\":\"auth\",\"token\":\"" token "\"}"
#define RESIZE_TO   "{\"type\":\"resize\",\"cols\":80,\"rows\":24}"

static void dial_stranger(struct screen *t, const char *name)
{
	int fds[2];
	memset(t, 0, sizeof *t);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	t->ws = ws_new(fds[0], false, 1 << 20, NULL, on_bytes, t);
	assert_true(streams_expect_stranger(streams, "10.0.0.1"));
	streams_take_stranger(streams, fds[1], NULL, 0, "10.0.0.1", name);
}

static void a_stranger_with_the_token(void **state)
{
	struct screen t;
	/* All at once, as clients send it, while the token is still being looked at. */
	dial_stranger(&t, "web");
	type(&t, false, AUTH("slow"));
	type(&t, false, RESIZE_TO);
	type(&t, false, "echo ea''rly\n");
	assert_true(shows(&t, "early"));
	assert_int_equal(streams_count(streams), 1);
	/* Once more, late, and in a binary message: a token is never typed. */
	type(&t, false, AUTH("secret-1"));
	type(&t, true, AUTH("secret-2"));
	type(&t, false, "echo af''ter; exit\n");
	closes_with(&t, 1000, "Process exited with code 0");
	buf_addc(&t.text, 0);
	assert_non_null(strstr(t.text.data, "after"));
	assert_null(strstr(t.text.data, "secret"));
	assert_null(strstr(t.text.data, "slow"));
	hang_up(&t);
	/* Somebody known, whose client says it as well. */
	dial(&t, "web", "me");
	type(&t, false, AUTH("secret-3"));
	type(&t, false, RESIZE_TO);
	type(&t, false, "echo kno''wn; exit\n");
	closes_with(&t, 1000, "Process exited with code 0");
	buf_addc(&t.text, 0);
	assert_non_null(strstr(t.text.data, "known"));
	assert_null(strstr(t.text.data, "secret"));
	hang_up(&t);
	/* This machine's. */
	atomic_store(&host_allowed, true);
	dial_stranger(&t, "@host");
	type(&t, false, AUTH("right"));
	type(&t, false, AUTH("secret-4"));
	type(&t, false, RESIZE_TO);
	type(&t, false, "echo ho''st; exit\n");
	closes_with(&t, 1000, "Process exited with code 0");
	buf_addc(&t.text, 0);
	assert_non_null(strstr(t.text.data, "host"));
	assert_null(strstr(t.text.data, "secret"));
	hang_up(&t);
	atomic_store(&host_allowed, false);
	EVENTUALLY(streams_count(streams) == 0);
}

static void a_stranger_without(void **state)
{
	static const char *const firsts[] = {
		RESIZE_TO,
		"rm -rf ~\n",
		AUTH("wrong"),
		AUTH(""),
		"{\"type\":\"auth\"}",
		"{\"type\":\"auth\",\"token\":1}",
		"[" AUTH("right") "]",
		AUTH("right") AUTH("right"),
		"",
		"{",
	};
	struct screen t;
	int before = processes("-bash");
	for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
		dial_stranger(&t, i % 2 ? "web" : "no-such-workspace"); /* which is not told */
		type(&t, false, firsts[i]);
		type(&t, false, AUTH("right")); /* too late */
		type(&t, false, RESIZE_TO);
		closes_with(&t, 4001, "Authentication failed");
		assert_int_equal(t.text.len, 0);
		hang_up(&t);
	}
	dial_stranger(&t, "web");
	type(&t, false, AUTH("limited"));
	closes_with(&t, 1008, "look, do not touch");
	hang_up(&t);
	dial_stranger(&t, "no-such-workspace");
	type(&t, false, AUTH("right"));
	type(&t, false, RESIZE_TO);
	closes_with(&t, 1011, "Workspace 'no-such-workspace' not found");
	hang_up(&t);
	/* He may not send much. */
	static char block[8192];
	memset(block, 'x', sizeof block - 1);
	dial_stranger(&t, "web");
	type(&t, false, block);
	closes_with(&t, 1009, "");
	hang_up(&t);
	assert_int_equal(processes("-bash"), before);
	assert_int_equal(streams_count(streams), 0);
}

static int begin_impatient(void **state)
{
	stranger_ms = 200;
	int rc = begin_streams(state);
	stranger_ms = 0;
	return rc;
}

static void a_stranger_who_is_silent(void **state)
{
	struct screen t;
	dial_stranger(&t, "web");
	ws_ping(t.ws); /* is no message */
	closes_with(&t, 4001, "Authentication timed out");
	hang_up(&t);
}

static void strangers_are_few(void **state)
{
	struct screen t[8];
	for (int i = 0; i < 8; i++)
		dial_stranger(&t[i], "web");
	assert_false(streams_expect_stranger(streams, "10.0.0.1"));
	for (int i = 0; i < 24; i++) {
		char peer[24];
		snprintf(peer, sizeof peer, "10.0.1.%d", i);
		assert_true(streams_expect_stranger(streams, peer));
	}
	assert_false(streams_expect_stranger(streams, "10.0.2.1"));
	streams_forget_stranger(streams, "10.0.1.7");
	assert_true(streams_expect_stranger(streams, "10.0.2.1"));
	/* Who is known does not count any more, nor who has left. */
	type(&t[0], false, AUTH("right"));
	for (int64_t end = clock_mono_ms() + FOREVER; clock_mono_ms() < end && !streams_count(streams);)
		turn(&t[0], 20);
	assert_true(streams_expect_stranger(streams, "10.0.0.1"));
	hang_up(&t[1]);
	bool in = false;
	EVENTUALLY(in || (in = streams_expect_stranger(streams, "10.0.0.1")));
	for (int i = 0; i < 8; i++)
		if (i != 1)
			hang_up(&t[i]);
}

static int host_processes(const char *text)
{
	cleanup_free char *command = xasprintf("pgrep -fx '%s' | wc -l", text);
	FILE *p = popen(command, "r");
	int n = -1;
	if (fscanf(p, "%d", &n) != 1)
		n = -1;
	pclose(p);
	return n;
}

static void this_machine(void **state)
{
	struct screen t;
	atomic_store(&host_allowed, true);
	setenv("SHELL", "/bin/bash", 1);
	setenv("PERRY_TAILSCALE_AUTH_KEY", "tskey-auth-secret", 1);
	dial(&t, "@host", "me");
	type(&t, false, "PS1=; echo first\n");
	type(&t, false, "{\"type\":\"resize\",\"cols\":90,\"rows\":25}");
	assert_true(shows(&t, "first\r\n"));
	type(&t, false,
	     "stty size; echo $TERM; shopt -q login_shell && echo lo''gin; test $PWD = $HOME && echo at-ho''me; ls "
	     "/proc/self/fd | wc -w; echo key${PERRY_TAILSCALE_AUTH_KEY}.\n");
	assert_true(shows(&t, "25 90\r\n"));
	assert_true(shows(&t, "xterm-256color\r\n"));
	assert_true(shows(&t, "login\r\n"));
	assert_true(shows(&t, "at-home\r\n"));
	assert_true(shows(&t, "\r\n4\r\n")); /* 0, 1, 2 and the folder itself: nothing of the agent's */
	assert_true(shows(&t, "key.\r\n"));
	type(&t, false, "{\"type\":\"resize\",\"cols\":60,\"rows\":9}");
	type(&t, false, "stty size\n");
	assert_true(shows(&t, "9 60\r\n"));
	/* A process left in the background does not keep the terminal. */
	type(&t, false, "sleep 7102 & exit 4\n");
	closes_with(&t, 1000, "Process exited with code 4");
	hang_up(&t);
	assert_int_equal(system("pkill -fx 'sleep 7102' || true"), 0);

	dial(&t, "@host", "me");
	type(&t, false, "{\"type\":\"resize\",\"cols\":90,\"rows\":25}");
	type(&t, false,
	     "stty -onlcr -echo; echo re''ady; head -c 2000000 /dev/zero | tr '\\0' z; echo the''end; sleep 7103\n");
	assert_true(shows(&t, "theend"));
	EVENTUALLY(host_processes("sleep 7103") == 1);
	assert_true(t.text.len > 2000000);
	hang_up(&t);
	EVENTUALLY(host_processes("sleep 7103") == 0);
	atomic_store(&host_allowed, false);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, begin_streams, end_streams)
	const struct CMUnitTest tests[] = {
		WITH(a_session),
		WITH(all_output_comes_before_the_close),
		WITH(a_large_paste),
		WITH(hanging_up_ends_the_shell),
		WITH(stopping),
		WITH(what_cannot_be_opened),
		WITH(this_machine),
		WITH(a_stranger_with_the_token),
		WITH(a_stranger_without),
		WITH(strangers_are_few),
		cmocka_unit_test_setup_teardown(a_stranger_who_is_silent, begin_impatient, end_streams),
	};
	int rc = make_container() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
	remove_container();
	return rc;
}
