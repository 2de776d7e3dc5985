/* What is evidence for whom. A decision that reaches beyond the workspace it is about rests on one of these, and on
 * nothing else:
 *
 *   the kernel                 who holds the other end of a unix socket (peer credentials), which process, which file
 *   this machine's tailscaled  whose device an address is, since when there is that device, its user and tags
 *   the control server         what it lists for a device, first of all the key that we minted for this one join
 *   what we did, and when      the key that we gave, the name that we asked for, the time from asking to the answer
 *   the owner                  the configuration, a token that was shown, a device that was approved
 *
 * The word of a workspace - all that perry-step, tailscaled or a file in it says - is for display, and may choose among
 * what is its own. Where nothing proves it, the stricter reading holds: for access, that it is not the owner's; for
 * removal, that it is left where it is, and listed.
 *
 * Where bytes of a workspace come near a decision that reaches further, and what proves it instead:
 *
 *   place                                a workspace says          proof
 *   agent/who/identity.c is_our_device   the id of its device      evidence_in_join: tailscaled's creation time
 *   agent/who/identity.c is_unproven     -                         our time of giving a key; tailscaled's creation time
 *   lua/perry/leave.lua delete_node      the id of its device      evidence_device on the control server's answer
 *   lua/perry/leave.lua delete_by_key    -                         the minted key's id in the control server's list
 *   lua/perry/leave.lua settle           that it logged out        nothing: what is not ephemeral by our own key stays
 *                                                                  listed
 *   lua/perry/leave.lua evict            which device has its      evidence_device; name and presence as the control
 *                                        name, and that it is      server has them
 *                                        offline
 *   agent/ports_tailnet.c, agent/ports.c address, name, listeners  none needed: shown, and linked to by the user
 *   agent/idle                           what runs in it           none needed: whether it is itself stopped
 *   cli (cp, terminals)                  names, links, text        checked where it is written: tar_read.h, text.h
 */
#ifndef PERRY_TAILSCALE_EVIDENCE_H
#define PERRY_TAILSCALE_EVIDENCE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

/* How far the clocks of this machine and of a control server may be apart. */
#define EVIDENCE_SKEW_MS (60 * 1000)

enum evidence {
	EVIDENCE_NONE,    /* the times are not known */
	EVIDENCE_AGAINST, /* it was not made by this join */
	EVIDENCE_MAYBE,   /* made while the join was under way, under another name */
	EVIDENCE_FOR,
};

/* Was a device that was made at created (ms) made while this join was under way? row: of the outbox, {"since" (asked),
 * "at" (answered)}. False where a time is not known. */
bool evidence_in_join(const cJSON *row, int64_t created);
/* Is this device, as a control server lists it (control.h), the one that the join of row made? By the key that was
 * minted for it, or by its time and the name that we asked for ("asked"). row's "node" and "hostname" are the word of a
 * workspace and do not count. */
enum evidence evidence_device(const cJSON *row, const cJSON *device);

#endif
