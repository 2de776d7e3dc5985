#include "agent/rpc/body.h"

#include <strings.h>

#define MALFORMED \
	"Malformed request. Ensure the request body is properly formatted and the 'Content-Type' header is set " \
	"correctly."
#define TOO_DEEP "Malformed request. The request body has more than 64 levels."

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
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *whole = json_parse(bytes, n, "body", &err);
	if (!whole) {
		*problem = err->code == PERRY_ETOOLARGE ? TOO_DEEP : MALFORMED;
		return -1;
	}
	if (cJSON_IsObject(whole))
		*input = cJSON_DetachItemFromObjectCaseSensitive(whole, "json");
	return 0;
}
