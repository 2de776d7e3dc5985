/* Which of our programs go onto the tools volume: perry-step always, tailscale and tailscaled where both are to be had
 * and run in any image. */
#include "lua/tools.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"

static int read_head(const char *path, int *fd, Elf64_Ehdr *head, char **why)
{
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0) {
		*why = errno == ENOENT ? xasprintf("there is no %s", path) : xasprintf("%s: %s", path, strerror(errno));
		return -1;
	}
	if (pread(*fd, head, sizeof *head, 0) == (ssize_t)sizeof *head && memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
	    head->e_ident[EI_CLASS] == ELFCLASS64 && head->e_phentsize == sizeof(Elf64_Phdr))
		return 0;
	*why = xasprintf("%s is no program", path);
	return -1;
}

/* A program that needs no loader and no libraries, for the machine that perry-step is for. */
static bool runs_anywhere(const char *path, const char *step, char **why)
{
	cleanup_fd int fd = -1, other = -1;
	Elf64_Ehdr head, wanted;
	Elf64_Phdr part;
	if (read_head(path, &fd, &head, why) < 0 || read_head(step, &other, &wanted, why) < 0)
		return false;
	if (head.e_machine != wanted.e_machine) {
		*why = xasprintf("%s is for another kind of machine", path);
		return false;
	}
	for (unsigned i = 0; i < head.e_phnum; i++)
		if (pread(fd, &part, sizeof part, (off_t)(head.e_phoff + i * sizeof part)) != (ssize_t)sizeof part ||
		    part.p_type == PT_INTERP) {
			*why = xasprintf("%s is not linked statically", path);
			return false;
		}
	return true;
}

static int add_hash(struct sha256 *sum, const char *path, struct perry_err **err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[65536];
	ssize_t n = fd < 0 ? -1 : 0;
	while (fd >= 0 && ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR)))
		sha256_add(sum, bytes, n > 0 ? (size_t)n : 0);
	return n < 0 ? perry_fail_errno(err, errno, "%s", path) : 0;
}

static void add(struct tools *t, const char *path, char *take_host)
{
	mode_t mode = take_host || str_ends(path, "/") ? 0755 : 0644;
	t->files[t->n] = (struct docker_file){ .path = path, .host = take_host, .mode = mode };
	if (take_host)
		t->hosts[t->n - 1] = take_host; /* the folder comes first and has none */
	t->n++;
}

int tools_look(const char *step, const char *dir, const char *mark, struct tools **out, struct perry_err **err)
{
	struct tools *t = xcalloc(1, sizeof *t);
	struct sha256 sum;
	unsigned char raw[32];
	char *tailscale = path_join(dir, "tailscale"), *tailscaled = path_join(dir, "tailscaled");
	add(t, "bin/", NULL);
	add(t, "bin/perry-step", xstrdup(step));
	if (runs_anywhere(tailscale, step, &t->missing) && runs_anywhere(tailscaled, step, &t->missing)) {
		add(t, "bin/tailscale", take_ptr(tailscale));
		add(t, "bin/tailscaled", take_ptr(tailscaled));
	}
	free(tailscale);
	free(tailscaled);
	add(t, mark, NULL);
	sha256_init(&sum);
	for (size_t i = 0; i < t->n; i++)
		if (t->files[i].host && add_hash(&sum, t->files[i].host, err) < 0) {
			perry_wrap(err, "the workspace helper");
			tools_free(t);
			return -1;
		}
	sha256_end(&sum, raw);
	t->name = xasprintf("perry-tools-%s-%02x%02x%02x%02x", PERRY_VERSION, raw[0], raw[1], raw[2], raw[3]);
	*out = t;
	return 0;
}

void tools_free(struct tools *t)
{
	if (!t)
		return;
	free(t->name);
	free(t->missing);
	for (size_t i = 0; i < ARRAY_LEN(t->hosts); i++)
		free(t->hosts[i]);
	free(t);
}
