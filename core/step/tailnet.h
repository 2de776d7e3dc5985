/* tailscaled in a workspace: see tailnet.c. */
#ifndef PERRY_STEP_TAILNET_H
#define PERRY_STEP_TAILNET_H
#include <sys/types.h>

#define TAILSCALE      "/opt/perry/bin/tailscale"
#define TAILSCALED     "/opt/perry/bin/tailscaled"
#define TAILSCALED_LOG RUN_DIR "/tailscaled.log"
#define TAILNET_DIR    RUN_DIR "/ts"
#define KEY_FILE       TAILNET_DIR "/authkey" /* there for as long as a join takes */

/* The container's spec says with this that it joins a tailnet; its value is "file:" KEY_FILE. */
#define KEY_VARIABLE       "TS_AUTHKEY"
#define USERSPACE_VARIABLE "TS_USERSPACE"

/* First thing in main: notes what the variables say and takes them out of the environment, where a program of the
 * user's would take them for its own. */
void tailnet_prepare(void);
/* Starts tailscaled under a supervisor, whose pid comes back; 0: not wanted, or not to be had (which is said). */
pid_t tailnet_start(void);

#endif
