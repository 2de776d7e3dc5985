/* Where things are on this machine. All returned texts are the caller's. */
#ifndef PERRY_BASE_PATHS_H
#define PERRY_BASE_PATHS_H

char *path_join(const char *dir, const char *name);
char *path_expand_home(const char *path); /* "~/x" by $HOME, else by the password file */
char *path_shown(const char *path);       /* for people: the home folder as ~; the caller's */
char *path_home(void);
char *path_config_dir(void); /* $PERRY_CONFIG_DIR, $WS_CONFIG_DIR, $XDG_CONFIG_HOME/perry, ~/.config/perry */
/* The agent's unix socket for a config dir: $XDG_RUNTIME_DIR/perry/agent.sock when the dir is the default one, else
 * DIR/agent.sock. */
char *path_agent_socket(const char *config_dir);
char *path_self_dir(void); /* the folder of the running executable */

#endif
