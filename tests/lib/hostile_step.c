/* A STAND-IN for perry-step, of tests alone: what root in a workspace can make of it. Where ~/hostile/COMMAND is there,
 * its answer is the next line of that file (the last one again and again; `watch` says all lines and ends later), and
 * ~/hostile/channel is a program that has the channel; elsewhere it is the honest one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int honest_main(int argc, char **argv);
#define main honest_main
#include "step/main.c" /* NOLINT */
#undef main

#define DIR "/home/workspace/hostile"

/* How often this command was asked for before. */
static int count(const char *command)
{
	char path[256];
	int n = 0;
	snprintf(path, sizeof path, DIR "/.count-%s", command);
	FILE *f = fopen(path, "r");
	if (f && fscanf(f, "%d", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	f = fopen(path, "w");
	if (f) {
		fprintf(f, "%d\n", n + 1);
		fclose(f);
	}
	return n;
}

static int lie(const char *command, FILE *answers)
{
	static char line[1 << 20], last[1 << 20];
	int n = count(command);
	bool all = strcmp(command, "watch") == 0;
	for (int i = 0; fgets(line, sizeof line, answers); i++) {
		if (all)
			fputs(line, stdout);
		strcpy(last, line);
		if (!all && i == n)
			break;
	}
	if (!all)
		fputs(last, stdout);
	fflush(stdout);
	if (all)
		sleep(2);
	return 0;
}

int main(int argc, char **argv)
{
	char path[256];
	FILE *answers = NULL;
	if (argc > 1 && !strchr(argv[1], '/') && strcmp(argv[1], "init") != 0) {
		snprintf(path, sizeof path, DIR "/%.60s", argv[1]);
		answers = fopen(path, "r");
	}
	if (answers && strcmp(argv[1], "channel") == 0)
		execl(path, path, (char *)NULL);
	return answers ? lie(argv[1], answers) : honest_main(argc, argv);
}
