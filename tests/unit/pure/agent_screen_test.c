/* The screen of a session: what programs write, hostile ones too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent_screen_util.h"
#include "base/utf8.h"

static struct screen *s;
static struct buf view, reply, text;

static int fresh(void **state)
{
	(void)state;
	s = screen_new(10, 4, 100);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	screen_free(s);
	buf_free(&view);
	buf_free(&reply);
	buf_free(&text);
	return 0;
}

static void out(const char *bytes)
{
	screen_feed(s, bytes, strlen(bytes), &view, &reply);
}

static const char *shown(void)
{
	buf_free(&text);
	screen_text(s, &text);
	return buf_str(&text);
}

static void seen(const char *want)
{
	assert_string_equal(buf_str(&view), want);
	buf_free(&view);
}

static void answered(const char *want)
{
	assert_string_equal(buf_str(&reply), want);
	buf_free(&reply);
}

/* A frame shows it to another one, whose lines above the screen are kept. */
static struct screen *viewer(bool with_above)
{
	int cols, rows;
	struct buf b = { 0 };
	screen_size(s, &cols, &rows);
	struct screen *v = screen_new(cols, rows, 100);
	if (with_above)
		screen_above(s, 100, &b);
	screen_frame(s, &b);
	screen_feed(v, b.data, b.len, NULL, NULL);
	buf_free(&b);
	const char *what = screens_differ(s, v);
	if (what)
		fail_msg("%s differs", what);
	return v;
}

static void lines_and_wrapping(void **state)
{
	(void)state;
	out("0123456789");
	assert_int_equal(s->x, 10); /* not on the next line yet */
	out("a\r\n\tb\b\bc");
	assert_string_equal(shown(), "0123456789\na\n       cb\n");
	out("\033[2J\033[Hx\033[3;3Hy   \033[4;1H");
	assert_string_equal(shown(), "x\n\n  y\n");
	out("\033[2;3r\033[2;1HA\r\nB\r\nC");
	assert_string_equal(shown(), "x\nB y\nC\n");
	out("\033[?6h\033[1;1H1\033[2;1H2\033[9;1H3\033[?6l\033[r");
	assert_string_equal(shown(), "x\n1 y\n3\n");
	out("\033[1;2H\033[4hIJ\033[4l\033[1;2H\033[1Pk\033[1b\033[1;1H\033[1@");
	assert_string_equal(shown(), " xkk\n1 y\n3\n");
}

static void colours(void **state)
{
	(void)state;
	out("\033[1;2;3;4:3;7;9;31;42mA\033[22;23;24;27;29;91;104mB\033[38;5;200;48;2;1;2;3mC\033[38:2::4:5:6;48:5:7mD"
	    "\033[38:2:4:5:6m\033[58;2;1;1;1mE\033[mF\033[;mG\033[38mH");
	const struct cell *c = s->g->rows[0].cells;
	assert_int_equal(c[0].attr, ATTR_BOLD | ATTR_FAINT | ATTR_ITALIC | UNDERLINE(3) | ATTR_REVERSE | ATTR_STRIKE);
	assert_int_equal(c[0].fg, COLOUR_16 | 1);
	assert_int_equal(c[0].bg, COLOUR_16 | 2);
	assert_int_equal(c[1].attr, 0);
	assert_int_equal(c[1].fg, COLOUR_16 | 9);
	assert_int_equal(c[1].bg, COLOUR_16 | 12);
	assert_int_equal(c[2].fg, COLOUR_256 | 200);
	assert_int_equal(c[2].bg, COLOUR_RGB | 0x010203);
	assert_int_equal(c[3].fg, COLOUR_RGB | 0x040506);
	assert_int_equal(c[3].bg, COLOUR_256 | 7);
	assert_int_equal(c[4].fg, COLOUR_RGB | 0x040506);
	assert_int_equal(c[4].attr, 0);
	assert_int_equal(c[5].fg | c[5].bg, 0);
	assert_int_equal(c[7].fg, 0);
	screen_free(viewer(false));
}

static void wide_and_combining(void **state)
{
	(void)state;
	out("e\xcc\x81\xe4\xb8\xad|\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb");
	assert_string_equal(shown(), "e\xcc\x81\xe4\xb8\xad|\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb\n");
	assert_int_equal(s->x, 8);
	screen_free(viewer(false));
	/* One that does not fit goes to the next line; half of one cannot stay. */
	out("\r\n123456789\xe6\x96\x87");
	assert_int_equal(s->y, 2);
	out("\033[1;3HX");
	assert_string_equal(shown(),
			    "e\xcc\x81 X|\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb\n123456789\n\xe6\x96\x87\n");
	/* More marks than anybody needs. */
	for (int i = 0; i < 1000; i++)
		out("\xcc\x81");
	out("\033[4;1Hq");
	for (int i = 0; i < 1000; i++)
		out("\xcc\x82");
	assert_in_range(strlen(shown()), 1, 100);
	for (int i = 0; i < 100000; i++)
		out("e\xcc\x81");
	assert_in_range(s->nclusters, 1, 1024);
	screen_free(viewer(false));
}

static void cut_anywhere(void **state)
{
	(void)state;
	out("\xe4");
	out("\xb8");
	seen("");
	out("\xad\033");
	seen("\xe4\xb8\xad");
	out("[3");
	out("1");
	seen("");
	screen_free(viewer(false)); /* in the middle of it */
	out("mx");
	seen("\033[31mx");
	assert_int_equal(s->g->rows[0].cells[2].fg, COLOUR_16 | 1);
	/* A control in the middle of a sequence is done at once, and once. */
	out("\033[3\n");
	seen("\n");
	out("2mX");
	seen("\033[32mX");
	assert_string_equal(shown(), "\xe4\xb8\xadx\n   X\n");
	/* No UTF-8: on nobody's screen. */
	out("\r\n\xff\xfe\xc0\xaf\xed\xa0\x80\xe4\xb8|\xf4\x90\x80\x80\x80.");
	seen("\r\n|.");
	assert_string_equal(shown(), "\xe4\xb8\xadx\n   X\n|.\n");
}

static void bounds(void **state)
{
	(void)state;
	out("\033[99999999999999999999;99999999999999999999H!");
	assert_int_equal(s->y, 3);
	out("\033[9999999999L\033[9999999999M\033[9999999999P\033[9999999999@\033[9999999999S\033[9999999999T\033["
	    "9999999999X\033[9999999999b\033[9999999999I\033[9999999999Z\033[9999999999;3r\033[9999999999A");
	buf_free(&view);
	/* A string without an end. */
	out("\033]2;");
	char part[1000];
	memset(part, 'a', sizeof part);
	for (int i = 0; i < 1000; i++)
		screen_feed(s, part, sizeof part, &view, &reply);
	assert_in_range(s->held.cap, 0, 2 * SCREEN_STRING_MAX);
	screen_free(viewer(false));
	out("\a");
	assert_string_equal(screen_title(s), "");
	assert_int_equal(view.len, 0);
	assert_int_equal(s->held.cap, 0);
	out("\033[H\033[Jb");
	assert_string_equal(shown(), "b\n");
	buf_free(&view);
	/* And a sequence without one, or with more numbers than there can be. */
	out("\033[");
	for (int i = 0; i < 1000; i++)
		out("1;1;1;1;");
	assert_in_range(s->held.len, 0, CSI_MAX);
	out("mc");
	seen("c");
	assert_int_equal(s->pen.attr, 0);
}

static void questions(void **state)
{
	(void)state;
	out("ab\033[c\033[>c\033[5n\033[6n\033[?6n\033[18t\033[?7$p\033[4$p\033[?9999$p\033[>q");
	seen("ab");
	answered("\033[?1;2c\033[>0;276;0c\033[0n\033[1;3R\033[?1;3R\033[8;4;10t\033[?7;1$y\033[4;2$y\033[?9999;0$y"
		 "\033P>|perry(" PERRY_VERSION ")\033\\");
	out("\033[1;31m\033P$qm\033\\\033P$qr\033\\\033P$qx\033\\\033P+q544e\033\\");
	seen("\033[1;31m");
	answered("\033P1$r0;1;31m\033\\\033P1$r1;4r\033\\\033P0$r\033\\\033P0+r\033\\");
	screen_colours(s, 0x112233, 0xfafbfc);
	out("\033]10;?\a\033]11;?\033\\\033]4;1;?\a\033]52;c;?\a");
	seen("");
	answered("\033]10;rgb:1111/2222/3333\a\033]11;rgb:fafa/fbfb/fcfc\033\\\033]4;1;rgb:cdcd/0000/0000\a");
	/* Nobody answers what is read again. */
	screen_feed(s, "\033[c\033[6n", 7, NULL, NULL);
	answered("");
	/* Nor without end. */
	for (int i = 0; i < 1000; i++)
		buf_adds(&text, "\033[c");
	screen_feed(s, text.data, text.len, &view, &reply);
	assert_in_range(reply.len, 1, SCREEN_REPLY_MAX);
	seen("");
}

static void titles_and_clipboards(void **state)
{
	(void)state;
	out("\033]0;one\x01 \xc3\xa4\xe2\x80\xae"
	    "two\a");
	assert_string_equal(screen_title(s), "one \xc3\xa4two");
	seen("\033]2;one \xc3\xa4two\033\\");
	out("\033[22;0t\033]2;other\033\\");
	assert_string_equal(screen_title(s), "other");
	out("\033[23;0t\033[23;0t");
	assert_string_equal(screen_title(s), "one \xc3\xa4two");
	buf_free(&view);
	for (int i = 0; i < 300; i++)
		buf_adds(&text, "\xc3\xa4");
	out("\033]2;");
	out(text.data);
	out("\033\\");
	assert_int_equal(strlen(screen_title(s)), 254);
	assert_true(utf8_valid(screen_title(s), 254));
	buf_free(&view);
	out("\033]52;c;aGk=\a\033]8;;http://x\033\\\033]1337;File=:x\a\033_Gx\033\\\033Pqsixel\033\\");
	seen("\033]52;c;aGk=\a\033]8;;http://x\033\\");
}

static void alternate_screen(void **state)
{
	(void)state;
	out("under\033[31m\033[?1049h\033[Hover\033[32m");
	assert_string_equal(shown(), "over\n");
	struct screen *v = viewer(false);
	out("\033[?1049l!");
	assert_string_equal(shown(), "under!\n");
	assert_int_equal(s->g->rows[0].cells[5].fg, COLOUR_16 | 1);
	assert_null(s->alt.rows);
	/* A viewer that came while it was shown has the other one under it. */
	screen_feed(v, "\033[?1047l", 8, NULL, NULL);
	buf_free(&text);
	screen_text(v, &text);
	assert_string_equal(buf_str(&text), "under\n");
	screen_free(v);
}

static void modes(void **state)
{
	(void)state;
	out("\033[?1;1002;1006;1004;2004;25;12345h\033=\033[?25l\033[5 q\033]2;t\a");
	seen("\033[?1h\033[?1002h\033[?1006h\033[?1004h\033[?2004h\033[?25h\033=\033[?25l\033[5 q\033]2;t\033\\");
	assert_int_equal(s->mouse, 1002);
	struct screen *v = viewer(false);
	assert_int_equal(v->mouse_coded, 1006);
	assert_int_equal(v->cursor_shape, 5);
	assert_true(mode_is(v, MODE_PASTE) && mode_is(v, MODE_KEYPAD) && !mode_is(v, MODE_CURSOR_VISIBLE));
	screen_free(v);
	out("\033[!p");
	assert_false(mode_is(s, MODE_PASTE));
	screen_free(viewer(false));
	out("\033c");
	assert_int_equal(s->mouse, 0);
	screen_free(viewer(false));
}

static void resized(void **state)
{
	(void)state;
	out("0123456789abcdef\r\nxy\r\n$ ");
	assert_string_equal(shown(), "0123456789\nabcdef\nxy\n$\n");
	screen_resize(s, 20, 4);
	assert_string_equal(shown(), "0123456789abcdef\nxy\n$\n");
	assert_int_equal(s->x, 2);
	assert_int_equal(s->y, 2);
	screen_resize(s, 6, 4);
	assert_string_equal(shown(), "6789ab\ncdef\nxy\n$\n"); /* the rest is above */
	out("z");
	screen_resize(s, 6, 2);
	assert_string_equal(shown(), "xy\n$ z\n");
	assert_int_equal(s->y, 1);
	screen_resize(s, 6, 4);
	assert_string_equal(shown(), "xy\n$ z\n");
	out("\r\n\xe4\xb8\xad\xe6\x96\x87");
	screen_resize(s, 3, 4);
	assert_string_equal(shown(), "xy\n$ z\n\xe4\xb8\xad\n\xe6\x96\x87\n");
	out("\033[?1049h\033[4;3HE");
	screen_resize(s, 2, 3);
	screen_free(viewer(false));
	screen_resize(s, 100000, -1);
	assert_int_equal(s->cols, SCREEN_COLS_MAX);
	assert_int_equal(s->rows, 1);
	out("\033[?1049l");
	screen_free(viewer(false));
}

static void resized_at_random(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 2000; round++) {
		uint64_t start = round * 77777, *seed = &start;
		drop(NULL);
		s = screen_new(2 + (int)RND(30), 1 + (int)RND(10), (int)RND(20));
		for (int i = 0; i < 5; i++) {
			struct buf b = { 0 };
			for (uint32_t n = RND(30); n; n--)
				some_output(&b, seed, s->cols, s->rows);
			screen_feed(s, buf_str(&b), b.len, NULL, NULL);
			buf_free(&b);
			screen_resize(s, 2 + (int)RND(30), 1 + (int)RND(10));
			screen_free(viewer(true));
		}
	}
}

static void above(void **state)
{
	(void)state;
	struct buf b = { 0 };
	assert_int_equal(screen_above(s, 5, &b), 0);
	for (int i = 0; i < 150; i++)
		buf_addf(&b, "\033[3%dm%d\033[m a line that is wrapped\r\n", i % 8, i);
	screen_feed(s, b.data, b.len, NULL, NULL);
	buf_free(&b);
	assert_int_equal(s->above.n, 100); /* as was asked for */
	struct screen *v = viewer(true);
	assert_int_equal(v->above.n, 100);
	for (int i = 0; i < 100; i++) {
		int at = (s->above.first + i) % 100, there = (v->above.first + i) % 100;
		assert_string_equal(s->above.line[at], v->above.line[there]);
		if (i)
			assert_int_equal(s->above.how[at], v->above.how[there]);
	}
	screen_free(v);
	assert_int_equal(screen_above(s, 2, &b), 2);
	buf_free(&b);
	out("\033[3J");
	assert_int_equal(screen_above(s, 100, &b), 0);
	/* Not from the alternate screen, nor from within a scroll region that begins lower down. */
	out("\033[?1049h\n\n\n\n\n\n\033[?1049l\033[2;4r\033[4;1H\n\n\n");
	assert_int_equal(screen_above(s, 100, &b), 0);
	screen_free(s);
	s = screen_new(SCREEN_COLS_MAX, 50, SCREEN_LINES_MAX);
	for (int i = 0; i < 400; i++)
		out("\033[38;2;1;2;3;48;2;4;5;6m\033#8\033[50S");
	assert_in_range(s->above.n, 1, SCREEN_LINES_MAX);
	assert_in_range(s->above.bytes, 1, SCREEN_ABOVE_MAX);
}

static void text_is_clean(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 500; round++) {
		uint64_t start = round * 31337, *seed = &start;
		char noise[300];
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (char)(RND(3) ? RND(256) : (uint32_t) "\033[]?;P\\m\xe2\x80\xae\x07"[RND(12)]);
		screen_feed(s, noise, sizeof noise, &view, &reply);
		const char *t = shown();
		assert_true(utf8_valid(t, strlen(t)));
		for (; *t; t++)
			assert_true(*t == '\n' || (unsigned char)*t >= ' ');
		assert_null(strstr(shown(), "\xe2\x80\xae"));
		assert_null(strstr(shown(), " \n"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, drop)
		T(lines_and_wrapping),
		T(colours),
		T(wide_and_combining),
		T(cut_anywhere),
		T(bounds),
		T(questions),
		T(titles_and_clipboards),
		T(alternate_screen),
		T(modes),
		T(resized),
		T(resized_at_random),
		T(above),
		T(text_is_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
