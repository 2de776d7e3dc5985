/* The screen of a session: what a terminal would show that had read all of its program's output. It takes hostile bytes
 * and understands what xterm.js does (its rules decide where terminals differ); everything else is ignored and not
 * passed on in pieces. Not for several threads at once. docs/streams.md says how viewers are served from it. */
#ifndef PERRY_AGENT_SCREEN_SCREEN_H
#define PERRY_AGENT_SCREEN_SCREEN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SCREEN_COLS_MAX   500
#define SCREEN_ROWS_MAX   200
#define SCREEN_LINES_MAX  10000       /* above the screen */
#define SCREEN_ABOVE_MAX  (16u << 20) /* their bytes */
#define SCREEN_STRING_MAX (64u << 10) /* of a title, a clipboard: longer ones are ignored whole */
#define SCREEN_REPLY_MAX  1024        /* bytes that one feed answers */

struct screen;

/* Sizes are cut to 2..SCREEN_COLS_MAX, 1..SCREEN_ROWS_MAX. lines: how many lines above the screen it keeps, at most
 * SCREEN_LINES_MAX; 0: none. Never NULL. */
struct screen *screen_new(int cols, int rows, int lines);
void screen_free(struct screen *s);

/* Takes output of the program; it may end anywhere. Either may be NULL:
 * view: gets what those who have a frame must be sent now. It consists of whole characters and sequences: what is not
 *	whole yet is kept back, questions to the terminal are left out, titles are made clean.
 * reply: gets what is to be typed into the program as the answers. Give it for output that is new only, never for what
 *	was kept and is read again. */
void screen_feed(struct screen *s, const char *bytes, size_t n, struct buf *view, struct buf *reply);

/* Lines that had been wrapped are wrapped anew, as viewers do. Viewers get a frame afterwards. */
void screen_resize(struct screen *s, int cols, int rows);
void screen_size(const struct screen *s, int *cols, int *rows);

/* Appends what makes a terminal of the same size, in whatever state, show this screen and behave like it. What
 * screen_feed gives for view from then on continues it. */
void screen_frame(struct screen *s, struct buf *out);

/* Appends the screen as lines of UTF-8 without control characters, trailing blanks and blank lines cut, each ended by
 * \n. */
void screen_text(const struct screen *s, struct buf *out);

/* Appends the last lines above the screen with their colours, for a terminal of the same width, ended so that a frame
 * written after it pushes them all out at the top: the newlines for that are included. Returns their number. */
size_t screen_above(const struct screen *s, size_t lines, struct buf *out);

/* The title that the program has set: UTF-8 without control characters, at most 255 bytes, "" for none. Borrowed until
 * the next call. */
const char *screen_title(const struct screen *s);

/* What a question for the colours of text and background is answered with (0xrrggbb). */
void screen_colours(struct screen *s, uint32_t fg, uint32_t bg);

#endif
