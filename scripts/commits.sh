#!/bin/sh
# Subjects of commits: "area: imperative", 72 characters at most. scripts/commits.sh [FROM]: those after FROM; by default after the newest release tag
# (vN...), or after the commit that brought this check, whichever is later. What a shallow clone does not have is not looked at.
set -eu
cd "$(dirname "$0")/.."
if [ ! -e .git ]; then
	echo "commits: no git history here, nothing to look at"
	exit 0
fi
git rev-parse -q --verify HEAD >/dev/null # says why, as in a clone that is another user's
from=${1:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || :)}
if [ $# = 0 ]; then
	began=$(git log --diff-filter=A --format=%H -- scripts/commits.sh | tail -1)
	# In a shallow clone every file seems to come with its oldest commit, which is a boundary without parents.
	if [ -n "$began" ] && { [ -z "$from" ] || git merge-base --is-ancestor "$from" "$began" 2>/dev/null; }; then from=$began; fi
fi
# The commit FROM itself is not looked at: it may be the boundary of a shallow clone.
git log --no-merges --format='%h %s' ${from:+"$from..HEAD"} | awk '
	{
		hash = $1
		subject = substr($0, length(hash) + 2)
		why = ""
		if (length(subject) > 72) why = length(subject) " characters, 72 are allowed"
		else if (subject !~ /^[a-z0-9][a-z0-9_.,\/ -]*: [^ ]/) why = "not \"area: imperative\""
		else if (subject ~ /\.$/) why = "ends with a full stop"
		else if (subject ~ /^[^:]*: (added|adds|adding|fixed|fixes|fixing|changed|changes|changing|removed|removes|removing|moved|moves|moving) /) why = "not an imperative (\"add\", not \"adds\" or \"added\")"
		if (why != "") { printf "%s: %s: %s\n", hash, subject, why; bad = 1 }
	}
	END { exit bad }'
