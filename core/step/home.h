/* What init makes ready: see home.c. */
#ifndef PERRY_STEP_HOME_H
#define PERRY_STEP_HOME_H

void home_prepare(void);   /* the user and its home */
void home_profile(void);   /* a login shell keeps the environment */
void home_host_keys(void); /* ssh host keys, where there is an sshd */

#endif
