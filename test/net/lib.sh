# Verbs for stories about whole sites: every node on a host of its own.
# SPDX-License-Identifier: PostgreSQL
#
# A host is a network namespace with a cable to a switch, and namespaces for processes,
# mounts and names; it has an own /etc, /tmp, /run and home folder, and lives until its
# power is cut. Nothing of it is seen or reachable from the machine, no address outside
# of it is used. Run as root:
#
#	. test/net/lib.sh
#	site_init
#	host monitor; host node1; host node2
#	service monitor; service node1; service node2
#	ok "a pair" wait_pair node1 node2
#	done_testing
#
# Verbs that are not here come from test/pg/lib.sh.

. test/pg/lib.sh

# ---- the site ----

site_init() {
	[ "$(id -u)" -eq 0 ] || skip_all "hosts need root"
	[ -x "$autoctl" ] || skip_all "autoctl is not built"
	for si_tool in ip iptables nsenter unshare setpriv; do
		command -v $si_tool >/dev/null || skip_all "no $si_tool here"
	done
	site=ac$$
	ip netns add "$site" 2>/dev/null || skip_all "no network namespaces here"
	trap site_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	find_postgres
	ip netns exec "$site" sh -c 'ip link set lo up && ip link add br0 type bridge &&
		ip link set br0 up && ip link add zz0 type veth peer name zz1' 2>/dev/null ||
		skip_all "no bridge here"
	superuser=postgres
	id $superuser >/dev/null 2>&1 || superuser=nobody
	su_uid=$(id -u $superuser) su_gid=$(id -g $superuser)
	# not below /tmp, for hosts have their own; in memory, for that is quick
	root=$(mktemp -d /var/tmp/autoctl-net.XXXXXX) || exit 1
	mount -t tmpfs -o size=8g,mode=755 "$site" "$root" || skip_all "no tmpfs here"
	mkdir "$root/log" "$root/bin" "$root/host" "$root/pid"
	cp "$autoctl" "$root/bin/autoctl"
	ln -s autoctl "$root/bin/pg_autoctl"
	cp "$writer" "$root/bin/writer"
	hosts= host_count=0 root_acks=$root/acks.d/acks
	site_auth=trust site_ssl=self-signed
	{
		echo "127.0.0.1 localhost"
		echo "::1 localhost"
	} >"$root/hosts"
}

# Every process of the hosts, then what held them.
site_end() {
	[ -n "${site:-}" ] || return 0
	if [ -n "${KEEP_LOGS:-}" ] && [ "${tap_failed:-1}" -ne 0 ]; then
		se_to=$KEEP_LOGS/$(basename "$0").$$
		mkdir -p "$se_to" && cp "$root"/log/* "$se_to/" 2>/dev/null
		rm -f "$root/diagnosed"
		DIAGNOSE_LINES=2000 diagnose >"$se_to/diagnose" 2>&1
		for se_h in $hosts; do
			cat "$root/host/$se_h/home"/*/log/* >"$se_to/postgres_$se_h.log" 2>/dev/null
		done
	fi
	for se_h in $hosts; do
		power_off "$se_h"
	done
	for se_h in $hosts; do
		ip netns del "$site-$se_h" 2>/dev/null
	done
	ip netns del "$site" 2>/dev/null
	if [ -n "${root:-}" ]; then
		umount -l "$root" 2>/dev/null
		rmdir "$root" 2>/dev/null
	fi
	site=
}

# ---- hosts ----

# host NAME : a machine with a cable to the switch, switched on.
host() {
	host_count=$((host_count + 1))
	hosts="$hosts $1"
	h_port=p$host_count
	mkdir -p "$root/host/$1/home" "$root/host/$1/tmp" "$root/host/$1/etc" \
		"$root/host/$1/work"
	chmod 1777 "$root/host/$1/tmp"
	chown "$superuser" "$root/host/$1/home"
	echo "10.77.0.$host_count" >"$root/host/$1/ip"
	echo "fd77::$host_count" >"$root/host/$1/ip6"
	echo $h_port >"$root/host/$1/port"
	{
		echo "10.77.0.$host_count $1"
		echo "fd77::$host_count ${1}-6"
	} >>"$root/hosts"
	for h_other in $hosts; do
		cp "$root/hosts" "$root/host/$h_other/etc/hosts"
	done
	ip netns add "$site-$1" || return 1
	ip netns exec "$site" ip link add $h_port type veth peer name eth0 \
		netns "$site-$1" || return 1
	ip netns exec "$site" ip link set $h_port master br0 up
	ip netns exec "$site-$1" sh -c "ip link set lo up; ip link set eth0 up
		ip addr add 10.77.0.$host_count/16 dev eth0
		ip -6 addr add fd77::$host_count/64 dev eth0 nodad
		ip route add default via 10.77.255.254"
	power_on "$1"
}

host_ip() {
	cat "$root/host/$1/ip"
}

# power_on NAME : its files are as they were; process numbers begin anew, as in a
# container that starts.
power_on() {
	po=$root/host/$1
	ip netns exec "$site-$1" unshare --pid --fork --kill-child --mount --uts --ipc \
		sh -c '
		mount --make-rprivate /
		mount -t proc proc /proc
		h='"$po"'
		mount -t overlay overlay -o lowerdir=/etc,upperdir=$h/etc,workdir=$h/work /etc ||
			mount --bind $h/etc/hosts /etc/hosts
		: >$h/resolv.conf
		# what the machine had mounted there is not seen through an overlay
		rm -f /etc/resolv.conf; cp $h/resolv.conf /etc/resolv.conf
		echo '"$1"' >/etc/hostname
		mount --bind $h/tmp /tmp
		mount -t tmpfs run /run
		mkdir -m 1777 /run/postgresql
		mount -t tmpfs shm /dev/shm && chmod 1777 /dev/shm
		mkdir -p '"$(su_home)"'
		mount --bind $h/home '"$(su_home)"'
		hostname '"$1"'
		cd /
		mkdir /run/up
		while :; do sleep infinity & wait; done
		' >>"$root/log/$1.host" 2>&1 </dev/null &
	po_pid=$!
	for po_try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		po_init=$(cat /proc/$po_pid/task/*/children 2>/dev/null)
		po_init=${po_init%% *}
		if [ -n "$po_init" ] && [ -d "/proc/$po_init/root/run/up" ]; then
			echo "$po_init" >"$po/init"
			return 0
		fi
		nap 0.1
	done
	cat "$root/log/$1.host"
	return 1
}

su_home() {
	getent passwd "$superuser" | cut -d : -f 6
}

# power_off NAME... : every process of these hosts dies at once; nobody is told.
power_off() {
	pf_pids=
	for pf_h in "$@"; do
		pf_pids="$pf_pids $(cat "$root/host/$pf_h/init" 2>/dev/null)"
		rm -f "$root/host/$pf_h/init"
	done
	pf_pids=$(echo $pf_pids)
	[ -n "$pf_pids" ] || return 0
	kill -KILL $pf_pids 2>/dev/null
	for pf in $pf_pids; do
		pf_tries=0
		while [ -d "/proc/$pf" ] && [ $pf_tries -lt 100 ]; do
			nap 0.05
			pf_tries=$((pf_tries + 1))
		done
	done
}

# on HOST COMMAND... : as the user who runs Postgres there.
on() {
	on_host=$1
	shift
	on_init=$(cat "$root/host/$on_host/init" 2>/dev/null) || {
		echo "$on_host has no power"
		return 255
	}
	nsenter -t "$on_init" -m -p -u -i -n --wd=/ setpriv --reuid="$su_uid" --regid="$su_gid" \
		--init-groups env -i HOME="$(su_home)" USER="$superuser" LOGNAME="$superuser" \
		PATH="$root/bin:$pgbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" LC_ALL=C.UTF-8 \
		PGDATA="$(pgdata_of "$on_host")" PGCONNECT_TIMEOUT=3 $on_env "$@"
}
on_env=

# as_root HOST COMMAND... : as root there.
as_root() {
	ar_init=$(cat "$root/host/$1/init" 2>/dev/null) || {
		echo "$1 has no power"
		return 255
	}
	shift
	nsenter -t "$ar_init" -m -p -u -i -n --wd=/ "$@"
}

pgdata_of() {
	cat "$root/host/$1/pgdata" 2>/dev/null || echo "$(su_home)/pgaf"
}

# ---- the network ----

# unplug HOST, plug HOST : the cable.
unplug() {
	ip netns exec "$site" ip link set "$(cat "$root/host/$1/port")" down
}

plug() {
	ip netns exec "$site" ip link set "$(cat "$root/host/$1/port")" up
}

# deaf A B : A hears nothing from B any more; cut A B : neither hears the other.
deaf() {
	ip netns exec "$site-$1" iptables -I INPUT -s "$(host_ip "$2")" -j DROP
}

cut() {
	case $1 in
	-*) command cut "$@" ;;
	*) deaf "$1" "$2" && deaf "$2" "$1" ;;
	esac
}

# heal HOST... : its cable and its packet filter.
heal() {
	for heal_h in "$@"; do
		plug "$heal_h"
		ip netns exec "$site-$heal_h" iptables -F INPUT
		ip netns exec "$site-$heal_h" tc qdisc del dev eth0 root 2>/dev/null
	done
}

# lossy HOST PROBABILITY : it loses that part of the packets it gets.
lossy() {
	ip netns exec "$site-$1" iptables -I INPUT -i eth0 -m statistic --mode random \
		--probability "$2" -j DROP
}

# slow HOST MS : every packet it sends is late. Not every kernel can.
slow() {
	ip netns exec "$site-$1" tc qdisc add dev eth0 root netem delay "$2ms" 2>/dev/null
}

# ---- services ----

# create_words HOST [OPTION...] : what creates it, and runs it from then on.
create_words() {
	cw_host=$1
	shift
	if [ "$cw_host" = "${monitor_host:-monitor}" ]; then
		set -- create monitor --run "$@"
	else
		set -- create postgres --run --name "$cw_host" --monitor "$(monitor_uri)" \
			--pg-hba-lan "$@"
	fi
	case $site_ssl in off) set -- "$@" --no-ssl ;; *) set -- "$@" --ssl-self-signed ;; esac
	echo pg_autoctl "$@" --hostname "$cw_host" --auth "$site_auth" --pgdata "$(pgdata_of "$cw_host")"
}

monitor_uri() {
	case $site_ssl in off) mu_mode=prefer ;; self-signed) mu_mode=require ;; *) mu_mode=$site_ssl ;; esac
	echo "postgresql://autoctl_node@${monitor_host:-monitor}/pg_auto_failover?sslmode=$mu_mode"
}

# in_background HOST NAME COMMAND... : its number there in /run/NAME, its exit status in
# $root/host/HOST/NAME.rc, its words in the log.
in_background() {
	ib_host=$1 ib_name=$2
	shift 2
	as_root "$ib_host" sh -c ': >/run/'"$ib_name"'; chmod 666 /run/'"$ib_name"
	rm -f "$root/host/$ib_host/$ib_name.rc"
	(
		on "$ib_host" sh -c 'echo $$ >/run/'"$ib_name"'; exec "$@"' sh "$@"
		echo $? >"$root/host/$ib_host/$ib_name.rc"
	) >>"$root/log/$ib_host.log" 2>&1 </dev/null &
	return 0
}

# service HOST [OPTION...] : what a container's entry point does. Created once, run since.
service() {
	in_background "$1" service $(create_words "$@")
}

# signal HOST SIGNAL : to the service.
signal() {
	as_root "$1" sh -c 'kill -'"$2"' $(cat /run/service)'
}

# The service of a host has ended.
ended() {
	[ -e "$root/host/$1/service.rc" ] || {
		echo "the service on $1 still runs"
		return 1
	}
}

exit_status() {
	cat "$root/host/$1/service.rc"
}

# stop HOST [SIGNAL] : ask, and see it gone.
stop() {
	signal "$1" "${2:-TERM}" && within 90 ended "$1"
}

# ---- looking ----

psql_on() {
	po_host=$1 po_db=$2
	shift 2
	on "$po_host" psql -XAtq -v ON_ERROR_STOP=1 -d "$po_db" "$@"
}

monitor_sql() {
	psql_on "${monitor_host:-monitor}" pg_auto_failover -c "$1"
}

# sql HOST 'query' : on that host, over its socket.
sql() {
	psql_on "$1" "${dbname:-postgres}" -c "$2"
}

states() {
	monitor_sql "select reportedstate || ' ' || goalstate from pgautofailover.node
		where nodename = '$1'"
}

state_is() {
	state_now=$(states "$1") || return 1
	echo "$1 is ${state_now:-unknown}"
	[ "$state_now" = "$2 $2" ]
}

goal_is() {
	state_now=$(states "$1") || return 1
	echo "$1 is $state_now"
	[ "${state_now#* }" = "$2" ]
}

node_id() {
	monitor_sql "select nodeid from pgautofailover.node where nodename = '$1'"
}

# wait_states SECONDS NODE STATE [NODE STATE]... : all of them, at one time.
wait_states() {
	ws_seconds=$1
	shift
	within "$ws_seconds" states_are "$@"
}

states_are() {
	sa_want= sa_list=
	while [ $# -ge 2 ]; do
		sa_want="$sa_want$1 $2 $2
"
		sa_list="$sa_list${sa_list:+, }'$1'"
		shift 2
	done
	sa_got=$(monitor_sql "select nodename || ' ' || reportedstate || ' ' || goalstate
		from pgautofailover.node where nodename in ($sa_list)
		order by array_position(array[$sa_list], nodename)") || return 1
	echo "$sa_got"
	[ "$sa_got
" = "$sa_want" ]
}

wait_pair() {
	wait_states "${3:-90}" "$1" primary "$2" secondary
}

newest_event() {
	monitor_sql 'select coalesce(max(eventid), 0) from pgautofailover.event'
}

# was_goal NODE STATE EVENT : it had this goal after that event.
was_goal() {
	[ "$(monitor_sql "select count(*) > 0 from pgautofailover.event
		where nodename = '$1' and goalstate = '$2' and eventid > $3")" = t ]
}

# The keeper's, the monitor's command on a host, with time enough.
ctl() {
	ctl_host=$1
	shift
	on "$ctl_host" timeout "${ctl_limit:-120}" pg_autoctl "$@"
}

log_says() {
	grep -Eq -e "$2" "$root/log/$1.log"
}

log_never() {
	! grep -E -e "$2" "$root/log/$1.log"
}

postgres_runs() {
	on "$1" sh -c 'read -r pid _ <"$PGDATA/postmaster.pid" && kill -0 "$pid"' 2>/dev/null
}

postgres_stopped() {
	! postgres_runs "$1"
}

kill_postmaster() {
	on "$1" sh -c 'read -r pid _ <"$PGDATA/postmaster.pid" && kill -KILL "$pid"'
}

# ---- writers ----

app_uri() {
	au=
	for au_n in "$@"; do
		au=$au${au:+,}$au_n:5432
	done
	case $site_ssl in off) au_mode=prefer ;; *) au_mode=require ;; esac
	echo "postgres://$superuser@$au/${dbname:-postgres}?target_session_attrs=read-write&sslmode=$au_mode"
}

# writer_start HOST... : host "app" writes to these, 4 clients, every 10 ms.
writer_start() {
	app_uri "$@" >"$root/writer_uri"
	mkdir -p "$root/acks.d"
	chown "$superuser" "$root/acks.d"
	chmod 755 "$root/acks.d"
	in_background app writer "$root/bin/writer" run "$root_acks" "$(cat "$root/writer_uri")" 4 10
	within 20 writing
}

writing() {
	writing_before=$(acked_rows)
	nap 0.05
	[ "$(acked_rows)" -gt "$writing_before" ]
}

acked_rows() {
	wc -l <"$root_acks" 2>/dev/null || echo 0
}

writer_stop() {
	as_root app sh -c 'kill -TERM $(cat /run/writer)'
	within 10 test -e "$root/host/app/writer.rc"
}

writer_verify() {
	on app "$root/bin/writer" verify "$root_acks" "$(cat "$root/writer_uri")" 30
}

event() {
	on app "$root/bin/writer" mark "$root_acks" "$1"
}

gap_below() {
	gap=$(on app "$root/bin/writer" gap "$root_acks" "$1") || return 1
	echo "gap of $1: $gap ms"
	[ "$gap" -lt "$2" ]
}

gaps() {
	note "longest time without a write, ms: $(on app "$root/bin/writer" gaps "$root_acks" |
		awk '{ printf "%s%s %s", sep, $2, $1; sep = ", " }')"
}

# Does a session on that host itself get a write acknowledged?
takes_write() {
	on "$1" timeout 2 psql -XAtq -d "${dbname:-postgres}" \
		-c "create table if not exists one_writer (at timestamptz)" \
		-c "insert into one_writer values (now())" >/dev/null 2>&1
}

# ---- what there is to see ----

diagnose() {
	[ ! -e "$root/diagnosed" ] || return 0
	touch "$root/diagnosed"
	echo "-- states"
	on_env= ctl_limit=5 ctl monitor show state 2>&1
	echo "-- events"
	ctl_limit=5 ctl monitor show events --count 60 2>&1
	for d_log in "$root"/log/*.log "$root"/host/*/home/*/startup.log; do
		[ -s "$d_log" ] || continue
		echo "-- ${d_log#"$root"/}"
		tail -n "${DIAGNOSE_LINES:-30}" "$d_log"
	done
}
