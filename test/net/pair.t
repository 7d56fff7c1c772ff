#!/bin/sh
# A pair whose hosts lose their cables and their power, and are asked to stop; an
# application writes all the time, and counts at the end.
# SPDX-License-Identifier: PostgreSQL
. test/net/lib.sh

site_init
host monitor
host node1
host node2
host app
service node1
service monitor
ok "node1 waits for the monitor, and is alone and writable" wait_states 60 node1 single
service node2
ok "a pair" wait_pair node1 node2
is "$(ctl node1 show standby-names)" "'ANY 1 (pgautofailover_standby_$(node_id node2))'" \
	"commits wait for node2"
ok "an application writes" writer_start node1 node2

event primary_cable
since=$(newest_event)
unplug node1
ok "primary's cable: node2 is to take over" within 60 goal_is node2 wait_primary
ok "node1 is written off" was_goal node1 demote_timeout "$since"
ok "writes go on" within 20 writing
ok "node1 acknowledges nothing" eval "! takes_write node1"
ok "node1 stops its Postgres by itself" within 60 postgres_stopped node1
ok "its goal waits for its return" goal_is node1 demote_timeout
plug node1
ok "node1 comes back as a secondary" wait_pair node2 node1
ok "it is not copied anew" log_never node1 'pg_basebackup'

event standby_cable
unplug node1
ok "standby's cable: node2 goes on alone" wait_states 60 node2 wait_primary
ok "writes go on" within 20 writing
plug node1
ok "the pair is whole again" wait_pair node2 node1

event monitor_cable
since=$(newest_event)
unplug monitor
ok "monitor's cable: writes go on" holds 30 within 5 writing
ok "both Postgres run" eval "postgres_runs node1 && postgres_runs node2"
plug monitor
ok "nothing has changed" wait_pair node2 node1
is "$(monitor_sql "select count(*) from pgautofailover.event where eventid > $since
	and goalstate = 'draining'")" 0 "nobody was written off"

event power
power_off node2
ok "primary's power: node1 takes over" within 60 goal_is node1 wait_primary
ok "writes go on" within 20 writing
ok "node2 has power again" power_on node2
service node2
ok "node2 is a secondary" wait_pair node1 node2

event term
ok "SIGTERM: node1 hands over and ends" stop node1 TERM
is "$(exit_status node1)" 0 "with status 0"
ok "node2 writes" within 20 writing
ok "node2 is the primary" goal_is node2 wait_primary
ok "node1 is in maintenance" state_is node1 maintenance
service node1
ok "node1 returns by itself" wait_pair node2 node1

event int
ok "SIGINT: the standby ends" stop node1 INT
is "$(exit_status node1)" 0 "with status 0"
ok "its Postgres too" postgres_stopped node1
ok "nobody put it into maintenance" eval '! goal_is node1 maintenance'
ok "writes go on" within 20 writing
service node1
ok "the pair is whole again" wait_pair node2 node1

event quit
ok "SIGQUIT: the primary ends at once" stop node2 QUIT
is "$(exit_status node2)" 0 "with status 0"
ok "node1 takes over" within 60 goal_is node1 wait_primary
ok "writes go on" within 20 writing
service node2
ok "node2 is a secondary" wait_pair node1 node2

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
