/* Packing for `perry cp`: a walk over a file or folder, read piece by piece. Long names and big files get pax records.
 */
#ifndef PERRY_CLI_TAR_WRITE_H
#define PERRY_CLI_TAR_WRITE_H
#include <sys/types.h>

#include "base/err.h"

struct packer;
/* src goes in under the name top; ".": what is in the folder src, without the folder. */
int packer_new(struct packer **out, const char *src, const char *top, struct perry_err **err);
ssize_t packer_fill(void *packer, char *bytes, size_t n); /* bytes, 0 at the end, -1 (see packer_error) */
const struct perry_err *packer_error(const struct packer *p);
int packer_left_out(const struct packer *p); /* what is no file, folder or link; each was told on standard error */
void packer_free(struct packer *p);

#endif
