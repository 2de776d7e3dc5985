#include "cli/args.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

static const struct opt common[] = {
	{ "help", 'h', NULL, false, "this help" },
	{ "agent", 0, "HOST", false, "use the agent on that machine" },
	{ NULL, 0, NULL, false, NULL },
};

static const struct opt *find_in(const struct opt *o, const char *name, size_t n, char letter)
{
	for (; o && o->name; o++)
		if (letter ? o->letter == letter : strlen(o->name) == n && strncmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

static const struct opt *find(const struct command *c, const char *name, size_t n, char letter)
{
	const struct opt *o = find_in(c->opts, name, n, letter);
	return o ? o : find_in(common, name, n, letter);
}

/* Does it pass the words after "--" on, as a command with options of its own? */
static bool passes_on(const struct command *c)
{
	return strstr(c->usage, "-- CMD") != NULL;
}

/* A word that is no option was perhaps never meant as one: a value, or a file's name. */
static int unknown(const struct command *c, const char *word, struct perry_err **err)
{
	const char *names[64];
	size_t n = 0;
	for (const struct opt *o = c->opts; o && o->name && n < 60; o++)
		names[n++] = o->name;
	for (const struct opt *o = common; o->name; o++)
		names[n++] = o->name;
	names[n] = NULL;
	cleanup_free char *plain = xstrndup(word, strcspn(word, "="));
	const char *near = str_nearest(plain + strspn(plain, "-"), names);
	cleanup_free char *why =
		near ? xasprintf("did you mean --%s?", near) : xasprintf("see: perry help %s", c->name);
	/* Names of workspaces begin with a letter, and what follows them is an option. */
	bool free_words = c->max_words != 0 && !str_starts(c->usage, "NAME") && !str_starts(c->usage, "[NAME");
	cleanup_free char *after =
		free_words ? xasprintf("\n  as a word that begins with -: perry %s ... -- %s", c->name, word)
			   : xstrdup("");
	return perry_fail(err, PERRY_EUSAGE, "%s: there is no option %s (%s)%s", c->name, plain, why, after);
}

static int put(struct args *a, const struct command *c, const struct opt *o, const char *value, struct perry_err **err)
{
	cJSON *old = cJSON_GetObjectItemCaseSensitive(a->opts, o->name);
	if (o->many) {
		if (!old) {
			old = cJSON_CreateArray();
			json_set(a->opts, o->name, old);
		}
		json_push_str(old, value);
		return 0;
	}
	if (old && o->arg)
		return perry_fail(err, PERRY_EUSAGE, "%s: --%s is given twice", c->name, o->name);
	json_set(a->opts, o->name, value ? cJSON_CreateString(value) : cJSON_CreateTrue());
	return 0;
}

static int parse_long(const struct command *c, int argc, char **argv, int *i, struct args *a, struct perry_err **err)
{
	const char *word = argv[*i] + 2, *eq = strchr(word, '=');
	const struct opt *o = find(c, word, eq ? (size_t)(eq - word) : strlen(word), 0);
	if (!o)
		return unknown(c, argv[*i], err);
	if (!o->arg) {
		if (eq)
			return perry_fail(err, PERRY_EUSAGE, "%s: --%s takes no value", c->name, o->name);
		return put(a, c, o, NULL, err);
	}
	if (eq)
		return put(a, c, o, eq + 1, err);
	if (o->arg[0] == '[')
		return put(a, c, o, NULL, err);
	if (*i + 1 >= argc)
		return perry_fail(err, PERRY_EUSAGE, "%s: --%s needs %s", c->name, o->name, o->arg);
	return put(a, c, o, argv[++*i], err);
}

static int parse_short(const struct command *c, int argc, char **argv, int *i, struct args *a, struct perry_err **err)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct opt *o = find(c, NULL, 0, *p);
		if (!o)
			return unknown(c, argv[*i], err);
		if (!o->arg) {
			if (put(a, c, o, NULL, err) < 0)
				return -1;
			continue;
		}
		if (p[1])
			return put(a, c, o, p + 1, err);
		if (*i + 1 >= argc)
			return perry_fail(err, PERRY_EUSAGE, "%s: -%c needs %s", c->name, *p, o->arg);
		return put(a, c, o, argv[++*i], err);
	}
	return 0;
}

int args_parse(const struct command *c, int argc, char **argv, struct args *a, struct perry_err **err)
{
	*a = (struct args){ .opts = cJSON_CreateObject(), .words = xcalloc((size_t)argc + 1, sizeof *a->words) };
	for (int i = 0; i < argc; i++) {
		int rc = 0;
		if (strcmp(argv[i], "--") == 0) {
			a->dashes = true;
			if (passes_on(c)) {
				a->rest = argv + i + 1;
				a->nrest = argc - i - 1;
				break;
			}
			while (++i < argc)
				a->words[a->nwords++] = argv[i];
			break;
		}
		if (str_starts(argv[i], "--"))
			rc = parse_long(c, argc, argv, &i, a, err);
		else if (argv[i][0] == '-' && argv[i][1])
			rc = parse_short(c, argc, argv, &i, a, err);
		else
			a->words[a->nwords++] = argv[i];
		if (rc < 0)
			return -1;
	}
	if (args_has(a, "help"))
		return 0;
	if (a->nwords < c->min_words || (c->max_words >= 0 && a->nwords > c->max_words))
		return perry_fail(err, PERRY_EUSAGE, "%s: %s\n  usage: perry %s %s", c->name,
				  a->nwords < c->min_words ? "something is missing" : "too many words", c->name,
				  c->usage);
	return 0;
}

int arg_check_text(const char *command, const char *word, struct perry_err **err)
{
	size_t n = strlen(word);
	if (utf8_valid(word, n))
		return 0;
	cleanup_buf struct buf shown = { 0 };
	for (const unsigned char *s = (const unsigned char *)word; *s && shown.len < 200; s++)
		buf_addf(&shown, *s < 0x20 || *s >= 0x7f ? "\\x%02x" : "%c", *s);
	return perry_fail(err, PERRY_EUSAGE, "%s: \"%s\" is no UTF-8, so it cannot be passed on as it is", command,
			  buf_str(&shown));
}

int args_check_text(const struct command *c, int argc, char **argv, struct perry_err **err)
{
	for (int i = 0; i < argc; i++)
		if (arg_check_text(c->name, argv[i], err) < 0)
			return -1;
	return 0;
}

void args_free(struct args *a)
{
	cJSON_Delete(a->opts);
	free(a->words);
}

const char *args_str(const struct args *a, const char *name)
{
	return json_str(a->opts, name);
}

bool args_has(const struct args *a, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(a->opts, name) != NULL;
}

const cJSON *args_list(const struct args *a, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(a->opts, name);
}
