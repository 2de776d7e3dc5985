/* The policy process as a whole: the zygote and its replacement, opening a session, what is in force. */
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "policy/frame.h"
#include "policy/layers.h"
#include "policy/session.h"

int policy_new(struct policy **out, struct perry_err **err)
{
	struct zygote z;
	if (zygote_fork(&z, err) < 0)
		return perry_wrap(err, "starting the policy process");
	struct policy *p = xcalloc(1, sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	p->zygote = z;
	*out = p;
	return 0;
}

void policy_main(int argc, char **argv)
{
	zygote_main_if_asked(argc, argv);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	zygote_end(&p->zygote);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

pid_t policy_zygote_pid(const struct policy *p)
{
	struct policy *q = (struct policy *)(uintptr_t)p;
	pthread_mutex_lock(&q->lock);
	pid_t pid = q->zygote.pid;
	pthread_mutex_unlock(&q->lock);
	return pid;
}

int policy_child(struct policy *p, int *fd, int *status_fd, struct perry_err **err)
{
	pthread_mutex_lock(&p->lock);
	int r = zygote_child(&p->zygote, fd, status_fd, NULL);
	if (r < 0) {
		log_warn("policy", "the policy process (pid %d) is gone; starting it anew", (int)p->zygote.pid);
		zygote_end(&p->zygote);
		r = zygote_respawn(&p->zygote, err);
		if (r == 0)
			r = zygote_child(&p->zygote, fd, status_fd, err);
	}
	pthread_mutex_unlock(&p->lock);
	if (r == 0)
		r = fd_set_nonblock(*fd, 1);
	return r;
}

/* -- opening -- */

static int refused(const struct policy_layer *layer, const struct point *point, const char *shown,
		   struct perry_err *take_why, struct perry_err **err)
{
	cJSON *record = cJSON_CreateObject();
	json_set_str(record, "point", point ? point->name : NULL);
	json_set_str(record, "layer", layer->name);
	json_set_str(record, "file", shown);
	json_set_str(record, "message", perry_msg(take_why));
	take_why->code = PERRY_EPOLICY;
	cJSON_Delete(take_why->data);
	take_why->data = record;
	return perry_move(err, take_why);
}

/* A layer that came as text instead of a folder. */
static void open_packed(const struct policy_setup *setup, const struct policy_layer *layer, cJSON *j, cJSON *hashes)
{
	const cJSON *f, *lib = cJSON_GetObjectItemCaseSensitive(layer->packed, "lib");
	cJSON *list = cJSON_GetObjectItemCaseSensitive(j, "files");
	cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(layer->packed, "files")) {
		const char *text = json_str_or(f, "text", "");
		char hash[65];
		if (str_starts(json_str_or(f, "point", ""), "on_") &&
		    layer_muted(setup, layer->name, json_str(f, "point")))
			continue;
		sha256_hex(text, strlen(text), hash);
		json_set_str(hashes, json_str_or(f, "file", "?"), hash);
		json_push(list, cJSON_Duplicate(f, 1));
	}
	if (lib)
		json_set(j, "lib", cJSON_Duplicate(lib, 1));
}

static int open_layer(const struct policy_setup *setup, const struct policy_layer *layer, cJSON *opening, cJSON *hashes,
		      struct perry_err **err)
{
	struct layer_files files;
	cJSON *j = cJSON_CreateObject(), *list = cJSON_CreateArray(), *lib = NULL;
	int r = 0;
	json_push(cJSON_GetObjectItemCaseSensitive(opening, "layers"), j);
	json_set_str(j, "name", layer->name);
	json_set(j, "files", list);
	if (layer->settings)
		json_set(j, "settings", cJSON_Duplicate(layer->settings, 1));
	if (layer->needs)
		json_set(j, "needs", cJSON_Duplicate(layer->needs, 1));
	if (layer->packed) {
		open_packed(setup, layer, j, hashes);
		return 0;
	}
	if (layer->broken)
		return refused(layer, NULL, NULL, perry_err_copy(layer->broken), err);
	layer_scan(layer, &files);
	if (files.error)
		r = refused(layer, NULL, layer->dir, take_ptr(files.error), err);
	for (size_t i = 0; i < files.n && r == 0; i++) {
		struct layer_file *f = &files.files[i];
		if (f->off || !f->point ||
		    (f->point->kind == POINT_ACTION && layer_muted(setup, layer->name, f->point->name)))
			continue;
		if (f->error) {
			r = refused(layer, f->point, f->shown, take_ptr(f->error), err);
			break;
		}
		cJSON *file = cJSON_CreateObject();
		json_set_str(file, "point", f->point->name);
		json_set_str(file, "file", f->shown);
		json_set_str(file, "text", f->text);
		json_push(list, file);
		cJSON_AddItemToObject(hashes, f->shown, cJSON_CreateString(f->hash));
	}
	layer_files_free(&files);
	if (r == 0 && list->child)
		r = layer_lib(layer, &lib, err);
	if (lib)
		json_set(j, "lib", lib);
	return r;
}

static void mute_builtin(const struct policy_setup *setup, cJSON *opening)
{
	cJSON *muted = json_obj(opening, "muted");
	for (const struct point *p = policy_point_table; p->name; p++)
		if (p->kind == POINT_ACTION && layer_muted(setup, "built-in", p->name))
			json_set_bool(muted, p->name, true);
}

/* Hooks know no home folder. */
static void expand_mounts(cJSON *opening)
{
	cJSON *mounts = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(opening, "config"),
							 "allowedMounts"),
	      *v;
	cJSON_ArrayForEach(v, mounts) {
		cleanup_free char *full = cJSON_IsString(v) ? path_expand_home(v->valuestring) : NULL;
		if (full)
			cJSON_SetValuestring(v, full);
	}
}

static const char *builtin_hash(struct policy *p, const struct point *point)
{
	size_t i = (size_t)(point - policy_point_table);
	if (i >= ARRAY_LEN(p->hashes))
		return NULL;
	pthread_mutex_lock(&p->lock);
	if (!p->hashes[i][0] && !layer_builtin_hash(point, p->hashes[i]))
		p->hashes[i][0] = 0;
	const char *hash = p->hashes[i][0] ? p->hashes[i] : NULL; /* once written, never again */
	pthread_mutex_unlock(&p->lock);
	return hash;
}

int session_begin(struct policy *p, cJSON *opening, struct policy_session **out, struct perry_err **err)
{
	struct policy_session *s = xcalloc(1, sizeof *s);
	s->policy = p;
	s->fd = s->status_fd = -1;
	s->opening = opening;
	s->hashes = cJSON_CreateObject();
	s->needs = cJSON_CreateObject();
	s->settings = cJSON_CreateObject();
	for (const struct point *point = policy_point_table; point->name; point++) {
		const char *hash = builtin_hash(p, point);
		if (hash) {
			cleanup_free char *file = xasprintf("built-in/%s.lua", point->name);
			json_set(s->hashes, file, cJSON_CreateString(hash));
		}
	}
	if (policy_child(p, &s->fd, &s->status_fd, err) < 0 ||
	    (frame_send_until(s->fd, opening, clock_mono_ms() + DECISION_LIMITS.wall_ms, err) < 0 &&
	     (*err)->code != PERRY_EUNAVAILABLE)) {
		policy_close(s);
		return perry_wrap(err, "policy process");
	}
	*out = s;
	return 0;
}

void session_restrict(struct policy_session *s, const struct policy_layer *layer)
{
	if (!layer->needs)
		return;
	json_set(s->needs, layer->name, cJSON_Duplicate(layer->needs, 1));
	if (layer->settings)
		json_set(s->settings, layer->name, cJSON_Duplicate(layer->settings, 1));
}

/* Takes the hooks of actions out: they are most of a pack, and a plan asks none of them. */
static cJSON *take_actions(cJSON *opening)
{
	cJSON *later = cJSON_CreateObject(), *layer;
	int index = 0;
	cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(opening, "layers")) {
		cJSON *files = cJSON_GetObjectItemCaseSensitive(layer, "files");
		for (cJSON *f = files ? files->child : NULL, *next; f; f = next) {
			const struct point *point = point_find(json_str(f, "point"));
			next = f->next;
			if (!point || point->kind != POINT_ACTION)
				continue;
			cJSON_DetachItemViaPointer(files, f);
			json_set_int(f, "layer", index);
			if (!cJSON_GetObjectItemCaseSensitive(later, point->name))
				json_set(later, point->name, cJSON_CreateArray());
			json_push(cJSON_GetObjectItemCaseSensitive(later, point->name), f);
		}
		index++;
	}
	return later;
}

int policy_open(struct policy *p, const struct policy_setup *setup, struct policy_session **out, struct perry_err **err)
{
	cleanup_json cJSON *opening = cJSON_CreateObject(), *hashes = cJSON_CreateObject();
	struct perry_err *mine = NULL;
	json_set(opening, "layers", cJSON_CreateArray());
	json_set_num(opening, "time", (double)(clock_ms() / 1000));
	json_set(opening, "config", setup->config ? cJSON_Duplicate(setup->config, 1) : cJSON_CreateObject());
	expand_mounts(opening);
	mute_builtin(setup, opening);
	if (setup->limits) {
		cJSON *limits = json_obj(opening, "limits");
		json_set_int(limits, "instructions", setup->limits->instructions);
		json_set_int(limits, "cpu_ms", setup->limits->cpu_ms);
	}
	for (size_t i = 0; i < setup->nlayers; i++)
		if (open_layer(setup, &setup->layers[i], opening, hashes, &mine) < 0)
			return perry_move(err, mine);
	struct policy_session *s;
	cleanup_json cJSON *later = take_actions(opening);
	if (session_begin(p, take_ptr(opening), &s, &mine) < 0)
		return perry_move(err, mine);
	s->later = take_ptr(later);
	json_merge(s->hashes, hashes);
	for (size_t i = 0; i < setup->nlayers; i++)
		session_restrict(s, &setup->layers[i]);
	const cJSON *mounts = json_at(setup->config, "allowedMounts");
	s->allowed_mounts = mounts ? cJSON_Duplicate(mounts, 1) : cJSON_CreateArray();
	if (setup->limits)
		s->limits = *setup->limits;
	s->call = setup->call;
	s->ctx = setup->ctx;
	*out = s;
	return 0;
}

void policy_close(struct policy_session *s)
{
	if (!s)
		return;
	/* The zygote ends the process, should it still run, when the second is closed. */
	if (s->fd >= 0)
		close(s->fd);
	if (s->status_fd >= 0)
		close(s->status_fd);
	cJSON_Delete(s->opening);
	cJSON_Delete(s->later);
	cJSON_Delete(s->hashes);
	cJSON_Delete(s->needs);
	cJSON_Delete(s->settings);
	cJSON_Delete(s->allowed_mounts);
	free(s->workspace);
	free(s);
}

/* -- what is in force -- */

/* Tries something forbidden in a process of its own; true when that was its end. */
static bool probe(struct policy *p, const char *what)
{
	struct policy_session *s = NULL;
	struct perry_err *err = NULL;
	cJSON *opening = cJSON_CreateObject(), *reply = NULL;
	json_set(opening, "layers", cJSON_CreateArray());
	bool ended = false;
	if (session_begin(p, opening, &s, &err) == 0) {
		cleanup_json cJSON *msg = cJSON_CreateObject();
		json_set_str(msg, "probe", what);
		s->heard = true; /* its death is the answer, not a mishap */
		ended = session_exchange(s, msg, DECISION_LIMITS.wall_ms, &reply, &err) < 0 && err &&
			json_int_or(err->data, "signal", 0) == 31;
		policy_close(s);
	}
	cJSON_Delete(reply);
	perry_err_free(err);
	return ended;
}

cJSON *policy_confinement(const struct policy *p)
{
	struct policy *q = (struct policy *)(uintptr_t)p;
	static const char *const forbidden[] = {
		"open", "socket", "fork", "exec", "kill", "ptrace", "mmap-exec", NULL
	};
	cJSON *out = cJSON_CreateObject(), *tried = json_obj(out, "forbidden");
	bool all = true;
	for (const char *const *f = forbidden; *f; f++) {
		bool ended = probe(q, *f);
		json_set_bool(tried, *f, ended);
		all = all && ended;
	}
	json_set_bool(out, "seccomp", all);
	cleanup_free char *path = xasprintf("/proc/%d/status", (int)policy_zygote_pid(p));
	FILE *status = fopen(path, "re");
	char line[256];
	int value;
	while (status && fgets(line, sizeof line, status)) {
		if (sscanf(line, "NoNewPrivs: %d", &value) == 1)
			json_set_bool(out, "no_new_privs", value == 1);
		else if (sscanf(line, "Uid: %d", &value) == 1)
			json_set_int(out, "uid", value);
	}
	if (status)
		fclose(status);
	json_set_int(out, "pid", policy_zygote_pid(p));
	json_set_int(out, "memory_mib", 32);
	json_set_int(out, "decision_instructions", DECISION_LIMITS.instructions);
	json_set_int(out, "decision_cpu_ms", DECISION_LIMITS.cpu_ms);
	json_set_int(out, "action_instructions", ACTION_LIMITS.instructions);
	json_set_int(out, "action_cpu_ms", ACTION_LIMITS.cpu_ms);
	return out;
}
