/* Hooks and the process that runs them, as other modules see it. Nothing in this module includes this file. */
#ifndef PERRY_POLICY_POLICY_H
#define PERRY_POLICY_POLICY_H
#include "policy/ask.h"
#include "policy/builtin.h"
#include "policy/confinement.h"
#include "policy/inventory.h"
#include "policy/opening.h"
#include "policy/process.h"
#include "policy/setup.h"

#endif
