#include "docker/step_argv.h"

#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/random.h"

static char life[17];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_life(void)
{
	random_hex(life, 8);
}

const char *step_life(void)
{
	pthread_once(&once, make_life);
	return life;
}

void step_exec_id(char out[32])
{
	char own[13];
	random_hex(own, 6);
	snprintf(out, 32, "%s-%s", step_life(), own);
}

enum { MAX_HEAD = 16, SIZE_TEXT = 32 };

const char **step_exec_argv(const struct step_exec *x)
{
	size_t count = 0, n = 0;
	while (x->command && x->command[count])
		count++;
	/* The one word that is made here lies behind the array, so that there is one thing to free. */
	const char **argv = xcalloc(1, (count + MAX_HEAD) * sizeof *argv + SIZE_TEXT);
	char *size = (char *)(argv + count + MAX_HEAD);
	argv[n++] = STEP_PATH;
	argv[n++] = "exec";
	argv[n++] = "--id";
	argv[n++] = x->id;
	argv[n++] = "--user";
	argv[n++] = x->user ? x->user : "workspace";
	if (x->cwd) {
		argv[n++] = "--cwd";
		argv[n++] = x->cwd;
	}
	if (x->cols) {
		snprintf(size, SIZE_TEXT, "%dx%d", x->cols, x->rows);
		argv[n++] = "--size";
		argv[n++] = size;
	}
	if (!x->command)
		argv[n++] = "--login";
	if (!x->command && x->shell) {
		argv[n++] = "--shell";
		argv[n++] = x->shell;
	}
	if (x->command)
		argv[n++] = "--";
	for (size_t i = 0; i < count; i++)
		argv[n++] = x->command[i];
	return argv;
}

const char **step_words(const cJSON *array)
{
	const char **words = xcalloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *words);
	const cJSON *word;
	size_t n = 0;
	cJSON_ArrayForEach(word, array)
		words[n++] = cJSON_IsString(word) ? word->valuestring : "";
	return words;
}

void step_kill_argv(const char *argv[8], const char *id, const char *signal, const char *grace)
{
	int n = 0;
	argv[n++] = STEP_PATH;
	argv[n++] = "kill";
	if (signal) {
		argv[n++] = "--signal";
		argv[n++] = signal;
	}
	if (grace) {
		argv[n++] = "--grace";
		argv[n++] = grace;
	}
	argv[n++] = id;
	argv[n] = NULL;
}
