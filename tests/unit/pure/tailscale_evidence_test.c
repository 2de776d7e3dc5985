/* Which device a join made, as far as it can be proven. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tailscale/evidence.h"

static enum evidence of(const char *row, const char *device)
{
	cleanup_json cJSON *r = cJSON_Parse(row), *d = cJSON_Parse(device);
	assert_true(r && d);
	return evidence_device(r, d);
}
#define ROW "{\"since\":1000000000,\"at\":1000030000,\"asked\":\"web\",\"node\":\"5\",\"hostname\":\"prod\""

static void which_device(void **state)
{
	(void)state;
	assert_int_equal(of(ROW "}", "{\"created\":1000010000,\"hostname\":\"web\"}"), EVIDENCE_FOR);
	/* The id and the name that the workspace said. */
	assert_int_equal(of(ROW "}", "{\"created\":1000010000,\"hostname\":\"prod\",\"name\":\"prod\",\"id\":\"5\"}"),
			 EVIDENCE_MAYBE);
	assert_int_equal(of(ROW "}", "{\"created\":999930000,\"hostname\":\"web\",\"id\":\"5\"}"), EVIDENCE_AGAINST);
	assert_int_equal(of(ROW "}", "{\"created\":1000100000,\"hostname\":\"web\",\"id\":\"5\"}"), EVIDENCE_AGAINST);
	assert_int_equal(of(ROW "}", "{\"hostname\":\"web\",\"id\":\"5\"}"), EVIDENCE_NONE);
	assert_int_equal(of("{\"asked\":\"web\"}", "{\"created\":1000010000,\"hostname\":\"web\"}"), EVIDENCE_NONE);
	/* The clocks may be a minute apart. */
	assert_int_equal(of(ROW "}", "{\"created\":999941000,\"hostname\":\"web\"}"), EVIDENCE_FOR);
	assert_int_equal(of(ROW "}", "{\"created\":1000089000,\"hostname\":\"web\"}"), EVIDENCE_FOR);
	/* The key that was made for it. */
	assert_int_equal(of(ROW ",\"keyId\":\"9\"}", "{\"created\":1,\"hostname\":\"x\",\"keyId\":\"9\"}"),
			 EVIDENCE_FOR);
	assert_int_equal(of(ROW ",\"keyId\":\"9\"}", "{\"created\":1,\"hostname\":\"web\",\"keyId\":\"8\"}"),
			 EVIDENCE_AGAINST);
}

static void while_it_joined(void **state)
{
	(void)state;
	cleanup_json cJSON *row = cJSON_Parse(ROW "}"), *open = cJSON_Parse("{\"since\":1000000000}");
	assert_true(evidence_in_join(row, 1000010000));
	assert_false(evidence_in_join(row, 900000000));
	assert_false(evidence_in_join(row, 1100000000));
	assert_false(evidence_in_join(row, -1));
	assert_false(evidence_in_join(open, 1000010000));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(which_device), cmocka_unit_test(while_it_joined) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
