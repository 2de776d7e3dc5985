/* What publishing does to a Serve configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tailnet/publish.h"
#include "base/mem.h"

static bool ours(void *ctx, const char *target)
{
	return strcmp(target, "unix:/run/p/serve.sock") == 0 || strcmp(target, "http://127.0.0.1:7391") == 0;
}

static cJSON *quoted(const char *text)
{
	char *copy = xstrdup(text);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	cJSON *j = json_parse(copy, strlen(copy), "test", NULL);
	assert_non_null(j);
	free(copy);
	return j;
}

static void put(const char *before, const struct publication *p, int port, const char *after)
{
	cleanup_json cJSON *config = quoted(before), *want = quoted(after);
	int got = publication_put(config, p, ours, NULL);
	cleanup_free char *text = json_print(config);
	if (got != port || !json_equal(config, want))
		fail_msg("%s\n-> %d %s\nnot %d %s", before, got, text, port, after);
}

static const struct publication https = { "h.x.net", true, "s1", "unix:/run/p/serve.sock" };
static const struct publication http = { "h.x.net", false, NULL, "http://127.0.0.1:7391" };
#define OURS(port) \
	"'TCP':{'" port "':{'HTTPS':true}},'Web':{'h.x.net:" port \
	"':{'Handlers':{'/':{'Proxy':'unix:/run/p/serve.sock'}}}}"
#define THEIRS(port) \
	"'TCP':{'" port "':{'HTTPS':true}},'Web':{'h.x.net:" port \
	"':{'Handlers':{'/':{'Proxy':'http://127.0.0.1:3000'}}}}"

static void into_an_empty_one(void **state)
{
	put("{}", &https, 443, "{'Foreground':{'s1':{" OURS("443") "}}}");
	put("{}", &http, 80,
	    "{'TCP':{'80':{'HTTP':true}},'Web':{'h.x.net:80':{'Handlers':{'/':{'Proxy':'http://127.0.0.1:7391'}}}}}");
}

static void what_others_have_stays(void **state)
{
	put("{'TCP':{'22':{'TCPForward':'127.0.0.1:22'}},'Services':{'svc:a':{'TCP':{'443':{'HTTPS':true}}}},'Unknown':"
	    "{'x':[1]}}",
	    &https, 443,
	    "{'TCP':{'22':{'TCPForward':'127.0.0.1:22'}},'Services':{'svc:a':{'TCP':{'443':{'HTTPS':true}}}},'Unknown':"
	    "{'x':[1]},"
	    "'Foreground':{'s1':{" OURS("443") "}}}");
	put("{" THEIRS("443") "}", &https, 8443, "{" THEIRS("443") ",'Foreground':{'s1':{" OURS("8443") "}}}");
	put("{'Foreground':{'x':{" THEIRS("443") "}}}", &https, 8443,
	    "{'Foreground':{'x':{" THEIRS("443") "},'s1':{" OURS("8443") "}}}");
	put("{'TCP':{'443':{'TCPForward':'127.0.0.1:1'},'8443':{'TCPForward':'127.0.0.1:1'}}}", &https, 10443,
	    "{'TCP':{'443':{'TCPForward':'127.0.0.1:1'},'8443':{'TCPForward':'127.0.0.1:1'}},'Foreground':{'s1':{" OURS(
		    "10443") "}}}");
	put("{'TCP':{'443':{},'8443':{},'10443':{}}}", &https, 0, "{'TCP':{'443':{},'8443':{},'10443':{}}}");
}

/* What is served on a funnelled port is on the internet. */
static void never_on_the_internet(void **state)
{
	put("{'AllowFunnel':{'h.x.net:443':true}}", &https, 8443,
	    "{'AllowFunnel':{'h.x.net:443':true},'Foreground':{'s1':{" OURS("8443") "}}}");
	put("{'AllowFunnel':{'h.x.net:443':false}}", &https, 443,
	    "{'AllowFunnel':{'h.x.net:443':false},'Foreground':{'s1':{" OURS("443") "}}}");
}

static void ours_of_before_is_replaced(void **state)
{
	/* Of a session that ended, of another name, of an agent that served loopback for good. */
	put("{'Foreground':{'s0':{" OURS("443") "}}}", &https, 443, "{'Foreground':{'s1':{" OURS("443") "}}}");
	put("{'Foreground':{'s1':{" OURS("443") "}}}", &https, 443, "{'Foreground':{'s1':{" OURS("443") "}}}");
	put("{'TCP':{'443':{'HTTPS':true}},'Web':{'old.x.net:443':{'Handlers':{'/':{'Proxy':'http://"
	    "127.0.0.1:7391'}}}}}",
	    &https, 443, "{'Foreground':{'s1':{" OURS("443") "}}}");
	/* Somebody added a path to it: that, and its port, are his now. */
	put("{'TCP':{'443':{'HTTPS':true}},'Web':{'h.x.net:443':{'Handlers':{'/':{'Proxy':'http://127.0.0.1:7391'},'/"
	    "a':{'Text':'x'}}}}}",
	    &https, 8443,
	    "{'TCP':{'443':{'HTTPS':true}},'Web':{'h.x.net:443':{'Handlers':{'/"
	    "a':{'Text':'x'}}}},'Foreground':{'s1':{" OURS("8443") "}}}");
	/* Two names on one port: the other one keeps it. */
	put("{'TCP':{'443':{'HTTPS':true}},'Web':{'h.x.net:443':{'Handlers':{'/':{'Proxy':'http://127.0.0.1:7391'}}},"
	    "'i.x.net:443':{'Handlers':{'/':{'Text':'x'}}}}}",
	    &https, 8443,
	    "{'TCP':{'443':{'HTTPS':true}},'Web':{'i.x.net:443':{'Handlers':{'/"
	    "':{'Text':'x'}}}},'Foreground':{'s1':{" OURS("8443") "}}}");
}

static void odd_shapes(void **state)
{
	put("{'TCP':null,'Web':null,'Foreground':null}", &https, 443, "{'Foreground':{'s1':{" OURS("443") "}}}");
	put("{'Web':{'nocolon':{'Handlers':null},'h:443':7},'TCP':{'5':1}}", &https, 8443,
	    "{'Web':{'nocolon':{'Handlers':null},'h:443':7},'TCP':{'5':1},'Foreground':{'s1':{" OURS("8443") "}}}");
}

static void taken_out(void **state)
{
	cleanup_json cJSON *config =
		quoted("{'TCP':{'22':{}},'Foreground':{'s1':{" OURS("443") "},'x':{" THEIRS("8443") "}}}");
	cleanup_json cJSON *want = quoted("{'TCP':{'22':{}},'Foreground':{'x':{" THEIRS("8443") "}}}");
	publication_remove(config, ours, NULL);
	assert_true(json_equal(config, want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(into_an_empty_one),
		cmocka_unit_test(what_others_have_stays),
		cmocka_unit_test(never_on_the_internet),
		cmocka_unit_test(ours_of_before_is_replaced),
		cmocka_unit_test(odd_shapes),
		cmocka_unit_test(taken_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
