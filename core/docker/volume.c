/* Volumes. */
#include "docker/priv.h"

#include "base/mem.h"

int docker_volume_create(struct docker *d, const char *name, const cJSON *labels, struct perry_err **err)
{
	cleanup_json cJSON *body = cJSON_CreateObject(), *answer = NULL;
	json_set_str(body, "Name", name);
	if (labels)
		json_set(body, "Labels", cJSON_Duplicate(labels, 1));
	if (docker_call(d, "POST", "/volumes/create", body, DOCKER_SLOW_MS, &answer, err) != 0)
		return -1;
	/* The engine answers with the old volume, whatever its labels, if there was one. */
	if (labels && !docker_labels_equal(json_at(answer, "Labels"), labels))
		return perry_fail(err, PERRY_ECONFLICT, "a volume %s exists already, and it has other labels", name);
	return 0;
}

int docker_volume_remove(struct docker *d, const char *name, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_err struct perry_err *e = NULL;
	if (docker_path(&path, "volumes", name, err) != 0)
		return -1;
	if (docker_call(d, "DELETE", path.data, NULL, DOCKER_SLOW_MS, NULL, &e) == 0 || e->status == 404)
		return 0;
	return perry_move(err, take_ptr(e));
}

int docker_volume_inspect(struct docker *d, const char *name, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (docker_path(&path, "volumes", name, err) != 0)
		return -1;
	return docker_call(d, "GET", path.data, NULL, 0, out, err);
}

int docker_volume_list(struct docker *d, const cJSON *filters, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_json cJSON *answer = NULL;
	buf_adds(&path, "/volumes");
	docker_query_json(&path, "filters", filters);
	if (docker_call(d, "GET", path.data, NULL, 0, &answer, err) != 0)
		return -1;
	cJSON *list = cJSON_DetachItemFromObjectCaseSensitive(answer, "Volumes"); /* null when there are none */
	if (!cJSON_IsArray(list)) {
		cJSON_Delete(list);
		list = cJSON_CreateArray();
	}
	*out = list;
	return 0;
}
