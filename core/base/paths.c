#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

char *path_join(const char *dir, const char *name)
{
	size_t n = strlen(dir);
	if (n == 0)
		return xstrdup(name);
	while (n > 0 && dir[n - 1] == '/')
		n--;
	while (*name == '/')
		name++;
	return xasprintf("%.*s/%s", (int)n, dir, name);
}

char *path_home(void)
{
	const char *home = getenv("HOME");
	if (home && *home == '/')
		return xstrdup(home);
	struct passwd pw, *found = NULL;
	size_t cap = 1024;
	for (;;) {
		cleanup_free char *room = xmalloc(cap);
		int rc = getpwuid_r(geteuid(), &pw, room, cap, &found);
		if (rc == 0)
			return xstrdup(found && found->pw_dir && *found->pw_dir ? found->pw_dir : "/");
		if (rc != ERANGE || cap > 1 << 20)
			return xstrdup("/");
		cap *= 2;
	}
}

char *path_expand_home(const char *path)
{
	if (path[0] != '~' || (path[1] && path[1] != '/'))
		return xstrdup(path);
	cleanup_free char *home = path_home();
	return path[1] ? path_join(home, path + 1) : take_ptr(home);
}

char *path_shown(const char *path)
{
	cleanup_free char *home = path_home();
	size_t n = home ? strlen(home) : 0;
	if (n > 1 && strncmp(path, home, n) == 0 && path[n] == '/')
		return xasprintf("~%s", path + n);
	return xstrdup(path);
}

/* A process may change its folder later, so a relative path is made absolute here. */
static char *absolute(const char *path)
{
	cleanup_free char *full = path_expand_home(path);
	if (*full == '/')
		return take_ptr(full);
	cleanup_free char *cwd = getcwd(NULL, 0);
	return cwd ? path_join(cwd, full) : take_ptr(full);
}

static char *default_config_dir(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	if (xdg && *xdg == '/') /* the XDG specification has relative ones ignored */
		return path_join(xdg, "perry");
	cleanup_free char *home = path_home();
	return path_join(home, ".config/perry");
}

char *path_config_dir(void)
{
	static const char *const names[] = { "PERRY_CONFIG_DIR", "WS_CONFIG_DIR" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *dir = getenv(names[i]);
		if (dir && *dir)
			return absolute(dir);
	}
	return default_config_dir();
}

static bool same_path(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	while (n > 1 && a[n - 1] == '/')
		n--;
	while (m > 1 && b[m - 1] == '/')
		m--;
	return n == m && memcmp(a, b, n) == 0;
}

char *path_agent_socket(const char *config_dir)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	cleanup_free char *dflt = default_config_dir();
	/* Under su it is often somebody else's. */
	if (run && *run == '/' && access(run, W_OK) == 0 && same_path(config_dir, dflt))
		return path_join(run, "perry/agent.sock");
	return path_join(config_dir, "agent.sock");
}

char *path_self_dir(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return xstrdup(".");
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash)
		return xstrdup(".");
	slash[slash == self] = '\0';
	return xstrdup(self);
}
