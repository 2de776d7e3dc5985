/* What init makes ready before anything runs: the user, its home, the ssh host keys. */
#include "step/home.h"
#include "base/fd.h"
#include "base/mem.h"
#include "step/step.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PERRY_DIR    WORKSPACE_HOME "/.perry"
#define KEYS_DIR     PERRY_DIR "/hostkeys"
#define PROFILE_FILE "/etc/profile.d/perry.sh"

static struct {
	uid_t from, uid;
	gid_t gid;
} reown;

static int reown_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (st->st_uid == reown.from && lchown(path, reown.uid, reown.gid))
		warn_line("%s: %s", path, strerror(errno));
	return 0;
}

static void copy_skel(const char *from, const char *to, const struct user *u)
{
	DIR *d = opendir(from);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		char *source = xasprintf("%s/%s", from, e->d_name), *target = xasprintf("%s/%s", to, e->d_name), *text;
		struct stat st;
		size_t n;
		if (!lstat(source, &st) && S_ISREG(st.st_mode) && (text = read_file(source, &n))) {
			int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
			if (fd >= 0 && (fd_write_all(fd, text, n) || fchown(fd, u->uid, u->gid)))
				warn_line("%s: %s", target, strerror(errno));
			if (fd >= 0)
				close(fd);
			free(text);
		} else if (S_ISDIR(st.st_mode) && !mkdir(target, 0755)) {
			copy_skel(source, target, u);
			if (chown(target, u->uid, u->gid))
				warn_line("%s: %s", target, strerror(errno));
		}
		free(source);
		free(target);
	}
	if (d)
		closedir(d);
}

static bool is_new(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, ".perry") &&
		    strcmp(e->d_name, "lost+found"))
			found = true;
	if (d)
		closedir(d);
	return !found;
}

static void own_home(const struct user *u)
{
	struct stat st;
	if (u->uid == 0 || !u->home[1])
		return;
	if (make_dirs(u->home, 0755) || lstat(u->home, &st) || !S_ISDIR(st.st_mode)) {
		warn_line("%s is no folder", u->home);
		return;
	}
	if (st.st_uid != u->uid && st.st_uid != 0) {
		/* The home comes from an image whose user had another number: its files would be out of reach. Root's
		 * stay root's. */
		reown.from = st.st_uid;
		reown.uid = u->uid;
		reown.gid = u->gid;
		nftw(u->home, reown_one, 32, FTW_PHYS | FTW_MOUNT);
	}
	if (st.st_uid != u->uid && lchown(u->home, u->uid, u->gid))
		warn_line("%s: %s", u->home, strerror(errno));
	if (is_new(u->home))
		copy_skel("/etc/skel", u->home, u);
}

void home_prepare(void)
{
	struct user u;
	if (user_find(WORKSPACE_USER, &u)) {
		if (user_create(WORKSPACE_USER, WORKSPACE_HOME) || user_find(WORKSPACE_USER, &u)) {
			warn_line("cannot make the user " WORKSPACE_USER ": %s", strerror(errno));
			return;
		}
		if (!access("/etc/sudoers.d", W_OK))
			put_file("/etc/sudoers.d/perry", WORKSPACE_USER " ALL=(ALL:ALL) NOPASSWD: ALL\n", 0440);
	}
	own_home(&u);
}

/* A folder and no link, of root's when a stranger there would be written to by root: what the user put in its place is
 * moved aside. */
static int real_dir(const char *path, mode_t mode, bool of_root)
{
	struct stat st;
	if (!lstat(path, &st) && (!S_ISDIR(st.st_mode) || (of_root && st.st_uid != 0))) {
		char *aside = xasprintf("%s.aside-%ld", path, (long)st.st_mtime);
		int rc = rename(path, aside);
		free(aside);
		if (rc)
			return -1;
	}
	if (mkdir(path, mode) && errno != EEXIST)
		return -1;
	return chmod(path, mode);
}

static pid_t make_key(const char *type)
{
	char *file = xasprintf(KEYS_DIR "/ssh_host_%s_key", type);
	pid_t pid = -1;
	if (access(file, F_OK) && (pid = fork()) == 0) {
		signals_restore();
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, 0);
		dup2(null, 1);
		execl("/usr/bin/ssh-keygen", "ssh-keygen", "-q", "-t", type, "-N", "", "-C", "perry", "-f", file,
		      (char *)NULL);
		_exit(EXIT_NOT_FOUND);
	}
	free(file);
	return pid;
}

void home_host_keys(void)
{
	static const char *const types[] = { "ed25519", "ecdsa" };
	pid_t pids[2];
	int status;
	if (access("/usr/sbin/sshd", X_OK) || access("/usr/bin/ssh-keygen", X_OK))
		return;
	/* On the home volume, so that a workspace that is made anew keeps its identity. */
	if (make_dirs(WORKSPACE_HOME, 0755) || real_dir(PERRY_DIR, 0755, false) || real_dir(KEYS_DIR, 0700, true)) {
		warn_line(KEYS_DIR ": %s", strerror(errno));
		return;
	}
	/* Scripts of the user's are kept there as well. Nobody of the workspace runs yet, so it is still that folder.
	 */
	struct user u;
	if (!user_find(WORKSPACE_USER, &u) && lchown(PERRY_DIR, u.uid, u.gid))
		warn_line(PERRY_DIR ": %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		pids[i] = make_key(types[i]);
	for (int i = 0; i < 2; i++)
		if (pids[i] > 0 && (waitpid(pids[i], &status, 0) < 0 || status))
			warn_line("ssh-keygen -t %s failed", types[i]);
}

/* /etc/profile sets a PATH of its own in many images, and then reads this folder: what the image and the workspace set
 * comes again after it. The workspace image brings the same file. */
void home_profile(void)
{
	static const char text[] =
		"for perry_env in " IMAGE_ENV_FILE " " ENV_FILE "; do\n"
		"\tif [ -r \"$perry_env\" ]; then\n\t\tset -a\n\t\t. \"$perry_env\"\n\t\tset +a\n\tfi\n"
		"done\nunset perry_env\n";
	int fd = open(PROFILE_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return; /* it is there, or the image has no such folder */
	if (fd_write_all(fd, text, sizeof text - 1))
		warn_line(PROFILE_FILE ": %s", strerror(errno));
	close(fd);
}
