/* Is a folder of this machine what is mounted at a place of another process? By the kernel's word: the mountinfo of
 * both. */
#ifndef PERRY_BASE_MOUNTINFO_H
#define PERRY_BASE_MOUNTINFO_H
#include <sys/types.h>

enum mounted { MOUNTED_UNKNOWN, MOUNTED_SAME, MOUNTED_OTHER };

/* own, theirs: texts of /proc/PID/mountinfo. source: an absolute path without links, by own; target: by theirs. Where
 * nothing is mounted at target by that name (a link led elsewhere), it is enough that source is mounted somewhere. */
enum mounted mountinfo_compare(const char *own, const char *theirs, const char *source, const char *target);
/* The same of the process pid, which must be in a control group named by id. MOUNTED_UNKNOWN: it is not there, or not
 * ours to look at. */
enum mounted mountinfo_of(pid_t pid, const char *id, const char *source, const char *target);

#endif
