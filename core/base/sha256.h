/* SHA-256, for content hashes of hooks, packs and images (FIPS 180-4). Not for passwords. */
#ifndef PERRY_BASE_SHA256_H
#define PERRY_BASE_SHA256_H
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t total;
	unsigned char block[64];
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t n);
void sha256_end(struct sha256 *s, unsigned char out[32]);
void sha256_hex(const void *data, size_t n, char out[65]);

#endif
