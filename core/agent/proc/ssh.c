/* SSH keys of the agent's user: config/ssh/listKeys. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "agent/rpc/handlers.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"

enum { MAX_KEY = 64 * 1024 };

static const char *kind_of(const char *algorithm)
{
	static const struct {
		const char *prefix, *kind;
	} kinds[] = { { "ssh-ed25519", "ed25519" }, { "sk-ssh-ed25519", "ed25519" }, { "ssh-rsa", "rsa" },
		      { "ecdsa-", "ecdsa" },        { "sk-ecdsa-", "ecdsa" },        { "ssh-dss", "dsa" } };
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_starts(algorithm, kinds[i].prefix))
			return kinds[i].kind;
	return "unknown";
}

/* "SHA256:" and the hash in base64 without padding, as ssh-keygen -l shows it. False when blob is no base64. */
static bool fingerprint(const char *blob, size_t n, struct buf *out)
{
	cleanup_buf struct buf raw = { 0 };
	struct sha256 h;
	unsigned char hash[32];
	if (!n || base64_decode(&raw, blob, n) < 0)
		return false;
	sha256_init(&h);
	sha256_add(&h, raw.data, raw.len);
	sha256_end(&h, hash);
	buf_adds(out, "SHA256:");
	base64_encode(out, hash, sizeof hash);
	while (out->len && out->data[out->len - 1] == '=')
		out->data[--out->len] = 0;
	return true;
}

static cJSON *key_of(const char *dir, const char *file)
{
	cleanup_free char *public_path = path_join(dir, file), *name = xstrndup(file, strlen(file) - strlen(".pub")),
			  *path = path_join(dir, name);
	cleanup_buf struct buf text = { 0 }, print = { 0 };
	if (file_read(public_path, MAX_KEY, &text, NULL) < 0)
		return NULL;
	const char *line = buf_str(&text);
	size_t algorithm = strcspn(line, " \t\n");
	const char *blob = line + algorithm + strspn(line + algorithm, " \t");
	if (!fingerprint(blob, strcspn(blob, " \t\r\n"), &print))
		return NULL;
	cJSON *key = cJSON_CreateObject();
	json_set_str(key, "name", name);
	json_set_str(key, "path", path);
	json_set_str(key, "publicKeyPath", public_path);
	json_set_str(key, "type", kind_of(line));
	json_set_str(key, "fingerprint", buf_str(&print));
	json_set_bool(key, "hasPrivateKey", access(path, F_OK) == 0);
	return key;
}

static int only_public(const struct dirent *e)
{
	return str_ends(e->d_name, ".pub") && strlen(e->d_name) > strlen(".pub");
}

int proc_ssh_list_keys(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_free char *home = path_home(), *dir = path_join(home, ".ssh");
	struct dirent **files = NULL;
	*out = cJSON_CreateArray();
	int n = scandir(dir, &files, only_public, alphasort);
	for (int i = 0; i < n; i++) {
		cJSON *key = key_of(dir, files[i]->d_name);
		if (key)
			json_push(*out, key);
		free(files[i]);
	}
	free(files);
	return 0;
}
