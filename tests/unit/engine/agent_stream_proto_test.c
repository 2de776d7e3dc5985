/* The stream protocol against the real engine: exec, windows, errors, ends. Skipped without an engine. */
#include "agent_stream_util.h"

#include <pthread.h>

static void output_and_exit_code(void **state)
{
	struct client c;
	c_dial(&c);
	c_exec(&c, 1, "echo out; echo err >&2; printf '\\377\\000x'; exit 3");
	C_EXPECT(&c, c.ch[1].over);
	assert_true(c.ch[1].opened);
	assert_int_equal(c.ch[1].code, 3);
	assert_int_equal(c.ch[1].out.len, 7);
	assert_memory_equal(c.ch[1].out.data, "out\n\377\0x", 7);
	assert_string_equal(c.ch[1].err.data, "err\n");
	/* The number may be used again; a missing program says so. */
	c.ch[1].over = false;
	c_text(&c, 1, OPEN, "{\"kind\":\"exec\",\"name\":\"web\",\"command\":[\"/no/such\"]}");
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].code, 127);
	/* Who and where. */
	buf_free(&c.ch[2].out);
	c_text(&c, 2, OPEN,
	       "{\"kind\":\"exec\",\"name\":\"web\",\"command\":[\"sh\",\"-c\",\"id -un; pwd; echo "
	       "$HOME\"],\"cwd\":\"/tmp\"}");
	C_EXPECT(&c, c.ch[2].over);
	assert_string_equal(c.ch[2].out.data, "workspace\n/tmp\n/home/workspace\n");
	c_text(&c, 3, OPEN, "{\"kind\":\"exec\",\"name\":\"web\",\"command\":[\"id\",\"-un\"],\"user\":\"root\"}");
	C_EXPECT(&c, c.ch[3].over);
	assert_string_equal(c.ch[3].out.data, "root\n");
	c_free(&c);
	assert_true(atomic_load(&used_calls) > 0);
}

static void input(void **state)
{
	struct client c;
	c_dial(&c);
	/* At once, before OPENED, and the end of it. */
	c_exec(&c, 1, "cat; echo done");
	c_text(&c, 1, STDIN, "early ");
	c_text(&c, 1, STDIN, "bytes\n");
	c_text(&c, 1, END, "");
	C_EXPECT(&c, c.ch[1].over);
	assert_string_equal(c.ch[1].out.data, "early bytes\ndone\n");
	assert_int_equal(c.ch[1].code, 0);
	/* 5 MB, kept to the window. */
	static char block[65536];
	memset(block, 'x', sizeof block);
	size_t sent = 0, total = 80 * sizeof block;
	c_exec(&c, 2, "sleep 0.3; wc -c");
	while (sent < total) {
		C_EXPECT(&c, 262144 + c.ch[2].granted - sent >= sizeof block);
		c_send(&c, 2, STDIN, block, sizeof block);
		sent += sizeof block;
	}
	c_text(&c, 2, END, "");
	C_EXPECT(&c, c.ch[2].over);
	assert_int_equal(atoi(c.ch[2].out.data), total);
	/* A command that reads nothing and ends. */
	c_exec(&c, 3, "exit 0");
	for (int i = 0; i < 4; i++)
		c_send(&c, 3, STDIN, block, sizeof block);
	C_EXPECT(&c, c.ch[3].over);
	assert_int_equal(c.ch[3].code, 0);
	c_free(&c);
}

static void terminals_have_a_size(void **state)
{
	struct client c;
	c_dial(&c);
	c_text(&c, 1, OPEN,
	       "{\"kind\":\"exec\",\"name\":\"web\",\"tty\":true,\"cols\":101,\"rows\":31,\"term\":\"vt100\","
	       "\"command\":[\"sh\",\"-c\","
	       "\"stty size; echo $TERM; read x; stty size; trap 'stty size; exit 7' WINCH; echo ready; while :; do "
	       "sleep 0.1; done\"]}");
	C_EXPECT(&c, c.ch[1].out.data && strstr(c.ch[1].out.data, "vt100"));
	assert_non_null(strstr(c.ch[1].out.data, "31 101"));
	assert_int_equal(streams_count(streams), 1);
	c_text(&c, 1, RESIZE, "{\"cols\":70,\"rows\":20}");
	c_text(&c, 1, RESIZE, "{\"cols\":77,\"rows\":21}");
	c_spin(&c, 300);
	c_text(&c, 1, STDIN, "\n");
	C_EXPECT(&c, strstr(c.ch[1].out.data, "21 77") && strstr(c.ch[1].out.data, "ready"));
	c_text(&c, 1, RESIZE, "{\"cols\":50,\"rows\":10}");
	C_EXPECT(&c, c.ch[1].over);
	assert_non_null(strstr(c.ch[1].out.data, "10 50"));
	assert_int_equal(c.ch[1].code, 7);
	assert_int_equal(streams_count(streams), 0);
	/* The login shell, with the shell asked for. */
	c_text(&c, 2, OPEN, "{\"kind\":\"exec\",\"name\":\"web\",\"tty\":true}");
	c_text(&c, 2, STDIN, "echo $0 $SHELL; exit 5\n");
	C_EXPECT(&c, c.ch[2].over);
	assert_non_null(strstr(c.ch[2].out.data, "-bash /bin/bash"));
	assert_int_equal(c.ch[2].code, 5);
	c_free(&c);
}

static long rss_kib(void)
{
	cleanup_buf struct buf b = { 0 };
	char line[4096] = "";
	FILE *f = fopen("/proc/self/status", "r");
	long kib = 0;
	while (fgets(line, sizeof line, f))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(f);
	return kib;
}

static void the_window_bounds_output(void **state)
{
	struct client c;
	c_dial(&c);
	c.hold = true;
	c_exec(&c, 1, "head -c 3000000 /dev/zero; exit 4");
	C_EXPECT(&c, c.ch[1].total >= 262144);
	c_spin(&c, 300);
	assert_int_equal(c.ch[1].total, 262144);
	assert_false(c.ch[1].over);
	/* Little by little. */
	c_grant(&c, 1, 1);
	C_EXPECT(&c, c.ch[1].total == 262145);
	c_grant(&c, 1, 100000);
	C_EXPECT(&c, c.ch[1].total == 362145);
	/* Another channel of the same connection is not held up. */
	c_exec(&c, 2, "echo free");
	C_EXPECT(&c, c.ch[2].over);
	assert_string_equal(c.ch[2].out.data, "free\n");
	c_grant(&c, 1, 10000000);
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].total, 3000000);
	assert_int_equal(c.ch[1].code, 4);
	c_free(&c);
}

static void much_output_takes_little_memory(void **state)
{
	struct client c;
	c_dial(&c);
	long before = rss_kib(), most = 0;
	int64_t begun = clock_mono_ms();
	c_exec(&c, 1, "head -c 150000000 /dev/zero");
	while (!c.ch[1].over && !c.gone) {
		c_turn(&c, 100);
		long now = rss_kib();
		most = now > most ? now : most;
	}
	assert_int_equal(c.ch[1].total, 150000000);
	assert_int_equal(c.ch[1].code, 0);
	printf("# 150 MB in %lld ms, %ld KiB more memory at most\n", (long long)(clock_mono_ms() - begun),
	       most - before);
#if !defined(PERRY_SAN_thread) && !defined(PERRY_SAN_address)
	assert_true(most - before < 8192);
#endif
	/* One who asks for much and does not read at all. */
	before = rss_kib();
	c_exec(&c, 2, "head -c 150000000 /dev/zero");
	c_grant(&c, 2, 150000000);
	C_EXPECT(&c, c.ch[2].opened);
	sleep(1);
#if !defined(PERRY_SAN_thread) && !defined(PERRY_SAN_address)
	assert_true(rss_kib() - before < 8192);
#endif
	C_EXPECT(&c, c.ch[2].over);
	assert_int_equal(c.ch[2].total, 150000000);
	c_free(&c);
}

static void errors_have_codes(void **state)
{
	static const struct {
		const char *open, *want;
	} cases[] = {
		{ "{\"kind\":\"exec\",\"name\":\"stopped\",\"command\":[\"true\"]}",
		  "PRECONDITION_FAILED 412 Workspace is not running" },
		{ "{\"kind\":\"exec\",\"name\":\"nope\",\"command\":[\"true\"]}",
		  "NOT_FOUND 404 Workspace 'nope' not found" },
		{ "{\"kind\":\"exec\",\"name\":\".*\",\"command\":[\"true\"]}",
		  "BAD_REQUEST 400 OPEN: name: not a workspace name" },
		{ "{\"kind\":\"exec\",\"name\":\"web\"}",
		  "BAD_REQUEST 400 OPEN: command: which one? (only a terminal can do without)" },
		{ "{\"kind\":\"exec\",\"name\":\"web\",\"command\":[]}",
		  "BAD_REQUEST 400 OPEN: command: which one? (only a terminal can do without)" },
		{ "{\"kind\":\"exec\",\"name\":\"web\",\"command\":\"ls\"}",
		  "BAD_REQUEST 400 OPEN: command: expected array, got string" },
		{ "{\"kind\":\"exec\",\"name\":\"web\",\"command\":[\"a\",5]}",
		  "BAD_REQUEST 400 OPEN: command[1]: expected string, got number" },
		{ "{\"kind\":\"exec\",\"name\":\"web\",\"command\":[\"a\"],\"user\":\"--login\"}",
		  "BAD_REQUEST 400 OPEN: user: not a user name" },
		{ "{\"kind\":\"exec\",\"name\":\"@host\",\"command\":[\"id\"]}",
		  "BAD_REQUEST 400 only a terminal can be opened on @host" },
		{ "{\"kind\":\"exec\",\"name\":\"@host\",\"tty\":true}", "FORBIDDEN 403 Host access is disabled" },
		{ "{\"kind\":\"what\",\"name\":\"web\"}",
		  "BAD_REQUEST 400 OPEN: kind: exec, session, attach, logs, look, copy_in, copy_out or forward" },
		{ "{\"kind\":\"forward\",\"name\":\"web\"}", "BAD_REQUEST 400 OPEN: port: which one?" },
		{ "{\"kind\":\"forward\",\"name\":\"@host\",\"port\":22}", "BAD_REQUEST 400 @host has no forward" },
		{ "[]", "BAD_REQUEST 400 OPEN: expected object, got array" },
		{ "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"relative\"}",
		  "BAD_REQUEST 400 OPEN: path: an absolute path is needed, or one below ~" },
		{ "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/tmp\",\"user\":\"ghost\"}",
		  "NOT_FOUND 404 no user ghost in this workspace" },
		{ "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/memory/x\"}",
		  "BAD_REQUEST 400 /memory/x is in memory (/memory is no place on a disk): files cannot be copied "
		  "there "
		  "or from there" },
	};
	struct client c;
	c_dial(&c);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		c.ch[1].over = false;
		c.ch[1].error[0] = '\0';
		c_text(&c, 1, OPEN, cases[i].open);
		C_EXPECT(&c, c.ch[1].over);
		assert_string_equal(c.ch[1].error, cases[i].want);
	}
	c.ch[1].over = false;
	c_text(&c, 1, OPEN, "{\"kind\"");
	C_EXPECT(&c, c.ch[1].over);
	assert_memory_equal(c.ch[1].error, "BAD_REQUEST 400 OPEN:1:", 23);
	/* Too many channels: the rest of the connection lives. */
	for (uint32_t id = 2; id < 10; id++)
		c_exec(&c, id, "sleep 5");
	c_exec(&c, 10, "true");
	C_EXPECT(&c, c.ch[10].over);
	assert_memory_equal(c.ch[10].error, "SERVICE_UNAVAILABLE 503 too many channels", 41);
	c_free(&c);
	/* A caller that a hook refuses. */
	c_dial_as(&c, "nobody");
	c_exec(&c, 1, "true");
	C_EXPECT(&c, c.ch[1].over);
	assert_string_equal(c.ch[1].error, "REFUSED_BY_POLICY 403 nobody may not exec web");
	c_free(&c);
}

static void a_forward_reaches_a_loopback_server(void **state)
{
	struct client c;
	/* One answer after the end of the question. */
	in_container("setsid perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(4040, "
		     "inet_aton(\"127.0.0.1\"))); listen($s, 5);"
		     "while (accept(my $c, $s)) { my ($all, $b); $all .= $b while sysread($c, $b, 4096); syswrite($c, "
		     "\"got \" . length($all)); close $c }' "
		     "</dev/null >/dev/null 2>&1 & for i in $(seq 100); do grep -q ':0FC8 ' /proc/net/tcp && exit; "
		     "sleep 0.05; done",
		     NULL);
	c_dial(&c);
	c.keep = true;
	for (uint32_t id = 1; id < 3; id++) {
		c_text(&c, id, OPEN, "{\"kind\":\"forward\",\"name\":\"web\",\"port\":4040}");
		for (int i = 0; i < 1000; i++)
			c_text(&c, id, STDIN, "0123456789");
		c_send(&c, id, END, NULL, 0);
	}
	C_EXPECT(&c, c.ch[1].over && c.ch[2].over);
	assert_string_equal(buf_str(&c.ch[1].out), "got 10000");
	assert_string_equal(buf_str(&c.ch[2].out), "got 10000");
	assert_int_equal(c.ch[1].code, 0);
	c_text(&c, 3, OPEN, "{\"kind\":\"forward\",\"name\":\"web\",\"port\":4041}");
	C_EXPECT(&c, c.ch[3].over);
	assert_int_equal(c.ch[3].code, 1);
	assert_string_equal(buf_str(&c.ch[3].err), "perry-step: nothing answers on port 4041: Connection refused\n");
	/* One that is given up leaves nothing behind. */
	c_text(&c, 4, OPEN, "{\"kind\":\"forward\",\"name\":\"web\",\"port\":4040}");
	C_EXPECT(&c, c.ch[4].opened);
	C_UNTIL(&c, processes("/opt/perry/bin/perry-step connect") == 2, FOREVER);
	c_send(&c, 4, CLOSE, NULL, 0);
	C_EXPECT(&c, c.ch[4].over);
	assert_int_equal(processes("/opt/perry/bin/perry-step connect"), 0);
	c_free(&c);
	in_container("for p in /proc/[0-9]*; do grep -q ^perl $p/comm && kill -9 ${p#/proc/}; done; true", NULL);
}

static uint16_t close_code_of(int type, uint32_t id, const char *bytes, size_t n)
{
	struct client c;
	c_dial(&c);
	c_exec(&c, 1, "cat");
	C_EXPECT(&c, c.ch[1].opened);
	c_send(&c, id, type, bytes, n);
	C_UNTIL(&c, ws_close_code(c.ws, NULL), FOREVER);
	uint16_t code = ws_close_code(c.ws, NULL);
	c_free(&c);
	return code;
}

static void breaking_the_protocol_ends_the_connection(void **state)
{
	static char block[70000];
	assert_int_equal(close_code_of(99, 1, "", 0), 1002);
	assert_int_equal(close_code_of(STDOUT, 1, "x", 1), 1002);
	assert_int_equal(close_code_of(STDIN, 0, "x", 1), 1002);
	assert_int_equal(close_code_of(OPEN, 1, "{}", 2), 1002);
	assert_int_equal(close_code_of(STDIN, 1, block, 65537), 1002);
	assert_int_equal(close_code_of(WINDOW, 1, "xx", 2), 1002);
	assert_int_equal(close_code_of(WINDOW, 1, "\377\377\377\377", 4), 1002);
	assert_int_equal(close_code_of(RESIZE, 1, "{", 1), 1002);
	assert_int_equal(close_code_of(SIGNAL, 1, "{\"signal\":\"; rm\"}", 17), 1002);
	struct client c;
	c_dial(&c);
	ws_send(c.ws, false, "text", 4);
	C_UNTIL(&c, ws_close_code(c.ws, NULL), FOREVER);
	assert_int_equal(ws_close_code(c.ws, NULL), 1002);
	c_free(&c);
	/* More input than the window: sent before the command takes any. */
	c_dial(&c);
	c_exec(&c, 1, "sleep 30");
	for (int i = 0; i < 20; i++)
		c_send(&c, 1, STDIN, block, 65536);
	C_UNTIL(&c, ws_close_code(c.ws, NULL), FOREVER);
	assert_int_equal(ws_close_code(c.ws, NULL), 1002);
	c_free(&c);
	/* Messages to channels that are not (any more) are none of these. */
	c_dial(&c);
	c_text(&c, 9, STDIN, "late");
	c_text(&c, 9, CLOSE, "");
	c_exec(&c, 1, "echo fine");
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].code, 0);
	c_free(&c);
}

static void leaving_ends_the_command(void **state)
{
	struct client c;
	c_dial(&c);
	c_exec(&c, 1, "sleep 7001 & sleep 7001");
	c_exec(&c, 2, "trap '' HUP; sleep 7002 & wait; sleep 7002");
	c_text(&c, 3, OPEN, "{\"kind\":\"exec\",\"name\":\"web\",\"tty\":true,\"command\":[\"sleep\",\"7003\"]}");
	C_EXPECT(&c, c.ch[1].opened && c.ch[2].opened && c.ch[3].opened);
	EVENTUALLY(processes("sleep 7001") == 2 && processes("sleep 7002") == 1 && processes("sleep 7003") == 1);
	c_free(&c); /* without a word */
	EVENTUALLY(processes("sleep 700") == 0);
	EVENTUALLY(streams_count(streams) == 0);
	/* At once after OPEN: whenever the command begins, it is ended. */
	for (int i = 0; i < 5; i++) {
		c_dial(&c);
		c_exec(&c, 1, "sleep 7004");
		c_spin(&c, i * 30);
		c_free(&c);
	}
	usleep(500000);
	EVENTUALLY(processes("sleep 7004") == 0);
}

static void close_and_signals(void **state)
{
	struct client c;
	c_dial(&c);
	c_exec(&c, 1, "sleep 7005");
	c_exec(&c, 2, "trap 'echo got; exit 9' INT; echo ready; while :; do sleep 0.05; done");
	C_EXPECT(&c, c.ch[1].opened && c.ch[2].out.len);
	c_text(&c, 2, SIGNAL, "{\"signal\":\"INT\"}");
	C_EXPECT(&c, c.ch[2].over);
	assert_int_equal(c.ch[2].code, 9);
	assert_non_null(strstr(c.ch[2].out.data, "got"));
	c_text(&c, 1, CLOSE, "");
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].code, 129);
	/* One that never stops talking. */
	c.hold = true;
	c_exec(&c, 3, "yes 7006");
	C_EXPECT(&c, c.ch[3].total >= 262144);
	c_text(&c, 3, CLOSE, "");
	C_EXPECT(&c, c.ch[3].over);
	assert_int_equal(processes("yes 7006"), 0);
	c_free(&c);
}

static void output_may_end_before_the_command(void **state)
{
	struct client c;
	c_dial(&c);
	c_exec(&c, 1, "exec >&- 2>&-; sleep 3; exit 6");
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].code, 6);
	c_free(&c);
}

static void the_workspace_stops(void **state)
{
	struct client c;
	c_dial(&c);
	c_exec(&c, 1, "sleep 7007");
	c_text(&c, 2, OPEN, "{\"kind\":\"exec\",\"name\":\"other\",\"command\":[\"sh\",\"-c\",\"read x; exit 2\"]}");
	c_text(&c, 3, OPEN, "{\"kind\":\"logs\",\"name\":\"web\",\"follow\":true}");
	C_EXPECT(&c, c.ch[1].opened && c.ch[2].opened && c.ch[3].opened);
	streams_close_workspace(streams, "web", 1001, "Workspace stopped");
	C_EXPECT(&c, c.ch[1].over && c.ch[3].over);
	assert_string_equal(c.ch[1].error, "PRECONDITION_FAILED 412 Workspace stopped");
	assert_string_equal(c.ch[3].error, "PRECONDITION_FAILED 412 Workspace stopped");
	c_text(&c, 2, STDIN, "\n");
	C_EXPECT(&c, c.ch[2].over);
	assert_int_equal(c.ch[2].code, 2);
	c_free(&c);
	EVENTUALLY(processes("sleep 7007") == 0);
}

static void logs(void **state)
{
	struct client c;
	c_dial(&c);
	c_text(&c, 1, OPEN, "{\"kind\":\"logs\",\"name\":\"stopped\",\"tail\":0}");
	C_EXPECT(&c, c.ch[1].over);
	c.ch[1].over = false;
	c_text(&c, 1, OPEN, "{\"kind\":\"logs\",\"name\":\"web\",\"follow\":false}");
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].code, 0);
	c_text(&c, 2, OPEN, "{\"kind\":\"logs\",\"name\":\"web\",\"tail\":0,\"follow\":true}");
	C_EXPECT(&c, c.ch[2].opened);
	c_spin(&c, 300);
	in_container("for i in 1 2 3; do echo line $i; done > /proc/1/fd/1; echo oops > /proc/1/fd/2", NULL);
	C_EXPECT(&c, c.ch[2].out.data && strstr(c.ch[2].out.data, "line 3") && c.ch[2].err.len);
	assert_string_equal(c.ch[2].err.data, "oops\n");
	assert_false(c.ch[2].over);
	/* A reader who does not grant holds back the engine, not the memory. */
	c.hold = true;
	size_t before = c.ch[2].total;
	in_container("yes 0123456789012345678901234567890123456789 | head -c 2000000 > /proc/1/fd/1", NULL);
	C_EXPECT(&c, c.ch[2].total >= before + 262144);
	c_spin(&c, 300);
	assert_int_equal(c.ch[2].total, before + 262144);
	c_text(&c, 2, CLOSE, "");
	C_EXPECT(&c, c.ch[2].over);
	assert_memory_equal(c.ch[2].error, "CLIENT_CLOSED_REQUEST", 21);
	c_free(&c);
}

static void many_connections(void **state)
{
	struct client c[22];
	for (int i = 0; i < 22; i++) {
		c_dial(&c[i]);
		c_exec(&c[i], 1, "cat");
		c_text(&c[i], 1, STDIN, "hello\n");
		c_turn(&c[i], 0);
	}
	for (int i = 0; i < 20; i++)
		C_EXPECT(&c[i], c[i].ch[1].out.len == 6);
	for (int i = 20; i < 22; i++) {
		C_UNTIL(&c[i], ws_close_code(c[i].ws, NULL), FOREVER);
		assert_int_equal(ws_close_code(c[i].ws, NULL), 1008);
	}
	for (int i = 0; i < 22; i++)
		c_free(&c[i]);
	EVENTUALLY(processes("cat") == 0);
}

static void *stop_thread(void *arg)
{
	end_streams(NULL);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void stopping_ends_everything(void **state)
{
	atomic_bool stopped = false;
	pthread_t t;
	struct client c;
	c_dial(&c);
	c_exec(&c, 1, "trap '' HUP; sleep 7008; sleep 7008");
	c_exec(&c, 2, "yes");
	c_text(&c, 3, OPEN, "{\"kind\":\"logs\",\"name\":\"web\",\"follow\":true}");
	c_text(&c, 4, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/tmp\"}");
	C_EXPECT(&c, c.ch[1].opened && c.ch[2].total && c.ch[3].opened && c.ch[4].opened);
	int64_t begun = clock_mono_ms();
	const char *reason = NULL;
	pthread_create(&t, NULL, stop_thread, &stopped);
	C_UNTIL(&c, ws_close_code(c.ws, NULL), FOREVER);
	pthread_join(t, NULL);
	assert_true(clock_mono_ms() - begun < FOREVER);
	assert_int_equal(ws_close_code(c.ws, &reason), 1001);
	assert_string_equal(reason, "Server shutting down");
	assert_int_equal(processes("sleep 7008"), 0);
	assert_int_equal(processes("yes"), 0);
	c_free(&c);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, begin_streams, end_streams)
	const struct CMUnitTest tests[] = {
		WITH(output_and_exit_code),
		WITH(input),
		WITH(terminals_have_a_size),
		WITH(the_window_bounds_output),
		WITH(much_output_takes_little_memory),
		WITH(errors_have_codes),
		WITH(a_forward_reaches_a_loopback_server),
		WITH(breaking_the_protocol_ends_the_connection),
		WITH(leaving_ends_the_command),
		WITH(close_and_signals),
		WITH(output_may_end_before_the_command),
		WITH(the_workspace_stops),
		WITH(logs),
		WITH(many_connections),
		WITH(stopping_ends_everything),
	};
	int rc = make_container() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
	remove_container();
	return rc;
}
