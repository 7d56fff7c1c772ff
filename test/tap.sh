# TAP for tests in sh: source it, use the verbs, end with done_testing.
# SPDX-License-Identifier: PostgreSQL

tap_count=0
tap_failed=0

# ok WHAT COMMAND... : the command succeeds. Its output is shown when it does not.
ok() {
	tap_what=$1
	shift
	tap_count=$((tap_count + 1))
	if tap_out=$("$@" 2>&1); then
		echo "ok $tap_count - $tap_what"
		return 0
	fi
	echo "not ok $tap_count - $tap_what"
	tap_failed=$((tap_failed + 1))
	note "command: $*"
	[ -z "$tap_out" ] || note "$tap_out"
	return 1
}

# fails WHAT CODE COMMAND... : the command ends with this exit code.
fails() {
	tap_what=$1
	tap_code=$2
	shift 2
	tap_out=$("$@" 2>&1)
	is "$?" "$tap_code" "$tap_what" || note "$tap_out"
}

# is GOT WANT WHAT : two equal strings.
is() {
	tap_count=$((tap_count + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $tap_count - $3"
		return 0
	fi
	echo "not ok $tap_count - $3"
	tap_failed=$((tap_failed + 1))
	note "got:  $1"
	note "want: $2"
	return 1
}

# like TEXT ERE WHAT : a line of the text matches.
like() {
	tap_count=$((tap_count + 1))
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		echo "ok $tap_count - $3"
		return 0
	fi
	echo "not ok $tap_count - $3"
	tap_failed=$((tap_failed + 1))
	note "no line matches: $2"
	note "$1"
	return 1
}

# note TEXT : comment lines.
note() {
	printf '%s\n' "$1" | sed 's/^/# /'
}

# skip_all WHY : the whole script cannot run here.
skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

done_testing() {
	echo "1..$tap_count"
	[ "$tap_failed" -eq 0 ]
}
