/* cmd/json: what is JSON, and members and elements taken out of it; the file of nodes. */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "cmd/json.h"
#include "cmd/node_alone.h"
#include "ini/buf.h"
#include "ini/err.h"
#include "test/tap.h"

#include "ini/ban.h"

static void
test_valid(void)
{
	static const char *const good[] = { "{}", "[]", " [1, -2.5e3, \"\"] ", "true",
		"null", "{\"a\": {\"b\": [{}]}, \"c\":\"\\\"\\u00e9\"}", "\"x\"" };
	static const char *const bad[] = { "", "{", "}", "[1,]", "{\"a\"}", "{\"a\":}",
		"{a:1}", "[1 2]", "{} x", "\"", "\"\\", "\"\\\"", "tru", "[",
		"-"
		"x",
		"{\"a\":1,}", "\"a\nb\"" };
	char deep[200];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		OK(cmd_json_valid(good[i]), "JSON: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		OK(!cmd_json_valid(bad[i]), "no JSON: row %zu", i);
	memset(deep, '[', 90);
	memset(deep + 90, ']', 90);
	deep[180] = '\0';
	OK(!cmd_json_valid(deep), "what is nested without end is refused");
}

static void
member(const char *object, const char *key, const char *want)
{
	struct buf b = { 0 };
	bool found = cmd_json_member(object, key, &b);

	OK(found == (want != NULL), "%s: \"%s\" is %sthere", object, key,
	    want ? "" : "not ");
	if (want)
		IS_STR(buf_peek(&b), want, "... and what it should be");
	buf_drop(&b);
}

static void
test_members(void)
{
	static const char text[] = "{ \"a\": 1, \"b\" : \"x\\\"y\\n\\u00e9\\/\", \"c\": "
				   "{\"a\": 2}, \"d\": [1, 2], \"\\u0065\": true }";

	member(text, "a", "1");
	member(text, "b", "x\"y\n\xc3\xa9/");
	member(text, "c", "{\"a\": 2}");
	member(text, "d", "[1, 2]");
	member(text, "e", "true");
	member(text, "f", NULL);
	member("[1]", "a", NULL);
	member("{}", "a", NULL);
	member("{\"a\": \"\\u1\"}", "b", NULL);
}

static void
test_elements(void)
{
	const char *at = " [ {\"a\": 1} , 2, \"]\" ]";
	const char *got;
	int n = 0;

	while ((got = cmd_json_next(&at)) != NULL)
		OK(strchr("{2\"", *got) != NULL, "element %d", ++n);
	OK(n == 3, "three elements");
	at = "[]";
	OK(!cmd_json_next(&at), "none");
	at = "{}";
	OK(!cmd_json_next(&at), "no array");
}

#define NODE(id, name, primary)                                                          \
	"{\"node_id\": " id ", \"node_name\": \"" name "\", \"node_host\": \"h" id       \
	"\", \"node_port\": 5432, \"node_lsn\": \"0/3000148\", "                         \
	"\"node_is_primary\": " primary ", \"node_cluster\": \"default\"}"

static void
test_nodes(void)
{
	static const char *const bad[] = { "", "{}", "[{}]", "[1]",
		"[" NODE("1", "a", "true") "," NODE("1", "b", "false") "]",
		"[" NODE("1", "a", "true") "," NODE("2", "b", "true") "]",
		"[" NODE("0", "a", "true") "]", "[" NODE("1", "a b", "true") "]",
		"[" NODE("1", "a", "maybe") "]", "[" NODE("1", "a", "true") };
	static struct alone a;
	struct err e = { 0 };

	OK(node_alone_parse(
	       "[" NODE("7", "b", "false") "," NODE("2", "a", "true") "]", &a, &e) == 0,
	    "two nodes");
	OK(a.n == 2 && a.peer[0].peer.id == 2 && a.peer[0].primary &&
		a.peer[1].peer.id == 7 && a.peer[1].peer.lsn == 0x3000148 &&
		strcmp(a.peer[1].peer.host, "h7") == 0,
	    "in the order of their ids");
	OK(node_alone_parse("[]", &a, &e) == 0 && a.n == 0, "nobody");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		OK(node_alone_parse(bad[i], &a, &e) == -1 && e.msg[0],
		    "refused, row %zu: %s", i, e.msg);
}

int
main(void)
{
	test_valid();
	test_members();
	test_elements();
	test_nodes();
	return tap_done();
}
