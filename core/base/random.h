/* Randomness from the kernel. */
#ifndef PERRY_BASE_RANDOM_H
#define PERRY_BASE_RANDOM_H
#include <stddef.h>

void random_bytes(void *out, size_t n);    /* never fails (aborts without a kernel source) */
void random_hex(char *out, size_t nbytes); /* out has 2*nbytes+1 bytes */
/* Are the two texts equal? Time does not depend on where they differ. */
int secret_equal(const char *a, const char *b);

#endif
