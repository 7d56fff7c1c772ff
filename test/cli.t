#!/bin/sh
# The command line without any Postgres: words, options, settings, exit codes.
# SPDX-License-Identifier: PostgreSQL
. "$(dirname "$0")/tap.sh"
cd "$(dirname "$0")/.." || exit 1

scratch=$(mktemp -d "${TMPDIR:-/tmp}/autoctl.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
HOME=$scratch XDG_CONFIG_HOME=$scratch/config XDG_DATA_HOME=$scratch/data
XDG_RUNTIME_DIR=$scratch
export HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR
unset PGDATA PG_AUTOCTL_MONITOR
bin=./autoctl

# stderr of a command that must fail
says() {
	"$@" 2>&1 >/dev/null
}

# -- words --
fails "no command" 1 $bin
like "$(says $bin)" "expected a command" "... and it says so"
fails "an unknown command" 1 $bin creat monitor
like "$(says $bin create monitr)" "^autoctl: monitr: unknown command$" "the unknown word is named"
like "$(says $bin create monitr)" "create monitor" "... and what there is"
fails "half a command" 1 $bin create
like "$(says $bin create)" 'expected more after "create"' "... and it says so"
fails "a word too many" 1 $bin version now

# -- options --
fails "an unknown option" 1 $bin show state --colour
like "$(says $bin show state --colour)" "^autoctl: --colour: unknown option$" "it is named"
like "$(says $bin show state --colour)" "^usage: autoctl show state" "... with the usage"
like "$(says $bin stop --destroy)" '^autoctl: --destroy: not an option of "stop"$' \
	"an option of another command"
like "$(says $bin show state --pgdata)" "^autoctl: --pgdata needs a value" "a missing value"
like "$(says $bin stop -D /x --fast=1)" "^autoctl: --fast takes no value" "a value too many"
like "$(says $bin show state -D /x -Z)" "^autoctl: -Z: unknown option$" "an unknown letter"
fails "two ways to stop" 1 $bin stop -D "$scratch/x" --fast --immediate

# -- help --
ok "help" $bin help
is "$($bin help >/dev/null 2>&1; echo $?)" 0 "help ends with 0"
is "$($bin help 2>&1 >/dev/null)" "" "... and goes to stdout"
ok "--help of a command" $bin show state --help
is "$($bin show state --help 2>/dev/null)" "" "--help goes to stderr"
without=$($bin help mdoc | grep -c '^\.Nm')
listed=$($bin help | grep -c '^  [a-z]')
is "$listed" "$without" "help lists every command"
bare=$($bin help | grep '^  [a-z]' | grep -v '^  .\{42\} *[a-z]')
is "$bare" "" "each has a sentence"
like "$($bin help config)" "config set <key> <value>" "help of a first word"
like "$($bin help create postgres)" "candidate-priority" "help of one command shows its options"
fails "help of nothing we know" 1 $bin help frobnicate

# -- version --
like "$($bin version)" "^autoctl version [0-9]" "version"
like "$($bin --version)" "^autoctl version [0-9]" "--version"
ln -s "$PWD/autoctl" "$scratch/pg_autoctl"
like "$("$scratch/pg_autoctl" version)" "^pg_autoctl version [0-9]" "as pg_autoctl"
like "$(says "$scratch/pg_autoctl" nonsense)" "^pg_autoctl: nonsense" "... it calls itself so"
ln -s "$PWD/autoctl" "$scratch/autoctl-show"
like "$("$scratch/autoctl-show" fsm)" "wait_primary" "a link may hold the first word"

# -- data directories and settings --
fails "no data directory" 1 $bin config get
like "$(says $bin config get)" "hint: give --pgdata, or set PGDATA" "... says what to do"
fails "an unknown data directory" 1 $bin config get -D "$scratch/none"
fails "show state of an unknown data directory" 12 $bin show state -D "$scratch/none"
fails "show state of nothing" 1 $bin show state
fails "a monitor that is not a URI" 1 $bin show state --monitor 'host=='
fails "a monitor that does not answer" 6 $bin show state \
	--monitor "postgres://autoctl_node@127.0.0.1:1/pg_auto_failover"

data=$scratch/pg
cfg=$scratch/config/pg_autoctl/${data#/}/pg_autoctl.cfg
mkdir -p "$(dirname "$cfg")"
cat >"$cfg" <<EOF
# written by hand
[pg_autoctl]
role = keeper
monitor = postgres://autoctl_node@127.0.0.1:1/pg_auto_failover
formation = default
hostname = localhost

[postgresql]
# where the data is
pgdata = $data
port = 6543

[mine]
unknown = kept
EOF
is "$($bin config get -D "$data" postgresql.port)" 6543 "config get"
is "$($bin config get -D "$data" pg_autoctl.formation)" default "config get of another"
like "$($bin config get -D "$data")" "^\[postgresql\]$" "config get of all"
like "$($bin config get -D "$data" --json)" '"port": 6543' "config get --json"
is "$($bin config set -D "$data" postgresql.port 6544)" 6544 "config set answers the value"
is "$($bin config get -D "$data" postgresql.port)" 6544 "... and keeps it"
like "$(cat "$cfg")" "^# where the data is$" "comments survive"
like "$(cat "$cfg")" "^unknown = kept$" "unknown keys survive"
fails "an unknown key" 1 $bin config get -D "$data" postgresql.colour
like "$(says $bin config get -D "$data" postgresql.colour)" "postgresql.colour" "... is named"
fails "setting an unknown key" 2 $bin config set -D "$data" postgresql.colour red
before=$(cat "$cfg")
fails "a bad value" 2 $bin config set -D "$data" postgresql.port many
like "$(says $bin config set -D "$data" postgresql.port many)" "port.*many|many.*port" \
	"... key and value are named"
is "$(cat "$cfg")" "$before" "... and nothing has changed"
fails "a bad program" 2 $bin config set -D "$data" postgresql.pg_ctl /invalid
is "$(cat "$cfg")" "$before" "... changes nothing either"
fails "a missing value" 1 $bin config set -D "$data" postgresql.port
fails "status of what does not run" 3 $bin status -D "$data"
fails "stop of what does not run" 12 $bin stop -D "$data"
ok "reload of what does not run" $bin reload -D "$data"
like "$($bin show file -D "$data")" "Config \| $cfg" "show file"
is "$($bin show file -D "$data" --config)" "$cfg" "show file --config"
like "$($bin show file -D "$data" --config --contents)" "written by hand" "... --contents"
fails "two files at a time" 1 $bin show file -D "$data" --config --pid

printf '[pg_autoctl]\nrole = keeper\nthis is no setting\n' >"$cfg"
fails "a bad line" 2 $bin config get -D "$data"
like "$(says $bin config get -D "$data")" "pg_autoctl.cfg.*:3|line 3" "... file and line are named"

# -- the state machine --
like "$($bin show fsm)" "wait_primary" "show fsm"
like "$($bin show fsm --dot)" "^digraph" "show fsm --dot"
like "$($bin show fsm --mermaid)" "^stateDiagram" "show fsm --mermaid"
like "$($bin show fsm --json)" '^"edges": \[' "show fsm --json"
is "$($bin show fsm --tsv | awk -F'\t' '$1 == "state"' | wc -l)" 22 "22 states"
fails "two forms at once" 1 $bin show fsm --json --dot

# -- completion --
is "$($bin complete -- show st | sort | tr '\n' ' ')" "standby-names state " "words are completed"
like "$($bin complete -- config get postgresql.po)" "^postgresql.port$" "keys are completed"
is "$($bin complete -- show state --mon)" "--monitor" "options are completed"
like "$($bin completion bash)" "complete -o default -F _autoctl" "completion bash"
like "$($bin completion zsh)" "#compdef" "completion zsh"
fails "an unknown shell" 1 $bin completion fish

# -- an answer that does not get out --
if [ -w /dev/full ]; then
	$bin help >/dev/full 2>/dev/null
	is "$?" 12 "a full disk below stdout is an error"
fi
done_testing
