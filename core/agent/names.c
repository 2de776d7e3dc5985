#include "agent/names.h"

#include <string.h>

const char *name_problem(const char *name, bool host_too)
{
	size_t n = strlen(name);
	if (n == 0)
		return "Workspace name is required";
	if (strcmp(name, NAME_HOST) == 0)
		return host_too ? NULL : "Workspace name is reserved";
	if (n > 63)
		return "Workspace name must be 63 characters or less";
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!word && (c != '-' || i == 0 || i == n - 1))
			return "Use lowercase letters, numbers, and hyphens; start/end with a letter or number";
	}
	return NULL;
}
