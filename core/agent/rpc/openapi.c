#include "agent/rpc/openapi.h"

#include <string.h>

#include "agent/http/reply.h"
#include "agent/rpc/procedure.h"
#include "agent/rpc/procedures.h"
#include "agent/rpc/schema.h"
#include "agent/who/auth.h"
#include "base/mem.h"

#define TIME    "{'type':'string','format':'date-time'}"
#define PORTS   OBJ_REQ("'ssh':" INT ",'forwards':" ARRAY(FORWARD), "'ssh'")
#define STARTUP OBJ_REQ("'steps':" ARRAY(REF("Step")) ",'updatedAt':" TIME, "'steps','updatedAt'")
#define SYNCED  OBJ_REQ("'name':" STR ",'success':" BOOL ",'error':" STR, "'name','success'")
#define DEVICE  OBJ_REQ("'id':" STR ",'name':" STR ",'login':" STR ",'at':" INT, "'id'")
#define ERROR \
	OBJ_REQ("'defined':" BOOL ",'code':" STR ",'status':" INT ",'message':" STR ",'data':" ANY, \
		"'code','status','message'")

/* What the output schemas refer to. */
static const struct {
	const char *name, *schema;
} components[] = {
	{ "Info", OBJ_REQ("'hostname':" STR ",'uptime':" INT ",'workspacesCount':" INT ",'dockerVersion':" STR
			  ",'terminalConnections':" INT ",'version':" STR ",'hostEquivalentDocker':" BOOL
			  ",'tailscale':" REF("TailscaleInfo"),
			  "'hostname','uptime','workspacesCount','dockerVersion','terminalConnections'") },
	{ "TailscaleInfo",
	  OBJ_REQ("'running':" BOOL ",'state':" STR ",'dnsName':" STR ",'user':" STR ",'https':" BOOL
		  ",'serveActive':" BOOL ",'httpsUrl':" STR ",'url':" STR
		  ",'signIn':{'enum':['identity','token']},'userspace':" BOOL ",'problem':" STR ",'mend':" STR,
		  "'running','serveActive'") },
	{ "Access", OBJ_REQ("'owner':" STR ",'access':" ARRAY(STR) ",'devices':" ARRAY(DEVICE), "'access','devices'") },
	{ "HostInfo", OBJ_REQ("'enabled':" BOOL ",'hostname':" STR ",'username':" STR ",'homeDir':" STR,
			      "'enabled','hostname','username','homeDir'") },
	{ "Step", OBJ_REQ("'id':" STR ",'label':" STR ",'message':" STR
			  ",'status':{'enum':['pending','running','done','error','skipped']}",
			  "'id','label','status'") },
	{ "Workspace",
	  OBJ_REQ("'name':" STR ",'status':{'enum':['running','stopped','creating','error']},'containerId':" STR
		  ",'created':" TIME ",'repo':" STR ",'ports':" PORTS ",'lastUsed':" TIME ",'startup':" STARTUP
		  ",'branch':" STR ",'labels':" RECORD(STR) ",'outdated':" BOOL ",'error':" STR ",'tailscale':" OBJ_REQ(
			  "'status':{'enum':['none','connecting','connected','failed']},'hostname':" STR
			  ",'dnsName':" STR ",'ip':" STR ",'keyExpiry':" TIME ",'error':" STR ",'mend':" STR,
			  "'status'") ",'ttl':" INT ",'ttlEnds':" TIME ",'stopReason':" STR
				      ",'workerVersion':{'type':['string','null']},'listeners':" ARRAY(ANY),
		  "'name','status','containerId','created','ports'") },
	{ "Operation", OBJ_REQ("'id':" STR ",'kind':" STR ",'workspace':" STR ",'started':" INT ",'ended':" INT
			       ",'state':{'enum':['queued','running','done','failed','cancelled']}"
			       ",'steps':" ARRAY(ANY) ",'error':" ANY ",'result':" ANY,
			       "'id','kind'") },
	{ "SyncAll",
	  OBJ_REQ("'synced':" INT ",'failed':" INT ",'results':" ARRAY(SYNCED), "'synced','failed','results'") },
	{ "SshKey", OBJ_REQ("'name':" STR ",'path':" STR ",'publicKeyPath':" STR ",'fingerprint':" STR
			    ",'hasPrivateKey':" BOOL ",'type':{'enum':['ed25519','rsa','ecdsa','dsa','unknown']}",
			    "'name','path','publicKeyPath','type','fingerprint','hasPrivateKey'") },
	{ "Sessions",
	  OBJ_REQ("'sessions':" ARRAY(ANY) ",'total':" INT ",'hasMore':" BOOL, "'sessions','total','hasMore'") },
	{ "Error", OBJ_REQ("'json':" ERROR, "'json'") },
	{ "Accepted", OBJ_REQ("'json':" OBJ_REQ("'operation':" STR, "'operation'"), "'json'") },
};

static cJSON *json_content(cJSON *take_schema)
{
	cJSON *content = cJSON_CreateObject();
	json_set(json_obj(content, "application/json"), "schema", take_schema);
	return content;
}

/* {"json": schema}, as every body has it. */
static cJSON *envelope(const char *schema)
{
	cJSON *outer = schema_text("{'type':'object','properties':{},'required':['json']}");
	json_set(json_obj(outer, "properties"), "json", schema_text(schema));
	return outer;
}

static cJSON *answer(const char *description, cJSON *take_schema)
{
	cJSON *a = cJSON_CreateObject();
	json_set_str(a, "description", description);
	json_set(a, "content", json_content(take_schema));
	return a;
}

static cJSON *operation_of(const struct procedure *p)
{
	cJSON *op = cJSON_CreateObject(), *tags = cJSON_CreateArray(), *answers = cJSON_CreateObject();
	cleanup_free char *id = xstrdup(p->path), *tag = xstrndup(p->path, strcspn(p->path, "/"));
	for (char *c = id; *c; c++)
		if (*c == '/')
			*c = '.';
	json_push_str(tags, tag);
	json_set_str(op, "operationId", id);
	json_set_str(op, "summary", p->summary);
	json_set(op, "tags", tags);
	json_set_str(op, "x-right", right_name(p->right));
	if (p->input) {
		cJSON *body = cJSON_CreateObject();
		json_set_bool(body, "required", true);
		json_set(body, "content", json_content(envelope(p->input)));
		json_set(op, "requestBody", body);
	}
	json_set(answers, "200", answer("Done", envelope(p->output)));
	if (p->class == PROCEDURE_OPERATION)
		json_set(answers, "202",
			 answer("With `Prefer: respond-async`: under way", schema_text(REF("Accepted"))));
	json_set(answers, "default", answer("Not done", schema_text(REF("Error"))));
	json_set(op, "responses", answers);
	return op;
}

static void add_get(cJSON *paths, const char *path, const char *summary, const char *type)
{
	cJSON *op = cJSON_CreateObject(), *ok = cJSON_CreateObject();
	json_set_str(op, "operationId", path + 1);
	json_set_str(op, "summary", summary);
	json_set_str(ok, "description", "The answer");
	json_set(json_obj(json_obj(ok, "content"), type), "schema", cJSON_CreateObject());
	json_set(json_obj(op, "responses"), "200", ok);
	json_set(json_obj(paths, path), "get", op);
}

void openapi_handle(struct agent *a, struct server_req *r, const struct caller *c)
{
	cJSON *doc = schema_text(
		"{'openapi':'3.1.0','info':{'title':'Perry agent','version':'" PERRY_VERSION
		"'},'servers':[{'url':'/'}],"
		"'security':[{'bearer':[]}],'paths':{},"
		"'components':{'securitySchemes':{'bearer':{'type':'http','scheme':'bearer'}},'schemas':{}}}");
	cJSON *paths = json_obj(doc, "paths"), *schemas = json_obj(json_obj(doc, "components"), "schemas");
	for (size_t i = 0; i < ARRAY_LEN(components); i++)
		json_set(schemas, components[i].name, schema_text(components[i].schema));
	for (const struct procedure *p = procedures; p->path; p++) {
		cleanup_free char *path = xasprintf("/rpc/%s", p->path);
		json_set(json_obj(paths, path), "post", operation_of(p));
	}
	add_get(paths, "/health", "Is the agent up, and does the engine answer; needs no token", "application/json");
	add_get(paths, "/events", "Server-sent events; Last-Event-ID, ?workspace=, ?since=, ?follow=0",
		"text/event-stream");
	add_get(paths, "/metrics", "Figures for Prometheus", "text/plain");
	agent_reply_json(a, r, 200, doc, NULL);
}
