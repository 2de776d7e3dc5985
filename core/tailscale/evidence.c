#include "tailscale/evidence.h"

#include "base/str.h"

bool evidence_in_join(const cJSON *row, int64_t created)
{
	int64_t since = json_int_or(row, "since", 0), at = json_int_or(row, "at", 0);
	return created > 0 && since > 0 && at > 0 && created >= since - EVIDENCE_SKEW_MS &&
	       created <= at + EVIDENCE_SKEW_MS;
}

enum evidence evidence_device(const cJSON *row, const cJSON *device)
{
	const char *key = json_str(row, "keyId"), *asked = json_str(row, "asked");
	int64_t created = json_int_or(device, "created", 0);
	if (key && str_eq(json_str(device, "keyId"), key))
		return EVIDENCE_FOR;
	if (created <= 0 || json_int_or(row, "since", 0) <= 0 || json_int_or(row, "at", 0) <= 0)
		return EVIDENCE_NONE;
	if (!evidence_in_join(row, created))
		return EVIDENCE_AGAINST;
	return asked && str_eq(json_str(device, "hostname"), asked) ? EVIDENCE_FOR : EVIDENCE_MAYBE;
}
