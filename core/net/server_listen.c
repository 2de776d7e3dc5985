/* Listening sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/mem.h"
#include "net/server.h"

#define BACKLOG 512

/* Does somebody answer on this path? A full backlog (EAGAIN) is an answer too. */
static bool answers(const struct sockaddr_un *sa)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 &&
	       (connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 || errno == EAGAIN || errno == EINPROGRESS);
}

int listen_unix(const char *path, mode_t mode, int *out, struct perry_err **err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof sa.sun_path)
		return perry_fail(err, PERRY_EINPUT, "socket path %s is too long (at most %zu bytes)", path,
				  sizeof sa.sun_path - 1);
	memcpy(sa.sun_path, path, strlen(path) + 1);

	const char *slash = strrchr(path, '/');
	if (slash && slash != path) {
		cleanup_free char *dir = xstrndup(path, (size_t)(slash - path));
		if (dir_make(dir, 0700, err) < 0)
			return -1;
	}
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return perry_fail_errno(err, errno, "cannot make a socket");
	int rc = bind(fd, (struct sockaddr *)&sa, sizeof sa);
	if (rc < 0 && errno == EADDRINUSE) {
		struct stat st;
		if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
			return perry_fail(err, PERRY_ECONFLICT, "%s exists and is no socket", path);
		if (answers(&sa))
			return perry_fail(err, PERRY_ECONFLICT, "somebody already listens on %s", path);
		unlink(path);
		rc = bind(fd, (struct sockaddr *)&sa, sizeof sa);
	}
	if (rc < 0)
		return perry_fail_errno(err, errno, "cannot listen on %s", path);
	/* Before listen(2) nobody can connect, so there is no moment with a wider mode. */
	if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return perry_fail_errno(err, errno, "cannot listen on %s", path);
	*out = fd;
	fd = -1;
	return 0;
}

int listen_tcp(const char *addr, uint16_t port, int *out, uint16_t *bound_port, struct perry_err **err)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				  .ai_socktype = SOCK_STREAM },
			*ai = NULL;
	char service[8];
	snprintf(service, sizeof service, "%u", port);
	if (getaddrinfo(addr, service, &hints, &ai) != 0)
		return perry_fail(err, PERRY_EINPUT, "'%s' is no numeric address to listen on", addr);
	struct sockaddr_storage sa = { 0 };
	socklen_t len = ai->ai_addrlen;
	memcpy(&sa, ai->ai_addr, len);
	freeaddrinfo(ai);

	bool v6 = sa.ss_family == AF_INET6;
	cleanup_free char *what = xasprintf(v6 ? "[%s]:%u" : "%s:%u", addr, port);
	int on = 1;
	cleanup_fd int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return perry_fail_errno(err, errno, "cannot listen on %s", what);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0) {
		if (errno == EADDRINUSE)
			return perry_fail(err, PERRY_ECONFLICT, "%s is in use by another program", what);
		return perry_fail_errno(err, errno, "cannot listen on %s", what);
	}
	if (bound_port) {
		len = sizeof sa;
		if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
			return perry_fail_errno(err, errno, "cannot listen on %s", what);
		*bound_port =
			ntohs(v6 ? ((struct sockaddr_in6 *)&sa)->sin6_port : ((struct sockaddr_in *)&sa)->sin_port);
	}
	*out = fd;
	fd = -1;
	return 0;
}
