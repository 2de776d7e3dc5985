/* GET /openapi.json: the table of procedures and schemas.json, as OpenAPI 3.1. */
#include "agent/rpc/openapi.h"

#include <string.h>

#include "agent/http/reply.h"
#include "agent/rpc/procedure.h"
#include "agent/rpc/procedures.h"
#include "agent/rpc/schemas.h"
#include "agent/who/auth.h"
#include "base/mem.h"

static cJSON *reference(const char *schema)
{
	cleanup_free char *to = xasprintf(SCHEMAS_REF "%s", schema);
	cJSON *r = cJSON_CreateObject();
	json_set_str(r, "$ref", to);
	return r;
}

static cJSON *json_content(cJSON *take_schema)
{
	cJSON *content = cJSON_CreateObject();
	json_set(json_obj(content, "application/json"), "schema", take_schema);
	return content;
}

/* {"json": schema}, as every body has it. */
static cJSON *envelope(const char *schema)
{
	cJSON *outer = cJSON_CreateObject(), *required = cJSON_CreateArray();
	json_set_str(outer, "type", "object");
	json_set(json_obj(outer, "properties"), "json", reference(schema));
	json_push_str(required, "json");
	json_set(outer, "required", required);
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
		json_set(answers, "202", answer("With `Prefer: respond-async`: under way", reference("Accepted")));
	json_set(answers, "default", answer("Not done", reference("Error")));
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

/* What stands around the paths. */
static cJSON *frame(void)
{
	cJSON *doc = cJSON_CreateObject(), *server = cJSON_CreateObject(), *need = cJSON_CreateObject();
	json_set_str(doc, "openapi", "3.1.0");
	json_set_str(json_obj(doc, "info"), "title", "Perry agent");
	json_set_str(json_obj(doc, "info"), "version", PERRY_VERSION);
	json_set_str(server, "url", "/");
	json_push(cJSON_AddArrayToObject(doc, "servers"), server);
	cJSON_AddArrayToObject(need, "bearer");
	json_push(cJSON_AddArrayToObject(doc, "security"), need);
	json_obj(doc, "paths");
	cJSON *components = json_obj(doc, "components");
	cJSON *bearer = json_obj(json_obj(components, "securitySchemes"), "bearer");
	json_set_str(bearer, "type", "http");
	json_set_str(bearer, "scheme", "bearer");
	json_set(components, "schemas", schemas_copy());
	return doc;
}

void openapi_handle(struct agent *a, struct server_req *r, const struct caller *c)
{
	cJSON *doc = frame(), *paths = json_obj(doc, "paths");
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
