/* Numbers that are written as text. */
#ifndef PERRY_BASE_NUMBER_H
#define PERRY_BASE_NUMBER_H

/* 0 when all of text is a decimal number within [min, max]; else -1 and *out untouched. */
int str_to_int(const char *text, long long min, long long max, long long *out);
/* "4GiB", "512m", "1.5g", "1024" to bytes; -1 when it is no size. */
int str_to_bytes(const char *text, long long *out);

#endif
