/* What somebody else wrote is shown before it counts. */
#include "cli/full/packs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/full/pack_git.h"
#include "cli/full/pack_target.h"
#include "cli/out.h"
#include "cli/text.h"
#include "policy/pack/pack.h"

#define TIMEOUT_S 60

/* A pack in hand, and where it came from. */
struct fetched {
	struct pack *pack;
	cJSON *source; /* {"url", "ref", "commit"} or {"path", "host"} */
};

static void fetched_free(struct fetched *f)
{
	pack_free(f->pack);
	cJSON_Delete(f->source);
}
#define cleanup_fetched __attribute__((cleanup(fetched_free)))

/* -- what is shown before it is approved -- */

/* As printf does it; nothing hides in what others wrote. */
static __attribute__((format(printf, 1, 2))) void show(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	cleanup_free char *marked = printable_marked(text);
	fputs(marked, stdout);
}

static void show_list(const char *label, const cJSON *list, const char *prefix)
{
	const cJSON *v;
	bool first = true;
	cJSON_ArrayForEach(v, list) {
		show("  %-10s %s%s\n", first ? label : "", prefix, cJSON_IsString(v) ? v->valuestring : "?");
		first = false;
	}
}

static void show_needs(const cJSON *meta)
{
	const cJSON *needs = json_at(meta, "needs");
	bool kv = json_bool_or(needs, "kv", false);
	show("needs\n");
	show_list("network", json_at(needs, "network"), "");
	show_list("run", json_at(needs, "run"), "on the agent's machine, with any arguments: ");
	show_list("docker", json_at(needs, "docker"), "");
	if (kv)
		show("  %-10s keeps values of its own\n", "kv");
	if (!kv && !cJSON_GetArraySize(json_at(needs, "network")) && !cJSON_GetArraySize(json_at(needs, "run")) &&
	    !cJSON_GetArraySize(json_at(needs, "docker")))
		show("  nothing\n");
}

static void show_settings(const cJSON *meta)
{
	const cJSON *s;
	if (!cJSON_GetArraySize(json_at(meta, "settings")))
		return;
	show("settings (packs.%s in config.json)\n", json_str_or(meta, "name", "?"));
	cJSON_ArrayForEach(s, json_at(meta, "settings")) {
		const cJSON *dflt = json_at(s, "default");
		cleanup_free char *value = dflt ? json_print(dflt) : NULL;
		show("  %-10s %s%s%s  %s\n", json_str_or(s, "name", "?"),
		     json_bool_or(s, "secret", false) ? "secret" : json_str_or(s, "type", "?"), value ? " " : "",
		     value ? value : "", json_str_or(s, "description", ""));
	}
}

static void show_source(const cJSON *source)
{
	const char *ref = json_str(source, "ref"), *commit = json_str(source, "commit");
	show("%s", json_str_or(source, "url", json_str_or(source, "path", "?")));
	if (ref)
		show(" %s", ref);
	if (commit)
		show(" (%.12s)", commit);
	putchar('\n');
}

static void show_pack(const struct fetched *f)
{
	const struct pack *p = f->pack;
	cleanup_json cJSON *hooks = pack_hooks(p);
	const cJSON *h;
	show("pack %s, from ", p->name);
	show_source(f->source);
	if (json_str(p->meta, "description"))
		show("  %s\n", json_str(p->meta, "description"));
	show("hooks\n");
	cJSON_ArrayForEach(h, hooks)
		show("  %-14s %-9s %s\n", json_str_or(h, "point", "?"), json_str_or(h, "kind", "?"),
		     json_str_or(h, "file", "?"));
	if (!cJSON_GetArraySize(hooks))
		show("  none\n");
	show_needs(p->meta);
	show_settings(p->meta);
	show("%zu files, %zu KiB\n%s\n", p->n, (p->total + 1023) >> 10, p->hash);
}

static void show_change(const struct fetched *f, const struct pack *before)
{
	cleanup_free char *diff = git_diff(before, f->pack);
	const cJSON *old = json_at(before->meta, "needs"), *fresh = json_at(f->pack->meta, "needs");
	show("pack %s, now from ", f->pack->name);
	show_source(f->source);
	show("%s", diff);
	if (!old != !fresh || (old && !json_equal(old, fresh))) {
		show("It needs something else than before:\n");
		show_needs(f->pack->meta);
	}
	show("%s\n", f->pack->hash);
}

/* -- fetching -- */

static int timeout_of(const struct args *a, int *ms, struct perry_err **err)
{
	long long s = TIMEOUT_S;
	const char *text = args_str(a, "timeout");
	if (text && str_to_int(text, 1, 3600, &s) < 0)
		return perry_fail(err, PERRY_EUSAGE, "--timeout: expected seconds (1 to 3600), got \"%s\"", text);
	*ms = (int)s * 1000;
	return 0;
}

static bool is_bare(const char *dir)
{
	cleanup_free char *head = path_join(dir, "HEAD"), *objects = path_join(dir, "objects");
	return access(head, F_OK) == 0 && access(objects, F_OK) == 0;
}

/* What was typed as a source. A folder with pack.json is taken as it is; --ref, or a bare repository, makes it git's.
 */
static int source_of(const char *text, const char *ref, const struct target *t, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *j = cJSON_CreateObject();
	char host[256] = "";
	if (git_is_url(text)) {
		json_set_str(j, "url", text);
	} else {
		cleanup_free char *expanded = path_expand_home(text), *full = realpath(expanded, NULL);
		if (!full)
			return perry_fail_errno(err, errno, "%s", text);
		cleanup_free char *url = xasprintf("file://%s", full);
		if (ref || is_bare(full))
			json_set_str(j, "url", url);
		else
			json_set_str(j, "path", full);
	}
	if (json_str(j, "url") && git_check_source(json_str(j, "url"), ref, err) < 0)
		return -1;
	json_set_str(j, "ref", ref);
	if (t->remote && json_str(j, "path") && gethostname(host, sizeof host - 1) == 0)
		json_set_str(j, "host", host);
	*out = take_ptr(j);
	return 0;
}

static int fetch(const cJSON *source, int timeout_ms, struct fetched *out, struct perry_err **err)
{
	const char *url = json_str(source, "url");
	out->source = cJSON_Duplicate(source, 1);
	if (!url)
		return pack_read(json_str_or(source, "path", ""), (uid_t)-1, &out->pack, err);
	struct pack_source s = { .url = url, .ref = json_str(source, "ref"), .timeout_ms = timeout_ms };
	cleanup_free char *commit = NULL;
	if (err_is_tty())
		text_printf(stderr, "Fetching %s\n", url);
	if (git_fetch_pack(&s, &out->pack, &commit, err) < 0)
		return -1;
	json_set_str(out->source, "commit", commit);
	return 0;
}

/* Where an approved pack comes from, as source_of gives it. */
static int source_of_entry(const cJSON *entry, cJSON **out, struct perry_err **err)
{
	static const char *const members[] = { "url", "ref", "path", "host" };
	char host[256] = "";
	const char *from = json_str(entry, "host");
	if (from && (gethostname(host, sizeof host - 1) < 0 || strcmp(host, from) != 0))
		return perry_fail(err, PERRY_ESTATE, "the pack '%s' came from %s on %s: update it from there",
				  json_str_or(entry, "name", "?"), json_str_or(entry, "path", "?"), from);
	*out = cJSON_CreateObject();
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		json_set_str(*out, members[i], json_str(entry, members[i]));
	return 0;
}

/* -- approval -- */

static char *again(const struct fetched *f)
{
	const char *url = json_str(f->source, "url"), *ref = json_str(f->source, "ref");
	return xasprintf("perry hooks add %s%s%s --expect %s", url ? url : json_str_or(f->source, "path", ""),
			 ref ? " --ref " : "", ref ? ref : "", f->pack->hash);
}

/* 0: approved; 1: not, and it was said; -1: an error. */
static int agree(const struct args *a, const struct fetched *f, struct perry_err **err)
{
	const char *expect = args_str(a, "expect");
	if (expect && strcmp(expect, f->pack->hash) != 0)
		return perry_fail(err, PERRY_ECONFLICT, "the content is %s, not the expected %s: nothing is approved",
				  f->pack->hash, expect);
	if (expect)
		return 0;
	out_flush(NULL);
	cleanup_free char *command = again(f);
	if (!in_is_tty() || args_has(a, "yes"))
		return perry_fail(err, PERRY_EUSAGE, "nothing is approved: %s\n  when it is what you want: %s",
				  args_has(a, "yes") ? "-y does not say to which content"
						     : "there is no terminal to ask on",
				  command);
	if (ask_yes(NULL, "Approve it?"))
		return 0;
	fprintf(stderr, "Nothing is approved.\n");
	return 1;
}

static int say_history(const cJSON *entry, const struct fetched *f, int timeout_ms)
{
	const char *old = json_str(entry, "commit"), *commit = json_str(f->source, "commit");
	bool rewritten = false;
	cleanup_err struct perry_err *why = NULL;
	struct pack_source s = { .url = json_str(f->source, "url"),
				 .ref = json_str(f->source, "ref"),
				 .timeout_ms = timeout_ms };
	/* Another ref is another line of history: nothing to compare. */
	if (!s.url || !old || str_eq(old, commit) || !str_eq(json_str(entry, "ref"), s.ref))
		return 0;
	if (git_rewritten(&s, old, commit, &rewritten, &why) < 0)
		text_printf(stderr, "perry: whether the history was rewritten cannot be told: %s\n", perry_msg(why));
	else if (rewritten)
		text_printf(
			stderr,
			"perry: the history was rewritten: the approved commit %.12s is not in that of %s any more.\n"
			"  Ask whoever keeps it before you approve.\n",
			old, s.ref ? s.ref : "the default branch");
	return 0;
}

static int report(const struct args *a, const cJSON *entry, const char *what, struct perry_err **err)
{
	if (args_has(a, "json")) {
		cleanup_json cJSON *short_entry = cJSON_Duplicate(entry, 1);
		json_set(short_entry, "files", NULL);
		return out_json(a, short_entry, err);
	}
	text_printf(stderr, "The pack %s is %s.\n", json_str_or(entry, "name", "?"), what);
	return 0;
}

/* Of what is approved, the entry of this source. */
static const cJSON *entry_of_source(const cJSON *packs, const cJSON *source)
{
	const cJSON *e;
	cJSON_ArrayForEach(e, packs)
		if (json_str(e, "hash") && str_eq(json_str(e, "url"), json_str(source, "url")) &&
		    str_eq(json_str(e, "path"), json_str(source, "path")))
			return e;
	return NULL;
}

/* entry: what is approved from this source, or NULL. */
static int approve(const struct args *a, const struct target *t, const cJSON *entry, const struct fetched *f,
		   int timeout_ms, struct perry_err **err)
{
	const char *before = json_str(entry, "hash"), *commit = json_str(f->source, "commit");
	bool same = str_eq(before, f->pack->hash), whole = str_eq(json_str(entry, "state"), "used");
	cleanup_json cJSON *fresh = NULL;
	cleanup_pack struct pack *old = NULL;
	if (same && whole && str_eq(json_str(entry, "commit"), commit) &&
	    str_eq(json_str(entry, "ref"), json_str(f->source, "ref")))
		return report(a, entry, "approved and up to date", err);
	say_history(entry, f, timeout_ms);
	if (!same) {
		/* One whose files are damaged is shown whole, as at first. */
		if (args_has(a, "json"))
			; /* a program asks: standard output is for the answer */
		else if (entry && target_get(t, f->pack->name, &old, NULL) == 0)
			show_change(f, old);
		else
			show_pack(f);
		int no = agree(a, f, err);
		if (no)
			return no;
	}
	if (target_approve(t, f->pack, f->source, before, &fresh, err) < 0)
		return -1;
	return report(a, fresh,
		      !same   ? "approved"
		      : whole ? "the same content at another commit"
			      : "as it was approved again",
		      err);
}

int hooks_add(const struct args *a, struct perry_err **err)
{
	cleanup_target struct target t = { 0 };
	cleanup_fetched struct fetched f = { 0 };
	cleanup_json cJSON *packs = NULL, *source = NULL;
	int timeout_ms;
	if (timeout_of(a, &timeout_ms, err) < 0 || target_open(&t, err) < 0 ||
	    source_of(a->words[0], args_str(a, "ref"), &t, &source, err) < 0 || target_list(&t, &packs, err) < 0 ||
	    fetch(source, timeout_ms, &f, err) < 0)
		return -1;
	return approve(a, &t, entry_of_source(packs, f.source), &f, timeout_ms, err);
}

static const cJSON *entry_named(const cJSON *packs, const char *name, struct perry_err **err)
{
	const cJSON *e;
	cJSON_ArrayForEach(e, packs)
		if (json_str(e, "hash") && str_eq(json_str(e, "name"), name))
			return e;
	perry_fail(err, PERRY_ENOTFOUND, "there is no pack '%s'\n  see: perry hooks list --packs", name);
	return NULL;
}

int packs_newest(const char *what, char **dir, struct perry_err **err)
{
	cleanup_target struct target t = { 0 };
	cleanup_fetched struct fetched f = { 0 };
	cleanup_json cJSON *packs = NULL, *source = NULL;
	bool url = git_is_url(what);
	const cJSON *e = NULL;
	if (target_open(&t, err) < 0 || (!url && target_list(&t, &packs, err) < 0))
		return -1;
	if (!url && !(e = entry_named(packs, what, err)))
		return perry_wrap(err, "%s is neither a folder, nor an address, nor a pack", what);
	if ((url ? source_of(what, NULL, &t, &source, err) : source_of_entry(e, &source, err)) < 0 ||
	    fetch(source, TIMEOUT_S * 1000, &f, err) < 0 || dir_temp("perry-pack", dir, err) < 0)
		return -1;
	return pack_write(f.pack, *dir, err);
}

static int update_one(const struct args *a, const struct target *t, const cJSON *entry, int timeout_ms,
		      struct perry_err **err)
{
	cleanup_fetched struct fetched f = { 0 };
	cleanup_json cJSON *source = NULL;
	if (source_of_entry(entry, &source, err) < 0 || fetch(source, timeout_ms, &f, err) < 0)
		return perry_wrap(err, "%s", json_str_or(entry, "name", "?"));
	return approve(a, t, entry, &f, timeout_ms, err);
}

int hooks_update(const struct args *a, struct perry_err **err)
{
	cleanup_target struct target t = { 0 };
	cleanup_json cJSON *packs = NULL;
	const cJSON *e;
	int timeout_ms, rc = 0;
	if (args_has(a, "expect") && a->nwords != 1)
		return perry_fail(err, PERRY_EUSAGE, "--expect is of one pack: perry hooks update NAME --expect HASH");
	if (timeout_of(a, &timeout_ms, err) < 0 || target_open(&t, err) < 0 || target_list(&t, &packs, err) < 0)
		return -1;
	for (int i = 0; i < a->nwords && rc >= 0; i++) {
		if (!(e = entry_named(packs, a->words[i], err)))
			return -1;
		int r = update_one(a, &t, e, timeout_ms, err);
		rc = r < 0 ? -1 : rc | r;
	}
	cJSON_ArrayForEach(e, packs) {
		if (a->nwords || rc < 0 || !json_str(e, "hash"))
			continue;
		int r = update_one(a, &t, e, timeout_ms, err);
		rc = r < 0 ? -1 : rc | r;
	}
	return rc;
}

static cJSON *look_at(const cJSON *entry, int timeout_ms)
{
	cleanup_json cJSON *source = NULL;
	cleanup_err struct perry_err *why = NULL;
	cleanup_pack struct pack *p = NULL;
	cleanup_free char *commit = NULL;
	cJSON *row = cJSON_CreateObject();
	const char *url = json_str(entry, "url");
	json_set_str(row, "name", json_str(entry, "name"));
	json_set_str(row, "source", url ? url : json_str(entry, "path"));
	json_set_str(row, "ref", json_str(entry, "ref"));
	json_set_str(row, "approved", url ? json_str(entry, "commit") : json_str(entry, "hash"));
	struct pack_source s = { .url = url, .ref = json_str(entry, "ref"), .timeout_ms = timeout_ms };
	int rc = source_of_entry(entry, &source, &why);
	if (rc == 0)
		rc = url ? git_newest(&s, &commit, &why)
			 : pack_read(json_str_or(entry, "path", ""), (uid_t)-1, &p, &why);
	json_set_str(row, "newest", rc < 0 ? NULL : url ? commit : p->hash);
	json_set_str(row, "error", rc < 0 ? perry_msg(why) : NULL);
	json_set_bool(row, "outdated", rc == 0 && !str_eq(json_str(row, "approved"), json_str(row, "newest")));
	return row;
}

int hooks_outdated(const struct args *a, struct perry_err **err)
{
	static const char *const heads[] = { "PACK", "SOURCE", "REF", "APPROVED", "NEWEST" };
	cleanup_target struct target t = { 0 };
	cleanup_json cJSON *packs = NULL, *rows = cJSON_CreateArray();
	struct table table = { heads, 5, NULL, 0 };
	const cJSON *e;
	int timeout_ms, failed = 0;
	if (timeout_of(a, &timeout_ms, err) < 0 || target_open(&t, err) < 0 || target_list(&t, &packs, err) < 0)
		return -1;
	cJSON_ArrayForEach(e, packs)
		if (json_str(e, "hash"))
			json_push(rows, look_at(e, timeout_ms));
	if (args_has(a, "json"))
		return out_json(a, rows, err);
	cJSON_ArrayForEach(e, rows) {
		if (json_str(e, "error")) {
			text_printf(stderr, "perry: %s: %s\n", json_str_or(e, "name", "?"), json_str(e, "error"));
			failed = 1;
		}
		if (!json_bool_or(e, "outdated", false))
			continue;
		table_add(&table, json_str_or(e, "name", "?"));
		table_add(&table, json_str_or(e, "source", "?"));
		table_add(&table, json_str_or(e, "ref", ""));
		table_addf(&table, "%.19s", json_str_or(e, "approved", "?"));
		table_addf(&table, "%.19s", json_str_or(e, "newest", "?"));
	}
	if (table.n)
		table_print(&table);
	else if (!failed)
		fprintf(stderr, "All packs are as they were approved.\n");
	return failed;
}

int hooks_packs(const struct args *a, struct perry_err **err)
{
	static const char *const heads[] = { "PACK", "STATE", "SOURCE", "REF", "COMMIT", "HASH" };
	cleanup_target struct target t = { 0 };
	cleanup_json cJSON *packs = NULL;
	struct table table = { heads, 6, NULL, 0 };
	const cJSON *e;
	bool refused = false;
	if (target_open(&t, err) < 0 || target_list(&t, &packs, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, packs, err);
	cJSON_ArrayForEach(e, packs) {
		table_add(&table, json_str_or(e, "name", "?"));
		table_add(&table, json_str_or(e, "state", "?"));
		table_add(&table, json_str(e, "url") ? json_str(e, "url") : json_str_or(e, "path", ""));
		table_add(&table, json_str_or(e, "ref", ""));
		table_addf(&table, "%.12s", json_str_or(e, "commit", ""));
		table_addf(&table, "%.19s", json_str_or(e, "hash", ""));
	}
	table_print(&table);
	out_flush(NULL);
	cJSON_ArrayForEach(e, packs) {
		if (json_str(e, "problem"))
			text_printf(stderr, "perry: %s\n", json_str(e, "problem"));
		refused = refused || json_str(e, "problem");
	}
	return refused ? 1 : 0;
}

int hooks_remove(const struct args *a, struct perry_err **err)
{
	cleanup_target struct target t = { 0 };
	if (target_open(&t, err) < 0)
		return -1;
	for (int i = 0; i < a->nwords; i++)
		if (target_remove(&t, a->words[i], err) < 0)
			return -1;
	return 0;
}

/* -- for whoever writes packs -- */

int hooks_pack_hash(const struct args *a, struct perry_err **err)
{
	cleanup_pack struct pack *p = NULL;
	if (pack_read(a->nwords ? a->words[0] : ".", (uid_t)-1, &p, err) < 0)
		return -1;
	if (!args_has(a, "json")) {
		printf("%s\n", p->hash);
		return 0;
	}
	cleanup_json cJSON *j = cJSON_CreateObject();
	json_set_str(j, "name", p->name);
	json_set_str(j, "hash", p->hash);
	json_set(j, "files", pack_manifest(p));
	return out_json(a, j, err);
}
