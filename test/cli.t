#!/bin/sh
# The command line, without Postgres: what is wrong is named, with the way out and the exit
# code of the contract; what is right round-trips.
# SPDX-License-Identifier: PostgreSQL

cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

[ -x ./autoctl ] || skip_all "autoctl is not built"
autoctl=$PWD/autoctl
dir=$(mktemp -d "${TMPDIR:-/tmp}/autoctl-cli.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
export HOME="$dir" XDG_CONFIG_HOME="$dir/etc" XDG_DATA_HOME="$dir/var" XDG_RUNTIME_DIR="$dir"
unset PGDATA PGHOST PGPORT PGUSER PGDATABASE PG_AUTOCTL_MONITOR PG_AUTOCTL_DEBUG NOTIFY_SOCKET
nothing=postgres://autoctl_node@127.0.0.1:1/pg_auto_failover

# run ARG... : into $out, $err, $code.
run() {
	"$autoctl" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	code=$?
	out=$(cat "$dir/out") err=$(cat "$dir/err")
}

# refuses CODE ERE ARG... : exit code, a message that matches, and nothing on stdout.
refuses() {
	want=$1 ere=$2
	shift 2
	run "$@"
	is "$code" "$want" "exit $want: autoctl $*" || note "$err"
	like "$err" "$ere" "... it says why"
	is "$out" "" "... and nothing on stdout"
}

# answers ARG... : exit 0, an answer, no complaint.
answers() {
	run "$@"
	is "$code" 0 "exit 0: autoctl $*" || note "$err"
	ok "... with an answer" test -s "$dir/out"
	is "$err" "" "... and no talk"
}

is_json() {
	awk -f test/json.awk "$dir/out"
}

# ---- words ----

refuses 1 'expected a command'
refuses 1 '^autoctl: frobnicate: unknown command' frobnicate
like "$err" 'hint: there is: help, .*monitor, .*config, ' "... and what there is"
refuses 1 '^autoctl: frobnicate: unknown command' show frobnicate
like "$err" 'hint: after "show": state, events, ' "... and what there is"
refuses 1 'stat: unknown command' show stat
like "$err" 'hint: did you mean "state"\?' "... and what was meant"
refuses 1 'shwo: unknown command' shwo state
like "$err" 'hint: did you mean "show"\?' "... and what was meant"
refuses 1 'extra: unexpected argument of "show state"' show state extra
refuses 1 'expected more after "show"' show
refuses 1 'expected more after "pgdata"|expected more after "postgresql.port"' \
	config set postgresql.port
refuses 1 'b: unexpected argument of "config get' config get a b
refuses 1 'unknown command' help frobnicate
refuses 6 'connect to the monitor' watch --monitor "$nothing"

# ---- options ----

refuses 1 '^autoctl: --frobnicate: unknown option' show state --frobnicate
like "$err" '^usage: autoctl show state' "... with the command's usage"
like "$err" 'hint: "autoctl help show state" shows its options' "... and where to look"
ok "... in few lines" test "$(wc -l <"$dir/err")" -le 4
refuses 1 '^autoctl: -Z: unknown option' show state -Z
refuses 1 '--pgdata needs a value' show state --pgdata
refuses 1 '-D needs a value' show state -D
refuses 1 '--watch takes no value' show state --watch=yes
refuses 1 '--listen: not an option of "show state"' show state --listen x
refuses 1 '--count: .*many' show events --monitor "$nothing" --count many
refuses 1 '--group: .*-1' perform failover --monitor "$nothing" --group -1
refuses 1 '--wait: .*soon' drop node --monitor "$nothing" --name a --wait soon
refuses 1 'frobnicate' completion frobnicate
refuses 1 'go together' show state --monitor "$nothing" --watch --json
refuses 1 'go together' show state --monitor "$nothing" --watch --local
refuses 1 'one form at a time' show fsm --dot --mermaid

# ---- whom it is about ----

refuses 1 'which data directory' config get
like "$err" 'hint: .*--pgdata.*PGDATA' "... and the way out"
refuses 1 'which monitor' show state
like "$err" 'hint: .*--monitor.*PG_AUTOCTL_MONITOR' "... and the way out"
refuses 1 'no settings' config get --pgdata "$dir/none"
like "$err" 'hint: .*create postgres' "... and the way out"
refuses 12 'no settings' show state --pgdata "$dir/none"
refuses 12 'no settings' show events --pgdata "$dir/none"
refuses 1 '^autoctl: --monitor: ' show state --monitor 'postgres://[::1/x'
refuses 6 '^autoctl: connect to the monitor: ' show state --monitor "$nothing"
refuses 6 'connect to the monitor' perform failover --monitor "$nothing"
refuses 1 'which node' drop node --monitor "$nothing"
refuses 1 'go together' drop node --monitor "$nothing" --name a --hostname b
refuses 1 'own host' drop node --monitor "$nothing" --hostname b --destroy
refuses 1 'candidate-priority' set node candidate-priority --monitor "$nothing" --name a x
refuses 1 'candidate-priority' set node candidate-priority --monitor "$nothing" --name a -1
refuses 1 'candidate-priority' set node candidate-priority --monitor "$nothing" --name a -- -1
refuses 1 'candidate-priority' set node candidate-priority --monitor "$nothing" --name a 101
refuses 1 'replication-quorum' set node replication-quorum --monitor "$nothing" --name a maybe
refuses 1 'number-sync-standbys' set formation number-sync-standbys --monitor "$nothing" x

# a password is never shown
run show state --monitor "postgres://autoctl_node:seCret1@127.0.0.1:1/pg_auto_failover"
is "$(printf '%s' "$err" | grep -c seCret1)" 0 "a password is not shown"

# ---- help, version, completion: prints of the table ----

answers help
answers version
like "$out" '^autoctl version [0-9]+\.' "the version is in it"
like "$out" '^autoctl extension version 2\.3$' "... and that of the schema's contract"
answers version --json
ok "it is JSON" is_json
like "$out" '"pgautofailover": "2.3"' "... with the contract's version"
for key in pg_autoctl pgautofailover pg_major pg_version pg_version_str pg_version_num; do
	like "$out" "\"$key\":" "... with $key"
done
answers --version
answers --version --json
ok "it is JSON" is_json

# every row: the words without what is bound
"$autoctl" help mdoc | sed -n 's/^\.Nm //p' >"$dir/rows"
ok "there are rows" test "$(wc -l <"$dir/rows")" -gt 30
sed -e 's/ \(Op \)\{0,1\}Ar .*//' -e 's/Cm //g' "$dir/rows" >"$dir/words"
bad=$(while read -r words; do
	text=$("$autoctl" help $words 2>/dev/null) || echo "help $words"
	printf '%s\n' "$text" | grep -q "^usage: autoctl $words\|^usage: autoctl <command>" ||
		echo "no usage: $words"
	printf '%s\n' "$text" | grep -q "^autoctl $words.*: [a-z]\|^  $words .*[a-z]$" ||
		echo "no text: $words"
	usage=$("$autoctl" $words --help 2>&1 >/dev/null) || echo "$words --help"
	printf '%s\n' "$usage" | grep -q '^usage: ' || echo "no usage: $words --help"
done <"$dir/words")
is "$bad" "" "every command has its help, on stdout and behind --help"

"$autoctl" complete -- '' | sort -u >"$dir/got"
cut -d' ' -f1 "$dir/words" | sort -u >"$dir/want"
is "$(cat "$dir/got")" "$(cat "$dir/want")" "completion knows every first word"
is "$("$autoctl" complete -- show sta | tr '\n' ' ')" "state standby-names " "it completes a word" ||
	note "(show sta)"
is "$("$autoctl" complete -- sh)" show "each candidate once"
is "$("$autoctl" complete -- perform failover --allow)" --allow-data-loss "and an option"
like "$("$autoctl" complete -- config get pg_autoctl.form)" '^pg_autoctl.formation$' "and a key"
is "$("$autoctl" complete -- set node replication-quorum t)" true "and a value"
is "$("$autoctl" complete -- manual fsm assign wait_p)" wait_primary "and a state"
is "$("$autoctl" complete -- inspect getpid l)" listener "and a service"
answers completion bash
if command -v bash >/dev/null; then
	ok "the script for bash is one" bash -n "$dir/out"
	is "$(PATH="$PWD:$PATH" bash -c '. "$0"; COMP_WORDS=(autoctl con) COMP_CWORD=1
		COMP_LINE="autoctl con x" COMP_POINT=11
		_autoctl; echo "${COMPREPLY[@]}"' "$dir/out")" config "and it works"
fi
answers completion zsh
if command -v zsh >/dev/null; then
	ok "the script for zsh is one" zsh -n "$dir/out"
fi

# completed LINE WANT
completed() {
	is "$("$autoctl" complete-line -- "$1" 2>&1 | tr '\n' ' ')" "$2" "completed: $1"
}
completed "autoctl enable ssl --ssl-mode ver" "verify-ca verify-full "
completed "autoctl -q config --pgdata '/a b' get ssl.act" "ssl.active "
completed "autoctl config set ssl.active " "0 1 "
completed "autoctl config set ssl.sslmode=" ""
completed "autoctl create formation --kind=" "pgsql "
completed "autoctl show file -C --pa" ""
completed "autoctl show file -C --pi" "--pid "
completed "autoctl show file --pgdata --pi" ""
completed "autoctl create monitor --form" "--formation "
completed "autoctl watch --wa" "--wait "
completed "autoctl watch --wait --gr" "--group "
completed "" "$(cut -d' ' -f1 "$dir/words" | uniq | awk '!seen[$0]++' | tr '\n' ' ')"
completed "autoctl show state --monitor '$nothing' --formation " ""
is "$("$autoctl" complete -- create formation --kind=)" "--kind=pgsql" "zsh gets the whole word"

# every row and no other is listed, each with a sentence
is "$("$autoctl" help | grep -c '^  [a-z]')" "$(grep -c . "$dir/rows")" "help lists every command"
is "$("$autoctl" help | grep '^  [a-z]' | grep -vE '  +[a-z].* [a-z]|[>\]] [a-z]')" "" \
	"each has a sentence"

# ---- the other names ----

ln -s "$autoctl" "$dir/pg_autoctl"
ln -s "$autoctl" "$dir/autoctl-show"
like "$("$dir/pg_autoctl" version)" '^pg_autoctl version ' "pg_autoctl is the same program"
like "$("$dir/pg_autoctl" frobnicate 2>&1)" '^pg_autoctl: frobnicate: unknown' "by its name"
is "$("$dir/autoctl-show" fsm --tsv)" "$("$autoctl" show fsm --tsv)" "autoctl-show is autoctl show"

# ---- settings ----

mkdir -p "$dir/n1" "$dir/m1"
cfg=$XDG_CONFIG_HOME/pg_autoctl$dir/n1/pg_autoctl.cfg
mkdir -p "${cfg%/*}" "$XDG_CONFIG_HOME/pg_autoctl$dir/m1"
write_cfg() {
	cat >"$cfg" <<-END
		# who we are
		[pg_autoctl]
		role = keeper
		monitor = postgres://autoctl_node:seCret2@127.0.0.1:1/pg_auto_failover
		formation = blue ; no comment
		# of group 0
		group = 0
		name = node_1
		hostname = 127.0.0.1

		[postgresql]
		pgdata = $dir/n1
		port = 5499
		future_key = kept
	END
	sed -i 's/ ; no comment//' "$cfg"
}
write_cfg
cp "$cfg" "$dir/before"

answers config get pg_autoctl.formation --pgdata "$dir/n1"
is "$out" blue "config get prints the value"
is "$(PGDATA=$dir/n1 "$autoctl" config get pg_autoctl.formation)" blue "PGDATA says whose"
is "$("$autoctl" -D "$dir/n1" config get pg_autoctl.formation)" blue "options may come first"
is "$("$autoctl" config --pgdata="$dir/n1" get pg_autoctl.formation)" blue "or between"
is "$("$autoctl" config get "-D$dir/n1" -qv -- pg_autoctl.formation)" blue "or be glued"
is "$(cd "$dir" && "$autoctl" config get --pgdata ./n1/../n1/ pg_autoctl.formation)" blue \
	"however the directory is written"
answers config get --pgdata "$dir/n1"
like "$out" '^\[pg_autoctl\]$' "config get prints the whole"
like "$out" '^port = 5499$' "... with what is set"
answers config get --json --pgdata "$dir/n1"
ok "... as JSON" is_json
like "$out" '"port": 5499,?$' "... numbers as numbers"
like "$out" '"formation": "blue"' "... texts as texts"
is "$(cmp "$cfg" "$dir/before")" "" "reading changes nothing"

refuses 1 'pg_autoctl.frob' config get pg_autoctl.frob --pgdata "$dir/n1"
refuses 2 'pg_autoctl.frob' config set pg_autoctl.frob 1 --pgdata "$dir/n1"
refuses 2 'postgresql.port.*none' config set postgresql.port none --pgdata "$dir/n1"
refuses 2 'postgresql.port.*99999' config set postgresql.port 99999 --pgdata "$dir/n1"
refuses 2 'ssl.sslmode.*maybe' config set ssl.sslmode maybe --pgdata "$dir/n1"
like "$err" 'verify-full' "... and what is allowed"
refuses 2 'pg_ctl' config set postgresql.pg_ctl invalid --pgdata "$dir/n1"
refuses 2 'network_partition_timeout' \
	config set timeout.network_partition_timeout -5 --pgdata "$dir/n1"
is "$(cmp "$cfg" "$dir/before")" "" "what is refused changes nothing"

answers config set postgresql.port 5498 --pgdata "$dir/n1"
is "$out" 5498 "config set prints the value"
is "$("$autoctl" config get postgresql.port --pgdata "$dir/n1")" 5498 "which is read back"
for line in '# who we are' '# of group 0' 'future_key = kept'; do
	like "$(cat "$cfg")" "^$line\$" "it keeps: $line"
done
ok "and takes it back" "$autoctl" config set postgresql.port 5499 --pgdata "$dir/n1"
is "$(grep -vxFf "$cfg" "$dir/before")" "" "all that was in the file is in it"
is "$(stat -c %a "$cfg")" 600 "for our eyes only"

# a value that needs quotes survives
ok "blanks at the ends" "$autoctl" config set replication.password ' p"\#; ' --pgdata "$dir/n1"
is "$("$autoctl" config get replication.password --pgdata "$dir/n1")" ' p"\#; ' "are kept"

# ... and need not be on the command line
like "$("$autoctl" config set replication.password p1 --pgdata "$dir/n1" 2>&1)" 'seen by others' \
	"a password on the command line: a warning"
is "$("$autoctl" -q config set replication.password p1 --pgdata "$dir/n1" 2>&1)" p1 "... or none"
printf ' p"\\2; \nthe next line\n' >"$dir/in"
is "$(PGDATA=$dir/n1 "$autoctl" config set replication.password - <"$dir/in" 2>&1)" '****' \
	"one from stdin is not shown"
is "$("$autoctl" config get replication.password --pgdata "$dir/n1")" ' p"\2; ' "... and whole"
is "$({
	PGDATA=$dir/n1 "$autoctl" config set postgresql.port -
	cat
} <<-END
	5500
	the next command's
END
)" "5500
the next command's" "any value may come from stdin, one line of it"
refuses 1 'nothing came in' config set replication.password - --pgdata "$dir/n1"
is "$("$autoctl" config get replication.password --pgdata "$dir/n1")" ' p"\2; ' "what is refused changes nothing"

# broken LINE TEXT ERE : one line of the file replaced; it is named, with its number.
broken() {
	write_cfg
	sed -i "$1s|.*|$2|" "$cfg"
	refuses 2 "pg_autoctl.cfg:$1: .*$3" config get --pgdata "$dir/n1"
}
broken 5 'formation blue' 'expected'
broken 2 '[pg_autoctl' 'closing'
broken 5 'role = keeper' '"role" is already set on line 3'
broken 13 'port = many' 'port.*many'
broken 13 'port = 0' 'port'
broken 5 'formation = two words' 'formation'
write_cfg
sed -i 2,3d "$cfg"
refuses 2 'pg_autoctl.cfg' config get --pgdata "$dir/n1"
: >"$cfg"
refuses 2 'pg_autoctl.cfg.*role|pg_autoctl.role' config get --pgdata "$dir/n1"
head -c 2000 /dev/urandom >"$cfg"
refuses 2 'pg_autoctl.cfg' config get --pgdata "$dir/n1"
write_cfg

# ---- files ----

answers show file --pgdata "$dir/n1"
like "$out" "Config .*$cfg" "show file says where"
answers show file --json --pgdata "$dir/n1"
ok "as JSON" is_json
answers show file --config --pgdata "$dir/n1"
is "$out" "$cfg" "one path"
answers show file --config --contents --pgdata "$dir/n1"
is "$out" "$(cat "$cfg")" "its contents"
answers show file --config --contents --json --pgdata "$dir/n1"
ok "as JSON" is_json
refuses 1 'at a time' show file --config --state --pgdata "$dir/n1"

# ---- a monitor's directory ----

printf '[pg_autoctl]\nrole = monitor\nhostname = localhost\n[postgresql]\npgdata = %s\nport = 5497\n' \
	"$dir/m1" >"$XDG_CONFIG_HOME/pg_autoctl$dir/m1/pg_autoctl.cfg"
refuses 2 'monitor' enable maintenance --pgdata "$dir/m1"
refuses 6 'monitor' show state --local --pgdata "$dir/m1"
refuses 1 'monitor' show file --state --pgdata "$dir/m1"
is "$("$autoctl" config get pg_autoctl.role --pgdata "$dir/m1")" monitor "its settings"

# ---- the unit for systemd ----

odd="$dir/100% \"n\" 's"
mkdir "$odd"
run show systemd --pgdata "$odd"
is "$code" 0 "a unit"
like "$err" 'systemctl daemon-reload' "... and how to install it"
like "$out" "^ExecStart=$autoctl run\$" "... runs this program"
like "$out" "^User=$(id -un)\$" "... as the owner"
like "$out" '^KillMode=mixed$' "... which stops Postgres itself"
is "$(printf '%s\n' "$out" | grep '^Environment=')" \
	"Environment='PGDATA=$dir/100%% \\x22n\\x22 \\x27s'" "... and any directory can be written"
answers -q show systemd --pgdata "$dir/n1"
if command -v systemd-analyze >/dev/null; then
	cp "$dir/out" "$dir/pgaf.service"
	is "$(systemd-analyze verify "$dir/pgaf.service" 2>&1 | grep 'pgaf.service:')" "" \
		"systemd finds nothing wrong with it"
fi
refuses 12 'No such file' show systemd --pgdata "$dir/none"

# ---- inspect, manual, without Postgres ----

refuses 3 'no state file' inspect fsm state --pgdata "$dir/n1"
refuses 2 'monitor drives' manual fsm nodes get --pgdata "$dir/n1"
refuses 1 'no such state' manual fsm assign nonsense --pgdata "$dir/n1"
refuses 1 'no such phase' inspect fsm mermaid nonsense
refuses 1 'no notification' inspect monitor parse-notification '{"type": "log"}'
answers inspect monitor parse-notification '{"type": "state", "name": "a", "host": "b", "port": 5432,
	"formation": "default", "reportedState": "primary", "goalState": "primary"}'
ok "it is JSON" is_json
answers inspect fsm list
answers inspect fsm list --json
ok "it is JSON" is_json
answers inspect fsm gv
for phase in init steady-state failover maintenance removal; do
	answers inspect fsm mermaid $phase
done
answers inspect show lookup 127.0.0.1
refuses 12 '' inspect show reverse no-such-host.invalid
refuses 12 'no service is running' inspect getpid postgres --pgdata "$dir/n1"
refuses 1 'Citus formations are not supported' manual coordinator add
refuses 1 'Citus formations are not supported' create worker --group 1 --proxyport 5 --citus-secondary
refuses 1 'Citus formations are not supported' create coordinator -z --citus-cluster x
refuses 1 'Citus formations are not supported' create coordinator --pgdata "$dir/n1" --auth trust
refuses 1 'not a part of this program' internal demo run --clients 2
refuses 1 'not a part of this program' internal tmux script --root x --nodes 3
refuses 1 'unknown command' do fsm state
like "$err" 'hint: .*inspect' "... and where it is now"
refuses 2 "node's" internal service listener --pgdata "$dir/n1"

# ---- the service that does not run ----

refuses 3 'no service is running' status --pgdata "$dir/n1"
refuses 12 'no service is running' stop --pgdata "$dir/n1"
run reload --pgdata "$dir/n1"
is "$code" 0 "reload without a service is fine"
refuses 1 'at a time' stop --fast --immediate --pgdata "$dir/n1"
refuses 1 'PG_AUTOCTL_DEBUG' stop --sigkill --pgdata "$dir/n1"
refuses 1 'PGDATA|HOME|data directory' stop

# ---- the state machine ----

answers show fsm
for form in dot mermaid tsv mdoc; do
	answers show fsm --$form
done
answers show fsm --json
ok "it is JSON" is_json
"$autoctl" show fsm --tsv >"$dir/out"
is "$(awk -F'\t' 'NF < 3' "$dir/out" | wc -l)" 0 "no cell is missing"
is "$(grep -c '^state	' "$dir/out")" 22 "22 states"

done_testing
