#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/text.h"

static void shows(const char *text, const char *line, const char *marked)
{
	cleanup_free char *one = printable(text), *two = printable_marked(text);
	assert_string_equal(one, line);
	assert_string_equal(two, marked);
}

static void what_a_terminal_acts_on_is_left_out(void **state)
{
	(void)state;
	shows("a\033[2Jb", "a [2Jb", "a<1b>[2Jb");
	shows("a\rb\bc\x7f", "a b c ", "a<0d>b<08>c<7f>");
	shows("a\tb\nc", "a b c", "a\tb\nc");
	/* C1: U+009B begins what ESC [ does. As a byte of its own it is no UTF-8. */
	shows("a\xc2\x9b"
	      "2Jb",
	      "a 2Jb", "a<c2><9b>2Jb");
	shows("\xc2\x80\xc2\x9f\xc2\xa0", "  \xc2\xa0", "<c2><80><c2><9f>\xc2\xa0");
	shows("a\x9b"
	      "2Jb",
	      "a\xef\xbf\xbd"
	      "2Jb",
	      "a\xef\xbf\xbd"
	      "2Jb");
	/* Another writing of ESC, and a character that is cut. */
	shows("\xc0\x9b", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd");
	shows("a\xe2\x80", "a\xef\xbf\xbd\xef\xbf\xbd", "a\xef\xbf\xbd\xef\xbf\xbd");
	shows(NULL, "", "");
	cleanup_free char *lines = printable_lines("one\r\ntwo\n\tthree", "  ");
	assert_string_equal(lines, "one \n  two\n  \tthree");
}

/* Does printable leave this character out? */
static bool left_out(uint32_t c)
{
	char text[4] = { (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f)), 0 };
	if (c < 0x800) {
		text[0] = (char)(0xc0 | c >> 6);
		text[1] = (char)(0x80 | (c & 0x3f));
		text[2] = 0;
	}
	cleanup_free char *shown = printable(text);
	return shown[0] == ' ' && !shown[1];
}

static void bidi_controls_are_left_out_and_nothing_else_is(void **state)
{
	(void)state;
	for (uint32_t c = 0x80; c < 0x10000; c++) {
		bool surrogate = c >= 0xd800 && c < 0xe000;
		bool wanted = c < 0xa0 || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
			      (c >= 0x2066 && c <= 0x2069);
		if (!surrogate && left_out(c) != wanted)
			fail_msg("U+%04X is %sleft out", (unsigned)c, wanted ? "not " : "");
	}
}

static void text_of_people_stays(void **state)
{
	static const char text[] = "na\xc3\xafve \xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x90\xa6 \xe2\x9c\x93 \xe2\x80\xa6";
	(void)state;
	shows(text, text, text);
}

static void what_is_printed_is_filtered_as_a_whole(void **state)
{
	char *out = NULL;
	size_t n = 0;
	(void)state;
	FILE *f = open_memstream(&out, &n);
	assert_non_null(f);
	text_printf(f, "%s: %d\n\t%s\n", "a\033b", 7,
		    "\xe2\x80\xae"
		    "c");
	text_printf(f, "perry: %s\n", "a\nperry: b\n\n  c");
	fclose(f);
	assert_string_equal(out, "a b: 7\n\t c\n"
				 "perry: a\n  perry: b\n\n  c\n");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_acts_on_is_left_out),
		cmocka_unit_test(bidi_controls_are_left_out_and_nothing_else_is),
		cmocka_unit_test(text_of_people_stays),
		cmocka_unit_test(what_is_printed_is_filtered_as_a_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
