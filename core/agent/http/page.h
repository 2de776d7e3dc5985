/* What a browser gets: files of web/ that travel in the binary, and until there is a user interface a small page that
 * says what this is. */
#ifndef PERRY_AGENT_PAGE_H
#define PERRY_AGENT_PAGE_H
#include <stdbool.h>

struct agent;
struct server_req;

bool page_handle(struct agent *a, struct server_req *r); /* false: there is no such file */

#endif
