/* What the tests of the engine client share: a connection, names of our own, a container to work in. Everything is
 * called pdk-...  */
#ifndef TESTS_DOCKER_UTIL_H
#define TESTS_DOCKER_UTIL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "docker/docker.h"
#include "err_util.h"
#include "open_fds.h"

#define TEST_IMAGE "debian:bookworm"

/* The engine that everybody shares, or NULL with the reason printed. */
static inline struct docker *test_docker(void)
{
	struct docker *d = NULL;
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *image = NULL;
	if (docker_open(&d, NULL, &err) == 0 && docker_image_inspect(d, TEST_IMAGE, &image, &err) == 0)
		return d;
	print_message("skipped: %s\n", perry_msg(err));
	docker_close(d);
	return NULL;
}
#define need_docker(d) \
	do { \
		(d) = test_docker(); \
		if (!(d)) \
			skip(); \
	} while (0)

/* In a test of a file whose set-up filled d by test_docker. */
#define engine_or_skip() \
	do { \
		if (!d) \
			skip(); \
	} while (0)
#define SH(script) ((const char *const[]){ "sh", "-c", (script), NULL })

/* Podman's compatible socket differs in texts and in some statuses (tests/engine/podman_test runs these tests against
 * it). */
static inline bool test_is_podman(struct docker *d)
{
	cleanup_json cJSON *v = NULL;
	if (docker_version(d, &v, NULL) != 0)
		return false;
	return strstr(json_str_or(cJSON_GetArrayItem(json_at(v, "Components"), 0), "Name", ""), "Podman") != NULL;
}

static inline void test_name(char out[64], const char *what)
{
	static int n;
	snprintf(out, 64, "pdk-%s-%d-%d", what, (int)getpid(), n++);
}

/* A container that runs `script` under sh (NULL: sleeps); removed by test_remove. */
static inline void test_container(struct docker *d, char id[65], const char *script, bool start)
{
	struct perry_err *err = NULL;
	cleanup_json cJSON *spec = cJSON_CreateObject();
	char name[64];
	test_name(name, "c");
	json_set_str(spec, "Image", TEST_IMAGE);
	cJSON *cmd = cJSON_CreateArray();
	json_push_str(cmd, "sh");
	json_push_str(cmd, "-c");
	json_push_str(cmd, script ? script : "exec sleep 3600");
	json_set(spec, "Cmd", cmd);
	json_set_str(json_obj(spec, "Labels"), "pdk", "1");
	json_set_bool(json_obj(spec, "HostConfig"), "Init", false);
	json_set_str(json_obj(spec, "HostConfig"), "NetworkMode", "none");
	ok(docker_container_create(d, name, spec, id, &err));
	if (start)
		ok(docker_container_start(d, id, &err));
}

static inline void test_remove(struct docker *d, const char *id)
{
	struct perry_err *err = NULL;
	ok(docker_container_remove(d, id, true, &err));
}

#endif
