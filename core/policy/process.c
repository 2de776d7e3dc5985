#include "policy/process.h"

#include <pthread.h>
#include <stdint.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/contract/points.h"
#include "policy/zygote.h"

struct policy {
	pthread_mutex_t lock; /* of the zygote's replacement, and the limits */
	struct zygote zygote;
	struct hook_limits limits;
	bool limited;
};

int policy_new(struct policy **out, struct perry_err **err)
{
	struct zygote z;
	if (zygote_fork(&z, err) < 0)
		return perry_wrap(err, "starting the policy process");
	struct policy *p = xcalloc(1, sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	p->zygote = z;
	*out = p;
	return 0;
}

void policy_main(int argc, char **argv)
{
	zygote_main_if_asked(argc, argv);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	zygote_end(&p->zygote);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

pid_t policy_zygote_pid(const struct policy *p)
{
	struct policy *q = (struct policy *)(uintptr_t)p;
	pthread_mutex_lock(&q->lock);
	pid_t pid = q->zygote.pid;
	pthread_mutex_unlock(&q->lock);
	return pid;
}

void policy_limit(struct policy *p, const struct hook_limits *limits)
{
	pthread_mutex_lock(&p->lock);
	p->limited = limits;
	if (limits)
		p->limits = *limits;
	pthread_mutex_unlock(&p->lock);
}

bool policy_limited(struct policy *p, struct hook_limits *out)
{
	pthread_mutex_lock(&p->lock);
	bool limited = p->limited;
	*out = p->limits;
	pthread_mutex_unlock(&p->lock);
	return limited;
}

int policy_child(struct policy *p, int *fd, int *status_fd, struct perry_err **err)
{
	pthread_mutex_lock(&p->lock);
	int r = zygote_child(&p->zygote, fd, status_fd, NULL);
	if (r < 0) {
		log_warn("policy", "the policy process (pid %d) is gone; starting it anew", (int)p->zygote.pid);
		zygote_end(&p->zygote);
		r = zygote_respawn(&p->zygote, err);
		if (r == 0)
			r = zygote_child(&p->zygote, fd, status_fd, err);
	}
	pthread_mutex_unlock(&p->lock);
	if (r == 0)
		r = fd_set_nonblock(*fd, 1);
	return r;
}
