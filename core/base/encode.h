/* Bytes as letters: base64 and hexadecimal. */
#ifndef PERRY_BASE_ENCODE_H
#define PERRY_BASE_ENCODE_H
#include <stddef.h>

#include "base/buf.h"

void base64_encode(struct buf *out, const void *bytes, size_t n);
int base64_decode(struct buf *out, const char *text, size_t n);   /* -1: not base64, out is as before */
void hex_encode(char *out, const unsigned char *bytes, size_t n); /* out has 2n+1 bytes */

#endif
