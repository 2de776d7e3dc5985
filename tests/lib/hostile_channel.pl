#!/usr/bin/perl
# A STAND-IN for the holder of a workspace's channel (docs/channel.md), of tests alone: lies as the word in ~/hostile/lie says.
use strict;
use warnings;
$SIG{PIPE} = 'DEFAULT';
my ($OPENED, $STDOUT, $STDERR, $EXIT, $ERROR, $WINDOW) = (2, 4, 5, 8, 9, 10);
open my $f, '<', '/home/workspace/hostile/lie' or die;
chomp(my $lie = <$f>);
my ($what, $seed) = split / /, $lie;
srand($seed || 1);
my $times = 0;

sub out { my $bytes = join '', @_; while (length $bytes) { my $n = syswrite STDOUT, $bytes, 65536; exit unless $n; substr($bytes, 0, $n) = '' } }
sub frame { my ($type, $stream, $payload) = @_; pack('NCN', 5 + length $payload, $type, $stream) . $payload }
sub hello { out(frame($OPENED, 0, '{"version":1,"step":"0.5.0"}')) }
sub forever { sleep 1000 }
sub again { my $bytes = join '', @_; out($bytes) while 1 }

my $nasty = '\u001b]0;x\u0007\u001b[2J\u202e<img src=x onerror=alert(1)>\u0085\u200b../../etc';
my %first = (
	garbage => sub { again('rubbish' x 1000) },
	endless_error => sub { while (1) { syswrite STDERR, 'x' x 65536 or exit } },
	huge => sub { out(pack('N', 0xffffffff), 'x' x 100000); forever() },
	none => sub { out(pack('N', 0), 'x' x 100000); forever() },
	early => sub { again(frame($STDOUT, 1, 'x' x 65536)) },
	version => sub { again(frame($OPENED, 0, '{"version":99}')) },
	deep => sub { again(frame($OPENED, 0, '[' x 60000)) },
	mute => sub { forever() },
	ends => sub { exit 7 },
);
my %greeted = (
	twice => sub { hello(); again(frame($OPENED, 0, '{"version":1}')) },
	large => sub { out(pack('NCN', 65536 + 6, $STDOUT, 1), 'x' x 70000); forever() },
	unknown => sub { again(frame(0x77, 1, 'x')) },
	stranger => sub { again(frame($EXIT, 12345, '{"code":0}')) },
	deaf => sub { forever() },
	half => sub { out(substr(frame($STDOUT, 1, 'x' x 60000), 0, 1000)); forever() },
	leaves => sub { exit 0 },
);
# Per OPEN: its stream and kind.
my %opened = (
	silent => sub { },
	window => sub { my ($s) = @_; out(frame($OPENED, $s, '{}')); again(frame($STDOUT, $s, 'x' x 65536)) },
	credit => sub { my ($s) = @_; out(frame($OPENED, $s, '{}')); again(frame($WINDOW, $s, pack 'N', 0x7fffffff)) },
	opened => sub { my ($s) = @_; again(frame($OPENED, $s, '{"x":"' . 'y' x 60000 . '"}')) },
	code => sub { my ($s) = @_; out(frame($OPENED, $s, '{}'), frame($EXIT, $s, '{"code":' . (99999, -1, '"x"', '{}', '1e300')[rand 5] . '}')) },
	exits => sub { my ($s) = @_; out(map { frame($EXIT, $s, '{"code":0}') } 1 .. 10) },
	error => sub { my ($s) = @_; out(frame($ERROR, $s, '{"code":"' . $nasty . '","status":-5,"message":"' . $nasty x 500 . '","data":{"noSessions":' . '[' x 30 . ']' x 30 . '}}')) },
	sessions => sub {
		my ($s, $kind) = @_;
		out(frame($OPENED, $s, '{"session":"' . $nasty . '"}'));
		return out(frame($EXIT, $s, '{"code":0}')) unless $kind eq 'sessions';
		my $one = '{"id":"%s","name":"' . $nasty . '","command":"' . 'c' x 300 . '","created":1e300,"input":-1,"cols":1e9,"attached":-7,"busy":"yes","program":{}}';
		my $list = '{"sessions":[' . join(',', map { sprintf $one, ('s' . $_, $nasty, '')[rand 3] } 1 .. 120) . "]}\n";
		my $left = 200000;
		while ($left > length $list) { out(frame($STDOUT, $s, substr($list, $_ * 60000, 60000))) for 0 .. length($list) / 60000; $left -= length $list }
	},
	line => sub { my ($s) = @_; out(frame($OPENED, $s, '{}')); out(frame($STDOUT, $s, '[' x 65536)) for 1 .. 4 },
	# A session whose sizes and history are lies, whose program asks without end, and that never reads an answer.
	attach => sub {
		my ($s, $kind) = @_;
		return out(frame($OPENED, $s, '{}'), frame($STDOUT, $s, "{\"sessions\":[{\"id\":\"hevil\"}]}\n")) if $kind eq 'sessions';
		return out(frame($OPENED, $s, '{"session":"hevil"}'), frame($EXIT, $s, '{"code":0}')) if $kind eq 'session';
		return out(frame($OPENED, $s, '{}'), frame($EXIT, $s, '{"code":0}')) if $kind ne 'attach';
		out(frame($OPENED, $s, '{"cols":1000000000,"rows":1000000000,"kept":' . (0, -5, 10)[rand 3] . '}'));
		# as if all had been granted
		again(frame($WINDOW, $s, pack 'N', 60000), frame($STDOUT, $s, "\e[c\e[6n\e]11;?\a\e[18t" x 1000));
	},
	# Always too slow: whoever looks sees what is new each time.
	slow => sub {
		my ($s, $kind) = @_;
		return out(frame($OPENED, $s, '{}'), frame($STDOUT, $s, "{\"sessions\":[{\"id\":\"hevil\"}]}\n")) if $kind eq 'sessions';
		return out(frame($OPENED, $s, '{"session":"hevil"}'), frame($EXIT, $s, '{"code":0}')) if $kind ne 'attach';
		$times++;
		out(frame($OPENED, $s, '{"cols":40,"rows":5,"kept":4}'), frame($STDOUT, $s, "\e[Hattached-$times\n"));
		out(frame($ERROR, $s, '{"code":"CONFLICT","message":"too slow"}')) if $times < 4;
		out(frame($STDOUT, $s, "the end\n"), frame($EXIT, $s, '{"code":5}')) if $times == 4;
	},
	random => sub {
		my ($s) = @_;
		for (1 .. 1 + rand 20) {
			my $text = join '', map { ('{', '}', '[', '"code":', '1', '"', ',', '"session":"x"', '"cols":-1', "\e[", "\n", chr rand 256)[rand 12] } 1 .. rand 40;
			out(frame((2, 4, 4, 5, 6, 7, 8, 9, 10, 10, rand 256)[rand 11], rand() < 0.9 ? $s : rand 100, rand() < 0.5 ? $text : ('{}', '{"code":3}', '{"session":"x"}', pack('N', rand 2**31))[rand 4]));
		}
	},
);

binmode STDIN;
binmode STDOUT;
if ($first{$what}) { $first{$what}->(); exit }
hello();
if ($greeted{$what}) { $greeted{$what}->(); exit }
while (read(STDIN, my $head, 9) == 9) {
	my ($n, $type, $stream) = unpack 'NCN', $head;
	my $payload = '';
	$n -= 5;
	!$n or read(STDIN, $payload, $n) == $n or exit;
	$opened{$what}->($stream, $payload =~ /"kind":"(\w+)"/ ? $1 : '') if $type == 1;
}
