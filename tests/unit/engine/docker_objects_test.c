/* Volumes, networks, images and archives on the real engine. */
#include "docker_shared.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

static cJSON *labels_of(const char *value)
{
	cJSON *labels = cJSON_CreateObject();
	json_set_str(labels, "pdk", value);
	return labels;
}

static void volumes(void **state)
{
	struct perry_err *err = NULL;
	char name[64];
	engine_or_skip();
	test_name(name, "v");
	cleanup_json cJSON *labels = labels_of("a"), *others = labels_of("b"), *v = NULL, *list = NULL,
			   *filters = cJSON_CreateObject();
	ok(docker_volume_create(d, name, labels, &err));
	ok(docker_volume_create(d, name, labels, &err)); /* again, the same */
	ok(docker_volume_create(d, name, NULL, &err));   /* any labels will do */
	fails(PERRY_ECONFLICT, docker_volume_create(d, name, others, &err));
	assert_non_null(strstr(err->msg, name));
	ok(docker_volume_inspect(d, name, &v, &err));
	assert_string_equal(json_str(v, "Labels.pdk"), "a");
	json_set(filters, "name", cJSON_CreateStringArray((const char *[]){ name }, 1));
	ok(docker_volume_list(d, filters, &list, &err));
	assert_int_equal(cJSON_GetArraySize(list), 1);
	/* One in use stays. */
	cleanup_json cJSON *spec = cJSON_CreateObject();
	char id[65], bind[100];
	snprintf(bind, sizeof bind, "%s:/data", name);
	json_set_str(spec, "Image", TEST_IMAGE);
	json_set(spec, "Cmd", cJSON_CreateStringArray((const char *[]){ "true" }, 1));
	json_set(json_obj(spec, "HostConfig"), "Binds", cJSON_CreateStringArray((const char *[]){ bind }, 1));
	ok(docker_container_create(d, NULL, spec, id, &err));
	fails(PERRY_ECONFLICT, docker_volume_remove(d, name, &err));
	test_remove(d, id);
	ok(docker_volume_remove(d, name, &err)); /* a named volume stayed when its container went */
	ok(docker_volume_remove(d, name, &err)); /* absent is fine */
	fails(PERRY_ENOTFOUND, docker_volume_inspect(d, name, NULL, &err));
	cJSON_Delete(list);
	list = NULL;
	ok(docker_volume_list(d, filters, &list, &err));
	assert_true(cJSON_IsArray(list));
	assert_int_equal(cJSON_GetArraySize(list), 0);
	fails(PERRY_EINPUT, docker_volume_create(d, "../x", NULL, &err));
	perry_err_free(err);
}

static void anonymous_volumes_go_with_their_container(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	engine_or_skip();
	cleanup_json cJSON *spec = cJSON_CreateObject(), *c = NULL;
	json_set_str(spec, "Image", TEST_IMAGE);
	json_set(spec, "Cmd", cJSON_CreateStringArray((const char *[]){ "true" }, 1));
	json_obj(json_obj(spec, "Volumes"), "/anon");
	ok(docker_container_create(d, NULL, spec, id, &err));
	ok(docker_container_inspect(d, id, &c, &err));
	const char *volume = json_str(cJSON_GetArrayItem(json_at(c, "Mounts"), 0), "Name");
	assert_non_null(volume);
	ok(docker_volume_inspect(d, volume, NULL, &err));
	test_remove(d, id);
	fails(PERRY_ENOTFOUND, docker_volume_inspect(d, volume, NULL, &err));
	perry_err_free(err);
}

static void networks(void **state)
{
	struct perry_err *err = NULL;
	char name[64], id[65], again[65];
	engine_or_skip();
	test_name(name, "n");
	cleanup_json cJSON *spec = cJSON_CreateObject(), *n = NULL, *list = NULL, *filters = cJSON_CreateObject();
	json_set_str(spec, "Name", name);
	json_set(spec, "Labels", labels_of("a"));
	ok(docker_network_create(d, spec, id, &err));
	ok(docker_network_create(d, spec, again, &err)); /* the same one: no second */
	assert_string_equal(id, again);
	ok(docker_network_inspect(d, name, &n, &err));
	assert_string_equal(json_str(n, "Id"), id);
	json_set(filters, "name", cJSON_CreateStringArray((const char *[]){ name }, 1));
	ok(docker_network_list(d, filters, &list, &err));
	assert_int_equal(cJSON_GetArraySize(list), 1);
	json_set(spec, "Labels", labels_of("b"));
	fails(PERRY_ECONFLICT, docker_network_create(d, spec, again, &err));
	assert_true(err->status == 409 || test_is_podman(d));
	/* One in use stays. */
	char box[65];
	cleanup_json cJSON *cs = cJSON_CreateObject();
	json_set_str(cs, "Image", TEST_IMAGE);
	json_set(cs, "Cmd", cJSON_CreateStringArray((const char *[]){ "sleep", "60" }, 2));
	json_set_str(json_obj(cs, "HostConfig"), "NetworkMode", name);
	ok(docker_container_create(d, NULL, cs, box, &err));
	ok(docker_container_start(d, box, &err));
	fails(PERRY_ECONFLICT, docker_network_remove(d, name, &err));
	assert_true(strstr(err->msg, "active endpoints") || strstr(err->msg, "has associated containers"));
	test_remove(d, box);
	ok(docker_network_remove(d, name, &err));
	ok(docker_network_remove(d, name, &err));
	fails(PERRY_ENOTFOUND, docker_network_inspect(d, name, NULL, &err));
	perry_err_free(err);
}

/* --- images --- */

static void on_progress(void *ctx, const char *line)
{
	buf_adds(ctx, line);
	buf_addc(ctx, '\n');
}

static void build(const char *dockerfile, struct buf *tar)
{
	struct perry_err *err = NULL;
	struct tar *t = tar_new();
	ok(tar_add_file(t, "Dockerfile", dockerfile, strlen(dockerfile), 0644, 0, 0, &err));
	ok(tar_add_file(t, "sub/data", "with\0nul", 8, 0640, 12, 34, &err));
	ok(tar_finish(t, tar, &err));
}

static void images(void **state)
{
	struct perry_err *err = NULL;
	char name[64], ref[80], other[80];
	cleanup_buf struct buf tar = { 0 }, progress = { 0 };
	cleanup_json cJSON *args = cJSON_CreateObject(), *image = NULL, *again = NULL;
	engine_or_skip();
	test_name(name, "i");
	snprintf(ref, sizeof ref, "%s:one", name);
	snprintf(other, sizeof other, "%s:two", name);
	build("FROM " TEST_IMAGE "\nARG WHO=nobody\nCOPY sub /sub\nRUN echo \"hello $WHO\" && test \"$(wc -c < "
	      "/sub/data)\" = 8\nLABEL pdk=1\n",
	      &tar);
	json_set_str(args, "WHO", "the \"world\" & all");
	ok(docker_image_build(d, &tar, ref, args, true, on_progress, &progress, NULL, &err));
	assert_non_null(strstr(buf_str(&progress), "hello the \\\"world\\\""));
	ok(docker_image_inspect(d, ref, &image, &err));
	assert_string_equal(json_str(image, "Config.Labels.pdk"), "1");
	ok(docker_image_tag(d, ref, name, "two", &err));
	ok(docker_image_inspect(d, other, &again, &err));
	assert_string_equal(json_str(again, "Id"), json_str(image, "Id"));
	ok(docker_image_remove(d, ref, &err));
	ok(docker_image_remove(d, other, &err));
	ok(docker_image_remove(d, other, &err)); /* absent is fine */
	fails(PERRY_ENOTFOUND, docker_image_inspect(d, ref, NULL, &err));
	assert_non_null(strstr(err->msg, "No such image"));
	fails(PERRY_EINPUT, docker_image_inspect(d, "../containers/json?x=", NULL, &err));
	perry_err_free(err);
}

static void a_failing_build_is_an_error(void **state)
{
	struct perry_err *err = NULL;
	char name[64];
	cleanup_buf struct buf tar = { 0 }, broken = { 0 }, progress = { 0 };
	engine_or_skip();
	test_name(name, "i");
	build("FROM " TEST_IMAGE "\nRUN echo before && exit 3\n", &tar);
	fails(PERRY_EINTERNAL, docker_image_build(d, &tar, name, NULL, true, on_progress, &progress, NULL, &err));
	assert_true(strstr(err->msg, "returned a non-zero code: 3") || strstr(err->msg, "exit status 3"));
	assert_non_null(strstr(buf_str(&progress), "before"));
	fails(PERRY_ENOTFOUND, docker_image_inspect(d, name, NULL, &err));
	/* Nothing in it that could be built. */
	perry_err_free(err);
	err = NULL;
	struct tar *t = tar_new();
	ok(tar_add_dir(t, "empty", 0755, 0, 0, &err));
	ok(tar_finish(t, &broken, &err));
	assert_int_equal(docker_image_build(d, &broken, name, NULL, false, NULL, NULL, NULL, &err), -1);
	assert_non_null(strstr(err->msg, "Dockerfile"));
	perry_err_free(err);
}

static void a_pull_that_cannot_succeed(void **state)
{
	struct perry_err *err = NULL;
	engine_or_skip();
	/* Nothing listens there. */
	assert_int_equal(docker_image_pull(d, "127.0.0.1:1/pdk/none:x", NULL, NULL, NULL, &err), -1);
	print_message("%s\n", err->msg);
	assert_non_null(strstr(err->msg, "127.0.0.1:1"));
	assert_true(strlen(err->msg) < 400);
	fails(PERRY_EINPUT, docker_image_pull(d, "", NULL, NULL, NULL, &err));
	fails(PERRY_EINPUT, docker_image_pull(d, "UPPER CASE!", NULL, NULL, NULL, &err));
	perry_err_free(err);
}

static void a_commit_keeps_what_was_installed(void **state)
{
	struct perry_err *err = NULL;
	char name[64], ref[80], id[65], image_id[80];
	struct docker_exec_result r;
	engine_or_skip();
	test_name(name, "commit");
	snprintf(ref, sizeof ref, "%s:t", name);
	test_container(d, id, NULL, true);
	ok(docker_exec_collect(d, id, &(struct docker_exec){ .argv = SH("echo kept > /etc/pdk") }, 100, NULL, &r,
			       &err));
	ok(docker_container_commit(d, id, name, "t", image_id, &err));
	assert_true(strncmp(image_id, "sha256:", 7) == 0);
	cleanup_json cJSON *c = NULL, *spec = cJSON_CreateObject(), *image = NULL;
	ok(docker_container_inspect(d, id, &c, &err));
	assert_true(json_bool_or(c, "State.Running", false)); /* it was not paused, nor stopped */
	test_remove(d, id);
	ok(docker_image_inspect(d, ref, &image, &err));
	assert_string_equal(json_str(image, "Id"), image_id);
	json_set_str(spec, "Image", ref);
	json_set(spec, "Cmd", cJSON_CreateStringArray((const char *[]){ "cat", "/etc/pdk" }, 2));
	ok(docker_container_create(d, NULL, spec, id, &err));
	ok(docker_container_start(d, id, &err));
	test_remove(d, id);
	ok(docker_image_remove(d, ref, &err));
	fails(PERRY_ENOTFOUND, docker_container_commit(d, id, name, "t", image_id, &err));
	perry_err_free(err);
}

/* --- archives --- */

static int keep(void *ctx, int fd, const char *bytes, size_t n)
{
	buf_add(ctx, bytes, n);
	return 0;
}

/* The content of one path in a tar, or false. */
static bool find_in_tar(const struct buf *tar, const char *path, struct buf *content, mode_t *mode, int64_t *uid)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	bool found = false;
	int rc;
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, tar->data, tar->len), ARCHIVE_OK);
	while (!found && (rc = archive_read_next_header(a, &e)) != ARCHIVE_EOF &&
	       rc >= ARCHIVE_WARN) { /* it warns of names that are no UTF-8 */
		if (strcmp(archive_entry_pathname(e), path) != 0)
			continue;
		found = true;
		*mode = archive_entry_mode(e);
		*uid = archive_entry_uid(e);
		size_t n = archive_entry_filetype(e) == AE_IFREG ? (size_t)archive_entry_size(e) : 0;
		buf_reserve(content, n + 1);
		assert_int_equal(archive_read_data(a, content->data, n), n);
		content->len = n;
	}
	archive_read_free(a);
	return found;
}

static void archive_into_a_container_that_never_ran(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	cleanup_buf struct buf tar = { 0 }, back = { 0 }, content = { 0 };
	mode_t mode;
	int64_t uid;
	char long_name[300];
	engine_or_skip();
	memset(long_name, 'n', sizeof long_name);
	memcpy(long_name, "dir/", 4);
	long_name[150] = '/';
	long_name[sizeof long_name - 1] = '\0';
	test_container(d, id, NULL, false);
	struct tar *t = tar_new();
	ok(tar_add_dir(t, "dir", 0750, 1000, 1000, &err));
	ok(tar_add_file(t, "dir/f", "a\0b", 3, 0600, 1000, 1000, &err));
	ok(tar_add_file(t, long_name, "long", 4, 0644, 0, 0, &err));
	ok(tar_add_file(t, "dir/\xc3\xa9\xff", "odd", 3, 04755, 3000000, 0, &err));
	ok(tar_finish(t, &tar, &err));
	ok(docker_archive_put(d, id, "/srv", &tar, &err));
	ok(docker_archive_get(d, id, "/srv/dir", keep, &back, NULL, &err));
	assert_true(find_in_tar(&back, "dir/f", &content, &mode, &uid));
	assert_int_equal(mode & 07777, 0600);
	assert_int_equal(content.len, 3);
	assert_memory_equal(content.data, "a\0b", 3);
	assert_true(find_in_tar(&back, long_name, &content, &mode, &uid));
	assert_true(find_in_tar(&back, "dir/\xc3\xa9\xff", &content, &mode, &uid));
	assert_int_equal(mode & 07777, 04755);
	/* The owners, seen from inside: Podman hides them from who fetches an archive. */
	struct docker_exec_result r;
	ok(docker_container_start(d, id, &err));
	ok(docker_exec_collect(
		d, id,
		&(struct docker_exec){
			.argv = SH("stat -c %u:%g:%a /srv/dir /srv/dir/f; ls -n /srv/dir | grep -c 3000000") },
		100, NULL, &r, &err));
	assert_string_equal(buf_str(&r.out), "1000:1000:750\n1000:1000:600\n1\n");
	buf_free(&r.out);
	if (!test_is_podman(d)) /* which makes the folder */
		fails(PERRY_ENOTFOUND, docker_archive_put(d, id, "/no/such/place", &tar, &err));
	fails(PERRY_ENOTFOUND, docker_archive_get(d, id, "/no/such/place", keep, &back, NULL, &err));
	test_remove(d, id);
	fails(PERRY_ENOTFOUND, docker_archive_put(d, id, "/srv", &tar, &err));
	perry_err_free(err);
}

/* Files of this machine, read while they are sent: the archive is never whole in memory. */
static void archive_of_files(void **state)
{
	enum { SIZE = 3000001 };
	struct perry_err *err = NULL;
	char id[65], path[] = "/tmp/pdk-files-XXXXXX";
	cleanup_buf struct buf back = { 0 }, content = { 0 };
	mode_t mode;
	int64_t uid;
	engine_or_skip();
	cleanup_fd int fd = mkstemp(path);
	cleanup_free char *bytes = xmalloc(SIZE);
	for (int i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	assert_int_equal(write(fd, bytes, SIZE), SIZE);
	struct docker_file files[] = {
		{ "bin/", NULL, 0755 }, { "bin/a", path, 0755 }, { "bin/b", path, 0600 }, { "end", NULL, 0644 }
	};
	test_container(d, id, NULL, false);
	ok(docker_archive_put_files(d, id, "/srv", files, 4, NULL, &err));
	ok(docker_archive_get(d, id, "/srv", keep, &back, NULL, &err));
	for (int i = 1; i < 3; i++) {
		cleanup_free char *name = xasprintf("srv/%s", files[i].path);
		assert_true(find_in_tar(&back, name, &content, &mode, &uid));
		assert_int_equal(mode & 07777, files[i].mode);
		assert_int_equal(uid, 0);
		assert_int_equal(content.len, SIZE);
		assert_memory_equal(content.data, bytes, SIZE);
	}
	assert_true(find_in_tar(&back, "srv/end", &content, &mode, &uid));
	assert_int_equal(content.len, 0);
	files[2].host = "/no/such/file";
	fails(PERRY_ENOTFOUND, docker_archive_put_files(d, id, "/srv", files, 4, NULL, &err));
	assert_non_null(strstr(err->msg, "/no/such/file"));
	unlink(path);
	test_remove(d, id);
	perry_err_free(err);
}

/* One file of many zeros, made as it is sent. */
struct zeros {
	struct buf head;
	uint64_t left, sent;
	bool fail_half_way;
};

static ssize_t fill_zeros(void *ctx, char *bytes, size_t n)
{
	struct zeros *z = ctx;
	if (z->head.len) {
		n = n < z->head.len ? n : z->head.len;
		memcpy(bytes, z->head.data, n);
		buf_consume(&z->head, n);
		return (ssize_t)n;
	}
	if (z->fail_half_way && z->sent > 1000000)
		return -1;
	n = n < z->left ? n : (size_t)z->left;
	memset(bytes, 0, n);
	z->left -= n;
	z->sent += n;
	return (ssize_t)n;
}

static void zeros_init(struct zeros *z, uint64_t size)
{
	memset(z, 0, sizeof *z);
	char head[512] = "big";
	snprintf(head + 100, 8, "%07o", 0644);
	snprintf(head + 108, 8, "%07o", 0);
	snprintf(head + 116, 8, "%07o", 0);
	snprintf(head + 124, 12, "%011llo", (unsigned long long)size);
	snprintf(head + 136, 12, "%011o", 0);
	memset(head + 148, ' ', 8);
	head[156] = '0';
	memcpy(head + 257, "ustar\00000", 8);
	unsigned sum = 0;
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum);
	buf_add(&z->head, head, 512);
	z->left = size + 1024; /* a multiple of 512, and the end mark */
}

static void archive_as_a_stream(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	struct docker_exec_result r;
	struct zeros z;
	const uint64_t size = 64u << 20;
	engine_or_skip();
	test_container(d, id, NULL, true);
	zeros_init(&z, size);
	ok(docker_archive_put_stream(d, id, "/tmp", false, fill_zeros, &z, NULL, &err));
	ok(docker_exec_collect(d, id, &(struct docker_exec){ .argv = SH("stat -c %s /tmp/big") }, 100, NULL, &r, &err));
	assert_string_equal(buf_str(&r.out), "67108864\n");
	buf_free(&r.out);
	buf_free(&z.head);
	/* Given up half way. */
	zeros_init(&z, size);
	z.fail_half_way = true;
	fails(PERRY_ECANCELLED, docker_archive_put_stream(d, id, "/tmp", false, fill_zeros, &z, NULL, &err));
	buf_free(&z.head);
	/* Refused while it is being sent: the reason arrives, and not all is sent. */
	zeros_init(&z, size);
	if (!test_is_podman(d)) {
		fails(PERRY_ENOTFOUND,
		      docker_archive_put_stream(d, id, "/no/such/place", false, fill_zeros, &z, NULL, &err));
		assert_true(z.sent < size);
	}
	buf_free(&z.head);
	test_remove(d, id);
	zeros_init(&z, size);
	fails(PERRY_ENOTFOUND, docker_archive_put_stream(d, id, "/tmp", false, fill_zeros, &z, NULL, &err));
	buf_free(&z.head);
	perry_err_free(err);
}

static void a_tree_from_disk(void **state)
{
	struct perry_err *err = NULL;
	cleanup_buf struct buf tar = { 0 }, content = { 0 };
	char dir[] = "/tmp/pdk-tree-XXXXXX", path[300];
	mode_t mode;
	int64_t uid;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "mkdir -p %s/sub/empty && echo x > %s/sub/file && chmod 755 %s/sub/file", dir, dir,
		 dir);
	assert_int_equal(system(path), 0);
	snprintf(path, sizeof path, "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof path, "%s/link", dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	struct tar *t = tar_new();
	ok(tar_add_tree(t, dir, "ctx", &err));
	ok(tar_finish(t, &tar, &err));
	assert_true(find_in_tar(&tar, "ctx/sub/file", &content, &mode, &uid));
	assert_int_equal(mode & 07777, 0755);
	assert_int_equal(uid, 0);
	assert_memory_equal(content.data, "x\n", 2);
	assert_true(find_in_tar(&tar, "ctx/sub/empty/", &content, &mode, &uid) ||
		    find_in_tar(&tar, "ctx/sub/empty", &content, &mode, &uid));
	assert_true(find_in_tar(&tar, "ctx/link", &content, &mode, &uid));
	assert_true(S_ISLNK(mode)); /* the link, not what it points at */
	assert_false(find_in_tar(&tar, "ctx/fifo", &content, &mode, &uid));
	t = tar_new();
	fails(PERRY_ENOTFOUND, tar_add_tree(t, "/no/such/folder", "", &err));
	fails(PERRY_EINPUT, tar_add_file(t, "../out", "", 0, 0644, 0, 0, &err));
	fails(PERRY_EINPUT, tar_add_file(t, "", "", 0, 0644, 0, 0, &err));
	tar_free(t);
	snprintf(path, sizeof path, "rm -rf %s", dir);
	assert_int_equal(system(path), 0);
	perry_err_free(err);
}

/* --- logs --- */

struct log_text {
	struct buf of[3];
	int stop_at_bytes;
};

static int keep_log(void *ctx, int fd, const char *bytes, size_t n)
{
	struct log_text *l = ctx;
	buf_add(&l->of[fd], bytes, n);
	return l->stop_at_bytes && (int)l->of[fd].len >= l->stop_at_bytes;
}

static void free_log(struct log_text *l)
{
	for (int i = 0; i < 3; i++)
		buf_free(&l->of[i]);
}

static void logs(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	struct log_text l = { 0 };
	engine_or_skip();
	test_container(d, id, "echo one; echo two >&2; sleep 0.7; printf 'three\\000\\377\\n'", true);
	int64_t start = clock_mono_ms();
	ok(docker_container_logs(d, id, &(struct docker_logs){ .tail = -1, .follow = true }, keep_log, &l, NULL, &err));
	assert_true(clock_mono_ms() - start >= 500); /* until its end */
	/* Docker's own log file is JSON: it replaces bytes that are no UTF-8. Podman's does not. */
	static const char replaced[] = "one\nthree\0\xef\xbf\xbd\n", raw[] = "one\nthree\0\377\n";
	if (l.of[1].len == sizeof raw - 1)
		assert_memory_equal(l.of[1].data, raw, sizeof raw - 1);
	else
		assert_int_equal(l.of[1].len, sizeof replaced - 1);
	if (l.of[1].len == sizeof replaced - 1)
		assert_memory_equal(l.of[1].data, replaced, sizeof replaced - 1);
	size_t last_line = l.of[1].len - 4;
	assert_string_equal(buf_str(&l.of[2]), "two\n");
	free_log(&l);
	ok(docker_container_logs(d, id, &(struct docker_logs){ .tail = 1 }, keep_log, &l, NULL, &err));
	assert_int_equal(l.of[1].len, last_line);
	assert_int_equal(l.of[2].len, 0);
	free_log(&l);
	ok(docker_container_logs(d, id, &(struct docker_logs){ .tail = -1, .timestamps = true }, keep_log, &l, NULL,
				 &err));
	assert_true(clock_parse_iso(strtok(buf_str(&l.of[2]) ? l.of[2].data : NULL, " ")) > 0);
	free_log(&l);
	ok(docker_container_logs(d, id, &(struct docker_logs){ .tail = -1, .since = clock_ms() / 1000 + 100 }, keep_log,
				 &l, NULL, &err));
	assert_int_equal(l.of[1].len, 0);
	l.stop_at_bytes = 3;
	fails(PERRY_ECANCELLED,
	      docker_container_logs(d, id, &(struct docker_logs){ .tail = -1 }, keep_log, &l, NULL, &err));
	free_log(&l);
	test_remove(d, id);
	fails(PERRY_ENOTFOUND,
	      docker_container_logs(d, id, &(struct docker_logs){ .tail = -1 }, keep_log, &l, NULL, &err));
	perry_err_free(err);
}

static void logs_of_a_terminal_are_not_multiplexed(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	struct log_text l = { 0 };
	engine_or_skip();
	cleanup_json cJSON *spec = cJSON_CreateObject();
	json_set_str(spec, "Image", TEST_IMAGE);
	json_set_bool(spec, "Tty", true);
	json_set(spec, "Cmd", cJSON_CreateStringArray((const char *[]){ "echo", "hello" }, 2));
	ok(docker_container_create(d, NULL, spec, id, &err));
	ok(docker_container_start(d, id, &err));
	ok(docker_container_logs(d, id, &(struct docker_logs){ .tail = -1, .follow = true }, keep_log, &l, NULL, &err));
	assert_string_equal(buf_str(&l.of[1]), "hello\r\n");
	free_log(&l);
	test_remove(d, id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(volumes),
		cmocka_unit_test(anonymous_volumes_go_with_their_container),
		cmocka_unit_test(networks),
		cmocka_unit_test(images),
		cmocka_unit_test(a_failing_build_is_an_error),
		cmocka_unit_test(a_pull_that_cannot_succeed),
		cmocka_unit_test(a_commit_keeps_what_was_installed),
		cmocka_unit_test(archive_into_a_container_that_never_ran),
		cmocka_unit_test(archive_of_files),
		cmocka_unit_test(archive_as_a_stream),
		cmocka_unit_test(a_tree_from_disk),
		cmocka_unit_test(logs),
		cmocka_unit_test(logs_of_a_terminal_are_not_multiplexed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
