#!/usr/bin/env bash
# make run, make gdb: an agent from build/ in the foreground, in a folder of its own and on a free port, so that the one in use is left alone.
#   scripts/run.sh [--gdb] [ARGUMENT OF perry agent run ...]
# The folder stays between runs (workspaces are in its database): PERRY_RUN_DIR, by default run/ in the build folder.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=$(realpath "${BUILD:-build}")
dir=${PERRY_RUN_DIR:-$BUILD/run}
debugger=()
if [ "${1-}" = --gdb ]; then
	shift
	debugger=(gdb -q -ex "handle SIGPIPE nostop noprint" -ex run --args)
fi
mkdir -p "$dir"
chmod 700 "$dir"
if [ ! -e "$dir/config.json" ]; then
	# Networks and ports that the agent in use does not have.
	printf '{"image": "perry:small", "networkRange": "10.214.%d.0/22", "sshPortRange": "%d-%d"}\n' $((RANDOM % 63 * 4)) 42000 42060 >"$dir/config.json"
	chmod 600 "$dir/config.json"
fi
port=7400
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
cat <<-T
	The agent's folder is $dir, its log agent.log in it. In another terminal:
	  export PERRY_CONFIG_DIR=$dir
	  $BUILD/perry list
	  curl --unix-socket $dir/agent.sock http://localhost/health
	Ctrl-C ends it; workspaces that were started go on.
T
export PERRY_CONFIG_DIR=$dir PERRY_LOG=${PERRY_LOG:-debug}
exec "${debugger[@]}" "$BUILD/perry-agent" agent run -p "$port" -c "$dir" "$@"
