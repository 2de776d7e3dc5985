#include "agent/tailnet/follow.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "agent/tailnet/priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tailscale/local.h"

enum {
	FIRST_TRY_MS = 20, /* after a failure, doubled up to LAST_TRY_MS; then only a new file in the socket's folder,
			      or ... */
	LAST_TRY_MS = 1000,
	ANYHOW_MS = 30000, /* ... this, is a reason to try */
};

static void notify(void *ctx, const cJSON *m)
{
	static const char *const interesting[] = { "State",  "Prefs",         "SelfChange",
						   "NetMap", "LoginFinished", "ErrMessage" };
	struct tailnet *t = ctx;
	const char *session = json_str(m, "SessionID");
	bool look = !m;
	for (size_t i = 0; i < ARRAY_LEN(interesting); i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(m, interesting[i]);
		look = look || (v && !cJSON_IsNull(v));
	}
	pthread_mutex_lock(&t->lock);
	if (session || !t->connected) {
		t->connected = true;
		snprintf(t->session, sizeof t->session, "%s", session ? session : "");
		perry_err_free(take_ptr(t->lost));
	}
	t->node.epoch++;
	t->dirty = t->dirty || look;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void lost(struct tailnet *t, struct perry_err *take_why)
{
	pthread_mutex_lock(&t->lock);
	bool news = t->connected || !t->lost || !str_eq(perry_msg(t->lost), perry_msg(take_why));
	if (t->connected || !t->lost)
		t->lost_at = clock_mono_ms();
	t->connected = false;
	t->session[0] = 0;
	perry_err_free(t->lost);
	t->lost = take_why;
	if (news) {
		t->node.epoch++;
		t->dirty = true;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Watches the nearest folder above the socket that is there. */
static int watch_folder(const char *socket)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	cleanup_free char *dir = xstrdup(socket);
	for (char *slash; fd >= 0 && (slash = strrchr(dir, '/'));) {
		slash[slash == dir] = 0;
		if (inotify_add_watch(fd, dir, IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR) >= 0 || slash == dir)
			break;
	}
	return fd;
}

void *tailnet_follow_main(void *arg)
{
	struct tailnet *t = arg;
	int wait = FIRST_TRY_MS;
	while (!atomic_load(&t->stop)) {
		/* Before the try: what appears during it is seen after it. */
		cleanup_fd int folder = watch_folder(tslocal_socket(t->local));
		struct perry_err *why = NULL;
		int64_t began = clock_mono_ms();
		if (access(tslocal_socket(t->local), F_OK) == 0)
			tslocal_watch(t->local, notify, t, &why);
		else /* the folder may be a busy one */
			perry_fail_errno(&why, errno, "tailscaled does not answer at %s", tslocal_socket(t->local));
		if (clock_mono_ms() - began > LAST_TRY_MS)
			wait = FIRST_TRY_MS; /* it was a connection */
		lost(t, why);
		struct pollfd p[2] = { { .fd = t->stop_fd, .events = POLLIN }, { .fd = folder, .events = POLLIN } };
		if (poll(p, 2, wait > LAST_TRY_MS ? ANYHOW_MS : wait) > 0 && p[1].revents)
			wait = FIRST_TRY_MS;
		else
			wait = wait > LAST_TRY_MS ? wait : 2 * wait;
	}
	return NULL;
}
