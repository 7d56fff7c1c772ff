/* ini/buf: growing, cutting, and each kind of quoting. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "test/tap.h"

#include "ini/ban.h"

static void
test_growing(void)
{
	struct buf b = { 0 };
	char *s;

	IS_STR(buf_peek(&b), "", "an empty one reads as the empty string");
	for (int i = 0; i < 5000; i++)
		buf_printf(&b, "%d,", i % 10);
	OK(buf_len(&b) == 10000, "5000 prints");
	buf_reset(&b);
	buf_printf(&b, "%0500d", 7);
	OK(buf_len(&b) == 500 && buf_peek(&b)[499] == '7',
	    "one print longer than the room");
	buf_cut(&b, 3);
	IS_STR(buf_peek(&b), "000", "cut");
	buf_cut(&b, 99);
	OK(buf_len(&b) == 3, "cut never grows");
	buf_add(&b, "a\0b", 3);
	OK(buf_len(&b) == 6 && memcmp(buf_peek(&b), "000a\0b", 7) == 0, "bytes with NUL");
	s = buf_take(&b);
	OK(s && buf_len(&b) == 0 && !b.data, "taken");
	free(s);
	s = buf_take(&b);
	IS_STR(s, "", "taking nothing is the empty string");
	free(s);
	buf_drop(&b);
	buf_drop(&b);
	OK(!b.data, "dropped twice");
}

static const struct quote_case {
	void (*quote)(struct buf *, const char *);
	const char *in, *out;
} quotes[] = {
	{ buf_json, "", "\"\"" },
	{ buf_json, NULL, "null" },
	{ buf_json, "a\"b\\c/d", "\"a\\\"b\\\\c/d\"" },
	{ buf_json, "\n\r\t\b\f", "\"\\n\\r\\t\\b\\f\"" },
	{ buf_json, "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
	{ buf_json, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98",
	    "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98\"" },
	{ buf_json, "lone \xe9 byte", "\"lone \\ufffd byte\"" },
	{ buf_json, "cut \xe2\x82", "\"cut \\ufffd\\ufffd\"" },
	{ buf_json, "overlong \xc0\xaf", "\"overlong \\ufffd\\ufffd\"" },
	{ buf_json, "surrogate \xed\xa0\x80", "\"surrogate \\ufffd\\ufffd\\ufffd\"" },
	{ buf_json, "beyond \xf4\x90\x80\x80",
	    "\"beyond \\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ buf_shell, "", "''" },
	{ buf_shell, "/usr/bin/pg_ctl", "/usr/bin/pg_ctl" },
	{ buf_shell, "two words", "'two words'" },
	{ buf_shell, "it's", "'it'\\''s'" },
	{ buf_shell, "$(rm)", "'$(rm)'" },
	{ buf_shell, "~", "'~'" },
	{ buf_conninfo, "", "''" },
	{ buf_conninfo, "a b", "'a b'" },
	{ buf_conninfo, "it's \\", "'it\\'s \\\\'" },
	{ buf_conf, "", "''" },
	{ buf_conf, "it's", "'it''s'" },
	{ buf_conf, "C:\\x\ny", "'C:\\\\x\\ny'" },
};

static void
test_quoting(void)
{
	for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
		const struct quote_case *q = quotes + i;
		struct buf b = { 0 };

		q->quote(&b, q->in);
		IS_STR(buf_peek(&b), q->out, "quoted");
		buf_drop(&b);
	}
}

/* Or a long text costs the square of its length. */
static void
test_growing_by_doubling(void)
{
	struct buf b = { 0 };
	size_t cap = 0;
	int moves = 0;

	for (int i = 0; i < 1000000; i++) {
		buf_char(&b, 'x');
		if (b.cap != cap)
			moves++;
		cap = b.cap;
	}
	OK(moves <= 20, "a million bytes, one by one: room is made 20 times at most");
	buf_drop(&b);
}

int
main(void)
{
	test_growing();
	test_growing_by_doubling();
	test_quoting();
	return tap_done();
}
