# Servers for the tests: perl web.pl ADDRESS PORT... answers each connection with "PORT ADDRESS".
use Socket;
$SIG{CHLD} = "IGNORE";
my ($host, @ports) = @ARGV;
my $six = $host =~ /:/;
for my $port (@ports) {
	next if fork;
	socket(my $s, $six ? PF_INET6 : PF_INET, SOCK_STREAM, 0) or die;
	setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
	bind($s, $six ? pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $host)) : sockaddr_in($port, inet_aton($host))) or die "bind: $!";
	listen($s, 50);
	while (accept(my $c, $s)) {
		my $text = "$port $host\n";
		syswrite($c, "HTTP/1.0 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
		close $c;
	}
}
sleep 1000;
