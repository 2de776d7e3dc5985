/* schemas.json: every name that is used is there and every one that is there is used; what an input asks for is what
 * schema.c looks at. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/names.h"
#include "agent/rpc/procedures.h"
#include "agent/rpc/schema.h"
#include "agent/rpc/schemas.h"
#include "base/embed.h"
#include "base/mem.h"

static const struct {
	const char *path, *input, *output;
} rows[] = {
#define ROW(path, class, right, input, output, fn, summary) { path, input, output },
	PROCEDURES(ROW)
#undef ROW
};

/* What openapi.c names besides. */
static const char *const named_by_code[] = { "Error", "Accepted" };

static bool one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	return *words;
}

/* What a reference refers to; NULL when s is none. */
static const char *referred(const cJSON *s)
{
	const cJSON *ref = cJSON_GetObjectItemCaseSensitive(s, "$ref");
	if (!ref)
		return NULL;
	if (!cJSON_IsString(ref) || !str_starts(ref->valuestring, SCHEMAS_REF))
		fail_msg("a $ref begins with " SCHEMAS_REF);
	if (s->child != ref || ref->next)
		fail_msg("%s: what stands beside a $ref is not looked at", ref->valuestring);
	return ref->valuestring + strlen(SCHEMAS_REF);
}

static void no_key_stands_twice(const cJSON *j)
{
	const cJSON *a, *b;
	cJSON_ArrayForEach(a, j) {
		if (cJSON_IsObject(j))
			for (b = a->next; b; b = b->next)
				if (strcmp(a->string, b->string) == 0)
					fail_msg("\"%s\" stands twice in one object", a->string);
		no_key_stands_twice(a);
	}
}

static void the_file_is_json(void **state)
{
	const struct embedded *file = embed_find("core/agent/rpc/schemas.json");
	struct perry_err *err = NULL;
	assert_non_null(file);
	cleanup_json cJSON *all = json_parse(file->data, (size_t)(file->end - file->data), "schemas.json", &err);
	if (!all)
		fail_msg("%s", perry_msg(err));
	no_key_stands_twice(all);
}

static const cJSON *find(const cJSON *all, const char *name, const char *who)
{
	const cJSON *schema = cJSON_GetObjectItemCaseSensitive(all, name);
	if (!schema)
		fail_msg("%s names the schema %s, which is not in schemas.json", who, name);
	return schema;
}

/* Notes every schema that is reached from s. within: from the inside out, so that none is within itself. */
struct within {
	const struct within *up;
	const char *name;
};
static void reach(const cJSON *all, const cJSON *s, const struct within *within, cJSON *reached)
{
	const cJSON *member;
	const char *name = referred(s);
	if (!name) {
		cJSON_ArrayForEach(member, s)
			reach(all, member, within, reached);
		return;
	}
	for (const struct within *w = within; w; w = w->up)
		if (strcmp(w->name, name) == 0)
			fail_msg("the schema %s is within itself", name);
	const cJSON *schema = find(all, name, within->name);
	struct within inner = { within, name };
	json_set_bool(reached, name, true);
	reach(all, schema, &inner, reached);
}

static void every_name_is_there_and_used(void **state)
{
	cleanup_json cJSON *all = schemas_copy(), *used = cJSON_CreateObject();
	const cJSON *schema;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		find(all, rows[i].output, rows[i].path);
		json_set_bool(used, rows[i].output, true);
		if (!rows[i].input)
			continue;
		find(all, rows[i].input, rows[i].path);
		json_set_bool(used, rows[i].input, true);
	}
	for (size_t i = 0; i < ARRAY_LEN(named_by_code); i++) {
		find(all, named_by_code[i], "the code");
		json_set_bool(used, named_by_code[i], true);
	}
	cJSON_ArrayForEach(schema, all) {
		if (referred(schema))
			fail_msg("the schema %s is another one's name", schema->string);
		struct within within = { NULL, schema->string };
		reach(all, schema, &within, used);
	}
	cJSON_ArrayForEach(schema, all)
		if (!cJSON_GetObjectItemCaseSensitive(used, schema->string))
			fail_msg("nobody names the schema %s", schema->string);
}

/* --- keywords --- */

/* The keywords that schema.c looks at, for each kind of schema that it tells apart (apply). */
static const char *const any_of[] = { "anyOf", NULL }, *const enum_of[] = { "enum", NULL },
			 *const constant[] = { "const", NULL }, *const nothing[] = { NULL },
			 *const string[] = { "type", "format", "minLength", "maxLength", "pattern", NULL },
			 *const number[] = { "type", "minimum", "maximum", NULL }, *const boolean[] = { "type", NULL },
			 *const array[] = { "type", "items", "minItems", "maxItems", NULL },
			 *const object[] = { "type", "properties", "required", "additionalProperties", NULL },
			 *const record[] = { "type", "additionalProperties", NULL };
static const char *const formats[] = { "workspace-name", "workspace-name-or-host", "clone-url", NULL };

struct place {
	const char *name; /* of the schema */
	bool input;       /* it is applied; else it only describes */
};

static const char *const *keywords_of(const cJSON *s, const struct place *at)
{
	if (cJSON_GetObjectItemCaseSensitive(s, "anyOf"))
		return any_of;
	if (cJSON_GetObjectItemCaseSensitive(s, "enum"))
		return enum_of;
	if (cJSON_GetObjectItemCaseSensitive(s, "const"))
		return constant;
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(s, "type");
	if (!type)
		return nothing; /* {}: anything */
	/* "string or null" */
	const cJSON *first = cJSON_IsArray(type) && !at->input ? cJSON_GetArrayItem(type, 0) : type;
	const char *word = cJSON_GetStringValue(first);
	if (word && strcmp(word, "string") == 0)
		return string;
	if (word && (strcmp(word, "number") == 0 || strcmp(word, "integer") == 0))
		return number;
	if (word && strcmp(word, "boolean") == 0)
		return boolean;
	if (word && strcmp(word, "array") == 0)
		return array;
	if (word && strcmp(word, "object") == 0)
		return cJSON_GetObjectItemCaseSensitive(s, "properties") ? object : record;
	fail_msg("%s: schema.c does not know this type", at->name);
	return nothing;
}

static bool takes(const cJSON *schema, const cJSON *value)
{
	cleanup_json cJSON *issues = cJSON_CreateArray();
	cJSON_Delete(schema_apply(schema, value, issues));
	return cJSON_GetArraySize(issues) == 0;
}

static void check_keywords(const cJSON *s, const struct place *at, bool may_default);

static void check_object(const cJSON *s, const struct place *at)
{
	const cJSON *properties = cJSON_GetObjectItemCaseSensitive(s, "properties"), *member;
	const cJSON *more = cJSON_GetObjectItemCaseSensitive(s, "additionalProperties");
	cJSON_ArrayForEach(member, properties)
		check_keywords(member, at, true);
	cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(s, "required"))
		if (!cJSON_GetObjectItemCaseSensitive(properties, member->valuestring))
			fail_msg("%s: %s is required, but no property", at->name, member->valuestring);
	if (properties && more && !cJSON_IsFalse(more))
		fail_msg("%s: beside properties, additionalProperties can only be false", at->name);
	if (!properties && cJSON_IsFalse(more))
		fail_msg("%s: without properties, additionalProperties cannot be false", at->name);
	if (cJSON_IsObject(more))
		check_keywords(more, at, false);
}

/* Everything that s says is looked at by schema.c. */
static void check_keywords(const cJSON *s, const struct place *at, bool may_default)
{
	const cJSON *member, *format = cJSON_GetObjectItemCaseSensitive(s, "format");
	if (!cJSON_IsObject(s))
		fail_msg("%s: a schema is an object", at->name);
	const char *const *known = keywords_of(s, at);
	cJSON_ArrayForEach(member, s)
		if (!one_of(member->string, known) && !(may_default && strcmp(member->string, "default") == 0))
			fail_msg("%s: schema.c does not look at \"%s\" here", at->name, member->string);
	if (format && !one_of(format->valuestring, formats) &&
	    (at->input || strcmp(format->valuestring, "date-time") != 0))
		fail_msg("%s: schema.c does not know the format %s", at->name, format->valuestring);
	if (known == object || known == record)
		check_object(s, at);
	if ((member = cJSON_GetObjectItemCaseSensitive(s, "items")))
		check_keywords(member, at, false);
	cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(s, "anyOf"))
		check_keywords(member, at, false);
	const cJSON *dflt = cJSON_GetObjectItemCaseSensitive(s, "default");
	if (dflt && !takes(s, dflt))
		fail_msg("%s: a default that is not valid itself", at->name);
}

static void no_keyword_is_passed_over(void **state)
{
	cleanup_json cJSON *all = schemas_copy();
	const cJSON *schema;
	cJSON_ArrayForEach(schema, all) {
		struct place at = { schema->string, false };
		check_keywords(schemas_get(schema->string), &at, true);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct place at = { rows[i].input, true };
		if (rows[i].input)
			check_keywords(schemas_get(rows[i].input), &at, true);
	}
}

/* With the keyword the value is refused, without it taken. */
static const struct {
	const char *keyword, *schema, *refused;
} proofs[] = {
	{ "anyOf", "{'anyOf':[{'type':'string'},{'type':'boolean'}]}", "1" },
	{ "enum", "{'enum':['a','b']}", "'c'" },
	{ "const", "{'const':false}", "true" },
	{ "type", "{'type':'string'}", "1" },
	{ "format", "{'type':'string','format':'workspace-name'}", "'@host'" },
	{ "format", "{'type':'string','format':'workspace-name-or-host'}", "'-'" },
	{ "format", "{'type':'string','format':'clone-url'}", "'https://a@b'" },
	{ "minLength", "{'type':'string','minLength':1}", "''" },
	{ "maxLength", "{'type':'string','maxLength':1}", "'ab'" },
	{ "pattern", "{'type':'string','pattern':'^a$'}", "'b'" },
	{ "type", "{'type':'number'}", "'1'" },
	{ "type", "{'type':'integer'}", "1.5" },
	{ "minimum", "{'type':'integer','minimum':1}", "0" },
	{ "maximum", "{'type':'number','maximum':1}", "1.5" },
	{ "type", "{'type':'boolean'}", "0" },
	{ "type", "{'type':'array'}", "{}" },
	{ "items", "{'type':'array','items':{'type':'string'}}", "[1]" },
	{ "minItems", "{'type':'array','minItems':1}", "[]" },
	{ "maxItems", "{'type':'array','maxItems':1}", "[1,2]" },
	{ "type", "{'type':'object','properties':{}}", "[]" },
	{ "properties", "{'type':'object','properties':{'a':{'type':'string'}}}", "{'a':1}" },
	{ "required", "{'type':'object','properties':{'a':{'type':'string'}},'required':['a']}", "{}" },
	{ "additionalProperties", "{'type':'object','properties':{},'additionalProperties':false}", "{'a':1}" },
	{ "type", "{'type':'object'}", "[]" },
	{ "additionalProperties", "{'type':'object','additionalProperties':{'type':'string'}}", "{'a':1}" },
};

/* ' for ": short enough to be seen whole. */
static cJSON *quoted(const char *text)
{
	cleanup_free char *copy = xstrdup(text);
	for (char *p = copy; (p = strchr(p, '\''));)
		*p = '"';
	cJSON *j = cJSON_Parse(copy);
	assert_non_null(j);
	return j;
}

/* format: NULL, any. */
static bool proved(const char *const *kind, const char *keyword, const char *format)
{
	static const struct place at = { "a proof", true };
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		cleanup_json cJSON *schema = quoted(proofs[i].schema);
		if (keywords_of(schema, &at) == kind && strcmp(proofs[i].keyword, keyword) == 0 &&
		    (!format || strcmp(json_str_or(schema, "format", ""), format) == 0))
			return true;
	}
	return false;
}

static void every_keyword_makes_a_difference(void **state)
{
	static const char *const *const kinds[] = { any_of,  enum_of, constant, string, number,
						    boolean, array,   object,   record };
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		cleanup_json cJSON *schema = quoted(proofs[i].schema), *value = quoted(proofs[i].refused);
		if (takes(schema, value))
			fail_msg("%s takes %s", proofs[i].schema, proofs[i].refused);
		cJSON_DeleteItemFromObjectCaseSensitive(schema, proofs[i].keyword);
		if (!takes(schema, value))
			fail_msg("%s refuses %s, but not because of %s", proofs[i].schema, proofs[i].refused,
				 proofs[i].keyword);
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (const char *const *word = kinds[i]; *word; word++)
			if (!proved(kinds[i], *word, NULL))
				fail_msg("nothing shows that schema.c looks at %s beside %s", *word, *kinds[i]);
	for (const char *const *format = formats; *format; format++)
		if (!proved(string, "format", *format))
			fail_msg("nothing shows that schema.c knows the format %s", *format);
}

/* The formats of names stand for what name_problem says; length and pattern beside them are for readers, and must say
 * the same. */
static bool described(const char *schema, const char *name)
{
	const cJSON *s = schemas_get(schema);
	regex_t re;
	assert_int_equal(regcomp(&re, json_str(s, "pattern"), REG_EXTENDED | REG_NOSUB), 0);
	bool fits = regexec(&re, name, 0, NULL, 0) == 0 && strlen(name) <= (size_t)json_num_or(s, "maxLength", 0);
	regfree(&re);
	return fits;
}

static void names_are_described_as_they_are(void **state)
{
	static const char *const names[] = {
		"",
		"a",
		"0",
		"ab",
		"a-b",
		"a--b",
		"-a",
		"a-",
		"-",
		"A",
		"a b",
		"a.b",
		"a_b",
		"a/b",
		"a\n",
		"\xc3\xa9",
		"@host",
		"@",
		"x@host",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (described("WorkspaceName", names[i]) != !name_problem(names[i], false) ||
		    described("WorkspaceOrHost", names[i]) != !name_problem(names[i], true))
			fail_msg("\"%s\" is a name, or described as one, but not both", names[i]);
	}
}

/* Patterns are compiled at each use. */
static void check_patterns(const cJSON *s)
{
	const cJSON *member;
	cJSON_ArrayForEach(member, s) {
		regex_t re;
		if (!member->string || strcmp(member->string, "pattern") != 0 || !cJSON_IsString(member)) {
			check_patterns(member);
			continue;
		}
		if (regcomp(&re, member->valuestring, REG_EXTENDED | REG_NOSUB) != 0)
			fail_msg("not a pattern: %s", member->valuestring);
		regfree(&re);
	}
}

static void patterns_compile(void **state)
{
	cleanup_json cJSON *all = schemas_copy();
	check_patterns(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_is_json),
		cmocka_unit_test(every_name_is_there_and_used),
		cmocka_unit_test(no_keyword_is_passed_over),
		cmocka_unit_test(every_keyword_makes_a_difference),
		cmocka_unit_test(names_are_described_as_they_are),
		cmocka_unit_test(patterns_compile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
