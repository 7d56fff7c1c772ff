#!/bin/sh
# Bad input of every kind: a clear sentence, the right exit code, nothing half made.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# refused CODE ERE COMMAND... : it ends with that code, within 20 s, says why on stderr in
# words that match, prints nothing on stdout, and shows no more than ten lines.
refused() {
	r_code=$1 r_ere=$2
	shift 2
	r_out=$(timeout 20 "$@" 2>"$root/stderr" </dev/null)
	r_got=$?
	r_err=$(cat "$root/stderr")
	is "$r_got" "$r_code" "exit code $r_code: $(echo "$*" | sed "s,$root/,,g; s,$autoctl,autoctl,")"
	like "$r_err" "$r_ere" "it says: $(echo "$r_err" | head -n 1 | sed "s,$root/,,g")"
	[ -z "$r_out" ] && [ "$(echo "$r_err" | wc -l)" -le 10 ] ||
		is "$r_out$r_err" "" "nothing on stdout, little on stderr"
}

# left_nothing DIR... : no files of ours for these data directories, no directory either.
left_nothing() {
	for ln_dir in "$@"; do
		[ ! -e "$ln_dir" ] || { ls -la "$ln_dir"; return 1; }
		for ln_top in "$XDG_CONFIG_HOME" "$XDG_DATA_HOME" "$XDG_RUNTIME_DIR"; do
			ln_found=$(find "$ln_top/pg_autoctl$ln_dir" -type f 2>/dev/null)
			[ -z "$ln_found" ] || { echo "$ln_found"; return 1; }
		done
	done
}

cluster_init
# a script, for timeout(1) to run
create=$root/create
cat >"$create" <<-END
	#!/bin/sh
	exec "$autoctl" create postgres --auth trust --no-ssl --hostname 127.0.0.1 \\
		--listen 127.0.0.1 "\$@"
END
chmod +x "$create"
uri=$(monitor_uri)

# words
refused 1 'unknown command' "$autoctl" shwo state
refused 1 'unknown command|expected a command' "$autoctl" show nothing
refused 1 'option' "$autoctl" show state --no-such-option
refused 1 'option|argument|value' "$autoctl" show state --formation
refused 1 'option|argument' "$autoctl" show state extra words
refused 1 'pgdata|PGDATA' "$autoctl" show state
refused 1 'pgdata|PGDATA' "$autoctl" node run
refused 1 'auth' "$autoctl" create monitor --pgdata "$root/x1" --no-ssl
refused 1 'ssl' "$autoctl" create monitor --pgdata "$root/x1" --auth trust
refused 1 'monitor' "$create" --pgdata "$root/x1"
refused 1 'number|port' "$create" --pgdata "$root/x1" --pgport many --monitor "$uri"
refused 1 'port|between' "$create" --pgdata "$root/x1" --pgport 70000 --monitor "$uri"
refused 1 'priority|between' "$create" --pgdata "$root/x1" --candidate-priority 101 --monitor "$uri"
refused 1 'URI|connection string' "$create" --pgdata "$root/x1" --monitor 'not a uri'
refused 1 'bool|true|quorum' "$create" --pgdata "$root/x1" --replication-quorum perhaps --monitor "$uri"
# what would mean something in pg_hba.conf, in a connection string or in a settings file
nl='
'
for odd in "h' port=1" 'h"' 'h all trust' "h${nl}host all all 0.0.0.0/0 trust" '0.0.0.0/0' '-h' '%s h'; do
	refused 1 'name or an address of a host|control' "$create" --pgdata "$root/x1" --hostname "$odd" \
		--monitor "$uri"
	refused 1 'name ' "$create" --pgdata "$root/x1" --name "$odd" --monitor "$uri"
	refused 1 'name ' "$create" --pgdata "$root/x1" --formation "$odd" --monitor "$uri"
	refused 1 'method' "$create" --pgdata "$root/x1" --auth "$odd" --monitor "$uri"
done
refused 1 'control character' "$create" --pgdata "$root/x1" --replication-password "a${nl}b" --monitor "$uri"
refused 1 'priority|PRIORITY' env PG_AUTOCTL_CANDIDATE_PRIORITY=101 "$create" --pgdata "$root/x1" --monitor "$uri"
refused 1 'SELF_SIGNED' env PG_AUTOCTL_SSL_SELF_SIGNED=perhaps "$autoctl" create monitor \
	--pgdata "$root/x1" --auth trust
refused 1 'method' env PG_AUTOCTL_AUTH_METHOD=peer "$autoctl" create monitor --pgdata "$root/x1" --no-ssl
refused 1 'ssl-ca-file' "$autoctl" create monitor --pgdata "$root/x1" --auth cert --ssl-self-signed
ok "nothing is left of that" left_nothing "$root/x1"

# a monitor that is not there
refused 6 "$mport|refused" "$autoctl" show state --monitor "$uri"
refused 6 "$mport|refused" "$autoctl" perform failover --monitor "$uri"
refused 6 'no-such-host|resolve|translate' "$autoctl" show state \
	--monitor 'postgres://autoctl_node@no-such-host.invalid:5432/pg_auto_failover'
start silent "$wire" run "$root/s/silent" "silent=127.0.0.1:$((mport + 8)),127.0.0.1:$mport"
within 5 test -S "$root/s/silent" >/dev/null
"$wire" cut "$root/s/silent" silent
refused 6 'time|no answer' "$autoctl" show state \
	--monitor "postgres://autoctl_node@127.0.0.1:$((mport + 8))/pg_auto_failover"

# directories
mkdir "$root/x2" && echo precious >"$root/x2/file"
"$autoctl" create monitor --pgdata "$root/x2" --pgport "$mport" --hostname 127.0.0.1 \
	--auth trust --no-ssl >/dev/null 2>"$root/stderr"
rc=$?
ok "a directory with other things in it is not taken for a monitor" [ $rc -ne 0 ]
is "$(ls "$root/x2"; cat "$root/x2/file")" "file
precious" "and not touched"
mkdir "$root/ro" && chmod 555 "$root/ro"
"$autoctl" create monitor --pgdata "$root/ro/x3" --pgport "$mport" --hostname 127.0.0.1 \
	--auth trust --no-ssl >/dev/null 2>"$root/stderr"
rc=$?
ok "a place where we may not write: refused" [ $rc -ne 0 ]
like "$(cat "$root/stderr")" 'denied' "and it says why"
ok "nothing is left of that" left_nothing "$root/ro/x3"
own=$(mktemp -d /tmp/pg_autoctl_XXXXXX)
XDG_RUNTIME_DIR=$own "$autoctl" create monitor --pgdata "$root/ro/x3" --pgport "$mport" \
	--hostname 127.0.0.1 --auth trust --no-ssl >/dev/null 2>&1
is "$(stat -c %a "$own")" 700 "a folder of one's own is not opened to others"
rm -rf "$own"
refused 1 'authenticated|auth' "$autoctl" node run --pgdata "$root/no-such-dir"
refused 12 'no-such-dir|running|configuration|found|such file' "$autoctl" show state \
	--pgdata "$root/no-such-dir"

# programs
refused 1 'pg_ctl|no-such' "$create" --pgdata "$root/x4" --pgctl /no-such/pg_ctl --monitor "$uri"
ok "nothing is left of that" left_nothing "$root/x4"

# a real monitor and node
ok "the monitor runs" monitor_up
refused 3 'running' "$autoctl" create monitor --pgdata "$root/m" --pgport "$mport" \
	--hostname 127.0.0.1 --auth trust --no-ssl
refused 12 'running|lock|pid' "$autoctl" monitor run --pgdata "$root/m"
refused 2 'monitor|role' "$autoctl" node run --pgdata "$root/m"
refused 6 'formation' "$autoctl" show settings --formation nobody --monitor "$uri"
refused 3 'node' "$autoctl" perform failover --monitor "$uri"

# a port that is taken
start port_taker "$wire" run "$root/s/taker" "t=127.0.0.1:$(node_port 5),127.0.0.1:1"
within 5 test -S "$root/s/taker" >/dev/null
"$create" --pgdata "$root/n5" --pgport "$(node_port 5)" --name node_5 --monitor "$uri" \
	>/dev/null 2>"$root/stderr"
rc=$?
ok "a port that is taken: refused" [ $rc -ne 0 ]
like "$(cat "$root/stderr")" "$(node_port 5)|in use" "and it says which: $(head -n 1 "$root/stderr")"
kill "$(pid_of port_taker)"

ok "a node runs" node_up 1
ok "it is single" wait_state 1 single 30
refused 12 'served already' "$autoctl" node run --pgdata "$root/n1"
pid=$(pid_of node_1)
ok "the first service goes on" alive "$pid"
refused 2 'role|keeper|node' "$autoctl" monitor run --pgdata "$root/n1"

# settings
refused 1 'no_such|unknown' "$autoctl" config get pg_autoctl.no_such --pgdata "$root/n1"
refused 2 'no_such|unknown' "$autoctl" config set pg_autoctl.no_such 1 --pgdata "$root/n1"
refused 2 'port|number' "$autoctl" config set postgresql.port many --pgdata "$root/n1"
refused 2 'pg_ctl' "$autoctl" config set postgresql.pg_ctl /no-such/pg_ctl --pgdata "$root/n1"
is "$("$autoctl" config get postgresql.port --pgdata "$root/n1")" "$(node_port 1)" \
	"what was refused is not stored"
cfg=$("$autoctl" show file --config --pgdata "$root/n1")
ok "the settings file is found" test -f "$cfg"
cp "$cfg" "$root/cfg"
echo 'this is no line of settings' >>"$cfg"
refused 2 "$(basename "$cfg").*[0-9]|line [0-9]" "$autoctl" config get pg_autoctl.role --pgdata "$root/n1"
cp "$root/cfg" "$cfg"
sed -i 's/^port = .*/port = many/' "$cfg"
refused 2 'port' "$autoctl" config get pg_autoctl.role --pgdata "$root/n1"
kill -HUP "$pid"
ok "a running service told to read bad settings goes on" holds 1 alive "$pid"
cp "$root/cfg" "$cfg"
kill -HUP "$pid"
ok "and with good ones" holds 1 alive "$pid"

# no room for the settings file: the old one stays whole
out=$(
	ulimit -f 0
	trap '' XFSZ
	exec "$autoctl" config set replication.maximum_backup_rate 20M --pgdata "$root/n1" 2>&1
)
is $? 12 "a settings file cannot be written: exit code 12"
like "$out" 'File too large' "and it says why: $out"
ok "a settings file that cannot be written stays as it was" cmp "$root/cfg" "$cfg"
is "$(ls "$(dirname "$cfg")")" "$(basename "$cfg")" "and nothing lies beside it"

# values that the monitor refuses
refused 1 'between|priority' "$autoctl" set node candidate-priority 101 --name node_1 --monitor "$uri"
refused 1 '' "$autoctl" set node candidate-priority -1 --name node_1 --monitor "$uri"
refused 1 '' "$autoctl" set node replication-quorum 'wrong quorum' --name node_1 --monitor "$uri"
refused 6 'node_9' "$autoctl" set node candidate-priority 10 --name node_9 --monitor "$uri"
refused 6 'standby|sync' "$autoctl" set formation number-sync-standbys 5 --monitor "$uri"

# the same name, the same address
refused 6 'node_1|name|already' "$create" --pgdata "$root/n6" --pgport "$(node_port 6)" \
	--name node_1 --monitor "$uri"
refused 3 "$(node_port 1)|in use" "$create" --pgdata "$root/n7" --pgport "$(node_port 1)" \
	--name node_7 --monitor "$uri"
is "$(monitor_sql "select string_agg(nodename, ' ') from pgautofailover.node")" node_1 \
	"no node is registered by that"

# pid files that lie
ok "node 1 stops" stop_node 1
pidfile=$("$autoctl" show file --pid --pgdata "$root/n1")
mkdir -p "$(dirname "$pidfile")"
echo 1 >"$pidfile"
echo "$root/n1" >>"$pidfile"
node_start 1
ok "a pid file with the pid of somebody else does not stop a start" wait_state 1 single 30
ok "and node 1 stops" stop_node 1
printf '%s\n%s\n' 999999 "$root/n1" >"$root/n1/postmaster.pid"
node_start 1
ok "nor does a postmaster.pid of a dead one" wait_state 1 single 30

# the passwords of a URI stay out of messages and logs
refused 6 'refused|time' "$autoctl" show state \
	--monitor "postgres://autoctl_node:geheim@127.0.0.1:1/pg_auto_failover"
ok "a password is not repeated" eval '! grep -rq geheim "$root/stderr" "$root/log"'
done_testing
