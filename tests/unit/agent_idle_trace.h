/* Samples of a real workspace of the full image, one every twenty seconds: 12 in which only its services run, 9 in
 * which make compiles 400 files again and again, 2 in which it rests again. Without the names of the processes. */
#ifndef TESTS_AGENT_IDLE_TRACE_H
#define TESTS_AGENT_IDLE_TRACE_H

enum { TRACE_BUILD = 12, TRACE_REST = 21, TRACE_STEP_S = 20 };
static const char *const trace[] = {
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":94728,\"ioBytes\":0,\"netRx\":586,\"netTx\":"
	"0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":308043,\"ioBytes\":0,\"netRx\":656,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":530180,\"ioBytes\":0,\"netRx\":726,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":740005,\"ioBytes\":0,\"netRx\":1468,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":951401,\"ioBytes\":0,\"netRx\":1468,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":1168838,\"ioBytes\":0,\"netRx\":1468,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":1389490,\"ioBytes\":0,\"netRx\":1538,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":1615758,\"ioBytes\":0,\"netRx\":1538,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":1843950,\"ioBytes\":0,\"netRx\":1538,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":2077600,\"ioBytes\":0,\"netRx\":1538,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":2302998,\"ioBytes\":0,\"netRx\":1538,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":2523772,\"ioBytes\":0,\"netRx\":1538,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":3},{\"name\":\"cc\","
	"\"seconds\":0},{\"name\":\"cc1\",\"seconds\":0}],\"cpuUsec\":3519705,\"ioBytes\":0,\"netRx\":1538,\"netTx\":0,"
	"\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":23},{\"name\":\"cc\","
	"\"seconds\":0},{\"name\":\"cc1\",\"seconds\":0}],\"cpuUsec\":9217709,\"ioBytes\":0,\"netRx\":1608,\"netTx\":0,"
	"\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":3},{\"name\":\"cc\","
	"\"seconds\":0},{\"name\":\"cc1\",\"seconds\":0}],\"cpuUsec\":14180180,\"ioBytes\":0,\"netRx\":1608,\"netTx\":"
	"0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":23},{\"name\":\"cc\","
	"\"seconds\":0}],\"cpuUsec\":19487308,\"ioBytes\":0,\"netRx\":1608,\"netTx\":0,\"accepted\":0,\"connections\":["
	"]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":43},{\"name\":\"cc\","
	"\"seconds\":0},{\"name\":\"cc1\",\"seconds\":0}],\"cpuUsec\":23686442,\"ioBytes\":0,\"netRx\":1608,\"netTx\":"
	"0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":18},{\"name\":\"cc\","
	"\"seconds\":0}],\"cpuUsec\":28154956,\"ioBytes\":0,\"netRx\":2280,\"netTx\":0,\"accepted\":0,\"connections\":["
	"]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":38},{\"name\":\"cc\","
	"\"seconds\":0},{\"name\":\"cc1\",\"seconds\":0}],\"cpuUsec\":32619333,\"ioBytes\":0,\"netRx\":2280,\"netTx\":"
	"0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":11},{\"name\":\"cc\","
	"\"seconds\":0},{\"name\":\"cc1\",\"seconds\":0}],\"cpuUsec\":37480794,\"ioBytes\":0,\"netRx\":2280,\"netTx\":"
	"0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[{\"name\":\"make\",\"seconds\":31},{\"name\":\"cc\","
	"\"seconds\":0},{\"name\":\"cc1\",\"seconds\":0}],\"cpuUsec\":42196626,\"ioBytes\":0,\"netRx\":2280,\"netTx\":"
	"0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":46280297,\"ioBytes\":0,\"netRx\":2280,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
	"{\"ssh\":0,\"sshEnded\":0,\"agents\":[],\"builds\":[],\"cpuUsec\":46517611,\"ioBytes\":0,\"netRx\":2280,"
	"\"netTx\":0,\"accepted\":0,\"connections\":[]}",
};

#endif
