#include "base/embed.h"

#include <string.h>

const struct embedded *embed_find(const char *path)
{
	for (const struct embedded *f = embed_files; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return f;
	return NULL;
}
