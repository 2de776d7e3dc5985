/* How many descriptors this process has open, for tests that compare before and after. */
#ifndef PERRY_TESTS_OPEN_FDS_H
#define PERRY_TESTS_OPEN_FDS_H
#include <dirent.h>

static inline int open_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif
