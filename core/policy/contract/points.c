#include "policy/contract/points.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const kind_names[] = { "decision", "consent", "action" };
static const char *const rule_names[] = { "stop", "refuse", "degrade", "built-in", "report" };

#define X(name_, kind_, result_, rule_, extra_, since_, summary_) \
	{ #name_, #result_, POINT_##kind_, RULE_##rule_, extra_, since_, summary_ },
const struct point policy_point_table[] = { POLICY_POINTS(X){ 0 } };
#undef X

#define X(name_, cls_, need_, summary_) { name_, CALL_##cls_, need_, summary_ },
const struct call_row policy_call_table[] = { POLICY_CALLS(X){ 0 } };
#undef X

#define X(name_, summary_) { name_, summary_ },
const struct local_row policy_local_table[] = { POLICY_LOCALS(X){ 0 } };
#undef X

const struct point *point_find(const char *name)
{
	for (const struct point *p = policy_point_table; name && p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const char *point_nearest(const char *name)
{
	const char *names[ARRAY_LEN(policy_point_table)];
	size_t n = 0;
	for (const struct point *p = policy_point_table; p->name; p++)
		names[n++] = p->name;
	names[n] = NULL;
	return str_nearest(name, names);
}

const struct call_row *call_find(const char *name)
{
	for (const struct call_row *c = policy_call_table; name && c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

const char *call_denied(const struct call_row *call, const struct point *point)
{
	if (strcmp(point->name, "authorize") == 0)
		return "the hook point authorize may not look at anything";
	if (call->cls == CALL_TOUCH && point->kind == POINT_DECISION)
		return "a decision may look, not touch; only actions (on_*) may";
	if (call->cls == CALL_TOUCH && point->kind == POINT_CONSENT)
		return "a consent may look, not touch; only actions (on_*) may";
	return NULL;
}

const char *point_kind_name(enum point_kind kind)
{
	return kind_names[kind];
}

const char *point_rule_name(enum point_rule rule)
{
	return rule_names[rule];
}

struct hook_limits point_limits(const struct point *p)
{
	return p->kind == POINT_ACTION ? ACTION_LIMITS : DECISION_LIMITS;
}

char *point_arguments(const struct point *p)
{
	const char *subject = strcmp(p->name, "authorize") == 0 ? "req" : "ws";
	return xasprintf("%s%s%s%s", subject, p->kind == POINT_DECISION ? ", base" : "", *p->extra ? ", " : "",
			 p->extra);
}

static size_t skip_blanks(const char *text, size_t i, size_t n)
{
	while (i < n && (text[i] == ' ' || text[i] == '\t'))
		i++;
	return i;
}

int hook_header(const char *text, size_t n, int *api, bool *stated, const char **why)
{
	static const char mark[] = "perry:", field[] = "api=";
	*api = 1;
	*stated = false;
	const char *nl = n ? memchr(text, '\n', n) : NULL;
	size_t end = nl ? (size_t)(nl - text) : n;
	if (end && text[end - 1] == '\r')
		end--;
	if (end < 2 || text[0] != '-' || text[1] != '-')
		return 0;
	size_t i = skip_blanks(text, 2, end);
	if (end - i < sizeof mark - 1 || memcmp(text + i, mark, sizeof mark - 1) != 0)
		return 0;
	i = skip_blanks(text, i + sizeof mark - 1, end);
	if (end - i < sizeof field - 1 || memcmp(text + i, field, sizeof field - 1) != 0) {
		*why = "expected '-- perry: api=1'";
		return -1;
	}
	i += sizeof field - 1;
	int value = 0;
	size_t digits = 0;
	for (; i < end && text[i] >= '0' && text[i] <= '9' && digits < 6; i++, digits++)
		value = value * 10 + (text[i] - '0');
	if (digits == 0 || skip_blanks(text, i, end) != end) {
		*why = "expected a number after 'api='";
		return -1;
	}
	*stated = true;
	*api = value;
	if (value < 1 || value > POLICY_API) {
		*why = "this perry serves api=1";
		return -1;
	}
	return 0;
}
