/* For files whose tests share one connection to the real engine. */
#ifndef TESTS_DOCKER_SHARED_H
#define TESTS_DOCKER_SHARED_H
#include "docker_util.h"

static struct docker *d;

static int set_up(void **state)
{
	d = test_docker();
	return 0;
}

static int tear_down(void **state)
{
	docker_close(d);
	return 0;
}

#endif
