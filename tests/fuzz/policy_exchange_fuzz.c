/* Both ends of the exchange between the agent and a policy process.
 * First byte even: the rest is what a policy process says while the agent asks it: whatever it is, the agent comes back
 * with an answer that fits the point, or with an error. Odd: the rest is what the agent says to a new process, up to
 * the layers it opens. Its second bit: the rest is bytes as they are, or lines that each become a message with the
 * right length. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/child/host.h"
#include "policy/contract/frame.h"
#include "policy/ask.h"
#include "policy/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int give(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out, struct perry_err **err)
{
	(void)ctx, (void)layer, (void)name, (void)args;
	if (++*(int *)ctx % 3 == 0)
		return perry_fail(err, PERRY_EUNAVAILABLE, "not now");
	*out = cJSON_CreateObject();
	return 0;
}

/* A session whose other end has said these bytes and nothing more. */
static void agents_end(const uint8_t *data, size_t size)
{
	int pair[2], status[2], asked = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status) < 0)
		abort();
	int room = 1 << 20;
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	fd_set_nonblock(pair[0], 1);
	fd_set_nonblock(pair[1], 1);
	if (write(pair[1], data, size) != (ssize_t)size)
		size = 0; /* more than a socket holds: the beginning of it is a case as well */
	shutdown(pair[1], SHUT_WR);
	close(status[1]);
	struct policy_session s = { .fd = pair[0], .status_fd = status[0], .heard = true, .call = give, .ctx = &asked };
	s.hashes = cJSON_CreateObject();
	s.needs = cJSON_Parse("{\"acme\":{\"network\":[\"a.example\"],\"kv\":true}}");
	s.settings = cJSON_Parse("{\"acme\":{\"t\":{\"$secret\":\"x\"}}}");
	static const char *const points[] = { "image",      "env",      "container", "review",
					      "on_created", "auth_key", "idle",      "ports" };
	cleanup_json cJSON *facts = cJSON_Parse("{\"ws\":{\"name\":\"web\"}}"), *rows = cJSON_CreateArray();
	struct perry_err *err = NULL;
	cJSON *answer = NULL;
	/* The first exchange takes one answer off, the next goes on with the rest. */
	for (size_t i = 0; i < 4 && !s.dead; i++) {
		int rc = i == 3 ? policy_plan(&s, facts, &answer, rows, &err)
				: policy_ask(&s, points[(size + i) % ARRAY_LEN(points)], facts, NULL, &answer, rows,
					     &err);
		if ((rc == 0) != (err == NULL) || (rc < 0 && answer))
			abort();
		if (err && err->code != PERRY_EPOLICY && err->code != PERRY_ETIMEOUT && err->code != PERRY_EUNAVAILABLE)
			abort();
		cJSON_Delete(take_ptr(answer));
		perry_err_free(take_ptr(err));
	}
	if (s.fd >= 0)
		close(s.fd);
	if (s.status_fd >= 0)
		close(s.status_fd);
	close(pair[1]);
	cJSON_Delete(s.hashes);
	cJSON_Delete(s.needs);
	cJSON_Delete(s.settings);
	free(s.workspace);
}

static void childs_end(const uint8_t *data, size_t size)
{
	int pipes[2];
	struct host h = { .fd = -1 };
	if (pipe2(pipes, O_CLOEXEC) < 0)
		abort();
	fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
	if (write(pipes[1], data, size) != (ssize_t)size)
		abort();
	close(pipes[1]);
	cJSON *opened = frame_recv(pipes[0]);
	close(pipes[0]);
	if (!opened)
		return;
	if (host_open(&h, opened) == 0)
		host_close(&h);
	else
		cJSON_Delete(opened);
}

static void frame_lines(const char *text, size_t size, struct buf *out)
{
	for (const char *end = text + size; text < end;) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);
		unsigned char head[4] = { (unsigned char)n, (unsigned char)(n >> 8), 0, 0 };
		buf_add(out, head, sizeof head);
		buf_add(out, text, n);
		text += n + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool quiet;
	if (!quiet) {
		log_set_level(LOG_ERROR_);
		quiet = true;
	}
	if (size < 1 || size > 60000)
		return 0;
	cleanup_buf struct buf said = { 0 };
	if (data[0] & 2)
		frame_lines((const char *)data + 1, size - 1, &said);
	else
		buf_add(&said, data + 1, size - 1);
	(data[0] & 1 ? childs_end : agents_end)((const uint8_t *)buf_str(&said), said.len);
	return 0;
}
