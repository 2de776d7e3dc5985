#include "base_util.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/file.h"
#include "small_disk.h"

static char path[128];

static const char *in_dir(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", test_dir, name);
	return path;
}

static int entries(const char *dir)
{
	int n = 0;
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void put(const char *name, const char *text)
{
	cleanup_err struct perry_err *err = NULL;
	if (file_write_atomic(in_dir(name), text, strlen(text), 0600, &err) < 0)
		fail_msg("%s", perry_msg(err));
}

static void reads(void **state)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_buf struct buf b = { 0 };
	put("ten", "0123456789");
	buf_adds(&b, ">");
	assert_int_equal(file_read(in_dir("ten"), 10, &b, &err), 0);
	assert_string_equal(b.data, ">0123456789");
	assert_int_equal(file_read(in_dir("ten"), 9, &b, &err), -1);
	assert_int_equal(err->code, PERRY_ETOOLARGE);
	assert_string_equal(b.data, ">0123456789"); /* as before */
	assert_int_equal(file_read(in_dir("none"), 9, &b, &err), -1);
	assert_int_equal(err->code, PERRY_ENOTFOUND);
	assert_int_equal(file_read(test_dir, 9, &b, &err), -1);
	assert_non_null(strstr(perry_msg(err), "not a regular file"));
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(file_read(path, 9, &b, &err), -1); /* and does not hang */
	assert_non_null(strstr(perry_msg(err), "not a regular file"));
	cleanup_buf struct buf empty = { 0 };
	put("empty", "");
	assert_int_equal(file_read(in_dir("empty"), 0, &empty, &err), 0);
	assert_string_equal(buf_str(&empty), "");
	cleanup_buf struct buf proc = { 0 }; /* its size says 0 */
	assert_int_equal(file_read("/proc/self/status", 1 << 20, &proc, &err), 0);
	assert_true(proc.len > 100);
	cleanup_buf struct buf big = { 0 }, back = { 0 };
	for (int i = 0; i < 100000; i++)
		buf_addf(&big, "%d ", i);
	put("big", big.data);
	assert_int_equal(file_read(in_dir("big"), big.len, &back, &err), 0);
	assert_int_equal(back.len, big.len);
	assert_memory_equal(back.data, big.data, big.len + 1);
}

static void writes(void **state)
{
	struct stat st;
	mode_t mask = umask(077);
	assert_int_equal(file_write_atomic(in_dir("f"), "one", 3, 0644, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644); /* whatever the umask */
	umask(0);
	assert_int_equal(file_write_atomic(in_dir("f"), "three", 5, 0600, NULL), 0);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 5);
	cleanup_err struct perry_err *err = NULL;
	assert_int_equal(file_write_atomic(in_dir("no/f"), "x", 1, 0600, &err), -1);
	assert_int_equal(err->code, PERRY_ENOTFOUND);
	/* A folder in the place: the rename fails, and nothing stays behind. */
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	assert_int_equal(file_write_atomic(in_dir("d"), "x", 1, 0600, &err), -1);
	assert_int_equal(entries(test_dir), 2);
	char here[4096];
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(test_dir), 0);
	assert_int_equal(file_write_atomic("relative", "x", 1, 0600, &err), 0);
	assert_int_equal(chdir(here), 0);
	assert_int_equal(access(in_dir("relative"), F_OK), 0);
}

/* In a child: writes what does not fit over "old". 0 when the old content stayed, nothing else did, and the error says
 * why. */
static int overwrite_fails(const char *dir, int errnum)
{
	char file[128];
	static char much[1 << 20];
	cleanup_buf struct buf b = { 0 };
	cleanup_err struct perry_err *err = NULL;
	snprintf(file, sizeof file, "%s/state", dir);
	if (file_write_atomic(file, "old", 3, 0600, NULL) < 0)
		return 1;
	if (file_write_atomic(file, much, sizeof much, 0600, &err) == 0)
		return 2;
	if (!strstr(perry_msg(err), strerror(errnum)))
		return 3;
	if (file_read(file, 1 << 20, &b, NULL) < 0 || strcmp(buf_str(&b), "old") != 0)
		return 4;
	return entries(dir) == 1 ? 0 : 5;
}

enum { NOT_POSSIBLE = 77 };

/* A disk of 64 KiB, in a mount namespace that ends with the child. */
static int on_small_disk(void)
{
	if (!small_disk(test_dir, "64k"))
		return NOT_POSSIBLE;
	return overwrite_fails(test_dir, ENOSPC);
}

static int over_limit(void)
{
	struct rlimit limit = { 65536, 65536 };
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return NOT_POSSIBLE;
	return overwrite_fails(test_dir, EFBIG);
}

static void in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_POSSIBLE)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void full_disk(void **state)
{
	in_child(on_small_disk);
}

static void file_limit(void **state)
{
	in_child(over_limit);
}

/* A reader beside the writer sees one whole content or the other. */
static void never_half(void **state)
{
	static char a[20000], b[20000];
	memset(a, 'a', sizeof a);
	memset(b, 'b', sizeof b);
	in_dir("f");
	assert_int_equal(file_write_atomic(path, a, sizeof a, 0600, NULL), 0);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 200; i++)
			if (file_write_atomic(path, i % 2 ? a : b, sizeof a, 0600, NULL) < 0)
				_exit(1);
		_exit(0);
	}
	int status, seen = 0;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		cleanup_buf struct buf got = { 0 };
		assert_int_equal(file_read(path, sizeof a, &got, NULL), 0);
		assert_int_equal(got.len, sizeof a);
		assert_memory_equal(got.data, got.data[0] == 'a' ? a : b, sizeof a);
		seen++;
	}
	assert_int_equal(status, 0);
	assert_true(seen > 0);
}

static void folders(void **state)
{
	struct stat st;
	cleanup_err struct perry_err *err = NULL;
	mode_t mask = umask(0077);
	assert_int_equal(dir_make(in_dir("a/b//c/"), 0750, &err), 0);
	umask(mask);
	assert_int_equal(stat(in_dir("a/b/c"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(dir_make(in_dir("a/b"), 0700, &err), 0); /* there already: its mode stays */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	put("file", "x");
	assert_int_equal(dir_make(in_dir("file"), 0700, &err), -1);
	assert_int_equal(err->code, PERRY_ECONFLICT);
	assert_int_equal(dir_make(in_dir("file/x"), 0700, &err), -1);
	assert_int_equal(dir_make("", 0700, &err), -1);
	assert_int_equal(dir_make("/", 0700, &err), 0);
}

static void descriptors(void **state)
{
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fd_set_nonblock(p[1], 1), 0);
	assert_true(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(p[1], 0), 0);
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	/* More than a pipe holds: goes in parts while somebody reads. */
	enum { N = 300000 };
	pid_t pid = fork();
	if (pid == 0) {
		size_t sum = 0;
		char part[1000];
		close(p[1]);
		for (ssize_t n; (n = read(p[0], part, sizeof part)) > 0;)
			sum += (size_t)n;
		_exit(sum != N);
	}
	close(p[0]);
	cleanup_free char *much = xcalloc(N, 1);
	assert_int_equal(fd_write_all(p[1], much, N), 0);
	close(p[1]);
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(fd_write_all(-1, "x", 1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(fd_set_nonblock(-1, 1), -1);
}

#define IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)

static void stamps(void **state)
{
	struct stat before, after;
	file_stamp(in_dir("none"), &before);
	file_stamp(in_dir("none"), &after);
	assert_true(file_stamp_same(&before, &after));
	put("none", "a");
	file_stamp(in_dir("none"), &after);
	assert_false(file_stamp_same(&before, &after));
	before = after;
	file_stamp(in_dir("none"), &after);
	assert_true(file_stamp_same(&before, &after));
	put("none", "b"); /* as long, at most a moment later: another file all the same */
	file_stamp(in_dir("none"), &after);
	assert_false(file_stamp_same(&before, &after));
	before = after;
	assert_int_equal(chmod(in_dir("none"), 0640), 0);
	file_stamp(in_dir("none"), &after);
	assert_false(file_stamp_same(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(reads),      IN_DIR(writes),  IN_DIR(full_disk),   IN_DIR(file_limit),
		IN_DIR(never_half), IN_DIR(folders), IN_DIR(descriptors), IN_DIR(stamps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
