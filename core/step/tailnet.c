/* tailscaled beside the workspace's services: started by init when the container is to join a tailnet, started again
 * when it ends, its log kept in bounds. Joining is another command's business (join.c): it asks the one that runs here.
 */
#include "step/tailnet.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "step/link_local.h"
#include "step/localapi.h"
#include "step/step.h"

#define STATE_DIR      "/var/lib/tailscale"
#define LOG_MAX        (512 << 10) /* in memory; one older file of that size is kept */
#define PROXY          "127.0.0.1:1055"
#define FIRST_PAUSE_MS 200
#define LAST_PAUSE_MS  30000
#define GOOD_RUN_MS    60000 /* after that long the pauses begin anew */

/* <linux/if_tun.h>, which this libc comes without. */
#define TUNSETIFF _IOW('T', 202, int)
#define IFF_TUN   0x0001
#define IFF_NO_PI 0x1000

static bool wanted, userspace;

void tailnet_prepare(void)
{
	const char *key = getenv(KEY_VARIABLE), *mode = getenv(USERSPACE_VARIABLE);
	wanted = key && *key;
	userspace = mode && !strcmp(mode, "true");
	unsetenv(KEY_VARIABLE);
	unsetenv(USERSPACE_VARIABLE);
}

/* Can an interface be made here? Needs the device, the kernel's part of it, and NET_ADMIN. */
static bool tun_works(void)
{
	struct ifreq want = { .ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "perry%d" };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	bool works = fd >= 0 && !ioctl(fd, TUNSETIFF, &want);
	if (fd >= 0)
		close(fd);
	return works;
}

/* Programs reach the tailnet through the proxy only, where there is no interface. */
static void offer_proxy(void)
{
	static const char *const pairs[][2] = {
		{ "ALL_PROXY", "socks5h://" PROXY },         { "HTTP_PROXY", "http://" PROXY },
		{ "HTTPS_PROXY", "http://" PROXY },          { "all_proxy", "socks5h://" PROXY },
		{ "http_proxy", "http://" PROXY },           { "https_proxy", "http://" PROXY },
		{ "NO_PROXY", "localhost,127.0.0.0/8,::1" }, { "no_proxy", "localhost,127.0.0.0/8,::1" },
	};
	struct vars e = { 0 };
	vars_copy(&e, (char *[]){ NULL });
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		vars_set(&e, pairs[i][0], pairs[i][1]);
	if (vars_save(&e, TAILNET_ENV_FILE, 0644))
		say("tailscale: " TAILNET_ENV_FILE ": %s", strerror(errno));
}

/* The image's own tailscale, where it has one, is left alone. */
static void offer_command(void)
{
	static const char *const dirs[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					    "/usr/bin",        "/sbin",          "/bin" };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		char *path = xasprintf("%s/tailscale", dirs[i]);
		bool there = !access(path, X_OK);
		free(path);
		if (there)
			return;
	}
	make_dirs("/usr/local/bin", 0755);
	unlink("/usr/local/bin/tailscale"); /* a link that leads nowhere */
	if (symlink(TAILSCALE, "/usr/local/bin/tailscale"))
		say("tailscale: /usr/local/bin/tailscale: %s", strerror(errno));
}

/* --- the supervisor --- */

struct log {
	int fd;
	off_t size;
};

static void keep(struct log *l, const char *bytes, size_t n)
{
	if (l->fd < 0 || l->size > LOG_MAX) {
		if (l->fd >= 0)
			close(l->fd);
		rename(TAILSCALED_LOG, TAILSCALED_LOG ".1");
		l->fd = open(TAILSCALED_LOG, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		l->size = 0;
	}
	if (l->fd >= 0 && !fd_write_all(l->fd, bytes, n))
		l->size += (off_t)n;
}

static pid_t start_daemon(int *out)
{
	static const char *const kernel[] = { "tailscaled", "--statedir=" STATE_DIR, "--socket=" TAILSCALED_SOCKET,
					      "--no-logs-no-support", NULL };
	static const char *const user[] = {
		"tailscaled",
		"--statedir=" STATE_DIR,
		"--socket=" TAILSCALED_SOCKET,
		"--no-logs-no-support",
		"--tun=userspace-networking",
		"--socks5-server=" PROXY,
		"--outbound-http-proxy-listen=" PROXY,
		NULL,
	};
	int pipefd[2];
	if (pipe2(pipefd, O_CLOEXEC))
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		/* What it is told (auth keys) must not come out in a core. */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		signals_restore();
		dup2(pipefd[1], 1);
		dup2(pipefd[1], 2);
		execv(TAILSCALED, (char *const *)(userspace ? user : kernel));
		dprintf(2, "%s: %s\n", TAILSCALED, strerror(errno));
		_exit(EXIT_CANNOT_RUN);
	}
	close(pipefd[1]);
	if (pid < 0)
		close(pipefd[0]);
	*out = pipefd[0];
	return pid;
}

/* Reads signals; true once it is time to end. Passes that on to the daemon. */
static bool told_to_end(int signals, pid_t pid)
{
	struct signalfd_siginfo info;
	bool end = false;
	while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
		end |= info.ssi_signo != SIGCHLD;
	if (end && pid > 0)
		kill(pid, SIGTERM); /* once: it says goodbye to its peers and to control */
	return end;
}

/* Until it has ended; its exit code. */
static int attend(pid_t pid, int out, int signals, struct log *log, bool *end)
{
	char bytes[8192];
	int status;
	bool open = true;
	for (;;) {
		struct pollfd p[] = { { signals, POLLIN, 0 }, { open ? out : -1, POLLIN, 0 } };
		poll(p, 2, 1000);
		if (p[1].revents) {
			ssize_t n = read(out, bytes, sizeof bytes);
			if (n > 0)
				keep(log, bytes, (size_t)n);
			open = n > 0 || (n < 0 && errno == EINTR);
		}
		*end |= told_to_end(signals, *end ? 0 : pid);
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	close(out);
	return exit_code(status);
}

static void supervise(void)
{
	struct log log = { .fd = -1 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), pause = FIRST_PAUSE_MS;
	bool end = false;
	sigset_t some;
	setsid();
	dup2(null, 0);
	sigemptyset(&some);
	for (const int *s = (const int[]){ SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0 }; *s; s++)
		sigaddset(&some, *s);
	int signals = signalfd(-1, &some, SFD_CLOEXEC | SFD_NONBLOCK);
	while (!end) {
		long long began = now_ms();
		int out = -1;
		pid_t pid = start_daemon(&out);
		int code = pid > 0 ? attend(pid, out, signals, &log, &end) : EXIT_STEP;
		if (end)
			break;
		pause = now_ms() - began > GOOD_RUN_MS ? FIRST_PAUSE_MS : pause;
		say("tailscale: tailscaled ended (%d), starting it again in %d.%d s; " TAILSCALED_LOG " says more",
		    code, pause / 1000, pause / 100 % 10);
		struct pollfd p = { signals, POLLIN, 0 };
		for (long long until = now_ms() + pause; !end && now_ms() < until;)
			if (poll(&p, 1, (int)(until - now_ms())) > 0)
				end = told_to_end(signals, 0);
		pause = pause * 2 < LAST_PAUSE_MS ? pause * 2 : LAST_PAUSE_MS;
	}
	_exit(0);
}

pid_t tailnet_start(void)
{
	if (!wanted)
		return 0;
	if (access(TAILSCALED, X_OK)) {
		say("tailscale: there is no tailscaled on the tools volume; this workspace joins no tailnet");
		return 0;
	}
	if (make_dirs(TAILNET_DIR, 0700) || make_dirs(STATE_DIR, 0700) || make_dirs("/run/tailscale", 0755))
		say("tailscale: %s", strerror(errno));
	if (!userspace && !tun_works()) {
		say("tailscale: no TUN device can be used here: userspace networking; outbound connections go through "
		    "the proxy " PROXY);
		userspace = true;
	}
	if (userspace)
		offer_proxy();
	link_local_drop();
	offer_command();
	pid_t pid = fork();
	if (pid == 0)
		supervise();
	if (pid < 0)
		say("tailscale: fork: %s", strerror(errno));
	return pid > 0 ? pid : 0;
}
