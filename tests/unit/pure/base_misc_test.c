#include "base_util.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/paths.h"
#include "base/random.h"
#include "base/sha256.h"

static void sha256_vectors(void **state)
{
	/* FIPS 180-4 and the NIST examples. */
	static const char *const known[][2] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnop"
		  "qrstnopqrstu",
		  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
	};
	char hex[65];
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		sha256_hex(known[i][0], strlen(known[i][0]), hex);
		assert_string_equal(hex, known[i][1]);
	}
	cleanup_free char *million = xmalloc(1000000);
	memset(million, 'a', 1000000);
	sha256_hex(million, 1000000, hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	/* In parts of every size around the block's it comes out the same. */
	for (size_t part = 1; part < 200; part += part < 70 ? 1 : 13) {
		struct sha256 s;
		unsigned char sum[32];
		sha256_init(&s);
		for (size_t at = 0; at < 1000000; at += part)
			sha256_add(&s, million + at, at + part > 1000000 ? 1000000 - at : part);
		sha256_end(&s, sum);
		hex_encode(hex, sum, 32);
		assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	}
}

static void clock_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-23T17:10:23.340Z", INT64_C(1795453823340) },
		{ "2026-11-23T17:10:23.340999999Z", INT64_C(1795453823340) },
		{ "2026-11-23T17:10:23.3Z", INT64_C(1795453823300) },
		{ "2026-11-23 17:10:23z", INT64_C(1795453823000) },
		{ "2026-11-23T18:10:23+01:00", INT64_C(1795453823000) },
		{ "2026-11-23T11:40:23-05:30", INT64_C(1795453823000) },
		{ "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
		{ "2023-02-29T00:00:00Z", -1 },
		{ "2100-02-29T00:00:00Z", -1 },
		{ "2026-04-31T00:00:00Z", -1 },
		{ "2026-13-01T00:00:00Z", -1 },
		{ "2026-00-01T00:00:00Z", -1 },
		{ "2026-11-23T24:00:00Z", -1 },
		{ "2026-11-23T17:10:23", -1 },
		{ "2026-11-23T17:10:23.Z", -1 },
		{ "2026-11-23T17:10:23+0100", -1 },
		{ "2026-11-23T17:10:23Zx", -1 },
		{ "2026-11-23T17:10:23+25:00", -1 },
		{ "2026-11-23T17:10", -1 },
		{ "2026-11-23", -1 },
		{ "026-11-23T17:10:23Z", -1 },
		{ "+026-11-23T17:10:23Z", -1 },
		{ "2026- 1-23T17:10:23Z", -1 },
		{ " 2026-11-23T17:10:23Z", -1 },
		{ "0001-01-01T00:00:00Z", -1 }, /* what an engine says for never */
		{ "", -1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t got = clock_parse_iso(cases[i].text);
		if (got != cases[i].ms)
			fail_msg("%s: %lld", cases[i].text, (long long)got);
	}
	assert_true(clock_parse_iso(NULL) == -1);
	char text[32];
	for (int64_t ms = 1; ms < INT64_C(253402300800000); ms = ms * 3 + 7) {
		clock_iso(ms, text);
		assert_true(clock_parse_iso(text) == ms);
	}
	clock_iso(INT64_C(1795453823340), text);
	assert_string_equal(text, "2026-11-23T17:10:23.340Z");
	clock_iso(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	clock_iso(-1, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
}

static void clock_spans(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} ages[] = {
		{ -5, "0 seconds" },
		{ 0, "0 seconds" },
		{ 999, "0 seconds" },
		{ 1000, "1 second" },
		{ 59999, "59 seconds" },
		{ 60000, "1 minute" },
		{ 180000, "3 minutes" },
		{ 3600000, "1 hour" },
		{ 2 * 86400000, "2 days" },
		{ 7 * 86400000, "1 week" },
		{ 60LL * 86400000, "2 months" },
		{ 800LL * 86400000, "2 years" },
	};
	char text[32];
	for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
		clock_age(ages[i].ms, text);
		assert_string_equal(text, ages[i].text);
	}
	clock_age(INT64_MAX, text);
	static const struct {
		const char *text;
		int64_t ago;
	} spans[] = { { "90s", 90000 },     { "5m", 300000 }, { "2h", 7200000 },   { "7d", 604800000 },
		      { "1h30m", 5400000 }, { "0s", 0 },      { "2w", 1209600000 } };
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		int64_t before = clock_ms(), got = clock_since(spans[i].text), after = clock_ms();
		assert_true(got >= before - spans[i].ago && got <= after - spans[i].ago);
	}
	assert_true(clock_since("2026-11-23T17:10:23Z") == INT64_C(1795453823000));
	assert_true(clock_since("9999999999d") == 0);
	static const char *const bad[] = { "", "5", "m", "5x", "-5m", "5m ", "1h30", "99999999999s", "yesterday" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(clock_since(bad[i]) == -1);
	assert_true(clock_since(NULL) == -1);
	int64_t mono = clock_mono_us();
	usleep(2000);
	assert_true(clock_mono_us() - mono >= 2000);
	assert_true(clock_mono_ms() >= mono / 1000);
}

static void randomness(void **state)
{
	char a[201], b[201];
	random_hex(a, 100);
	random_hex(b, 100);
	assert_int_equal(strlen(a), 200);
	assert_int_equal(strspn(a, "0123456789abcdef"), 200);
	assert_string_not_equal(a, b);
	random_hex(a, 0);
	assert_string_equal(a, "");
	assert_true(secret_equal("abc", "abc") && secret_equal("", ""));
	assert_false(secret_equal("abc", "abd") || secret_equal("abc", "ab") || secret_equal("ab", "abc") ||
		     secret_equal("", "a") || secret_equal("a", "") || secret_equal(NULL, NULL) ||
		     secret_equal("a", NULL) || secret_equal("ab", "abab") || secret_equal("abab", "ab"));
}

static void is(char *take_got, const char *want)
{
	assert_string_equal(take_got, want);
	free(take_got);
}

static void path_helpers(void **state)
{
	is(path_join("/a", "b"), "/a/b");
	is(path_join("/a/", "b"), "/a/b");
	is(path_join("/", "b"), "/b");
	is(path_join("a", "/b"), "a/b");
	is(path_join("", "b"), "b");
	setenv("HOME", "/home/x", 1);
	is(path_expand_home("~"), "/home/x");
	is(path_expand_home("~/y"), "/home/x/y");
	is(path_expand_home("~other/y"), "~other/y");
	is(path_expand_home("/~/y"), "/~/y");
	unsetenv("HOME");
	cleanup_free char *home = path_home();
	assert_int_equal(home[0], '/');
	cleanup_free char *self = path_self_dir();
	cleanup_free char *binary = path_join(self, "base_misc_test");
	assert_int_equal(access(binary, X_OK), 0);
}

static void config_folder(void **state)
{
	char here[4096], want[4200], socket[160];
	setenv("HOME", "/home/x", 1);
	unsetenv("PERRY_CONFIG_DIR");
	unsetenv("WS_CONFIG_DIR");
	unsetenv("XDG_CONFIG_HOME");
	is(path_config_dir(), "/home/x/.config/perry");
	setenv("XDG_CONFIG_HOME", "relative", 1);
	is(path_config_dir(), "/home/x/.config/perry");
	setenv("XDG_CONFIG_HOME", "/xdg", 1);
	is(path_config_dir(), "/xdg/perry");
	setenv("WS_CONFIG_DIR", "/ws", 1);
	is(path_config_dir(), "/ws");
	setenv("PERRY_CONFIG_DIR", "", 1);
	is(path_config_dir(), "/ws");
	setenv("PERRY_CONFIG_DIR", "~/p", 1);
	is(path_config_dir(), "/home/x/p");
	setenv("PERRY_CONFIG_DIR", "rel", 1);
	assert_non_null(getcwd(here, sizeof here));
	snprintf(want, sizeof want, "%s/rel", here);
	is(path_config_dir(), want);

	setenv("XDG_RUNTIME_DIR", test_dir, 1);
	snprintf(socket, sizeof socket, "%s/perry/agent.sock", test_dir);
	is(path_agent_socket("/xdg/perry"), socket);
	is(path_agent_socket("/xdg/perry/"), socket);
	is(path_agent_socket("/elsewhere"), "/elsewhere/agent.sock");
	setenv("XDG_RUNTIME_DIR", "/no/such/folder", 1);
	is(path_agent_socket("/xdg/perry"), "/xdg/perry/agent.sock");
	unsetenv("XDG_RUNTIME_DIR");
	is(path_agent_socket("/xdg/perry"), "/xdg/perry/agent.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(clock_parse),
		cmocka_unit_test(clock_spans),
		cmocka_unit_test(randomness),
		cmocka_unit_test(path_helpers),
		cmocka_unit_test_setup_teardown(config_folder, test_dir_make, test_dir_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
