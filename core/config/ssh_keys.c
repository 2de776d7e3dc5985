/* SSH keys that lie in a user's ~/.ssh, and what may be named as one. */
#include "config/ssh_keys.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/secret.h"
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

cJSON *ssh_keys_list(void)
{
	cleanup_free char *home = path_home(), *dir = path_join(home, ".ssh");
	struct dirent **files = NULL;
	cJSON *list = cJSON_CreateArray();
	int n = scandir(dir, &files, only_public, alphasort);
	for (int i = 0; i < n; i++) {
		cJSON *key = key_of(dir, files[i]->d_name);
		if (key)
			json_push(list, key);
		free(files[i]);
	}
	free(files);
	return list;
}

/* The blob is texts behind their lengths and nothing else, the first of them the algorithm's name once more. */
static bool is_public_line(const char *line)
{
	size_t n = strcspn(line, " \t"), at = 0, texts = 0;
	const char *blob = line + n + strspn(line + n, " \t");
	cleanup_buf struct buf raw = { 0 };
	if (!n || base64_decode(&raw, blob, strcspn(blob, " \t\r\n")) < 0 || raw.len < 4 + n ||
	    memcmp(raw.data + 4, line, n) != 0)
		return false;
	for (; raw.len - at >= 4; texts++) {
		const unsigned char *b = (const unsigned char *)raw.data + at;
		size_t len = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
		if (len > raw.len - at - 4 || (!at && len != n))
			return false;
		at += 4 + len;
	}
	return at == raw.len && texts >= 2;
}

static void wipe_text(struct buf *text)
{
	if (text->len)
		wipe(text->data, text->len);
}

static int read_key(const char *path, struct buf *out, struct perry_err **err)
{
	cleanup_free char *full = path_expand_home(path);
	if (full[0] != '/')
		return perry_fail(err, PERRY_EINPUT, "%s: expected a whole path (/... or ~/...)", path);
	return file_read(full, MAX_KEY, out, err);
}

int ssh_key_check_public(const char *key, struct perry_err **err)
{
	cleanup_buf struct buf text = { 0 };
	bool file = key[0] == '/' || key[0] == '~';
	if (file && read_key(key, &text, err) < 0)
		return -1;
	const char *line = file ? buf_str(&text) : key;
	bool private = strstr(line, "PRIVATE KEY") != NULL;
	bool good = !private && is_public_line(line + strspn(line, " \t\r\n"));
	wipe_text(&text);
	if (good)
		return 0;
	return perry_fail(err, PERRY_EINPUT,
			  private ? "that is a private key: who may log in is said by its public half (.pub)"
				  : "that is no public key: expected a line such as ssh-ed25519 AAAA... you@host, or "
				    "the path of a .pub file");
}

int ssh_key_check_private(const char *path, struct perry_err **err)
{
	cleanup_buf struct buf text = { 0 };
	if (read_key(path, &text, err) < 0)
		return -1;
	const char *end = strchr(buf_str(&text), '\n'), *mark = strstr(buf_str(&text), "PRIVATE KEY-----");
	bool good = str_starts(buf_str(&text), "-----BEGIN ") && mark && end && mark < end;
	wipe_text(&text);
	return good ? 0
		    : perry_fail(err, PERRY_EINPUT, "%s is no private key%s", path,
				 str_ends(path, ".pub") ? ": it is the public half" : "");
}
