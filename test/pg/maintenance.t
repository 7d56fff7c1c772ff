#!/bin/sh
# A node is taken out for maintenance and put back.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

maintenance() {
	timeout 200 "$autoctl" "$1" maintenance --pgdata "$root/n$2" ${3:-}
}

cluster_init
pair_up
ok "an application writes" writer_start

# the standby
event standby_out
ok "maintenance of the standby" maintenance enable 2
ok "it is in maintenance" wait_state 2 maintenance 5
ok "the primary goes on alone" wait_state 1 wait_primary 10
ok "once more: nothing to do" maintenance enable 2
ok "writes stopped for less than 3 s" gap_below standby_out 3000
fails "a failover to a node in maintenance is refused" 6 perform failover
fails "maintenance of the last node that takes writes is refused" 6 \
	maintenance enable 1 --allow-failover
pid=$(postmaster_of 2)
if [ "$pid" -gt 0 ]; then
	ok "its Postgres may be stopped" pg_ctl -D "$root/n2" -m fast stop
fi
ok "the keeper keeps its hands off" holds 3 eval '[ "$(postmaster_of 2)" = "$pid_nobody" ]'
event standby_in
ok "the end of maintenance" maintenance disable 2
ok "a pair again" wait_pair 1 2 60
ok "writes did not stop for that" gap_below standby_in 2000
fails "no maintenance to end: refused" 6 maintenance disable 2

# the primary
fails "the primary is not taken out without saying so" 1 maintenance enable 1
ok "and nothing has changed" wait_pair 1 2 5
event primary_out
ok "maintenance of the primary" maintenance enable 1 --allow-failover
ok "it is in maintenance" wait_state 1 maintenance 5
ok "node 2 took over" wait_state 2 wait_primary 10
ok "writes go on" within 10 writing
ok "writes stopped for less than 3 s" gap_below primary_out 3000
ok "only one takes writes" one_writer
event primary_in
ok "the end of maintenance" maintenance disable 1
ok "it came back as a secondary" wait_pair 2 1 60
ok "writes did not stop for that" gap_below primary_in 2000

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
