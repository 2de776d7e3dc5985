/* What is mounted where, by the kernel's tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mountinfo.h"

static const char own[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
			  "21 20 8:2 /@data /data rw shared:1 - btrfs /dev/sdb rw\n"
			  "22 21 8:3 /old /data/disk rw - ext4 /dev/sdc rw\n"
			  "23 21 8:4 / /data/disk rw - ext4 /dev/sdd rw\n"
			  "24 20 8:5 / /with\\040blank rw - ext4 /dev/sde rw\n";
static const char theirs[] = "90 1 0:50 / / rw - overlay overlay rw\n"
			     "91 90 8:2 /@data/allowed/b /x rw - btrfs /dev/sdb rw\n"
			     "92 90 8:1 /etc /y rw - ext4 /dev/sda1 rw\n"
			     "93 90 8:4 /in /disk rw - ext4 /dev/sdd rw\n"
			     "94 90 8:5 /a\\040b /b\\040c rw - ext4 /dev/sde rw\n"
			     "95 90 8:1 /srv /twice rw - ext4 /dev/sda1 rw\n"
			     "96 95 8:1 /etc /twice rw - ext4 /dev/sda1 rw\n";

static void compared(void **state)
{
	(void)state;
	assert_int_equal(mountinfo_compare(own, theirs, "/data/allowed/b", "/x"), MOUNTED_SAME);
	assert_int_equal(mountinfo_compare(own, theirs, "/data/allowed", "/x"), MOUNTED_OTHER);
	assert_int_equal(mountinfo_compare(own, theirs, "/data/allowed/b", "/y"), MOUNTED_OTHER);
	assert_int_equal(mountinfo_compare(own, theirs, "/etc", "/y"), MOUNTED_SAME);
	assert_int_equal(mountinfo_compare(own, theirs, "/data/disk/in", "/disk"), MOUNTED_SAME);
	assert_int_equal(mountinfo_compare(own, theirs, "/with blank/a b", "/b c"), MOUNTED_SAME);
	/* What hides another one counts. */
	assert_int_equal(mountinfo_compare(own, theirs, "/srv", "/twice"), MOUNTED_OTHER);
	/* A link inside led elsewhere: it is there, or it is not. */
	assert_int_equal(mountinfo_compare(own, theirs, "/etc", "/var/link"), MOUNTED_SAME);
	assert_int_equal(mountinfo_compare(own, theirs, "/home", "/var/link"), MOUNTED_OTHER);
	assert_int_equal(mountinfo_compare("", theirs, "/etc", "/y"), MOUNTED_UNKNOWN);
}

static void of_a_process(void **state)
{
	(void)state;
	assert_int_equal(mountinfo_of(getpid(), "no-such-group", "/proc", "/proc"), MOUNTED_UNKNOWN);
	assert_int_equal(mountinfo_of(-1, "x", "/proc", "/proc"), MOUNTED_UNKNOWN);
	/* Every group's line has a colon. */
	assert_int_equal(mountinfo_of(getpid(), ":", "/proc", "/proc"), MOUNTED_SAME);
	assert_int_equal(mountinfo_of(getpid(), ":", "/etc", "/proc"), MOUNTED_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(compared), cmocka_unit_test(of_a_process) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
