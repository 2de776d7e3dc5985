#include "cli/full/open_qr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <qrencode.h>

#include "base/mem.h"
#include "cli/link.h"
#include "cli/out.h"
#include "cli/text.h"

enum { MARGIN = 2 }; /* modules of light around it, so that it fits into 24 lines */

static bool is_dark(const QRcode *q, int x, int y)
{
	return x >= 0 && y >= 0 && x < q->width && y < q->width && (q->data[y * q->width + x] & 1);
}

/* Two rows a line. Light is what is drawn, on a ground that is made dark where colours may be: cameras want it that way
 * round, whatever the terminal's colours are. */
static void draw(const QRcode *q)
{
	static const char *const halves[] = { "\xe2\x96\x88", "\xe2\x96\x80", "\xe2\x96\x84", " " };
	const char *no = getenv("NO_COLOR");
	bool colour = out_is_tty() && !(no && *no);
	for (int y = -MARGIN; y < q->width + MARGIN; y += 2) {
		fputs(colour ? "\033[40;97m" : "", stdout);
		for (int x = -MARGIN; x < q->width + MARGIN; x++) {
			/* Below the last row there is nothing. */
			bool below = y + 1 >= q->width + MARGIN || is_dark(q, x, y + 1);
			fputs(halves[is_dark(q, x, y) * 2 + below], stdout);
		}
		puts(colour ? "\033[0m" : "");
	}
}

static bool fits(const QRcode *q)
{
	struct winsize size = { 0 };
	return !out_is_tty() || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col ||
	       q->width + 2 * MARGIN <= size.ws_col;
}

int open_qr(const struct args *a, struct perry_err **err)
{
	cleanup_free char *url = NULL;
	if (link_make(true, &url, err) < 0)
		return -1;
	QRcode *q = QRcode_encodeString8bit(url, 0, QR_ECLEVEL_L);
	if (!q)
		return perry_fail_errno(err, errno, "no QR code can be made of the link");
	/* The code last: all of it is on the screen then. */
	if (err_is_tty())
		fprintf(stderr, "Whoever opens it first, within two minutes, is signed in:\n");
	text_printf(stdout, "%s\n", url);
	fflush(stdout);
	if (fits(q))
		draw(q);
	else
		fprintf(stderr, "The terminal is too narrow for the QR code: it needs %d columns.\n",
			q->width + 2 * MARGIN);
	QRcode_free(q);
	return 0;
}
