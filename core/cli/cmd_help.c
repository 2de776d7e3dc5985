#include "cli/cmd_help.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/out.h"

int help_group(const char *name)
{
	size_t n = strlen(name);
	int shown = 0;
	for (const struct command *c = commands; c->name; c++)
		if (strncmp(c->name, name, n) == 0 && c->name[n] == ' ' && ++shown)
			printf("  %-20s %s\n", c->name, c->summary);
	return shown;
}

void help_command(const struct command *c)
{
	printf("perry %s %s\n  %s\n", c->name, c->usage, c->summary);
	if (c->alias)
		printf("  also: perry %s\n", c->alias);
	for (const struct opt *o = c->opts; o && o->name; o++) {
		cleanup_free char *name = o->arg ? xasprintf("--%s%s%s", o->name, o->arg[0] == '[' ? "=" : " ", o->arg)
						 : xasprintf("--%s", o->name);
		if (o->letter)
			printf("  -%c, %-20s %s\n", o->letter, name, o->help);
		else
			printf("      %-20s %s\n", name, o->help);
	}
	printf("      %-20s %s\n", "--agent HOST", "use the agent on that machine");
	printf("example:\n  %s\n", c->example);
	for (const struct command *b = commands; b->name; b++)
		if (str_starts(b->name, c->name) && b->name[strlen(c->name)] == ' ') {
			printf("more:\n");
			help_group(c->name);
			break;
		}
}

void help_all(void)
{
	printf("Perry gives this machine a fleet of isolated workspaces.\n\nusage: perry COMMAND [OPTIONS]\n\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-20s %s\n", c->name, c->summary);
	printf("\nMore on one: perry help COMMAND. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no agent reachable, "
	       "4 not authorised,\n"
	       "5 not found, 6 conflict or wrong state, 7 refused by policy, 124 timeout, 130 interrupted,\n"
	       "141 nobody reads the output. What exec and shell pass on: the command's own.\n");
}

int cmd_help(const struct args *a, struct perry_err **err)
{
	int used;
	if (!a->nwords) {
		help_all();
		return 0;
	}
	const struct command *c = command_find(a->nwords, a->words, &used);
	if (c && used == a->nwords) {
		help_command(c);
		return 0;
	}
	return help_group(a->words[0])
		       ? 0
		       : perry_fail(err, PERRY_EUSAGE, "there is no command \"%s\"\n  see: perry help", a->words[0]);
}

int cmd_version(const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *j = cJSON_CreateObject();
	json_set_str(j, "version", PERRY_VERSION);
	if (args_has(a, "json"))
		return out_json(a, j, err);
	printf("%s\n", PERRY_VERSION);
	return 0;
}

/* Which commands take a workspace's name. */
static bool takes_name(const struct command *c)
{
	return str_starts(c->usage, "NAME") || str_starts(c->usage, "[NAME]") || str_starts(c->usage, "SRC");
}

static void words(const char *sep)
{
	for (const struct command *c = commands; c->name; c++) {
		cleanup_free char *first = xstrndup(c->name, strcspn(c->name, " "));
		bool seen = false;
		for (const struct command *b = commands; b < c; b++)
			seen = seen || (strncmp(b->name, first, strlen(first)) == 0 &&
					(!b->name[strlen(first)] || b->name[strlen(first)] == ' '));
		if (!seen)
			printf("%s%s", first, sep);
	}
}

static void completion_bash(void)
{
	printf("_perry() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]} sub=\"${COMP_WORDS[1]} "
	       "${COMP_WORDS[2]}\"\n\tCOMPREPLY=()\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	words(" ");
	printf("\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tif [ \"$COMP_CWORD\" -eq 2 ]; then\n\t\tcase $cmd in\n");
	static const char *const groups[] = { "agent", "hooks", "config", "auth", "completion" };
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		size_t n = strlen(groups[i]);
		printf("\t\t%s) COMPREPLY=($(compgen -W \"", groups[i]);
		if (i == 4)
			printf("bash zsh fish");
		for (const struct command *c = commands; c->name; c++)
			if (strncmp(c->name, groups[i], n) == 0 && c->name[n] == ' ')
				printf("%s ", c->name + n + 1);
		printf("\" -- \"$cur\")); return ;;\n");
	}
	printf("\t\tesac\n\tfi\n\tif [ \"${COMP_WORDS[COMP_CWORD - 1]}\" = --log-level ]; "
	       "then\n\t\tCOMPREPLY=($(compgen -W "
	       "\"error warn info debug\" -- \"$cur\"))\n\t\treturn\n\tfi\n"
	       "\tcase $cur in\n\t-*)\n\t\tcase $sub in\n");
	for (const struct command *c = commands; c->name; c++) {
		if (!strchr(c->name, ' ') || !c->opts)
			continue;
		printf("\t\t\"%s\") COMPREPLY=($(compgen -W \"", c->name);
		for (const struct opt *o = c->opts; o->name; o++)
			printf("--%s ", o->name);
		printf("--agent --help\" -- \"$cur\")); return ;;\n");
	}
	printf("\t\tesac\n\t\tcase $cmd in\n");
	for (const struct command *c = commands; c->name; c++) {
		if (strchr(c->name, ' ') || !c->opts)
			continue;
		printf("\t\t%s%s%s) COMPREPLY=($(compgen -W \"", c->name, c->alias ? "|" : "",
		       c->alias ? c->alias : "");
		for (const struct opt *o = c->opts; o->name; o++)
			printf("--%s ", o->name);
		printf("--agent --help\" -- \"$cur\")) ;;\n");
	}
	printf("\t\tesac\n\t\treturn\n\t\t;;\n\tesac\n\tcase $cmd in\n\t");
	bool first = true;
	for (const struct command *c = commands; c->name; c++) {
		if (strchr(c->name, ' ') || !takes_name(c))
			continue;
		printf("%s%s", first ? "" : "|", c->name);
		if (c->alias)
			printf("|%s", c->alias);
		first = false;
	}
	printf("|cp)\n\t\tCOMPREPLY=($(compgen -W \"$(perry list -q 2>/dev/null)\" -- \"$cur\")) "
	       ";;\n\tesac\n}\ncomplete -o default -F _perry perry\n");
}

static void completion_zsh(void)
{
	printf("#compdef perry\nautoload -U +X bashcompinit && bashcompinit\n");
	completion_bash();
}

/* One word of fish, which it takes as it stands: within its single quotes a backslash hides a quote or a backslash. */
static char *fish_word(const char *text)
{
	struct buf out = { 0 };
	buf_addc(&out, '\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'' || *p == '\\')
			buf_addc(&out, '\\');
		buf_addc(&out, *p);
	}
	buf_addc(&out, '\'');
	return buf_take(&out);
}

/* -a and -n are evaluated when something is completed, -d is shown. */
static void fish_line(const char *condition, const char *rest, const char *description)
{
	cleanup_free char *when = fish_word(condition), *what = description ? fish_word(description) : NULL;
	printf("complete -c perry -n %s %s%s%s\n", when, rest, what ? " -d " : "", what ? what : "");
}

static void completion_fish(void)
{
	printf("complete -c perry -f\n");
	for (const struct command *c = commands; c->name; c++) {
		cleanup_free char *first = xstrndup(c->name, strcspn(c->name, " ")),
				  *after = xasprintf("__fish_seen_subcommand_from %s", first);
		cleanup_free char *name = fish_word(c->name[strlen(first)] ? c->name + strlen(first) + 1 : c->name),
				  *word = xasprintf("-a %s", name);
		if (c->name[strlen(first)]) {
			fish_line(after, word, c->summary);
			continue;
		}
		fish_line("__fish_use_subcommand", word, c->summary);
		for (const struct opt *o = c->opts; o && o->name; o++) {
			cleanup_free char *option = xasprintf("-l %s%s", o->name, o->arg ? " -r" : "");
			fish_line(after, option, NULL);
		}
		if (takes_name(c))
			fish_line(after, "-a '(perry list -q 2>/dev/null)'", NULL);
	}
	fish_line("__fish_use_subcommand", "-a 'agent hooks config auth'", NULL);
}

int cmd_completion(const struct args *a, struct perry_err **err)
{
	const char *shell = a->words[0];
	if (strcmp(shell, "bash") == 0)
		completion_bash();
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh();
	else if (strcmp(shell, "fish") == 0)
		completion_fish();
	else
		return perry_fail(err, PERRY_EUSAGE, "completion: bash, zsh or fish, not \"%s\"", shell);
	return 0;
}
