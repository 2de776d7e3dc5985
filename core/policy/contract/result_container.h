/* The container spec, the answer of the hook container. */
#ifndef PERRY_POLICY_CONTRACT_RESULT_CONTAINER_H
#define PERRY_POLICY_CONTRACT_RESULT_CONTAINER_H
#include "base/buf.h"
#include "base/json.h"

/* Checks it and makes it canonical; as result_check does. */
int result_container(cJSON *spec, struct buf *why);

#endif
