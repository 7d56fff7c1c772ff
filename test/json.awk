# Is stdin one JSON value (RFC 8259)? Exit 0, or 1 and a word on where it stops being one.
# SPDX-License-Identifier: PostgreSQL

{ text = text $0 "\n" }

END {
	pos = 1
	value(0)
	blank()
	if (pos <= length(text)) fail("nothing more")
}

function fail(want) {
	if (!failed) print "expected " want " at: " substr(text, pos, 40)
	failed = 1
	exit 1
}

function blank() {
	while (pos <= length(text) && index(" \t\r\n", substr(text, pos, 1))) pos++
}

function take(c) {
	blank()
	if (substr(text, pos, 1) != c) return 0
	pos++
	return 1
}

function string() {
	if (!take("\"")) fail("a string")
	while (substr(text, pos, 1) != "\"") {
		if (pos > length(text) || substr(text, pos, 1) < " ") fail("the end of a string")
		if (substr(text, pos, 1) == "\\") {
			pos++
			if (substr(text, pos, 5) ~ /^u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]$/) pos += 4
			else if (!index("\"\\/bfnrt", substr(text, pos, 1))) fail("an escape")
		}
		pos++
	}
	pos++
}

function value(depth,	c) {
	if (depth > 50) fail("less depth")
	blank()
	c = substr(text, pos, 1)
	if (c == "{") {
		pos++
		if (take("}")) return
		do {
			blank()
			string()
			if (!take(":")) fail("a colon")
			value(depth + 1)
		} while (take(","))
		if (!take("}")) fail("a comma or a brace")
	} else if (c == "[") {
		pos++
		if (take("]")) return
		do value(depth + 1)
		while (take(","))
		if (!take("]")) fail("a comma or a bracket")
	} else if (c == "\"")
		string()
	else if (match(substr(text, pos), /^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null)/))
		pos += RLENGTH
	else
		fail("a value")
}
