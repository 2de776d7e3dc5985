/* The exchange between the agent and a policy process: JSON values, each behind its length in four bytes (little
 * endian). */
#ifndef PERRY_POLICY_CONTRACT_FRAME_H
#define PERRY_POLICY_CONTRACT_FRAME_H
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

#define FRAME_MAX (8u << 20)

/* Blocking; the side of the policy process. -1 when the other side is gone or sends what is no frame. */
int frame_send(int fd, const cJSON *j);
cJSON *frame_recv(int fd);

/* Non-blocking descriptor; the side of the agent. until: clock_mono_ms() of the deadline.
 * PERRY_ETIMEOUT at the deadline, PERRY_EUNAVAILABLE when the process is gone, PERRY_EPOLICY when it sends nonsense. */
int frame_send_until(int fd, const cJSON *j, int64_t until, struct perry_err **err);
int frame_recv_until(int fd, int64_t until, cJSON **out, struct perry_err **err);

#endif
