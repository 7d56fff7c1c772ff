#!/bin/sh
# The live view: in a terminal of 80 columns, made narrower, left with q.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

command -v script >/dev/null || skip_all "no script(1), which makes terminals"
shows() {
	tr '\033' '\n' <"$root/seen" | grep -qF "$1"
}

cluster_init
fails "nobody answers" 6 "$autoctl" watch --monitor "$(monitor_uri)"
fails "what is no connection string is not waited for" 1 "$autoctl" watch --wait --monitor 'host'
mkfifo "$root/keys"
cat >"$root/inside" <<END
stty cols 80 rows 24
tty >"$root/tty"
"$autoctl" watch --wait --monitor "$(monitor_uri)"
echo \$? >"$root/code"
stty -a >"$root/after"
END
script -qfc "sh $root/inside" /dev/null <"$root/keys" >"$root/seen" 2>&1 &
pid_note script $!
exec 4>"$root/keys"
ok "with --wait it begins without a monitor" within 20 shows 'connect to the monitor'
ok "the monitor runs" monitor_up
fails "without a terminal it is refused" 1 "$autoctl" watch --monitor "$(monitor_uri)"
monitor_sql "insert into pgautofailover.node (formationid, groupid, nodename, nodehost,
	nodeport, goalstate, reportedstate) values
	('default', 0, 'node_1', '127.0.0.1', 9, 'single', 'single')" >/dev/null
ok "the node is seen" within 20 shows node_1
ok "... with its states" shows "Reported State"
fails "... not more than 80 columns hold" 1 shows Priority
ok "... on a screen of its own" shows '[?1049h'
stty -F "$(cat "$root/tty")" cols 180 rows 24
for column in Region Quorum Priority Host:Port 'TLI: LSN' Lag Connection Report Check; do
	ok "a wide one has $column" within 20 shows "$column"
done
: >"$root/seen"
stty -F "$(cat "$root/tty")" cols 30 rows 10
ok "another size is taken over" within 20 shows node_1
echo q >&4
ok "q leaves" within 20 test -s "$root/code"
is "$(cat "$root/code")" 0 "... with exit 0"
ok "... the screen is given back" within 5 shows '[?1049l'
like "$(cat "$root/after")" '(^| )echo( |$)' "... and the keyboard"
exec 4>&-
done_testing
