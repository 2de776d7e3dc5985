#!/usr/bin/env python3
"""make bench: the figures, each beside the same work done with docker itself (or the bare library) in the same run. Medians; the ratio is what counts.

  scripts/bench.py [--build DIR] [--json FILE] [--only PART] [--workspaces N]

Parts: agent (cold start, memory), list, start, sessions (commands and terminals), join (a tailnet), prompt (what is promised to come soon), fifty, preview (of 200 workspaces), runaway (the API beside eight hooks that never
end), flood (the command line while another user floods the port), programs (tests/bench/*_bench.c). Needs a Docker Engine and the image perry:small (scripts/image.sh).
Exit 1 when a figure misses its target."""
import argparse
import concurrent.futures
import http.client
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import bench_sessions

ap = argparse.ArgumentParser()
ap.add_argument("--build", default="build")
ap.add_argument("--json")
ap.add_argument("--only")
ap.add_argument("--workspaces", type=int, default=50)
opt = ap.parse_args()
build = os.path.abspath(opt.build)
perry = os.path.join(build, "perry")
rows, missed = [], 0


def row(what, ours, theirs, unit, ratio, target, ok):
    global missed
    missed += not ok
    rows.append(dict(what=what, ours=ours, theirs=theirs, unit=unit, ratio=ratio, target=target, ok=ok))
    other = "" if theirs is None else f" against {theirs:.2f} {unit}"
    times = "" if ratio is None else f", ratio {ratio:.2f}"
    print(f"{'ok  ' if ok else 'MISS'} {what}: {ours:.2f} {unit}{other}{times} (target: {target})", flush=True)


def wanted(part):
    return not opt.only or opt.only == part


def timed(fn, n=11):
    out = []
    for _ in range(n):
        at = time.perf_counter()
        fn()
        out.append((time.perf_counter() - at) * 1000)
    return statistics.median(out)


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket: the floor that the engine and the agent are measured on."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def engine_socket():
    """Of the engine that docker and the agent use as well."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        sys.exit(f"the raw calls need an engine at a unix socket, and DOCKER_HOST is {host}")
    return host[len("unix://"):]


def call(conn, method, path, body=None):
    conn.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
    r = conn.getresponse()
    data = r.read()
    if r.status >= 400:
        raise RuntimeError(f"{method} {path}: {r.status} {data[:300]!r}")
    return json.loads(data) if data[:1] in b"{[" and data else None


class Agent:
    live = []

    def __init__(self, legacy=None, more=None, **env):
        self.dir = tempfile.mkdtemp(prefix="perry-bench-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        base = 20000 + os.getpid() % 20000
        with open(self.dir + "/config.json", "w") as f:
            json.dump({"port": self.port, "image": "perry:small", "sshPortRange": f"{base}-{base + 300}", "networkRange": "10.214.0.0/16", **(more or {})}, f)
        if legacy:
            with open(self.dir + "/state.json", "w") as f:
                json.dump(legacy, f)
        self.env = dict(os.environ, PERRY_CONFIG_DIR=self.dir, **env)
        self.sock = self.dir + "/agent.sock"
        at = time.perf_counter()
        self.proc = subprocess.Popen([build + "/perry-agent", "agent", "run"], env=self.env, stdout=subprocess.DEVNULL, stderr=open(self.dir + "/err", "w"))
        while True:
            try:
                call(Unix(self.sock), "GET", "/health")
                break
            except OSError:
                if self.proc.poll() is not None or time.perf_counter() - at > 20:
                    sys.exit("the agent did not start:\n" + open(self.dir + "/err").read())
                time.sleep(0.001)
        Agent.live.append(self)
        self.ready_ms = (time.perf_counter() - at) * 1000

    def rpc(self, proc, value=None):
        conn = Unix(self.sock)
        try:
            out = call(conn, "POST", "/rpc/" + proc, {} if value is None else {"json": value})
            return out["json"] if out else None
        finally:
            conn.close()

    def rpc_many(self, proc, value, n):
        """The same call n times on one connection."""
        conn = Unix(self.sock)
        for _ in range(n):
            call(conn, "POST", "/rpc/" + proc, {"json": value})
        conn.close()

    def cli(self, *words):
        return subprocess.run([perry, *words], env=self.env, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def engine_requests(self):
        conn = Unix(self.sock)
        conn.request("GET", "/metrics")
        m = re.search(rb"^perry_engine_requests_total (\d+)", conn.getresponse().read(), re.M)
        return int(m.group(1)) if m else None

    def processes(self):
        """The agent's pid and those of its children (the policy zygote)."""
        pids = [self.proc.pid]
        for task in os.listdir(f"/proc/{self.proc.pid}/task"):
            with open(f"/proc/{self.proc.pid}/task/{task}/children") as f:
                pids += [int(p) for p in f.read().split()]
        return pids

    def stop(self):
        Agent.live.remove(self)
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) / 1024


def delete_all(agent):
    for ws in agent.rpc("workspaces/list"):
        agent.rpc("workspaces/delete", {"name": ws["name"]})


def part_agent():
    starts = []
    for i in range(5):
        a = Agent()
        starts.append(a.ready_ms)
        if i == 4:
            time.sleep(6)  # idle means: what the start needed was given back
            pids = a.processes()
            own, *children = [pss_mib(p) for p in pids]
            row("agent PSS, no workspace", own, None, "MiB", None, "at most 10", own <= 10)
            cpu = [int(x) for x in open(f"/proc/{a.proc.pid}/stat").read().rsplit(")")[-1].split()[11:13]]
            time.sleep(3)
            cpu2 = [int(x) for x in open(f"/proc/{a.proc.pid}/stat").read().rsplit(")")[-1].split()[11:13]]
            # What the zygote costs on top: both together, against the agent once it is gone (shared pages are counted in parts while both live).
            for p in pids[1:]:
                os.kill(p, signal.SIGKILL)
            time.sleep(0.2)
            top = own + sum(children) - pss_mib(a.proc.pid)
            row("policy zygote, PSS on top of the agent's", top, None, "MiB", None, "at most 1", len(pids) > 1 and top <= 1)
            row("agent CPU ticks in 3 idle seconds", float(sum(cpu2) - sum(cpu)), None, "ticks", None, "at most 1 (no polling)", sum(cpu2) - sum(cpu) <= 1)
        a.stop()
    m = statistics.median(starts)
    row("cold start to the first good /health", m, None, "ms", None, "at most 100", m <= 100)
    subprocess.run(["strip", "-o", build + "/bench-stripped", build + "/perry-agent"], check=True)
    size = os.path.getsize(build + "/bench-stripped") / 2**20
    os.unlink(build + "/bench-stripped")
    row("perry-agent, stripped", size, None, "MiB", None, "at most 4", size <= 4)
    a = Agent(old_workspaces(200))
    n = len(a.rpc("workspaces/list"))
    conn = Unix(a.sock)
    ms = timed(lambda: call(conn, "POST", "/rpc/workspaces/list", {}), 201)
    row(f"workspaces.list with {n}, p50", ms, None, "ms", None, "at most 1 with 200", ms <= 1 and n == 200)
    time.sleep(6)
    pss = pss_mib(a.proc.pid)
    row(f"agent PSS, {n} workspaces", pss, None, "MiB", None, "at most 14 with 200", pss <= 14 and n == 200)
    a.stop()


def floor(engine, i):
    """The same network, volumes and container by raw calls of the Engine API, and started."""
    name = f"perry-bench-floor-{os.getpid()}-{i}"
    at = time.perf_counter()
    call(engine, "POST", "/v1.41/networks/create", {"Name": name, "Driver": "bridge", "IPAM": {"Config": [{"Subnet": f"10.215.0.{16 * i}/28"}]},
                                                    "Options": {"com.docker.network.bridge.enable_icc": "false"}})
    call(engine, "POST", "/v1.41/volumes/create", {"Name": name})
    made = call(engine, "POST", "/v1.41/containers/create?name=" + name, {
        "Image": "perry:small", "Entrypoint": ["/opt/perry/bin/perry-step", "init"],
        "ExposedPorts": {"22/tcp": {}},
        "HostConfig": {"NetworkMode": name, "PortBindings": {"22/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(19000 + i)}]},
                       "Tmpfs": {"/run/perry": "mode=0755"},
                       "Mounts": [{"Type": "volume", "Source": name, "Target": "/home/workspace"},
                                  {"Type": "volume", "Source": tools_volume(), "Target": "/opt/perry", "ReadOnly": True}]}})
    call(engine, "POST", f"/v1.41/containers/{made['Id']}/start")
    ms = (time.perf_counter() - at) * 1000
    call(engine, "DELETE", f"/v1.41/containers/{made['Id']}?force=1")
    call(engine, "DELETE", "/v1.41/volumes/" + name)
    call(engine, "DELETE", "/v1.41/networks/" + name)
    return ms


def tools_volume():
    out = subprocess.run(["docker", "volume", "ls", "-q", "--filter", "name=perry-tools-"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    return out[0]


def part_start():
    a = Agent()
    engine = Unix(engine_socket())
    ours, floors = [], []
    a.cli("start", "warm")
    for i in range(9):
        time.sleep(1.0)  # the spare network is made meanwhile
        at = time.perf_counter()
        a.cli("start", f"b{i}")
        ours.append((time.perf_counter() - at) * 1000)
        floors.append(floor(engine, i))
        a.rpc("workspaces/delete", {"name": f"b{i}"})
    o, f = statistics.median(ours), statistics.median(floors)
    row("perry start of a new workspace, spare network ready", o, f, "ms", o / f, "below the raw calls", o < f)
    cold = []
    for i in range(5):
        names = [f"c{i}{k}" for k in range(3)]
        at = time.perf_counter()
        for n in names:  # back to back: the spare network is gone after the first
            a.cli("start", n)
        cold.append((time.perf_counter() - at) * 1000 / 3)
        for n in names:
            a.rpc("workspaces/delete", {"name": n})
    c = statistics.median(cold)
    row("perry start, back to back", c, f, "ms", c / f, "at most 60 ms over the raw calls", c <= f + 60)
    delete_all(a)
    a.stop()


class Lab:
    """The tailnet of tests/tailnet, with the control server that lets nodes in at once: what is ours shows."""

    def __init__(self):
        self.dir, self.script = tempfile.mkdtemp(prefix="perry-bench-lab-"), os.path.join(os.path.dirname(__file__), "../tests/tailnet/lab.sh")
        self.problem = None
        if self.run("up", check=False).returncode != 0:
            self.problem = "no tailnet lab can run on this machine; see tests/tailnet/README.md"
            return
        self.run("https_up")
        with open(self.dir + "/lab.env") as f:
            at = dict(line.strip().split("=", 1) for line in f)
        self.url, self.bin = at["LAB_HTTPS_URL"], at["LAB_BIN"]
        with open(self.dir + "/https/key") as f:
            self.key = f.read().strip()

    def run(self, what, check=True):
        return subprocess.run([self.script, what, self.dir], check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        if not self.problem:
            self.run("down")
        shutil.rmtree(self.dir, ignore_errors=True)


def part_join():
    """A start whose workspace joins a tailnet, beside a start of the same container and `tailscale up` in it by hand."""
    lab = Lab()
    if lab.problem:
        print(f"skip join: {lab.problem}", flush=True)
        lab.close()
        return
    a = Agent(more={"tailscale": {"authKey": lab.key, "loginServer": lab.url}}, PERRY_TAILSCALE_DIR=lab.bin)
    name = f"bench-join-{os.getpid()}"
    container, engine, ours, hands = "workspace-" + name, Unix(engine_socket()), [], []
    up = "umask 077; cat >/run/key; until [ -S /run/tailscale/tailscaled.sock ]; do sleep 0.005; done; tailscale up --reset --auth-key=file:/run/key " \
         f"--login-server={lab.url} --hostname={name} --accept-dns=false --timeout=30s"

    def inside(*words, text=None):
        subprocess.run(["docker", "exec", "-i", container, *words], input=text, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start():
        at = time.perf_counter()
        a.cli("start", name)
        ms = (time.perf_counter() - at) * 1000
        now = a.rpc("workspaces/get", {"name": name})["tailscale"]
        if now["status"] != "connected":
            raise RuntimeError(f"the workspace did not join: {now}")
        return ms

    try:
        start()
        for _ in range(9):
            inside("tailscale", "logout")
            a.cli("stop", name)
            ours.append(start())
            inside("tailscale", "logout")
            a.cli("stop", name)
            at = time.perf_counter()
            call(engine, "POST", f"/v1.41/containers/{container}/start")
            inside("sh", "-c", up, text=lab.key.encode())
            hands.append((time.perf_counter() - at) * 1000)
    finally:
        delete_all(a)
        a.stop()
        lab.close()
    o, h = statistics.median(ours), statistics.median(hands)
    row("perry start with a join", o, h, "ms", o / h, "at most 150 ms over docker start and tailscale up by hand", o <= h + 150)


def part_sessions():
    path = engine_socket()

    def engine(*request):
        return call(Unix(path), *request)

    engine.path = path
    a = Agent()
    bench_sessions.measure(a, engine, perry, pss_mib, row)
    delete_all(a)
    a.stop()


def part_prompt():
    """What is promised to come soon, each from the moment at which it is so to the one at which the agent tells."""
    a = Agent()
    a.cli("start", "p")
    box = "workspace-p"

    def until(told):
        at = time.perf_counter()
        while not told():
            if time.perf_counter() - at > 30:
                raise RuntimeError("not told within 30 s")
            time.sleep(0.005)
        return (time.perf_counter() - at) * 1000

    listed, stopped, ended = [], [], []
    for port in range(5171, 5176):
        subprocess.run(["docker", "exec", "-d", box, "perl", "-MIO::Socket::INET", "-e", f"$s = IO::Socket::INET->new(LocalPort => {port}, Listen => 9) or die; sleep 1000"], check=True)
        until(lambda: subprocess.run(["docker", "exec", box, "grep", "-q", f":{port:04X} 00000000:0000 0A", "/proc/net/tcp"]).returncode == 0)
        listed.append(until(lambda: any(x["port"] == port for x in a.rpc("ports/list", {"name": "p"})["listeners"])))
    ms = statistics.median(listed)
    row("a server in a workspace is listed", ms, None, "ms", None, "at most 2000", ms <= 2000)
    for _ in range(5):
        subprocess.run(["docker", "kill", box], check=True, stdout=subprocess.DEVNULL)
        stopped.append(until(lambda: a.rpc("workspaces/get", {"name": "p"})["status"] == "stopped"))
        a.cli("start", "p")
        at = time.perf_counter()
        subprocess.run(["docker", "stop", "-t", "9", box], check=True, stdout=subprocess.DEVNULL)
        ended.append((time.perf_counter() - at) * 1000)
        until(lambda: a.rpc("workspaces/get", {"name": "p"})["status"] == "stopped")
        a.cli("start", "p")
    ms = statistics.median(stopped)
    row("a stop behind our back is known", ms, None, "ms", None, "at most 1000", ms <= 1000)
    ms = statistics.median(ended)
    row("a workspace ends when it is told to", ms, None, "ms", None, "at most 1000", ms <= 1000)
    delete_all(a)
    a.stop()


def part_list():
    a = Agent()
    n = opt.workspaces
    before = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        made = list(pool.map(lambda i: a.rpc("workspaces/start", {"name": f"w{i}"}), range(n)))
    took = time.perf_counter() - before
    ports = [w["ports"]["ssh"] for w in made]
    running = sum(w["status"] == "running" for w in made)
    row(f"{n} concurrent starts", took, None, "s", None, "all run, no port twice", running == n and len(set(ports)) == n)
    requests = -1
    while requests != a.engine_requests():  # what starts bring with them (watching ports) is no list's
        requests = a.engine_requests()
        time.sleep(1)
    ours = timed(lambda: a.cli("list"), 21)
    asked = a.engine_requests() - requests
    docker = timed(lambda: subprocess.run(["docker", "ps", "-a"], check=True, stdout=subprocess.DEVNULL), 21)
    row(f"perry list with {n}", ours, docker, "ms", ours / docker, "at most 0.25 of docker ps -a", ours / docker <= 0.25)
    row("engine requests during 21 lists", float(asked), None, "requests", None, "0", asked == 0)
    delete_all(a)
    a.stop()


def old_workspaces(n):
    return {"workspaces": {f"old{i}": {"name": f"old{i}", "status": "stopped", "containerId": "", "created": "2026-01-01T00:00:00.000Z",
                                       "ports": {"ssh": 0}} for i in range(n)}}


def part_preview():
    a = Agent(old_workspaces(200))
    hooks = a.dir + "/acme/hooks"
    os.makedirs(hooks)
    for point, text in (("hostname", 'return function(ws, base) return "alice-" .. base() end'),
                        ("container", 'return function(ws, base) local c = base() c.memory = "4GiB" return c end'),
                        ("review", 'return function(ws, plan) return plan.container.memory ~= nil, "no limit" end')):
        with open(f"{hooks}/{point}.lua", "w") as f:
            f.write(text)
    found = json.loads(a.cli("hooks", "preview", a.dir + "/acme", "--json").stdout)
    ms = timed(lambda: a.cli("hooks", "preview", a.dir + "/acme"), 9)
    row("perry hooks preview, 200 workspaces", ms, None, "ms", None, "at most 1000", ms <= 1000 and found["changed"] == 200)
    a.stop()


def latencies(sock, seconds):
    """Calls of a list, one after the other on one connection: calls a second, and the 99th percentile in ms."""
    conn, took = Unix(sock), []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        at = time.perf_counter()
        call(conn, "POST", "/rpc/workspaces/list", {})
        took.append((time.perf_counter() - at) * 1000)
    conn.close()
    took.sort()
    return len(took) / seconds, took[len(took) * 99 // 100]


def run_away(sock, name, go_on):
    """Operations whose hook never ends, one after the other, until go_on is cleared."""
    while go_on.is_set():
        conn = Unix(sock)
        try:
            call(conn, "POST", "/rpc/workspaces/start", {"json": {"name": name}})
        except RuntimeError:  # refused, which is its end
            pass
        conn.close()


def part_runaway():
    a = Agent(old_workspaces(20))
    os.makedirs(a.dir + "/hooks", 0o700)
    with open(a.dir + "/hooks/image.lua", "w") as f:
        f.write("return function() while true do end end")
    os.chmod(f.name, 0o600)
    idle, busy = [], []
    for i in range(9):
        idle.append(latencies(a.sock, 1.0))
        go_on = multiprocessing.Event()
        go_on.set()
        drivers = [multiprocessing.Process(target=run_away, args=(a.sock, f"run{k}", go_on)) for k in range(8)]
        for d in drivers:
            d.start()
        time.sleep(0.3)
        busy.append(latencies(a.sock, 1.0))
        go_on.clear()
        for d in drivers:
            d.join()
    rates = [statistics.median(x[0] for x in side) for side in (busy, idle)]
    p99 = [statistics.median(x[1] for x in side) for side in (busy, idle)]
    row("API p99 with eight runaway hooks, against idle", p99[0], p99[1], "ms", p99[0] / p99[1], "at most 2 times", p99[0] <= 2 * p99[1])
    row("API calls a second with eight runaway hooks, against idle", rates[0], rates[1], "/s", rates[0] / rates[1], "shown", True)
    a.stop()


def part_flood():
    """Any user of this machine holds 640 connections of each kind: the owner's command line meanwhile, and the agent's memory."""
    a = Agent(old_workspaces(20))
    for kind in ("idle", "heads", "kept", "small", "bodies"):
        quiet, busy, most = [], [], 0.0
        for _ in range(100):
            at = time.perf_counter()
            a.cli("list")
            quiet.append((time.perf_counter() - at) * 1000)
        flood = subprocess.Popen([sys.executable, "tests/lib/flood.py", str(a.port), kind, "640"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        flood.stdout.readline()
        for _ in range(200):
            at = time.perf_counter()
            a.cli("list")
            busy.append((time.perf_counter() - at) * 1000)
            most = max(most, pss_mib(a.proc.pid))
        flood.stdin.close()
        flood.wait()
        p99 = [sorted(side)[len(side) * 99 // 100 - 1] for side in (busy, quiet)]
        row(f"perry list p99 in a flood ({kind}), against none", p99[0], p99[1], "ms", p99[0] / p99[1], "at most 50 ms", p99[0] <= 50)
        row(f"memory of the agent in a flood ({kind})", most, None, "MiB", None, "at most 64 MiB", most <= 64)
    a.stop()


def part_programs():
    for name in sorted(os.listdir("tests/bench")):
        if not name.endswith("_bench.c"):
            continue
        target = f"{build}/bench/{name[:-2]}"
        subprocess.run(["make", "-s", f"BUILD={build}", target], check=True)
        print(f"# {name}", flush=True)
        code = subprocess.run([target], timeout=300).returncode
        row(name[:-2], float(code), None, "exit", None, "0", code == 0)


try:
    if wanted("agent"):
        part_agent()
    if wanted("start"):
        part_start()
    if wanted("sessions"):
        part_sessions()
    if wanted("join"):
        part_join()
    if wanted("prompt"):
        part_prompt()
    if wanted("list"):
        part_list()
    if wanted("preview"):
        part_preview()
    if wanted("runaway"):
        part_runaway()
    if wanted("flood"):
        part_flood()
    if wanted("programs"):
        part_programs()
finally:
    for agent in list(Agent.live):  # a part broke off
        delete_all(agent)
        agent.stop()
    if opt.json:
        with open(opt.json, "w") as out:
            json.dump(rows, out, indent=1)
print(f"{len(rows)} figures, {missed} missed")
sys.exit(1 if missed else 0)
