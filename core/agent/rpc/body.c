#include "agent/rpc/body.h"

#include <strings.h>

#define MALFORMED \
	"Malformed request. Ensure the request body is properly formatted and the 'Content-Type' header is set " \
	"correctly."
#define TOO_DEEP "Malformed request. The request body has more than 64 levels."

/* The parser stops there too, but does not tell it from a syntax error. */
static bool too_deep(const char *s, size_t n)
{
	int depth = 0;
	bool text = false;
	for (size_t i = 0; i < n; i++) {
		if (text) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				text = false;
		} else if (s[i] == '"') {
			text = true;
		} else if (s[i] == '{' || s[i] == '[') {
			if (++depth > JSON_MAX_DEPTH)
				return true;
		} else if (s[i] == '}' || s[i] == ']') {
			depth--;
		}
	}
	return false;
}

static bool is_form(const char *type)
{
	static const char url[] = "application/x-www-form-urlencoded", parts[] = "multipart/form-data";
	return type && (strncasecmp(type, url, sizeof url - 1) == 0 || strncasecmp(type, parts, sizeof parts - 1) == 0);
}

int body_input(const char *type, const char *bytes, size_t n, cJSON **input, const char **problem)
{
	*input = NULL;
	if (!n || is_form(type))
		return 0;
	if (too_deep(bytes, n)) {
		*problem = TOO_DEEP;
		return -1;
	}
	cleanup_json cJSON *whole = json_parse(bytes, n, "body", NULL);
	if (!whole) {
		*problem = MALFORMED;
		return -1;
	}
	if (cJSON_IsObject(whole))
		*input = cJSON_DetachItemFromObjectCaseSensitive(whole, "json");
	return 0;
}
