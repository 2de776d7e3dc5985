/* perry-step: the one helper inside every workspace. Static, plain libc, of core/base only what needs no more
 * (STEP_BASE in the Makefile): it must run in any image. */
#ifndef PERRY_STEP_H
#define PERRY_STEP_H
#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#define RUN_DIR          "/run/perry"
#define ENV_FILE         RUN_DIR "/env"
#define IMAGE_ENV_FILE   RUN_DIR "/env.image"   /* the image's own ENV, which only process 1 and execs are given */
#define TAILNET_ENV_FILE RUN_DIR "/env.tailnet" /* the way out to the tailnet, where that needs variables */
#define READY_FILE       RUN_DIR "/ready"
#define UP_FILE          RUN_DIR "/up" /* made by init once the user and its home are there */
#define EXEC_DIR         RUN_DIR "/exec"
#define STEPS_DIR        RUN_DIR "/steps"
#define HOLDER_NAME      "perry-holder" /* of the process: init knows it by that */
#define WORKSPACE_USER   "workspace"
#define WORKSPACE_HOME   "/home/workspace"
#define SERVICES_DIR     "/etc/perry/services"
#define DEFAULT_PATH     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Exit codes of our own, beside the command's: as docker and the shells have them. */
enum { EXIT_USAGE = 2, EXIT_NO_TARGET = 3, EXIT_STEP = 125, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

int cmd_init(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_ask(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_write(int argc, char **argv);
int cmd_ready(int argc, char **argv);
int cmd_apply(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_leave(int argc, char **argv);
int cmd_look(int argc, char **argv);
int cmd_reach(int argc, char **argv);
int cmd_no_link_local(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_channel(int argc, char **argv);
int cmd_activity(int argc, char **argv);
int cmd_shell(int argc, char **argv); /* invoked as perry-sh: the login shell of the workspace image */

/* util.c. Allocation failure ends the process. */
void die(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void warn_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A line in the log of the container. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The whole file with a NUL after it, caller frees; NULL with errno. */
char *read_file(const char *path, size_t *len);
char *read_fd(int fd, size_t *len); /* the same up to the end of a descriptor, which stays open */
/* Through a temporary name beside it, so that a reader sees all or nothing. 0, or -1 with errno. */
int put_file(const char *path, const char *text, mode_t mode);
int make_dirs(const char *path, mode_t mode); /* like mkdir -p */
void sleep_ms(int ms);
long long now_ms(void);
bool valid_id(const char *id);       /* letters, digits, . _ -; at most 128; no leading dot */
int signal_number(const char *name); /* "TERM", "SIGTERM" or "15"; 0 when unknown */
int exit_code(int wait_status);

/* proc.c: what /proc says. */
struct proc {
	pid_t pid, ppid, group, session;
	int tty;
	char state, name[16];      /* the kernel's name of it, at most 15 bytes of anything */
	unsigned long long faults; /* minor ones of its children that have ended */
	unsigned long long start;  /* clock ticks since boot: tells a process from a later one with the same pid */
};
int proc_read(pid_t pid, struct proc *out); /* 0, or -1 when there is none */
void proc_each(void (*fn)(void *ctx, const struct proc *p), void *ctx);
/* Signals (0: only counts) every process of the session or process group led by leader; zombies are no processes. */
int proc_signal_session(pid_t leader, int sig);
/* The same with a signal that those who are stopped get as well: it wakes them, unless it is one that stops. */
void proc_tell_session(pid_t leader, int sig);
/* Bytes that the processes of the session have read and written so far; of those that have ended, none. */
unsigned long long proc_session_io(pid_t leader);
/* The record of a running command: "PID START\n". */
int record_write(const char *path, pid_t pid);
int record_read(const char *path, struct proc *out); /* 0 while that very process lives */

/* env.c: an environment under construction. */
struct vars {
	char **v; /* NULL-terminated "K=V" */
	size_t n;
};
void vars_copy(struct vars *e, char **from);
void vars_set(struct vars *e, const char *name, const char *value);
const char *vars_get(const struct vars *e, const char *name);
/* Adds the lines KEY='shell text' of the file; a file that is not there adds nothing. -1: *problem says where and what
 * (caller frees). */
int vars_load(struct vars *e, const char *path, char **problem);
/* Writes them in that form. 0, or -1 with errno. */
int vars_save(const struct vars *e, const char *path, mode_t mode);

/* user.c */
struct user {
	char *name, *home, *shell;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int ngroups;
};
int user_find(const char *name, struct user *out);   /* a name or a number; 0, or -1 when there is none */
int user_become(const struct user *u);               /* groups, gid, uid for good; 0, or -1 with errno */
void user_env(const struct user *u, struct vars *e); /* HOME USER LOGNAME SHELL, and PATH when there is none */
/* Waits until init has made the user (it may still be at it when the first command comes). */
void user_wait(void);
/* The shell to give a user: wanted, $SHELL in the environment, the passwd entry; the first that can be run. Borrowed or
 * static. */
const char *user_shell(const struct user *u, const struct vars *e, const char *wanted);
int user_create(const char *name, const char *home); /* 0, or -1 with errno */

/* apply.c: takes a bundle from fd (waits at most wait_ms for it to begin, negative: for ever) and says on report how it
 * went, last
 * "[perry] apply: done" or "[perry] apply: failed". 0, 1, or -1 when none came. The user must be there. */
int apply_bundle(int fd, int wait_ms, int report);

/* connect.c: a connection to what listens on this port, on whichever of our addresses; or -1 with errno. */
int server_dial(unsigned short port);
/* The addresses to try for that, in order; at most max of them, at least one. */
#define SERVER_ADDRESSES 64
struct server_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr;
	socklen_t len;
};
size_t server_addresses(unsigned short port, struct server_address *out, size_t max);

/* launch.c: what exec, run and the holder share. What goes wrong in there ends the process, with the reason. */
struct launch {
	struct user user;
	struct vars env;
	const char *cwd;   /* NULL: home; "~" and relative ones start there */
	const char *shell; /* program to run with argv[0] "-name", or NULL */
	char **argv;
};
void launch_prepare(struct launch *l, const char *user);
/* A command as `exec` takes it; without words (and with login) a login shell. */
struct command {
	const char *user, *cwd; /* cwd NULL: home */
	const char *shell;      /* of a login, or NULL: the user's own */
	bool login;
	char **argv; /* NULL-terminated */
};
void launch_command(struct launch *l, const struct command *c); /* also gives the standard streams to the user */
char *launch_record_path(const char *id);                       /* caller frees */
/* In the child, before it runs: only once the record stands may something run, so that it can be ended. */
void launch_record(const char *path);
void launch_exec(struct launch *l)
	__attribute__((noreturn)); /* in the child: drops to the user and runs, or exits 126/127 with the reason */
void signals_restore(void);        /* default handlers, nothing blocked */
/* Runs a program in the launch's environment, argv[0] given apart; returns only on failure, with errno. */
void exec_program(const char *file, char **argv, const struct vars *env);

#endif
