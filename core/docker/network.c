/* Networks. */
#include <string.h>

#include "base/mem.h"
#include "docker/priv.h"

/* One of that name exists: it is success if it is the same one, told by its labels. */
static int take_existing(struct docker *d, const cJSON *spec, char id_out[65], struct perry_err *conflict,
			 struct perry_err **err)
{
	cleanup_err struct perry_err *e = conflict;
	cleanup_json cJSON *network = NULL;
	const char *name = json_str(spec, "Name");
	if (!name || docker_network_inspect(d, name, &network, NULL) != 0 || !str_eq(json_str(network, "Name"), name) ||
	    !docker_labels_equal(json_at(network, "Labels"), json_at(spec, "Labels")))
		return perry_move(err, take_ptr(e));
	return docker_take_id(network, "Id", id_out, 65, err);
}

int docker_network_create(struct docker *d, const cJSON *spec, char id_out[65], struct perry_err **err)
{
	cleanup_json cJSON *body = cJSON_Duplicate(spec, 1), *answer = NULL;
	cleanup_err struct perry_err *e = NULL;
	json_set_bool(body, "CheckDuplicate", true); /* engines before API 1.44 make two of one name otherwise */
	if (docker_call(d, "POST", "/networks/create", body, DOCKER_SLOW_MS, &answer, &e) == 0)
		return docker_take_id(answer, "Id", id_out, 65, err);
	if (e->code == PERRY_ECONFLICT)
		return take_existing(d, spec, id_out, take_ptr(e), err);
	return perry_move(err, take_ptr(e));
}

int docker_network_remove(struct docker *d, const char *name, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_err struct perry_err *e = NULL;
	if (docker_path(&path, "networks", name, err) != 0)
		return -1;
	if (docker_call(d, "DELETE", path.data, NULL, DOCKER_SLOW_MS, NULL, &e) == 0 || e->status == 404)
		return 0;
	if (e->status == 403 && strstr(perry_msg(e), "endpoints"))
		e->code = PERRY_ECONFLICT; /* not a question of rights: containers are attached */
	return perry_move(err, take_ptr(e));
}

int docker_network_inspect(struct docker *d, const char *name, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (docker_path(&path, "networks", name, err) != 0)
		return -1;
	return docker_call(d, "GET", path.data, NULL, 0, out, err);
}

int docker_network_list(struct docker *d, const cJSON *filters, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	buf_adds(&path, "/networks");
	docker_query_json(&path, "filters", filters);
	return docker_call(d, "GET", path.data, NULL, 0, out, err);
}
