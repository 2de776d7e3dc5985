/* Another program, run to its end: bounded in time and output, nothing of it left behind. */
#ifndef PERRY_BASE_PROCESS_H
#define PERRY_BASE_PROCESS_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/buf.h"

struct process {
	const char *const *argv; /* ends with NULL; argv[0] with a slash, or looked for in PATH of env */
	const char *const *env;  /* "NAME=value", ends with NULL; NULL: ours */
	const char *dir;         /* or NULL: ours */
	const char *input;       /* for its standard input */
	size_t input_len;
	int timeout_ms;
	size_t max_output;  /* of out and err each; what is more is dropped (cut is set) */
	uint64_t file_size; /* largest file that it may write, 0: any */
	bool terminal;      /* it may ask on our terminal meanwhile */
};
/* The file to run for a name: itself when it has a slash, else the first in the folders of path ("/bin:/usr/bin"; NULL
 * or "": the usual ones). Relative folders do not count. Caller frees; NULL when there is none. */
char *process_find(const char *name, const char *path);

struct process_end {
	struct buf out, err;
	int status; /* exit status; 128 + N when signal N ended it */
	bool cut;
};
/* 0 when it ran, whatever its status. PERRY_ETIMEOUT: it and its process group were killed. PERRY_ENOTFOUND: there is
 * no such program. */
int process_run(const struct process *p, struct process_end *end, struct perry_err **err);
void process_end_free(struct process_end *end);
#define cleanup_process __attribute__((cleanup(process_end_free)))

#endif
