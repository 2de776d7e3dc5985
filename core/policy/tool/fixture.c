#include "policy/tool/fixture.h"

#include "policy/contract/points.h"

static const char facts_text[] =
	"{\"ws\":{\"name\":\"web\",\"labels\":{},\"created\":1700000000,\"owner\":\"alice\",\"branch\":\"main\","
	"\"repo\":{\"url\":\"https://github.com/acme/"
	"web.git\",\"host\":\"github.com\",\"owner\":\"acme\",\"name\":\"web\"},"
	"\"request\":{\"docker\":false,\"env\":{}},\"reason\":\"create\",\"state\":\"creating\","
	"\"tailnet\":{\"hostname\":\"web\",\"dns_name\":\"web.tail1234.ts.net\",\"ip\":\"100.64.0.7\",\"node_id\":"
	"\"n1\","
	"\"ephemeral\":false,\"online\":true,\"state\":\"joined\"},"
	"\"user\":{\"kind\":\"local\",\"login\":\"alice\",\"tags\":[]},"
	"\"agent\":{\"hostname\":\"box\",\"os\":\"linux\",\"arch\":\"x86_64\",\"cpus\":8,\"memory\":17179869184,"
	"\"workspaces\":1,\"owned\":1,\"disk\":1073741824,"
	"\"engine\":{\"version\":\"20.10\",\"runtimes\":[\"runc\"],\"userns\":false,\"tun\":true}}},"
	"\"req\":{\"kind\":\"read\",\"caller\":{\"kind\":\"local\",\"tags\":[]},\"node\":{\"login\":\"alice@example."
	"com\",\"tagged\":false}}}";

static const char extra_text[] =
	"{\"plan\":{\"image\":\"perry:latest\",\"joins\":false,\"hostname\":\"web\",\"env\":{},"
	"\"container\":{\"privileged\":false,\"network\":\"own\",\"docker\":false,\"mounts\":[{\"type\":\"volume\","
	"\"source\":\"workspace-web\","
	"\"target\":\"/home/"
	"workspace\",\"readonly\":false}],\"labels\":{},\"capabilities\":[],\"devices\":[],\"security\":[],\"sysctls\":"
	"{},"
	"\"hosts\":[],\"dns\":[]}},"
	"\"ev\":{\"kind\":\"test\",\"at\":1700000000,\"operation\":\"op1\",\"user\":{\"kind\":\"local\",\"tags\":[]},"
	"\"wanted\":\"web\",\"hostname\":\"web-1\",\"device\":{\"node_id\":\"n1\",\"ours\":true,\"online\":false,"
	"\"kept\":false}},"
	"\"port\":{\"number\":3000,\"process\":\"node\",\"address\":\"127.0.0.1\",\"loopback\":true},"
	"\"activity\":"
	"{\"since\":1700000000,\"kind\":\"typed\",\"idle_seconds\":3600,\"known\":true,"
	"\"quiet\":{\"started\":7200,\"operation\":7200,\"terminal\":7200,\"exec\":7200,\"stream\":7200,"
	"\"used\":7200,\"typed\":3600,\"ssh\":7200,\"connection\":7200,\"tailnet\":7200,\"network\":7200,"
	"\"cpu\":7200,\"disk\":7200,\"agent\":7200,\"build\":7200,\"unknown\":7200},\"span\":600,"
	"\"cpu\":0.01,\"disk\":0,\"network\":12,\"tailnet\":0,\"terminals\":0,\"execs\":0,\"streams\":0,"
	"\"ssh\":0,\"connections\":[],\"agents\":[],\"builds\":[],\"processes\":[\"bash\",\"sshd\"],"
	"\"typed\":3600,\"printed\":3600,\"ttl\":{\"seconds\":28800,\"left\":21600}}}";

cJSON *policy_fixture_facts(void)
{
	return json_parse(facts_text, sizeof facts_text - 1, "fixture", NULL);
}

cJSON *policy_fixture_extra(const char *name)
{
	const struct point *point = point_find(name);
	cleanup_json cJSON *all = json_parse(extra_text, sizeof extra_text - 1, "fixture", NULL);
	cJSON *out = cJSON_CreateObject();
	if (point && *point->extra)
		json_set(out, point->extra, cJSON_DetachItemFromObjectCaseSensitive(all, point->extra));
	if (point && point->kind == POINT_ACTION)
		json_set_str(cJSON_GetObjectItemCaseSensitive(out, "ev"), "kind", point->name + 3);
	return out;
}
