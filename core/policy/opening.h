/* From layers of files to a session: read and judged once, then sent. */
#ifndef PERRY_POLICY_OPENING_H
#define PERRY_POLICY_OPENING_H
#include "policy/setup.h"

struct policy;
struct policy_session;

/* One session, one fork, one consistent reading of the files. A file that is writable by others, of another owner, a
 * link where none may be, or bytecode is an error that names it (PERRY_EPOLICY). */
int policy_open(struct policy *p, const struct policy_setup *setup, struct policy_session **out,
		struct perry_err **err);
void policy_close(struct policy_session *s);

#endif
