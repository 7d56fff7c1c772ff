/* ini/str: what the strict readers take, and all they refuse. */
/* SPDX-License-Identifier: PostgreSQL */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "ini/err.h"
#include "ini/str.h"
#include "test/tap.h"

#include "ini/ban.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* One reader's table: NO means refused. */
#define NO INT64_MIN + 1

struct row {
	const char *text;
	int64_t want;
};

static void
check(const char *what, const struct row *row, int rc, int64_t got)
{
	if (row->want == (NO))
		OK(rc == -1 && got == 77, "%s refuses \"%s\" and touches nothing", what,
		    row->text);
	else
		OK(rc == 0 && got == row->want, "%s takes \"%s\"", what, row->text);
}

static void
test_numbers(void)
{
	static const struct row ints[] = { { "0", 0 }, { "-1", -1 }, { "+5", 5 },
		{ "2147483647", INT_MAX }, { "-2147483648", INT_MIN },
		{ "2147483648", NO }, { "", NO }, { "-", NO }, { "+", NO }, { "--1", NO },
		{ " 1", NO }, { "1 ", NO }, { "1x", NO }, { "0x10", NO }, { "1.0", NO },
		{ "007", 7 } };
	static const struct row i64s[] = { { "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN }, { "9223372036854775808", NO },
		{ "-9223372036854775809", NO }, { "99999999999999999999", NO } };
	struct err e;
	uint64_t u = 77;
	int n = 77;

	for (size_t i = 0; i < COUNT(ints); i++) {
		int v = 77;
		int rc = str_int(ints[i].text, &v, &e);

		check("str_int", ints + i, rc, v);
	}
	for (size_t i = 0; i < COUNT(i64s); i++) {
		int64_t v = 77;
		int rc = str_i64(i64s[i].text, &v, &e);

		check("str_i64", i64s + i, rc, v);
	}
	OK(str_u64("18446744073709551615", &u, &e) == 0 && u == UINT64_MAX,
	    "str_u64 max");
	OK(str_u64("18446744073709551616", &u, &e) == -1, "str_u64 refuses one more");
	OK(str_u64("-1", &u, &e) == -1 && u == UINT64_MAX, "str_u64 refuses -1");
	OK(str_int_between("101", 0, 100, &n, &e) == -1 && n == 77, "not between");
	IS_STR(e.msg, "101 is not between 0 and 100", "and says the limits");
	OK(err_exit(&e) == 1, "as a usage error");
}

static void
test_bools(void)
{
	static const struct row rows[] = { { "true", 1 }, { "TRUE", 1 }, { "t", 1 },
		{ "tr", 1 }, { "y", 1 }, { "yes", 1 }, { "on", 1 }, { "1", 1 },
		{ "f", 0 }, { "false", 0 }, { "n", 0 }, { "No", 0 }, { "of", 0 },
		{ "off", 0 }, { "0", 0 }, { "o", NO }, { "", NO }, { "truest", NO },
		{ "2", NO }, { " on", NO }, { "yes ", NO } };
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool v = false;
		int rc = str_bool(rows[i].text, &v, &e);

		check("str_bool", rows + i, rc, rc ? 77 : v);
	}
}

static void
test_units(void)
{
	static const struct row times[] = { { "20s", 20000 }, { "500ms", 500 },
		{ "5min", 300000 }, { "2h", 7200000 }, { "1d", 86400000 }, { "7", 7000 },
		{ "0", 0 }, { "-1s", NO }, { "s", NO }, { "5m", NO }, { "5 s", NO },
		{ "5S", NO }, { "", NO }, { "1.5s", NO },
		{ "9223372036854775807s", NO } };
	static const struct row sizes[] = { { "0", 0 }, { "8192", 8192 },
		{ "64kB", 65536 }, { "100M", 104857600 }, { "16MB", 16777216 },
		{ "1GB", 1073741824 }, { "2TB", 2199023255552 }, { "1B", 1 },
		{ "1K", NO }, { "1mb", NO }, { "-1", NO }, { "MB", NO },
		{ "9999999TB", NO } };
	struct err e;

	for (size_t i = 0; i < COUNT(times); i++) {
		int64_t v = 77;
		int rc = str_ms(times[i].text, 1000, &v, &e);

		check("str_ms", times + i, rc, v);
	}
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int64_t v = 77;
		int rc = str_bytes(sizes[i].text, &v, &e);

		check("str_bytes", sizes + i, rc, v);
	}
}

static void
test_lsn(void)
{
	static const struct row rows[] = { { "0/0", 0 }, { "0/3000148", 0x3000148 },
		{ "16/B374D848", 0x16b374d848 }, { "1/a", 0x10000000a },
		{ "FFFFFFFF/FFFFFFFF", -1 }, { "100000000/0", NO }, { "0/100000000", NO },
		{ "/1", NO }, { "1/", NO }, { "1", NO }, { "", NO }, { "0/0 ", NO },
		{ "0x1/0", NO }, { "g/0", NO } };
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t v = 77;
		char text[STR_LSN_MAX];
		int rc = str_lsn(rows[i].text, &v, &e);

		check("str_lsn", rows + i, rc, (int64_t)v);
		if (rc == 0) {
			uint64_t again = 77;

			OK(str_lsn(str_lsn_format(v, text), &again, &e) == 0 &&
				again == v,
			    "%s and back", text);
		}
	}
	{
		char text[STR_LSN_MAX];

		IS_STR(str_lsn_format(0x16b374d848, text), "16/B374D848", "format");
	}
}

static void
test_names(void)
{
	static const struct {
		const char *text;
		int rc;
	} names[] = { { "node_1", 0 }, { "Node-1.example", 0 }, { "1", 0 }, { "_x", 0 },
		{ "", -1 }, { "-x", -1 }, { ".x", -1 }, { "a b", -1 }, { "a'b", -1 },
		{ "a\"b", -1 }, { "a\nb", -1 }, { "caf\xc3\xa9", -1 },
		{ "a23456789012345678901234567890123456789012345678901234567890123", 0 },
		{ "a234567890123456789012345678901234567890123456789012345678901234",
		    -1 } };
	struct err e;
	char out[6] = "old";

	for (size_t i = 0; i < COUNT(names); i++)
		OK(str_name(names[i].text, &e) == names[i].rc, "name \"%s\": %d",
		    names[i].text, names[i].rc);
	OK(str_copy(out, sizeof out, "12345", &e) == 0, "a copy that just fits");
	IS_STR(out, "12345", "with its NUL");
	OK(str_copy(out, sizeof out, "123456", &e) == -1, "one byte more does not");
	IS_STR(out, "", "and leaves nothing");
	OK(str_starts("abc", "ab") && !str_starts("a", "ab"), "str_starts");
	OK(str_ends("a.sql", ".sql") && !str_ends("sql", ".sql"), "str_ends");
	OK(str_eq(NULL, "") && str_eq("a", "a") && !str_eq("a", NULL), "str_eq");
	OK(str_empty(NULL) && str_empty("") && !str_empty(" "), "str_empty");
}

int
main(void)
{
	test_numbers();
	test_bools();
	test_units();
	test_lsn();
	test_names();
	return tap_done();
}
