/* Workspaces, ports, subnets, key-value, decisions, events, the legacy file and the schema's versions. */
#include "store_util.h"

#include <sqlite3.h>

#include "base/clock.h"

static void workspaces(void **state)
{
	struct store *s = open_store("state.db");
	cJSON *ws = J("{'name':'web','labels':{'a':'1','b':'2'},'repo':'https://x/y'}"), *got, *patch;
	ok(store_ws_create(s, ws, &err));
	refused(store_ws_create(s, ws, &err), PERRY_ECONFLICT, "Workspace 'web' already exists");
	cJSON_Delete(ws);
	ws_make(s, "api");

	ok(store_ws_get(s, "web", &got, &err));
	assert_string_equal(json_str(got, "labels.b"), "2");
	assert_string_equal(json_str(got, "state"), "creating");
	assert_int_equal(strlen(json_str(got, "id")), 16);
	assert_true(json_int_or(got, "created", 0) > 1600000000000);
	char *id = xstrdup(json_str(got, "id"));
	cJSON_Delete(got);
	refused(store_ws_get(s, "nope", &got, &err), PERRY_ENOTFOUND, "Workspace not found");

	/* A patch merges, null removes, and name and id are not for it to change. */
	patch = J("{'labels':{'a':null,'c':'3'},'state':'ready','name':'other','id':'0'}");
	ok(store_ws_patch(s, "web", patch, &got, &err));
	assert_null(json_str(got, "labels.a"));
	assert_string_equal(json_str(got, "labels.c"), "3");
	assert_string_equal(json_str(got, "name"), "web");
	assert_string_equal(json_str(got, "id"), id);
	assert_int_equal(json_int_or(got, "rev", 0), 2);
	cJSON_Delete(got);
	refused(store_ws_patch(s, "nope", patch, NULL, &err), PERRY_ENOTFOUND, "not found");
	cJSON_Delete(patch);
	/* A plan replaces the last one as a whole: what is not in it any more is gone. */
	patch = J("{'plan':{'container':{'memory':1,'cpus':2}}}");
	ok(store_ws_patch(s, "web", patch, NULL, &err));
	cJSON_Delete(patch);
	patch = J("{'plan':{'container':{'cpus':3}}}");
	ok(store_ws_patch(s, "web", patch, &got, &err));
	assert_null(json_at(got, "plan.container.memory"));
	assert_int_equal(json_int_or(got, "plan.container.cpus", 0), 3);
	cJSON_Delete(got);
	cJSON_Delete(patch);
	free(id);

	/* It is all there after the next open, in the order of creation; so is the agent's id. */
	char agent[17];
	snprintf(agent, sizeof agent, "%s", store_agent_id(s));
	assert_int_equal(strlen(agent), 16);
	store_close(s);
	struct stat st;
	assert_int_equal(stat(test_path("state.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	s = open_store("state.db");
	assert_string_equal(store_agent_id(s), agent);
	ok(store_ws_list(s, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 2);
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "name"), "web");
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "state"), "ready");
	cJSON_Delete(got);
	ok(store_ws_delete(s, "web", &err));
	ok(store_ws_delete(s, "web", &err));
	refused(store_ws_get(s, "web", &got, &err), PERRY_ENOTFOUND, "not found");
	store_close(s);
}

static int claim(struct store *s, const char *ws, int min, int max, const int *avoid)
{
	int port = 0;
	ok(store_port_claim(s, ws, min, max, avoid, &port, &err));
	return port;
}

static void ports(void **state)
{
	struct store *s = open_store("state.db");
	int port;
	cJSON *got;
	ws_make(s, "a");
	ws_make(s, "b");
	ws_make(s, "c");
	assert_int_equal(claim(s, "a", 2200, 2202, NULL), 2200);
	assert_int_equal(claim(s, "a", 2200, 2202, NULL), 2200);
	const int busy[] = { 2201, 0 };
	assert_int_equal(claim(s, "b", 2200, 2202, busy), 2202);
	ok(store_ws_get(s, "b", &got, &err));
	assert_int_equal(json_int_or(got, "ports.ssh", 0), 2202);
	cJSON_Delete(got);
	refused(store_port_claim(s, "c", 2200, 2202, busy, &port, &err), PERRY_ECONFLICT, "sshPortRange");
	refused(store_port_claim(s, "none", 2200, 2202, NULL, &port, &err), PERRY_ENOTFOUND, "not found");
	refused(store_port_claim(s, "c", 2300, 2202, NULL, &port, &err), PERRY_EINPUT, "sshPortRange");
	assert_int_equal(claim(s, "c", 2200, 2202, NULL), 2201);
	/* Its own one is now somebody else's: another; and back when the range moved. */
	const int lost[] = { 2200, 0 };
	refused(store_port_claim(s, "a", 2200, 2202, lost, &port, &err), PERRY_ECONFLICT,
		"no free SSH port in 2200-2202");
	assert_int_equal(claim(s, "a", 2500, 2510, NULL), 2500);
	ok(store_ws_delete(s, "c", &err));
	ws_make(s, "d");
	assert_int_equal(claim(s, "d", 2200, 2202, NULL), 2200);
	store_close(s);
}

static void subnets(void **state)
{
	struct store *s = open_store("state.db");
	char net[20], again[20];
	cJSON *got, *ws;
	ok(store_subnet_claim(s, "n1", "10.213.0.0/26", NULL, net, &err));
	assert_string_equal(net, "10.213.0.0/28");
	ok(store_subnet_claim(s, "n1", "10.99.0.0/16", NULL, again, &err));
	assert_string_equal(again, net);
	/* Whatever overlaps is left out, larger or smaller. */
	const char *const skip[] = { "10.213.0.18/32", "10.213.0.32/29", "rubbish", NULL };
	ok(store_subnet_claim(s, "n2", "10.213.0.0/26", skip, net, &err));
	assert_string_equal(net, "10.213.0.48/28");
	const char *const all[] = { "10.0.0.0/8", NULL };
	refused(store_subnet_claim(s, "n3", "10.213.0.0/26", all, net, &err), PERRY_ECONFLICT, "networkRange");
	ok(store_subnet_claim(s, "n3", "10.213.0.0/26", NULL, net, &err));
	assert_string_equal(net, "10.213.0.16/28");
	ok(store_subnet_claim(s, "n4", "10.213.0.0/26", NULL, net, &err));
	refused(store_subnet_claim(s, "n5", "10.213.0.0/26", NULL, net, &err), PERRY_ECONFLICT,
		"no free /28 network in 10.213.0.0/26");
	ok(store_subnet_claim(s, "high", "255.255.255.0/24", NULL, net, &err));
	assert_string_equal(net, "255.255.255.0/28");
	const char *const bad[] = { "",           "10.0.0.0", "10.0.0.0/29", "10.0.0.0/33",
				    "10.0.0.0/x", "fd00::/8", "10.0.0.0/16 " };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(store_subnet_claim(s, "n6", bad[i], NULL, net, &err), PERRY_EINPUT, "networkRange");
	/* A deleted workspace gives back the network that its record names. */
	ws = J("{'name':'web','network':'n2'}");
	ok(store_ws_create(s, ws, &err));
	cJSON_Delete(ws);
	ok(store_ws_delete(s, "web", &err));
	ok(store_subnet_release(s, "n1", &err));
	ok(store_subnets(s, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 3);
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "owner"), "n3");
	cJSON_Delete(got);
	store_close(s);
}

static void key_value(void **state)
{
	struct store *s = open_store("state.db");
	cJSON *got, *v = J("{'x':[1,null,'é']}");
	ok(store_kv_get(s, "user", "k", &got, &err));
	assert_null(got);
	ok(store_kv_set(s, "user", "k", v, &err));
	ok(store_kv_set(s, "user", "ka", v, &err));
	ok(store_kv_set(s, "user", "b%", v, &err));
	ok(store_kv_set(s, "acme", "k", v, &err));
	ok(store_kv_get(s, "user", "k", &got, &err));
	assert_true(json_equal(got, v));
	cJSON_Delete(got);
	ok(store_kv_list(s, "user", "k", &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 2);
	cJSON_Delete(got);
	ok(store_kv_list(s, "user", NULL, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 3);
	cJSON_Delete(got);
	ok(store_kv_set(s, "user", "k", NULL, &err));
	ok(store_kv_get(s, "user", "k", &got, &err));
	assert_null(got);
	ok(store_kv_get(s, "acme", "k", &got, &err));
	assert_non_null(got);
	cJSON_Delete(got);
	cJSON_Delete(v);

	char *big = xmalloc(65536);
	memset(big, 'x', 65535);
	big[65535] = 0;
	v = cJSON_CreateString(big);
	refused(store_kv_set(s, "user", "big", v, &err), PERRY_ETOOLARGE, "65536");
	refused(store_kv_set(s, "user", big, v, &err), PERRY_ETOOLARGE, "key");
	refused(store_kv_set(s, "user", "", v, &err), PERRY_EINPUT, "key");
	cJSON_Delete(v);
	big[60000] = 0;
	v = cJSON_CreateString(big);
	char key[16];
	for (int i = 0; i < 17; i++) {
		snprintf(key, sizeof key, "%d", i);
		ok(store_kv_set(s, "full", key, v, &err));
	}
	refused(store_kv_set(s, "full", "17", v, &err), PERRY_ETOOLARGE, "\"full\"");
	ok(store_kv_set(s, "full", "3", v, &err)); /* replacing is no growth */
	ok(store_kv_set(s, "other", "17", v, &err));
	cJSON_Delete(v);
	free(big);
	store_close(s);
}

static void decisions(void **state)
{
	struct store *s = open_store("state.db");
	cJSON *got, *rows = J("[{'workspace':'web','point':'image','answer':'a'},{'workspace':'web','point':'env','"
			      "answer':{'K':1}},"
			      "{'workspace':'api','point':'env','line':3}]");
	ok(store_decisions_add(s, rows, &err));
	cJSON_Delete(rows);
	ok(store_decisions(s, "web", NULL, 10, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 2);
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "point"), "env");
	assert_true(json_int_or(cJSON_GetArrayItem(got, 0), "at", 0) > 0);
	cJSON_Delete(got);
	ok(store_decisions(s, "web", "image", 10, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 1);
	cJSON_Delete(got);
	ok(store_decisions(s, NULL, "env", 10, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 2);
	cJSON_Delete(got);
	/* Bounded: 20,000 and what came since the last trim. */
	rows = cJSON_CreateArray();
	for (int i = 0; i < 10300; i++)
		json_push(rows, J("{'workspace':'many','point':'p%d'}", i));
	ok(store_decisions_add(s, rows, &err));
	ok(store_decisions_add(s, rows, &err));
	cJSON_Delete(rows);
	ok(store_decisions(s, NULL, NULL, 100000, &got, &err));
	assert_in_range(cJSON_GetArraySize(got), 20000, 20256);
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "point"), "p10299");
	cJSON_Delete(got);
	store_close(s);
}

/* What hooks answer may be long and come often; the log stays below its bound, and keeps the newest. */
static void decisions_are_bounded_in_bytes(void **state)
{
	struct store *s = open_store("state.db");
	char *big = xcalloc(1, 300001), *half = xcalloc(1, 15001);
	cJSON *got, *rows = cJSON_CreateArray(),
		    *row = J("{'workspace':'big','point':'env','facts':{'ws':{'name':'big'}}}");
	memset(big, 'x', 300000);
	memset(half, 'y', 15000);
	json_set_str(row, "answer", big);
	ok(store_decisions_add(s, row, &err));
	ok(store_decisions(s, "big", NULL, 10, &got, &err));
	assert_int_equal(json_int_or(got->child, "answer.cut", 0), 300002);
	assert_true(json_int_or(got->child, "facts.cut", 0) > 0);
	assert_string_equal(json_str(got->child, "point"), "env");
	cJSON_Delete(got);
	json_set_str(row, "answer", "short");
	json_set(row, "facts", J("{'long':'%s'}", big));
	ok(store_decisions_add(s, row, &err));
	ok(store_decisions(s, "big", NULL, 1, &got, &err));
	assert_string_equal(json_str(got->child, "answer"), "short");
	cJSON_Delete(got);
	json_set(row, "facts", NULL);
	json_set_str(row, "answer", half);
	for (int i = 0; i < 3072; i++)
		json_push(rows, cJSON_Duplicate(row, 1));
	ok(store_decisions_add(s, rows, &err));
	ok(store_decisions(s, NULL, NULL, 100000, &got, &err));
	/* 32 MiB of 15 KiB each, and what came since the last trim */
	assert_in_range(cJSON_GetArraySize(got), 2100, 2236 + 256);
	cJSON_Delete(got);
	cJSON_Delete(rows);
	cJSON_Delete(row);
	free(big);
	free(half);
	store_close(s);
}

static void events(void **state)
{
	struct store *s = open_store("state.db");
	int64_t id = 0, last = 0;
	cJSON *got, *ev = J("{'kind':'state','workspace':'web','at':1000}");
	ok(store_event_last(s, &last, &err));
	assert_int_equal(last, 0);
	ok(store_event_add(s, ev, &id, &err));
	assert_int_equal(id, 1);
	/* Posted ones are there for whoever reads after them, without waiting for the disk themselves. */
	for (int i = 2; i <= 10600; i++) {
		json_set_int(ev, "id", i);
		json_set_int(ev, "at", 1000 + i);
		store_event_post(s, ev);
	}
	ok(store_events(s, 10598, 0, 10, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 2);
	assert_int_equal(json_int_or(cJSON_GetArrayItem(got, 0), "id", 0), 10599);
	cJSON_Delete(got);
	ok(store_events(s, 0, 11600, 10, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 1);
	cJSON_Delete(got);
	ok(store_events(s, 0, 0, 100000, &got, &err));
	assert_in_range(cJSON_GetArraySize(got), 10000, 10256);
	cJSON_Delete(got);
	cJSON_Delete(ev);
	store_close(s);
	s = open_store("state.db");
	ok(store_event_last(s, &last, &err));
	assert_int_equal(last, 10600);
	store_close(s);
}

static void legacy(void **state)
{
	struct store *s = open_store("state.db");
	int n = -1, port;
	cJSON *got;
	ok(store_import_legacy(s, test_path("state.json"), &n, &err));
	assert_int_equal(n, 0);
	test_file("state.json", "{\"workspaces\":{");
	refused(store_import_legacy(s, test_path("state.json"), &n, &err), PERRY_EINPUT, "state.json:1:");
	test_file("state.json", "{\"workspaces\":[]}");
	refused(store_import_legacy(s, test_path("state.json"), &n, &err), PERRY_EINPUT,
		"workspaces: expected object, got array");
	test_file("state.json",
		  "{\"workspaces\":{\"web\":{\"name\":\"web\",\"status\":\"running\",\"containerId\":\"6be7\","
		  "\"created\":\"2026-11-23T17:10:23.340Z\","
		  "\"ports\":{\"ssh\":2200,\"forwards\":[{\"host\":3000,\"container\":3000}]},\"repo\":\"https://x/"
		  "y\",\"lastUsed\":\"2026-11-23T17:10:32.031Z\"},"
		  "\"twin\":{\"name\":\"twin\",\"ports\":{\"ssh\":2200}},"
		  "\"zero\":{\"name\":\"zero\",\"ports\":{\"ssh\":0,\"forwards\":[3000,{\"host\":0}]}},\"../"
		  "x\":{\"name\":\"../x\"},\"null\":null}}");
	ok(store_import_legacy(s, test_path("state.json"), &n, &err));
	assert_int_equal(n, 3);
	/* A port that another one has, and one of 0, are none. */
	ok(store_ws_get(s, "twin", &got, &err));
	assert_null(json_at(got, "ports.ssh"));
	cJSON_Delete(got);
	ok(store_ws_get(s, "zero", &got, &err));
	assert_null(json_at(got, "ports.ssh"));
	assert_int_equal(cJSON_GetArraySize(json_at(got, "ports.forwards")), 1);
	assert_int_equal(json_int_or(json_at(got, "ports.forwards")->child, "container", 0), 3000);
	cJSON_Delete(got);
	ok(store_ws_get(s, "web", &got, &err));
	assert_true(json_int_or(got, "created", 0) == clock_parse_iso("2026-11-23T17:10:23.340Z"));
	assert_true(json_int_or(got, "lastUsed", 0) == clock_parse_iso("2026-11-23T17:10:32.031Z"));
	assert_int_equal(json_int_or(got, "ports.ssh", 0), 2200);
	assert_int_equal(cJSON_GetArraySize(json_at(got, "ports.forwards")), 1);
	assert_string_equal(json_str(got, "state"), "ready");
	cJSON_Delete(got);
	assert_int_equal(claim(s, "web", 2200, 2400, NULL), 2200);
	assert_int_equal(claim(s, "twin", 2200, 2400, NULL), 2201);
	/* Once only, and a deleted one does not come back. */
	ok(store_ws_delete(s, "web", &err));
	ok(store_import_legacy(s, test_path("state.json"), &n, &err));
	assert_int_equal(n, 0);
	refused(store_port_claim(s, "web", 2200, 2400, NULL, &port, &err), PERRY_ENOTFOUND, "not found");
	assert_int_equal(access(test_path("state.json"), F_OK), 0);
	store_close(s);
}

static void pragma(const char *sql)
{
	sqlite3 *h;
	assert_int_equal(sqlite3_open(test_path("state.db"), &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

static void outbox(void **state)
{
	struct store *s = open_store("state.db");
	cJSON *row = J("{'workspace':'web','hostname':'p-web','state':'joining'}"),
	      *other = J("{'workspace':'api','since':5}"), *got;
	ok(store_outbox_put(s, row, &got, &err));
	int64_t id = json_int_or(got, "id", 0);
	assert_true(id > 0);
	assert_true(json_int_or(got, "since", 0) > 1600000000000);
	cJSON_Delete(got);
	ok(store_outbox_put(s, other, &got, &err));
	assert_int_equal(json_int_or(got, "since", 0), 5);
	cJSON_Delete(got);
	cJSON_Delete(row);
	cJSON_Delete(other);

	/* A patch merges, and the id is not for it to change. */
	cJSON *patch = J("{'node':'n1','state':'joined','hostname':null,'id':77}");
	ok(store_outbox_patch(s, id, patch, &got, &err));
	assert_int_equal(json_int_or(got, "id", 0), id);
	assert_string_equal(json_str(got, "node"), "n1");
	assert_null(json_str(got, "hostname"));
	cJSON_Delete(got);
	refused(store_outbox_patch(s, 4711, patch, &got, &err), PERRY_ENOTFOUND, "4711");
	cJSON_Delete(patch);
	store_close(s);

	s = open_store("state.db");
	ok(store_outbox(s, "web", &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 1);
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "state"), "joined");
	cJSON_Delete(got);
	ok(store_outbox_delete(s, id, &err));
	ok(store_outbox_delete(s, id, &err));
	ok(store_outbox(s, NULL, &got, &err));
	assert_int_equal(cJSON_GetArraySize(got), 1);
	assert_string_equal(json_str(cJSON_GetArrayItem(got, 0), "workspace"), "api");
	cJSON_Delete(got);
	store_close(s);
}

static void versions(void **state)
{
	struct store *s = open_store("state.db");
	ws_make(s, "web");
	store_close(s);
	pragma("PRAGMA user_version=99");
	refused(store_open(&s, test_path("state.db"), &err), PERRY_ESTATE, "schema 99");
	/* What schema 1 was, and then the way up. */
	pragma("DROP TABLE outbox; PRAGMA user_version=1");
	s = open_store("state.db");
	cJSON *got, *row = J("{'workspace':'web'}");
	ok(store_ws_get(s, "web", &got, &err));
	cJSON_Delete(got);
	ok(store_outbox_put(s, row, &got, &err));
	cJSON_Delete(got);
	cJSON_Delete(row);
	store_close(s);

	/* What is no database is named and left as it is. */
	test_file("state.db", "{\"workspaces\": \"this is not a database at all, but it is longer than the header of "
			      "one would be\"}");
	refused(store_open(&s, test_path("state.db"), &err), PERRY_EINTERNAL, "state.db is damaged");
	FILE *f = fopen(test_path("state.db"), "r");
	assert_int_equal(fgetc(f), '{');
	fclose(f);
	refused(store_open(&s, test_path("no/such/folder/state.db"), &err), PERRY_ENOTFOUND, "no/such/folder");
}

static void damaged(void **state)
{
	struct store *s = open_store("state.db");
	for (int i = 0; i < 200; i++) {
		char name[16];
		snprintf(name, sizeof name, "w%d", i);
		ws_make(s, name);
	}
	store_close(s);
	FILE *f = fopen(test_path("state.db"), "r+");
	for (int page = 1; page < 20; page++) {
		fseek(f, page * 4096L, SEEK_SET);
		for (int i = 0; i < 512; i++)
			fputc(0xa5, f);
	}
	fclose(f);
	refused(store_open(&s, test_path("state.db"), &err), PERRY_EINTERNAL, "damaged");
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_dir_make, test_dir_remove)

int main(void)
{
	const struct CMUnitTest tests[] = { T(workspaces), T(ports),     T(subnets),
					    T(key_value),  T(decisions), T(decisions_are_bounded_in_bytes),
					    T(events),     T(legacy),    T(outbox),
					    T(versions),   T(damaged) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
