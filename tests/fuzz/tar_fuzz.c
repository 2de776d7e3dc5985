/* The archive that `perry cp` unpacks: any bytes, split anywhere, never write outside the folder. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/tar_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char dir[64];
	if (!dir[0]) {

		strcpy(dir, "/tmp/perry-tar-fuzz-XXXXXX");
		if (!mkdtemp(dir) || freopen("/dev/null", "w", stderr) == NULL)
			abort();
	}
	struct unpacker *u = unpacker_new(dir, "copy");
	size_t cut = n ? data[0] % n : 0;
	if (unpacker_feed(u, (const char *)data, cut, NULL) == 0)
		unpacker_feed(u, (const char *)data + cut, n - cut, NULL);
	unpacker_end(u, NULL);
	unpacker_free(u);
	DIR *d = opendir(dir);
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "copy") != 0)
			abort();
	closedir(d);
	return 0;
}
