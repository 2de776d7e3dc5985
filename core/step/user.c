/* Users of the image: found, made, become. */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

int user_find(const char *name, struct user *out)
{
	bool number = *name && strspn(name, "0123456789") == strlen(name);
	struct passwd *pw = getpwnam(name);
	if (!pw && number)
		pw = getpwuid((uid_t)strtoul(name, NULL, 10));
	*out = (struct user){ 0 };
	if (!pw && !number)
		return -1;
	if (!pw) { /* a bare number is a user too, without a name or a home */
		out->uid = out->gid = (gid_t)strtoul(name, NULL, 10);
		out->name = xstrdup(name);
		out->home = xstrdup("/");
		out->shell = xstrdup("/bin/sh");
		return 0;
	}
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	out->name = xstrdup(pw->pw_name);
	out->home = xstrdup(pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : "/");
	out->shell = xstrdup(pw->pw_shell && pw->pw_shell[0] == '/' ? pw->pw_shell : "/bin/sh");
	int n = 32;
	do {
		out->ngroups = n;
		out->groups = xrealloc(out->groups, (size_t)n * sizeof *out->groups);
		n *= 2;
	} while (getgrouplist(out->name, out->gid, out->groups, &out->ngroups) < 0 && n < 65536);
	return 0;
}

int user_become(const struct user *u)
{
	if (geteuid() != 0)
		return getuid() == u->uid ? 0 : (errno = EPERM, -1);
	if (setgroups((size_t)u->ngroups, u->groups) || setresgid(u->gid, u->gid, u->gid) ||
	    setresuid(u->uid, u->uid, u->uid))
		return -1;
	return 0;
}

void user_env(const struct user *u, struct vars *e)
{
	vars_set(e, "HOME", u->home);
	vars_set(e, "USER", u->name);
	vars_set(e, "LOGNAME", u->name);
	if (!vars_get(e, "PATH"))
		vars_set(e, "PATH", DEFAULT_PATH);
}

const char *user_shell(const struct user *u, const struct vars *e, const char *wanted)
{
	const char *tries[] = { wanted, vars_get(e, "SHELL"), u->shell, "/bin/bash", "/bin/sh" };
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		const char *s = tries[i], *base = s ? strrchr(s, '/') : NULL;
		/* perry-sh only loads the environment and comes back here */
		if (base && s[0] == '/' && strcmp(base, "/perry-sh") && strcmp(base, "/nologin") &&
		    strcmp(base, "/false") && !access(s, X_OK))
			return s;
	}
	return "/bin/sh";
}

void user_wait(void)
{
	char *name = read_file("/proc/1/comm", NULL);
	bool ours = name && !strcmp(name, "perry-step\n");
	free(name);
	for (int i = 0; ours && i < 2500 && access(UP_FILE, F_OK); i++)
		sleep_ms(2);
}

static int append(const char *path, const char *line, bool required)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return required ? -1 : 0;
	char last = '\n';
	off_t size = lseek(fd, 0, SEEK_END);
	if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
		last = '\n';
	int rc =
		last == '\n' ? 0 : fd_write_all(fd, "\n", 1); /* a file without a last newline would swallow our line */
	if (!rc)
		rc = fd_write_all(fd, line, strlen(line));
	close(fd);
	return rc;
}

int user_create(const char *name, const char *home)
{
	unsigned id = 1000;
	struct group *g = getgrnam(name);
	while (id < 60000 && (getpwuid(id) || (!g && getgrgid(id))))
		id++;
	unsigned gid = g ? (unsigned)g->gr_gid : id;
	const char *shell = access("/bin/bash", X_OK) ? "/bin/sh" : "/bin/bash";
	char *group = xasprintf("%s:x:%u:\n", name, gid), *gshadow = xasprintf("%s:!::\n", name);
	char *passwd = xasprintf("%s:x:%u:%u::%s:%s\n", name, id, gid, home, shell);
	/* "*" matches no password, and is not "!", which some sshd read as an account that may not log in at all */
	char *shadow = xasprintf("%s:*:19000:0:99999:7:::\n", name);
	int rc = g ? 0 : append("/etc/group", group, true);
	if (!rc && !g)
		rc = append("/etc/gshadow", gshadow, false);
	if (!rc)
		rc = append("/etc/shadow", shadow, false);
	if (!rc)
		rc = append("/etc/passwd", passwd, true);
	free(group);
	free(gshadow);
	free(passwd);
	free(shadow);
	return rc;
}
