# The image's and the workspace's environment, after /etc/profile has set its own PATH.
for perry_env in /run/perry/env.image /run/perry/env; do
	if [ -r "$perry_env" ]; then
		set -a
		. "$perry_env"
		set +a
	fi
done
unset perry_env
