/* The encoding that tailscaled gives to names in headers when they are not ASCII. */
#ifndef PERRY_AGENT_RFC2047_H
#define PERRY_AGENT_RFC2047_H

/* Text of a header that may be RFC 2047-encoded ("=?utf-8?q?J=C3=B6rg?=") as UTF-8; caller frees. What is no proper
 * encoding stays as it is. */
char *rfc2047_decode(const char *text);

#endif
