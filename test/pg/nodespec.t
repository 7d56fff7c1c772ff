#!/bin/sh
# A monitor and nodes as spec files declare them: made from nothing, started again.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# spec_node N [LINE...] : the file of node N; more lines go to its end.
spec_node() {
	sn_n=$1
	shift
	cat >"$root/n$sn_n.ini" <<-END
		[node]
		kind = postgres
		name = node_$sn_n
		hostname = 127.0.0.1
		port = $(node_port "$sn_n")
		[postgresql]
		pgdata = $root/n$sn_n
		listen = 127.0.0.1
		[monitor]
		pguri = $(monitor_uri)
		[options]
		ssl = off
		auth = trust
		pg_hba_lan = false
	END
	printf '%s\n' "$@" >>"$root/n$sn_n.ini"
}

spec_start() {
	start "node_$1" "$autoctl" node run "$root/n$1.ini"
}

logged() {
	grep -q "$2" "$root/log/$1.log"
}

cluster_init
cat >"$root/m.ini" <<-END
	[node]
	kind = monitor
	hostname = 127.0.0.1
	port = $mport
	[postgresql]
	pgdata = $root/m
	listen = 127.0.0.1
	[options]
	ssl = off
	auth = trust
	[formation other]
	secondary = false
END

# the node comes first, and waits for its monitor
spec_node 1
spec_start 1
ok "node 1 waits for the monitor" within 30 logged node_1 'waiting for the monitor'
start monitor "$autoctl" node run "$root/m.ini"
ok "a monitor is made of a file" within 60 monitor_ready
ok "node 1 is made of a file" wait_state 1 single 60
is "$(monitor_sql "select formationid from pgautofailover.formation order by 1" | tr '\n' ' ')" \
	"default other " "the formations of the file are there"

# one that is deferred, step by step
spec_node 2 '[launch]' 'create = deferred' 'run = deferred' '[settings]' 'candidate_priority = 7'
spec_start 2
ok "node 2 waits before it is created" within 30 logged node_2 'launch.create is deferred'
fails "it has no data directory" 1 test -d "$root/n2"
sed -i 's/^create = deferred/create = immediate/' "$root/n2.ini"
ok "it is created, and waits before it runs" within 90 logged node_2 'launch.run is deferred'
is "$(monitor_sql "select candidatepriority from pgautofailover.node where nodename = 'node_2'")" 7 \
	"with what the file says"
ok "node start" "$autoctl" node start "$root/n2.ini"
is "$(grep -c deferred "$root/n2.ini")" 0 "nothing is deferred any more"
ok "a pair" wait_pair 1 2
ok "node start: nothing to do" "$autoctl" node start "$root/n2.ini"

# the same files again
monitor_down
start monitor "$autoctl" node run "$root/m.ini"
ok "the monitor runs again" within 60 monitor_ready
stop_node 2
spec_start 2
ok "node 2 runs again" within 60 serves 2
ok "still a pair" wait_pair 1 2
sed -i 's/^port = .*/port = 1/' "$root/n2.ini"
stop_node 2
spec_start 2
ok "what was decided at creation is named" within 30 logged node_2 'node.port is not what'
ok "and stays" wait_pair 1 2

# what is looked at without being run
like "$("$autoctl" node check "$root/n1.ini")" "^  kind: *postgres" "node check"
is "$(json "$("$autoctl" node check --json "$root/n1.ini")" '{name}')" node_1 "node check --json"
sed -i 's/^port = .*/port = many/' "$root/n1.ini"
fails "a wrong file" 2 "$autoctl" node run "$root/n1.ini"
done_testing
