/* What a screen consists of; for the files of this folder and its tests. */
#ifndef PERRY_AGENT_SCREEN_STATE_H
#define PERRY_AGENT_SCREEN_STATE_H
#include "agent/screen/screen.h"

enum {
	ATTR_BOLD = 1 << 0,
	ATTR_FAINT = 1 << 1,
	ATTR_ITALIC = 1 << 2,
	ATTR_BLINK = 1 << 3,
	ATTR_REVERSE = 1 << 4,
	ATTR_HIDDEN = 1 << 5,
	ATTR_STRIKE = 1 << 6,
	ATTR_OVERLINE = 1 << 7,
	ATTR_UNDERLINE = 7 << 8, /* the style: 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed */
	CELL_WIDE = 1 << 14,     /* the first half of a wide character */
	CELL_TAIL = 1 << 15,     /* the second */
	ATTR_PEN = CELL_WIDE - 1,
};
#define UNDERLINE(style) ((unsigned)(style) << 8)

/* A colour: 0 is the default one; else its kind and its value. */
#define COLOUR_KIND (3u << 24)
#define COLOUR_16   (1u << 24) /* 30-37, 90-97 */
#define COLOUR_256  (2u << 24)
#define COLOUR_RGB  (3u << 24)

struct pen {
	uint32_t fg, bg;
	uint16_t attr;
};
/* ch 0: nothing was written there since it was erased, then only bg counts. extra: the cluster with its combining
 * characters, 0 for none. */
struct cell {
	uint32_t ch, fg, bg;
	uint16_t attr, extra;
};
struct row {
	struct cell *cells;
	int used;     /* the cells from there on are all zero */
	bool wrapped; /* continues the row above */
};
struct cluster {
	uint32_t ch[6];
	uint8_t n; /* 0: free */
};

/* Character sets: what ESC ( and its like chose; only those that differ from ASCII here. */
enum { SET_ASCII, SET_LINES, SET_UK };
struct charsets {
	uint8_t g[4], gl;
};
struct saved {
	int x, y;
	struct pen pen;
	struct charsets sets;
	bool origin, wrap;
};
struct grid {
	struct row *rows; /* NULL: the alternate screen while it is not shown */
	int top, bottom;  /* the scroll region, inclusive */
	uint8_t tabs[(SCREEN_COLS_MAX + 7) / 8];
	struct saved saved;
};

enum {
	MODE_CURSOR_KEYS,
	MODE_REVERSE_SCREEN,
	MODE_ORIGIN,
	MODE_WRAP,
	MODE_CURSOR_BLINK,
	MODE_CURSOR_VISIBLE,
	MODE_REVERSE_WRAP,
	MODE_KEYPAD,
	MODE_FOCUS,
	MODE_PASTE,
	MODE_SYNC,
	MODE_SCHEME,
	MODE_INSERT,
	MODE_NEWLINE,
};
#define TITLE_MAX   256 /* with its NUL */
#define TITLES_MAX  8
#define ARGS_MAX    32
#define CSI_MAX     1024 /* bytes of a CSI or ESC sequence: longer ones are ignored whole */
#define CHARS_EXTRA 6

enum { ABOVE_WRAPPED = 1, ABOVE_FULL = 2 }; /* continues the line before; reaches the right end */

struct screen {
	int cols, rows;
	int x, y; /* x may be cols: the next character goes to the next line */
	struct grid normal, alt, *g;
	struct pen pen;
	struct charsets sets;
	uint32_t modes;         /* bits by MODE_ */
	int mouse, mouse_coded; /* 0, 9, 1000, 1002, 1003; 0, 1006, 1016 */
	int cursor_shape;       /* as in CSI n SP q; 0: the terminal's own */
	bool printed;           /* the last thing that came was a character: REP and combining ones refer to it */
	uint32_t last;          /* that character */
	char title[TITLE_MAX];
	char *titles[TITLES_MAX]; /* saved ones */
	int ntitles;
	uint32_t colour_fg, colour_bg;

	struct cluster *clusters; /* [0] is not used */
	unsigned nclusters, cluster_next;

	/* Lines above the screen: a ring of NUL-ended texts. */
	struct above {
		char **line;
		uint8_t *how; /* ABOVE_ */
		int max, first, n;
		size_t bytes;
	} above;

	/* The parser: a sequence that is not whole yet, as bytes. */
	int state;
	struct buf held;
	bool too_long;
	uint8_t u8[4];
	int u8_have, u8_need;
	int32_t args[ARGS_MAX];
	uint32_t colon; /* bit i: args[i] is a part of the one before */
	int nargs;
	char prefix, inter[2];
	int ninter;

	/* Of the feed under way. */
	struct buf *view, *reply;
	size_t reply_start;
	bool cut; /* the sequence that is dispatched is not for viewers */
};

static inline bool mode_is(const struct screen *s, int mode)
{
	return s->modes >> mode & 1;
}
static inline struct row *screen_row(const struct screen *s, int y)
{
	return &s->g->rows[y];
}

#endif
