/* Copies through the stream protocol against the real engine. Skipped without one. */
#include "agent_stream_util.h"

/* Runs a host command and collects its output. */
static void host_output(const char *command, struct buf *out)
{
	FILE *p = popen(command, "r");
	char bytes[4096];
	size_t n;
	while ((n = fread(bytes, 1, sizeof bytes, p)) > 0)
		buf_add(out, bytes, n);
	assert_int_equal(pclose(p), 0);
}

static void send_all(struct client *c, uint32_t id, const struct buf *data)
{
	for (size_t sent = 0; sent < data->len && !c->ch[id].over;) {
		size_t n = data->len - sent < 65536 ? data->len - sent : 65536;
		C_UNTIL(c, c->ch[id].over || 262144 + c->ch[id].granted - sent >= n, FOREVER);
		c_send(c, id, STDIN, data->data + sent, n);
		sent += n;
	}
	c_text(c, id, END, "");
}

static void there_and_back(void **state)
{
	struct client c;
	cleanup_buf struct buf tar = { 0 }, out = { 0 };
	host_output("d=$(mktemp -d) && cd $d && mkdir -p t/sub && echo hello >t/file && printf x >\"$(printf "
		    "'t/bad\\377')\" && ln -s file t/link && "
		    "head -c 20000000 /dev/urandom >t/sub/big && chmod 750 t/sub && tar -cf - t && cp t/sub/big "
		    "/tmp/pst-big && rm -rf $d",
		    &tar);
	c_dial(&c);
	c.keep = true;
	in_container("rm -rf /home/workspace/in; mkdir -p /home/workspace/in", NULL);
	c_text(&c, 1, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"~/in\"}");
	send_all(&c, 1, &tar);
	C_EXPECT(&c, c.ch[1].over);
	assert_string_equal(c.ch[1].error, "");
	assert_int_equal(c.ch[1].code, 0);
	in_container("cd /home/workspace/in/t && find . -printf '%U %G %y %m %P\\n' | grep -v bad | LC_ALL=C sort -k5; "
		     "cat link; ls | wc -l; id -u workspace",
		     &out);
	assert_non_null(strstr(out.data, "hello\n4\n1000\n"));
	assert_non_null(strstr(out.data, "1000 1000 l 777 link"));
	assert_non_null(strstr(out.data, "1000 1000 d 750 sub"));
	assert_non_null(strstr(out.data, "1000 1000 f 644 sub/big"));
	assert_null(strstr(out.data, "\n0 "));
	/* And out again. */
	c_text(&c, 2, OPEN, "{\"kind\":\"copy_out\",\"name\":\"web\",\"path\":\"/home/workspace/in/t/sub/big\"}");
	C_EXPECT(&c, c.ch[2].over);
	assert_int_equal(c.ch[2].code, 0);
	assert_int_equal(file_write_atomic("/tmp/pst-out.tar", c.ch[2].out.data, c.ch[2].out.len, 0600, NULL), 0);
	assert_int_equal(system("tar -xOf /tmp/pst-out.tar big | cmp - /tmp/pst-big; rc=$?; rm -f /tmp/pst-out.tar "
				"/tmp/pst-big; exit $rc"),
			 0);
	c_free(&c);
}

static void another_user(void **state)
{
	struct client c;
	cleanup_buf struct buf tar = { 0 }, out = { 0 };
	host_output("cd /etc && tar --owner=me:7 -cf - hostname", &tar);
	c_dial(&c);
	c_text(&c, 1, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/tmp\",\"user\":\"daemon\"}");
	send_all(&c, 1, &tar);
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].code, 0);
	c_text(&c, 2, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/home\",\"user\":\"4567\"}");
	send_all(&c, 2, &tar);
	C_EXPECT(&c, c.ch[2].over);
	assert_int_equal(c.ch[2].code, 0);
	in_container("stat -c '%U:%G' /tmp/hostname; stat -c '%u:%g' /home/hostname; rm /tmp/hostname /home/hostname",
		     &out);
	assert_string_equal(out.data, "daemon:daemon\n4567:4567\n");
	c_free(&c);
}

static void failures_say_why(void **state)
{
	struct client c;
	cleanup_buf struct buf tar = { 0 };
	host_output("cd /etc && tar -cf - hostname", &tar);
	c_dial(&c);
	c_text(&c, 1, OPEN, "{\"kind\":\"copy_out\",\"name\":\"web\",\"path\":\"/no/such\"}");
	C_EXPECT(&c, c.ch[1].over);
	assert_memory_equal(c.ch[1].error, "NOT_FOUND 404 ", 14);
	assert_non_null(strstr(c.ch[1].error, "/no/such"));
	c_text(&c, 2, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/no/folder\"}");
	send_all(&c, 2, &tar);
	C_EXPECT(&c, c.ch[2].over);
	assert_memory_equal(c.ch[2].error, "NOT_FOUND 404 ", 14);
	c.ch[2].over = false;
	c_text(&c, 2, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/etc/passwd\"}");
	C_EXPECT(&c, c.ch[2].over);
	assert_string_equal(c.ch[2].error, "BAD_REQUEST 400 /etc/passwd is no folder");
	/* No tar. */
	struct buf junk = { (char *)(uintptr_t) "this is not a tar, whatever the client says", 43, 0 };
	c_text(&c, 3, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/tmp\"}");
	send_all(&c, 3, &junk);
	C_EXPECT(&c, c.ch[3].over);
	assert_memory_equal(c.ch[3].error, "BAD_REQUEST 400 ", 16);
	/* Cut off in the middle. */
	struct buf half = { tar.data, 700, 0 };
	c_text(&c, 4, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/tmp\"}");
	send_all(&c, 4, &half);
	C_EXPECT(&c, c.ch[4].over);
	assert_string_equal(c.ch[4].error, "BAD_REQUEST 400 the tar ends in the middle of an entry");
	/* Given up by the client. */
	c_text(&c, 5, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/tmp\"}");
	C_EXPECT(&c, c.ch[5].opened);
	c_text(&c, 5, CLOSE, "");
	C_EXPECT(&c, c.ch[5].over);
	assert_memory_equal(c.ch[5].error, "CLIENT_CLOSED_REQUEST", 21);
	/* Leaving in the middle, in either direction; nothing stays behind (streams_stop would wait for it). */
	c.hold = true;
	c_text(&c, 6, OPEN, "{\"kind\":\"copy_out\",\"name\":\"web\",\"path\":\"/usr\"}");
	C_EXPECT(&c, c.ch[6].total >= 262144);
	c_free(&c);
	c_dial(&c);
	c_text(&c, 1, OPEN, "{\"kind\":\"copy_in\",\"name\":\"web\",\"path\":\"/tmp\"}");
	C_EXPECT(&c, c.ch[1].opened);
	c_send(&c, 1, STDIN, tar.data, 512);
	c_spin(&c, 100);
	c_free(&c);
	int64_t begun = clock_mono_ms();
	end_streams(NULL);
	assert_true(clock_mono_ms() - begun < FOREVER);
	begin_streams(NULL);
}

static void a_slow_reader_holds_back_the_engine(void **state)
{
	struct client c;
	c_dial(&c);
	c.hold = true;
	c_text(&c, 1, OPEN, "{\"kind\":\"copy_out\",\"name\":\"web\",\"path\":\"/usr/bin\"}");
	C_EXPECT(&c, c.ch[1].total >= 262144);
	c_spin(&c, 500);
	assert_int_equal(c.ch[1].total, 262144);
	c.hold = false;
	c_grant(&c, 1, 262144);
	C_EXPECT(&c, c.ch[1].over);
	assert_int_equal(c.ch[1].code, 0);
	assert_true(c.ch[1].total > 1000000);
	assert_int_equal(c.ch[1].total % 512, 0);
	c_free(&c);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, begin_streams, end_streams)
	const struct CMUnitTest tests[] = {
		WITH(there_and_back),
		WITH(another_user),
		WITH(failures_say_why),
		WITH(a_slow_reader_holds_back_the_engine),
	};
	int rc = make_container() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
	remove_container();
	return rc;
}
