/* The lifecycle against the real engine: what a workspace goes through, and what is left of it afterwards. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lua_util.h"

struct policy *test_policy;
char *test_step;

static struct inside in;
static char *dir;

static int setup(void **state)
{
	dir = inside_dir(*state ? *state : "");
	inside_open(&in, dir, 1, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	inside_end(&in);
	remove_dir(dir);
	return 0;
}

static void status_is(const char *ws, const char *expected)
{
	cleanup_json cJSON *view = NULL;
	cleanup_err struct perry_err *err = NULL;
	ok(fleet_get(in.fleet, ws, &view, &err));
	assert_string_equal(json_str_or(view, "status", ""), expected);
}

static char *id_of(const char *ws)
{
	cleanup_json cJSON *r = record_of(&in, ws);
	return xstrdup(json_str_or(r, "containerId", ""));
}

static void hook(const char *point, const char *text)
{
	inside_hook(dir, point, text);
}

static void gone(const char *ws)
{
	done(&in, "delete", ws, "{}");
	nothing_left(&in);
}

static void life(void **state)
{
	(void)state;
	done(&in, "create", "plc-life", "{\"env\":{\"GREETING\":\"it's\\nfine\"}}");
	status_is("plc-life", "running");
	says(&in, "plc-life", "printf %s \"$GREETING\"", "it's\nfine");
	says(&in, "plc-life", "stat -c %a:%U:%G /run/perry/env; ls /run/perry/ready",
	     "640:root:workspace\n/run/perry/ready");
	cleanup_json cJSON *seen = NULL;
	cleanup_err struct perry_err *err = NULL;
	ok(docker_container_inspect(in.docker, "workspace-plc-life", &seen, &err));
	cleanup_free char *text = json_print(seen);
	assert_null(strstr(text, "GREETING"));
	assert_string_equal(json_str_or(seen, "HostConfig.RestartPolicy.Name", ""), "no");
	assert_false(json_bool_or(seen, "HostConfig.Privileged", true));
	says(&in, "plc-life", "su workspace -c 'touch ~/mine'; touch /usr/local/other", "");
	refused(&in, "create", "plc-life", "{}", PERRY_ECONFLICT, "already exists");
	done(&in, "stop", "plc-life", "{}");
	status_is("plc-life", "stopped");
	done(&in, "stop", "plc-life", "{}");
	done(&in, "start", "plc-life", "{}");
	says(&in, "plc-life", "ls /home/workspace/mine /usr/local/other", "/home/workspace/mine\n/usr/local/other");
	cleanup_free char *id = id_of("plc-life");
	done(&in, "start", "plc-life", "{}");
	done(&in, "restart", "plc-life", "{}");
	cleanup_free char *same = id_of("plc-life");
	assert_string_equal(id, same);
	says(&in, "plc-life", "printf %s \"$GREETING\"", "it's\nfine");
	gone("plc-life");
	refused(&in, "stop", "plc-life", "{}", PERRY_ENOTFOUND, "Workspace not found");
	done(&in, "delete", "plc-life", "{}"); /* a delete that finds nothing has nothing to do */
	refused(&in, "restart", "plc-life", "{}", PERRY_ENOTFOUND, "Workspace not found");
}

/* A spec that Docker cannot change: a new container from a commit of the old one. What it can change is changed in
 * place. */
static void changed_spec(void **state)
{
	(void)state;
	done(&in, "create", "plc-spec", "{}");
	says(&in, "plc-spec", "echo 1 > /usr/local/installed; echo 2 > /home/workspace/mine", "");
	cleanup_free char *first = id_of("plc-spec");
	done(&in, "stop", "plc-spec", "{}");
	done(&in, "start", "plc-spec", "{\"memory\":268435456}");
	cleanup_free char *same = id_of("plc-spec");
	assert_string_equal(first, same);
	cleanup_json cJSON *seen = NULL;
	cleanup_err struct perry_err *err = NULL;
	ok(docker_container_inspect(in.docker, same, &seen, &err));
	assert_int_equal(json_int_or(seen, "HostConfig.Memory", 0), 268435456);
	for (int round = 1; round <= 2; round++) {
		cleanup_free char *text = xasprintf("return function(_, base) local c = base(); c.sysctls = { "
						    "[\"net.ipv4.ip_unprivileged_port_start\"] = \"%d\" }; "
						    "return c end",
						    79 + round);
		hook("container", text);
		done(&in, round == 1 ? "stop" : "restart", "plc-spec", "{}");
		if (round == 1)
			done(&in, "start", "plc-spec", "{}");
		says(&in, "plc-spec", "cat /usr/local/installed /home/workspace/mine", "1\n2");
	}
	says(&in, "plc-spec", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "81");
	int c, v, n, i;
	count_things(&in, &c, &v, &n, &i);
	assert_int_equal(c, 1);
	assert_int_equal(i, 1);
	gone("plc-spec");
}

/* A changed image: outdated until it is taken on purpose, because what was installed is lost then. */
static void changed_image(void **state)
{
	(void)state;
	cleanup_err struct perry_err *err = NULL;
	char image[80];
	ok(docker_image_tag(in.docker, TEST_IMAGE, "plc-image", "1", &err));
	done(&in, "create", "plc-image", "{\"image\":\"plc-image:1\"}");
	says(&in, "plc-image", "echo 1 > /usr/local/installed; echo 2 > /home/workspace/mine", "");
	cleanup_free char *first = id_of("plc-image");
	done(&in, "create", "plc-other", "{}");
	says(&in, "plc-other", "echo new > /usr/local/release", "");
	ok(docker_container_commit(in.docker, "workspace-plc-other", "plc-image", "1", image, &err));
	done(&in, "delete", "plc-other", "{}");
	done(&in, "stop", "plc-image", "{}");
	done(&in, "start", "plc-image", "{}");
	cleanup_free char *same = id_of("plc-image");
	assert_string_equal(first, same);
	cleanup_json cJSON *record = record_of(&in, "plc-image"), *plan = NULL;
	assert_true(json_bool_or(record, "outdated", false));
	ok(lua_host_plan(in.lua, "restart", "plc-image", NULL, NULL, &plan, &err));
	assert_string_equal(json_str_or(plan, "changes.difference", ""), "image");
	done(&in, "restart", "plc-image", "{\"recreate\":true}");
	says(&in, "plc-image",
	     "cat /usr/local/release /home/workspace/mine; ls /usr/local/installed 2>/dev/null || true", "new\n2");
	cleanup_json cJSON *after = record_of(&in, "plc-image");
	assert_false(json_bool_or(after, "outdated", false));
	gone("plc-image");
	ok(docker_image_remove(in.docker, "plc-image:1", &err));
}

static void outdated_is(const char *ws, bool expected)
{
	bool is = !expected;
	for (int i = 0; i < 300 && is != expected; i++) {
		cleanup_json cJSON *record = record_of(&in, ws);
		is = json_bool_or(record, "outdated", false);
		if (is != expected)
			usleep(10000);
	}
	assert_int_equal(is, expected);
}

/* A changed policy shows on workspaces that nobody touches, once anything happens. */
static void changed_policy(void **state)
{
	(void)state;
	done(&in, "create", "plc-one", "{}");
	done(&in, "create", "plc-two", "{}");
	outdated_is("plc-one", false);
	hook("container", "return function(ws, base) local c = base(); if ws.name == \"plc-one\" then c.hosts = { "
			  "\"a:127.0.0.1\" } end; return c end");
	done(&in, "restart", "plc-two", "{}");
	outdated_is("plc-one", true);
	outdated_is("plc-two", false);
	done(&in, "restart", "plc-one", "{}");
	outdated_is("plc-one", false);
	says(&in, "plc-one", "grep -cw a /etc/hosts", "1");
	done(&in, "delete", "plc-two", "{}");
	gone("plc-one");
}

/* What others removed or took is mended by start, the home stays. */
static void behind_our_back(void **state)
{
	(void)state;
	cleanup_err struct perry_err *err = NULL;
	done(&in, "create", "plc-back", "{}");
	says(&in, "plc-back", "echo 1 > /usr/local/installed; echo 2 > /home/workspace/mine", "");
	ok(docker_container_remove(in.docker, "workspace-plc-back", true, &err));
	for (int i = 0; i < 100; i++) {
		cleanup_json cJSON *view = NULL;
		ok(fleet_get(in.fleet, "plc-back", &view, &err));
		if (str_eq(json_str(view, "status"), "missing"))
			break;
		usleep(10000);
	}
	status_is("plc-back", "missing");
	done(&in, "start", "plc-back", "{}");
	status_is("plc-back", "running");
	says(&in, "plc-back", "cat /home/workspace/mine; ls /usr/local/installed 2>/dev/null || true", "2");
	/* its network */
	says(&in, "plc-back", "echo 1 > /usr/local/installed", "");
	done(&in, "stop", "plc-back", "{}");
	cleanup_json cJSON *record = record_of(&in, "plc-back");
	ok(docker_network_remove(in.docker, json_str(record, "network"), &err));
	done(&in, "start", "plc-back", "{}");
	says(&in, "plc-back", "cat /home/workspace/mine /usr/local/installed", "2\n1");
	/* its port */
	done(&in, "stop", "plc-back", "{}");
	int port = (int)json_int_or(record, "ports.ssh", 0), fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	done(&in, "start", "plc-back", "{}");
	cleanup_json cJSON *moved = record_of(&in, "plc-back");
	assert_int_not_equal(json_int_or(moved, "ports.ssh", 0), port);
	says(&in, "plc-back", "cat /home/workspace/mine /usr/local/installed", "2\n1");
	/* and for one that is new */
	done(&in, "delete", "plc-back", "{}");
	done(&in, "create", "plc-back", "{}");
	cleanup_json cJSON *fresh = record_of(&in, "plc-back");
	assert_int_not_equal(json_int_or(fresh, "ports.ssh", 0), port);
	close(fd);
	gone("plc-back");
}

static void bad_clone(void **state)
{
	(void)state;
	refused(&in, "create", "plc-clone", "{\"clone\":\"https://127.0.0.1:1/x\"}", PERRY_EINPUT,
		"fatal: unable to access 'https://127.0.0.1:1/x/'");
	status_is("plc-clone", "running"); /* it stays, so that one can look */
	cleanup_json cJSON *record = record_of(&in, "plc-clone");
	assert_non_null(strstr(json_str_or(record, "error.message", ""), "fatal:"));
	says(&in, "plc-clone", "ls -A /home/workspace/.cache/perry", "");
	/* the next start tries again; here it works */
	says(&in, "plc-clone",
	     "git init -q /tmp/x && git -C /tmp/x -c user.name=a -c user.email=b commit -q --allow-empty -m one && "
	     "git config --system safe.directory '*' && git config --system url./tmp/x.insteadOf https://127.0.0.1:1/x",
	     "");
	done(&in, "restart", "plc-clone", "{}");
	says(&in, "plc-clone", "cd /home/workspace/x && git log --format=%s && stat -c %U .git", "one\nworkspace");
	cleanup_json cJSON *cloned = record_of(&in, "plc-clone");
	assert_null(json_at(cloned, "error"));
	done(&in, "restart", "plc-clone", "{}"); /* and it is not cloned twice */
	gone("plc-clone");
}

static void missing_image(void **state)
{
	(void)state;
	refused(&in, "create", "plc-noimage", "{\"image\":\"perry:none\"}", PERRY_ENOTFOUND, "perry build");
	nothing_left(&in);
	refused(&in, "start", "plc-noimage", "{\"image\":\"127.0.0.1:1/none:1\"}", PERRY_EINTERNAL, "cannot be pulled");
	nothing_left(&in);
	refused(&in, "stop", "plc-noimage", "{}", PERRY_ENOTFOUND, "not found");
}

static void refused_by_policy(void **state)
{
	(void)state;
	hook("container", "return function(_, base)\n  local c = base()\n  table.insert(c.mounts, \"/etc:/mnt\")\n  "
			  "return c\nend\n");
	refused(&in, "create", "plc-policy", "{}", PERRY_EPOLICY, "allowedMounts");
	hook("container", "return function(ws, base)\n  return ws.nmae\nend\n");
	refused(&in, "create", "plc-policy", "{}", PERRY_EPOLICY, "hooks/container.lua:2");
	nothing_left(&in);
	hook("container", "return function(_, base) return base() end");
	refused(&in, "create", "plc-policy", "{\"docker\":true}", PERRY_EPOLICY, "allowHostEquivalentDocker");
	refused(&in, "create", "plc_Policy", "{}", PERRY_EPOLICY, "lowercase");
	nothing_left(&in);
}

/* What goes in comes out as it was, belongs to whom it should, and is nowhere else. */
static void files(void **state)
{
	(void)state;
	cleanup_free char *text = xasprintf("{\"image\":\"" TEST_IMAGE
					    "\",\"networkRange\":\"10.214.0.0/16\",\"sshPortRange\":\"2900-2999\","
					    "\"credentials\":{\"env\":{\"API_TOKEN\":\"sekret-'42'\"},\"files\":{\"~/"
					    ".creds/a\":\"%s/a\",\"conf\":\"%s/d\",\"~/.none\":\"/nonexistent\"}},"
					    "\"agents\":{\"github\":{\"token\":\"ghp_0123456789abcdef\"}},"
					    "\"ssh\":{\"autoAuthorizeHostKeys\":false,\"global\":{\"authorize\":[\"ssh-"
					    "ed25519 AAAAkey one@x\"],\"copy\":[\"%s/id_test\"]}}}",
					    dir, dir, dir);
	cleanup_free char *sub = path_join(dir, "d");
	mkdir(sub, 0700);
	write_text(dir, "config.json", text);
	write_text(dir, "a", "secret file\n");
	write_text(sub, "b", "in a folder\n");
	write_text(dir, "id_test", "private\n");
	done(&in, "create", "plc-files", "{}");
	says(&in, "plc-files", "printf %s \"$API_TOKEN $GITHUB_TOKEN\"", "sekret-'42' ghp_0123456789abcdef");
	says(&in, "plc-files",
	     "cd /home/workspace; cat .creds/a conf/b .ssh/id_test; stat -c %a:%U .creds .creds/a conf/b .ssh "
	     ".ssh/id_test .ssh/authorized_keys",
	     "secret file\nin a "
	     "folder\nprivate\n700:workspace\n600:workspace\n600:workspace\n700:workspace\n600:workspace\n600:"
	     "workspace");
	says(&in, "plc-files",
	     "grep -c AAAAkey /home/workspace/.ssh/authorized_keys; echo 'ssh-ed25519 AAAAmine me' >> "
	     "/home/workspace/.ssh/authorized_keys",
	     "1");
	write_text(dir, "a", "changed\n");
	cleanup_free char *other = xasprintf(
		"{\"image\":\"" TEST_IMAGE "\",\"networkRange\":\"10.214.0.0/16\",\"sshPortRange\":\"2900-2999\","
		"\"credentials\":{\"env\":{\"API_TOKEN\":\"other-one\"},\"files\":{\"~/.creds/a\":\"%s/a\"}},"
		"\"ssh\":{\"autoAuthorizeHostKeys\":false,\"global\":{\"authorize\":[\"ssh-ed25519 AAAAtwo two@x\"]}}}",
		dir);
	write_text(dir, "config.json", other);
	done(&in, "sync", "plc-files", "{}");
	says(&in, "plc-files",
	     "printf '%s ' \"$API_TOKEN\"; cat /home/workspace/.creds/a; grep -o 'AAAA[a-z]*' "
	     "/home/workspace/.ssh/authorized_keys",
	     "other-one changed\nAAAAtwo\nAAAAmine");
	cleanup_json cJSON *seen = NULL;
	cleanup_err struct perry_err *err = NULL;
	ok(docker_container_inspect(in.docker, "workspace-plc-files", &seen, &err));
	cleanup_free char *inspect = json_print(seen);
	assert_null(strstr(inspect, "sekret"));
	assert_null(strstr(inspect, "other-one"));
	cleanup_free char *grep = xasprintf("! grep -aqE 'sekret|other-one|ghp_0123' %s/state.db*", dir);
	assert_int_equal(system(grep), 0);
	done(&in, "stop", "plc-files", "{}");
	refused(&in, "sync", "plc-files", "{}", PERRY_ESTATE, "not running");
	gone("plc-files");
}

static void scripts(void **state)
{
	(void)state;
	cleanup_free char *user = path_join(dir, "scripts");
	mkdir(user, 0700);
	write_text(user, "1-first.sh", "#!/bin/sh\nid -un > ~/ran; echo \"$WHAT\" >> ~/ran\n");
	write_text(user, "2-second.sh", "#!/bin/sh\necho second >> ~/ran; echo oh no >&2; exit 3\n");
	for (int fatal = 0; fatal < 2; fatal++) {
		cleanup_free char *text =
			xasprintf("{\"image\":\"" TEST_IMAGE
				  "\",\"networkRange\":\"10.214.0.0/16\",\"sshPortRange\":\"2900-2999\","
				  "\"ssh\":{\"autoAuthorizeHostKeys\":false},\"scripts\":{\"post_start\":[\"%s\"],"
				  "\"fail_on_error\":%s}}",
				  user, fatal ? "true" : "false");
		write_text(dir, "config.json", text);
		if (fatal)
			refused(&in, "create", "plc-scripts", "{\"env\":{\"WHAT\":\"it\"}}", PERRY_EINTERNAL, "oh no");
		else
			done(&in, "create", "plc-scripts", "{\"env\":{\"WHAT\":\"it\"}}");
		says(&in, "plc-scripts", "cat /home/workspace/ran", "workspace\nit\nsecond");
		cleanup_json cJSON *record = record_of(&in, "plc-scripts");
		assert_non_null(strstr(json_str_or(record, "error.message", ""), "exit code 3"));
		gone("plc-scripts");
	}
}

/* Of the user's home here: git's configuration and the public keys. */
static void home(void **state)
{
	(void)state;
	cleanup_free char *ssh = path_join(dir, ".ssh"), *old = xstrdup(getenv("HOME"));
	mkdir(ssh, 0700);
	write_text(ssh, "id_x.pub", "ssh-ed25519 AAAAhost me@here\n");
	/* Programs and keys of this machine would end every commit in there. */
	write_text(
		dir, ".gitconfig",
		"[user]\n\tname = Me Here\n\tsigningkey = ~/.ssh/none\n[commit]\n\tgpgsign = true\n[include]\n\tpath = "
		"more\n[core]\n\thooksPath = /nonexistent\n\teditor = none-such\n");
	write_text(dir, "more", "[user]\n\temail = me@here\n[gpg]\n\tprogram = /nonexistent\n");
	write_text(dir, "config.json",
		   "{\"image\":\"" TEST_IMAGE "\",\"networkRange\":\"10.214.0.0/16\",\"sshPortRange\":\"2900-2999\"}");
	setenv("HOME", dir, 1);
	done(&in, "create", "plc-git", "{}");
	says(&in, "plc-git",
	     "su workspace -c 'git config user.name; git config --global user.name Other; git config user.name; git "
	     "config user.email'; "
	     "grep -c AAAAhost /home/workspace/.ssh/authorized_keys; su workspace -c 'git init -q /tmp/r && cd /tmp/r "
	     "&& git "
	     "commit -q --allow-empty -m x && git log --format=%ae'",
	     "Me Here\nOther\nme@here\n1\nme@here");
	done(&in, "restart", "plc-git", "{}");
	says(&in, "plc-git", "su workspace -c 'git config user.name'", "Other");
	setenv("HOME", old, 1);
	gone("plc-git");
}

/* Docker inside, where config.json accepts that it is root on the host. */
static void docker_inside(void **state)
{
	(void)state;
	write_text(dir, "config.json",
		   "{\"image\":\"" TEST_IMAGE "\",\"networkRange\":\"10.214.0.0/16\",\"sshPortRange\":\"2900-2999\","
		   "\"ssh\":{\"autoAuthorizeHostKeys\":false},\"allowHostEquivalentDocker\":true}");
	done(&in, "create", "plc-inner", "{\"docker\":true}");
	says(&in, "plc-inner", "mountpoint -q /var/lib/docker && echo volume", "volume");
	int c, v, n, i;
	count_things(&in, &c, &v, &n, &i);
	assert_int_equal(v, 2);
	gone("plc-inner");
}

/* An operation under way, at this step. */
static struct op *begin(const char *kind, const char *ws, const char *input, const char *step)
{
	struct op *op = NULL;
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *in_json = json_of(input);
	ok(ops_submit(in.ops, kind, ws, in_json, NULL, &op, &err));
	for (int i = 0; i < 3000; i++) {
		cleanup_json cJSON *running = ops_running(in.ops);
		if (str_eq(json_str(cJSON_GetArrayItem(running, 0), "step"), step))
			return op;
		usleep(5000);
	}
	fail_msg("%s of %s never came to %s", kind, ws, step);
	return op;
}

static void end(struct op *op, enum perry_code code)
{
	assert_int_equal(op_wait(op, 60000), 0);
	if (code == PERRY_OK)
		assert_null(op_error(op));
	else
		assert_int_equal(op_error(op)->code, code);
	op_unref(op);
}

static void slow_script(void)
{
	cleanup_free char *text = xasprintf(
		"{\"image\":\"" TEST_IMAGE "\",\"networkRange\":\"10.214.0.0/16\",\"sshPortRange\":\"2900-2999\","
		"\"ssh\":{\"autoAuthorizeHostKeys\":false},\"scripts\":{\"post_start\":[\"%s/slow.sh\"]}}",
		dir);
	write_text(dir, "slow.sh", "#!/bin/sh\necho begun >> ~/ran\nsleep 60\n");
	write_text(dir, "config.json", text);
}

static void cancelled(void **state)
{
	(void)state;
	static const char *const at[] = { "prepare", "start", "scripts" };
	slow_script();
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct op *op = begin("create", "plc-cancel", "{}", at[i]);
		done(&in, "delete", "plc-cancel", "{}");
		end(op, PERRY_ECANCELLED);
		nothing_left(&in);
	}
	struct op *op = begin("create", "plc-cancel", "{}", "scripts"), *second;
	cleanup_err struct perry_err *err = NULL;
	ok(ops_submit(in.ops, "start", "plc-cancel", NULL, NULL, &second, &err)); /* joins */
	assert_string_equal(op_id(op), op_id(second));
	op_unref(second);
	done(&in, "stop", "plc-cancel", "{}");
	end(op, PERRY_ECANCELLED);
	status_is("plc-cancel", "stopped");
	op = begin("start", "plc-cancel", "{}", "scripts");
	done(&in, "stop", "plc-cancel", "{}");
	end(op, PERRY_ECANCELLED);
	status_is("plc-cancel", "stopped");
	/* Cancelled, the script does not run on in a container that stays. */
	op = begin("start", "plc-cancel", "{}", "scripts");
	usleep(500000);
	says(&in, "plc-cancel", "pgrep -c -x sleep", "1");
	ok(ops_cancel(in.ops, op_id(op), "enough", &err));
	end(op, PERRY_ECANCELLED);
	says(&in, "plc-cancel", "pgrep -c -x sleep || true", "0");
	gone("plc-cancel");
}

static void twenty(void **state)
{
	(void)state;
	enum { N = 20 };
	struct op *ops[N];
	bool ports[10000] = { 0 };
	cleanup_err struct perry_err *err = NULL;
	for (int i = 0; i < N; i++) {
		cleanup_free char *name = xasprintf("plc-many-%d", i);
		ok(ops_submit(in.ops, "create", name, NULL, NULL, &ops[i], &err));
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(op_wait(ops[i], 120000), 0);
		if (op_error(ops[i]))
			fail_msg("%s: %s", op_workspace(ops[i]), perry_msg(op_error(ops[i])));
		cleanup_json cJSON *record = record_of(&in, op_workspace(ops[i]));
		int port = (int)json_int_or(record, "ports.ssh", 0);
		assert_in_range(port, 2900, 2999);
		assert_false(ports[port]);
		ports[port] = true;
		op_unref(ops[i]);
	}
	int c, v, n, im;
	count_things(&in, &c, &v, &n, &im);
	assert_int_equal(c, N);
	for (int i = 0; i < N; i++) {
		cleanup_free char *name = xasprintf("plc-many-%d", i);
		ok(ops_submit(in.ops, "delete", name, NULL, NULL, &ops[i], &err));
	}
	for (int i = 0; i < N; i++)
		end(ops[i], PERRY_OK);
	nothing_left(&in);
}

/* Stop A, create B, start A: B must not have taken A's port. */
static void ports_stay(void **state)
{
	(void)state;
	done(&in, "create", "plc-a", "{}");
	done(&in, "stop", "plc-a", "{}");
	done(&in, "create", "plc-b", "{}");
	done(&in, "start", "plc-a", "{}");
	cleanup_json cJSON *a = record_of(&in, "plc-a"), *b = record_of(&in, "plc-b");
	assert_int_not_equal(json_int_or(a, "ports.ssh", 0), json_int_or(b, "ports.ssh", 0));
	assert_string_not_equal(json_str_or(a, "network", ""), json_str_or(b, "network", ""));
	done(&in, "delete", "plc-a", "{}");
	gone("plc-b");
}

static void kept_home(void **state)
{
	(void)state;
	done(&in, "create", "plc-home", "{}");
	says(&in, "plc-home", "echo kept > /home/workspace/mine", "");
	done(&in, "delete", "plc-home", "{\"keepHome\":true}");
	cleanup_json cJSON *pruned = must(&in, "prune", NULL, "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(pruned, "kept")), 1);
	/* A creation that fails does not take it along. */
	hook("container", "return function(_, base) local c = base(); c.runtime = \"none\"; return c end");
	cleanup_err struct perry_err *err = NULL;
	assert_null(run_op(&in, "create", "plc-home", "{}", &err));
	hook("container", "return function(_, base) return base() end");
	done(&in, "create", "plc-home", "{}");
	says(&in, "plc-home", "cat /home/workspace/mine", "kept");
	gone("plc-home");
}

static void cloned(void **state)
{
	(void)state;
	done(&in, "create", "plc-from", "{\"env\":{\"A\":\"b\"}}");
	says(&in, "plc-from", "su workspace -c 'mkdir ~/d; echo 1 > ~/d/f; chmod 640 ~/d/f'", "");
	done(&in, "clone", "plc-to", "{\"sourceName\":\"plc-from\",\"cloneName\":\"plc-to\"}");
	says(&in, "plc-to", "cat /home/workspace/d/f; stat -c %a:%U /home/workspace/d/f; echo $A",
	     "1\n640:workspace\nb");
	says(&in, "plc-from", "cat /home/workspace/d/f", "1");
	cleanup_free char *a = in_ws(&in, "plc-from", "cat /home/workspace/.perry/hostkeys/*.pub"),
			  *b = in_ws(&in, "plc-to", "cat /home/workspace/.perry/hostkeys/*.pub");
	assert_string_not_equal(a, b);
	refused(&in, "clone", "plc-to", "{\"sourceName\":\"plc-from\",\"cloneName\":\"plc-to\"}", PERRY_ECONFLICT,
		"already exists");
	refused(&in, "clone", "plc-x", "{\"sourceName\":\"plc-none\",\"cloneName\":\"plc-x\"}", PERRY_ENOTFOUND,
		"not found");
	done(&in, "delete", "plc-from", "{}");
	gone("plc-to");
}

/* The home of a workspace named x-docker bears the name of the inner Docker of x: it is neither cloned nor deleted with
 * x. */
static void alike(void **state)
{
	(void)state;
	done(&in, "create", "plc-x-docker", "{}");
	says(&in, "plc-x-docker", "echo 1 > ~workspace/mine", "");
	done(&in, "stop", "plc-x-docker", "{}");
	done(&in, "create", "plc-x", "{}");
	done(&in, "clone", "plc-y", "{\"sourceName\":\"plc-x\",\"cloneName\":\"plc-y\"}");
	int c, v, n, i;
	count_things(&in, &c, &v, &n, &i);
	assert_int_equal(v, 3);
	done(&in, "delete", "plc-x", "{}");
	done(&in, "delete", "plc-y", "{}");
	done(&in, "start", "plc-x-docker", "{}");
	says(&in, "plc-x-docker", "cat ~workspace/mine", "1");
	gone("plc-x-docker");
}

/* The engine may hold tools volumes of other agents, too. */
static bool has_text(const cJSON *list, const char *text)
{
	const cJSON *s;
	cJSON_ArrayForEach(s, list)
		if (str_eq(cJSON_GetStringValue(s), text))
			return true;
	return false;
}

static cJSON *labels_of(const char *workspace)
{
	cleanup_free char *text =
		xasprintf("{\"perry.agent\":\"%s\",\"perry.workspace\":\"%s\"}", store_agent_id(in.store), workspace);
	return json_of(text);
}

static void pruned(void **state)
{
	(void)state;
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *lost = labels_of("plc-lost"), *left = labels_of("plc-left");
	done(&in, "create", "plc-prune", "{}");
	ok(docker_volume_create(in.docker, "workspace-plc-lost", lost, &err)); /* a home whose record is gone */
	ok(docker_volume_create(in.docker, "workspace-plc-left-docker", left, &err));
	cleanup_json cJSON *dry = must(&in, "prune", NULL, "{\"dryRun\":true}");
	assert_true(has_text(json_at(dry, "volumes"), "workspace-plc-left-docker"));
	cleanup_json cJSON *wet = must(&in, "prune", NULL, "{}");
	assert_true(has_text(json_at(wet, "volumes"), "workspace-plc-left-docker"));
	assert_false(has_text(json_at(wet, "volumes"), "workspace-plc-lost"));
	assert_true(has_text(json_at(wet, "lost"), "plc-lost"));
	cleanup_json cJSON *again = must(&in, "prune", NULL, "{}");
	assert_false(has_text(json_at(again, "volumes"), "workspace-plc-left-docker"));
	ok(docker_volume_remove(in.docker, "workspace-plc-lost", &err)); /* it was there still */
	status_is("plc-prune", "running");
	done(&in, "restart", "plc-prune", "{}");
	gone("plc-prune");
}

static void dry(void **state)
{
	(void)state;
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *plan = NULL, *request = json_of("{\"memory\":\"1GiB\"}");
	ok(lua_host_plan(in.lua, "create", "plc-dry", request, NULL, &plan, &err));
	assert_string_equal(json_str_or(plan, "changes.action", ""), "create");
	assert_int_equal(json_int_or(plan, "container.memory", 0), 1 << 30);
	nothing_left(&in);
	static const char *const urls[][2] = { { "https://github.com/octocat/Hello-World",
						 "github.com octocat Hello-World" },
					       { "https://u:t@host:8443/a/b.git/", "host a b" },
					       { "git@host:o/n.git", "host o n" },
					       { "ssh://git@host:22/g/sub/n", "host g/sub n" },
					       { "/srv/repo.git", "- - -" } };
	hook("env", "return function(ws) local r = ws.repo; return { R = (r.host or '-') .. ' ' .. (r.owner or '-') .. "
		    "' ' .. (r.name or '-') } end");
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		cleanup_free char *text = xasprintf("{\"clone\":\"%s\"}", urls[i][0]);
		cleanup_json cJSON *with = json_of(text), *answer = NULL;
		ok(lua_host_plan(in.lua, "create", "plc-dry", with, NULL, &answer, &err));
		assert_string_equal(json_str_or(answer, "env.R", ""), urls[i][1]);
	}
	assert_int_equal(lua_host_admit(in.lua, "exec", "plc-dry", NULL, &err), -1);
	assert_int_equal(err->code, PERRY_ENOTFOUND);
}

/* After a reboot: what should run does, what was stopped stays stopped; spare networks are kept from one life of the
 * agent to the next. */
static void comes_back(void **state)
{
	(void)state;
	cleanup_err struct perry_err *err = NULL;
	done(&in, "create", "plc-up", "{}");
	done(&in, "create", "plc-down", "{}");
	done(&in, "stop", "plc-down", "{}");
	cleanup_json cJSON *spare = NULL, *spare_after = NULL;
	for (int i = 0; i < 100 && cJSON_GetArraySize(spare) == 0; i++) {
		usleep(50000);
		cJSON_Delete(take_ptr(spare));
		ok(store_kv_get(in.store, "perry", "spare_networks", &spare, &err));
	}
	inside_close(&in);
	struct docker *d = NULL;
	ok(docker_open(&d, NULL, &err));
	ok(docker_container_stop(d, "workspace-plc-up", 0, &err));
	docker_close(d);
	inside_open(&in, dir, 1, NULL, NULL);
	status_is("plc-up", "stopped");
	ok(lua_host_boot(in.lua, in.ops, &err));
	for (int i = 0; i < 600; i++) {
		cleanup_json cJSON *view = NULL;
		ok(fleet_get(in.fleet, "plc-up", &view, &err));
		if (str_eq(json_str(view, "status"), "running"))
			break;
		usleep(10000);
	}
	status_is("plc-up", "running");
	status_is("plc-down", "stopped");
	ok(store_kv_get(in.store, "perry", "spare_networks", &spare_after, &err));
	assert_true(json_equal(spare, spare_after));
	done(&in, "delete", "plc-up", "{}");
	gone("plc-down");
}

static void actions(void **state)
{
	(void)state;
	static const char *const points[] = { "on_created", "on_started",  "on_stopping",
					      "on_stopped", "on_deleting", "on_deleted" };
	cleanup_err struct perry_err *err = NULL;
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		cleanup_free char *text = xasprintf(
			"return function(ws, ev) perry.kv.set(\"%s\", { name = ws.name, kind = ev.kind }) end",
			points[i]);
		hook(points[i], text);
	}
	done(&in, "create", "plc-act", "{}");
	done(&in, "stop", "plc-act", "{}");
	gone("plc-act");
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		cleanup_json cJSON *v = NULL;
		for (int n = 0; n < 100 && !v; n++) {
			ok(store_kv_get(in.store, "user", points[i], &v, &err));
			if (!v)
				usleep(20000);
		}
		assert_string_equal(json_str_or(v, "name", ""), "plc-act");
		assert_string_equal(json_str_or(v, "kind", ""), points[i]);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	const struct CMUnitTest tests[] = { T(life),
					    T(changed_spec),
					    T(changed_image),
					    T(changed_policy),
					    T(behind_our_back),
					    T(bad_clone),
					    T(missing_image),
					    T(refused_by_policy),
					    T(files),
					    T(scripts),
					    T(cancelled),
					    T(twenty),
					    T(ports_stay),
					    T(kept_home),
					    T(cloned),
					    T(alike),
					    T(pruned),
					    T(home),
					    T(docker_inside),
					    T(dry),
					    T(comes_back),
					    T(actions) };
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	return test_end(rc);
}
