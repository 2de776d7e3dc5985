#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "config/ssh_keys.h"

static const char public_key[] =
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN5+1hWvzX0z740yRe020uFoR0I9YGun+8yDi30ZQ0PA me@box";
static const char private_key[] =
	"-----BEGIN OPENSSH PRIVATE KEY-----\nSECRETSECRET\n-----END OPENSSH PRIVATE KEY-----\n";

static char home[] = "/tmp/perry-keys-XXXXXX";

static void put(const char *name, const char *text)
{
	cleanup_free char *path = path_join(home, name);
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static void refuses(int (*check)(const char *key, struct perry_err **err), const char *key, const char *says)
{
	cleanup_err struct perry_err *err = NULL;
	assert_int_equal(check(key, &err), -1);
	if (!strstr(perry_msg(err), says))
		fail_msg("\"%s\" does not say \"%s\"", perry_msg(err), says);
	assert_null(strstr(perry_msg(err), "SECRET"));
}

static void a_public_key_is_a_line_or_a_file(void **state)
{
	(void)state;
	char blank[256];
	assert_int_equal(ssh_key_check_public(public_key, NULL), 0);
	put(".ssh/id_ed25519.pub", public_key);
	assert_int_equal(ssh_key_check_public("~/.ssh/id_ed25519.pub", NULL), 0);
	snprintf(blank, sizeof blank, "%.40s", public_key);
	refuses(ssh_key_check_public, blank, "no public key");
	refuses(ssh_key_check_public, "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAISECRET", "no public key");
	refuses(ssh_key_check_public, "ssh-ed25519", "no public key");
	refuses(ssh_key_check_public, "id_ed25519.pub", "no public key");
	refuses(ssh_key_check_public, "", "no public key");
	put(".ssh/id_ed25519", private_key);
	refuses(ssh_key_check_public, "~/.ssh/id_ed25519", "private key");
	refuses(ssh_key_check_public, "~/.ssh", "/.ssh");
	refuses(ssh_key_check_public, "/nowhere/key.pub", "/nowhere/key.pub");
}

static void a_private_key_is_a_file(void **state)
{
	(void)state;
	assert_int_equal(ssh_key_check_private("~/.ssh/id_ed25519", NULL), 0);
	refuses(ssh_key_check_private, "~/.ssh/id_ed25519.pub", "public half");
	refuses(ssh_key_check_private, ".ssh/id_ed25519", "whole path");
	refuses(ssh_key_check_private, "~/.ssh/absent", "absent");
	put(".ssh/empty", "");
	refuses(ssh_key_check_private, "~/.ssh/empty", "no private key");
	put(".ssh/late", "SECRET first\n-----BEGIN OPENSSH PRIVATE KEY-----\n");
	refuses(ssh_key_check_private, "~/.ssh/late", "no private key");
}

static void the_list_has_those_with_a_public_half(void **state)
{
	(void)state;
	put(".ssh/other.pub", public_key);
	put(".ssh/broken.pub", "ssh-ed25519 ????");
	cleanup_json cJSON *list = ssh_keys_list();
	assert_int_equal(cJSON_GetArraySize(list), 2);
	assert_string_equal(json_str(cJSON_GetArrayItem(list, 0), "name"), "id_ed25519");
	assert_true(json_bool_or(cJSON_GetArrayItem(list, 0), "hasPrivateKey", false));
	assert_string_equal(json_str(cJSON_GetArrayItem(list, 1), "name"), "other");
	assert_false(json_bool_or(cJSON_GetArrayItem(list, 1), "hasPrivateKey", true));
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(home))
		return -1;
	setenv("HOME", home, 1);
	cleanup_free char *ssh = path_join(home, ".ssh");
	return mkdir(ssh, 0700);
}

static int end(void **state)
{
	(void)state;
	dir_remove(home);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_public_key_is_a_line_or_a_file),
		cmocka_unit_test(a_private_key_is_a_file),
		cmocka_unit_test(the_list_has_those_with_a_public_half),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
