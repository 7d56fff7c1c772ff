/* ini/ini: reading, complaining with file and line, editing without losing a line. */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/ini.h"
#include "test/tap.h"

#include "ini/ban.h"

static struct buf
text(const char *s)
{
	struct buf b = { 0 };

	buf_str(&b, s);
	return b;
}

/* Each setting as "section/name=value@line;". */
static int
note_line(void *arg, const struct ini_line *l, struct err *e)
{
	if (strcmp(l->name, "refuse") == 0)
		return err_set(e, ERR_STATE, "refused");
	buf_printf(arg, "%s/%s=%s@%d;", l->section, l->name, l->value, l->line);
	return 0;
}

static const struct parse_case {
	const char *text, *want;
} good[] = {
	{ "", "" },
	{ "\n\n", "" },
	{ "# c\n; c\n  # c\n", "" },
	{ "[a]\nx = 1\n", "a/x=1@2;" },
	{ "[a]\r\nx = 1\r\n", "a/x=1@2;" },
	{ "  [ a ]  \n\tx\t=\t1\t\n", "a/x=1@2;" },
	{ "[a] # why\nx=1", "a/x=1@2;" },
	{ "x=1\n", "/x=1@1;" },
	{ "[a]\nx =\n", "a/x=@2;" },
	{ "[a]\nx = postgres://u:p#=;@h/db?a=b # no comment\n",
	    "a/x=postgres://u:p#=;@h/db?a=b # no comment@2;" },
	{ "[a]\nx = \"  y \\\" \\\\ z \"\n", "a/x=  y \" \\ z @2;" },
	{ "[a]\nx = \"\"\n", "a/x=@2;" },
	{ "[a]\nx = say \"hi\"\n", "a/x=say \"hi\"@2;" },
	{ "[a]\nx=1\n[b c]\nx=2\n[a]\ny=3\n", "a/x=1@2;b c/x=2@4;a/y=3@6;" },
};

static const struct parse_case bad[] = {
	{ "[a]\n[b\n", "f.ini:2: a section needs a closing \"]\"" },
	{ "[]\n", "f.ini:1: a section needs a name" },
	{ "[ ]\n", "f.ini:1: a section needs a name" },
	{ "[a] b\n", "f.ini:1: there is something behind the \"]\"" },
	{ "\n\nrubbish\n", "f.ini:3: expected \"[section]\" or \"name = value\"" },
	{ "= 1\n", "f.ini:1: there is no name before the \"=\"" },
	{ "a b = 1\n", "f.ini:1: a name has no blanks and no quotes: \"a b\"" },
	{ "x = \"open\n", "f.ini:1: a value needs a closing quote" },
	{ "x = \"a\" b\n", "f.ini:1: there is something behind the closing quote" },
	{ "x = \"a\\\"\n", "f.ini:1: a value needs a closing quote" },
	{ "[a]\nrefuse = 1\n", "f.ini:2: refused" },
};

static void
test_parse(void)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct buf in = text(good[i].text), out = { 0 };
		struct err e;

		OK(ini_parse("f.ini", &in, note_line, &out, &e) == 0, "good text %zu", i);
		IS_STR(buf_peek(&out), good[i].want, "is read");
		buf_drop(&in);
		buf_drop(&out);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf in = text(bad[i].text), out = { 0 };
		struct err e;

		OK(ini_parse("f.ini", &in, note_line, &out, &e) == -1, "bad text %zu", i);
		IS_STR(e.msg, bad[i].want, "is refused");
		buf_drop(&in);
		buf_drop(&out);
	}
}

static void
test_nul(void)
{
	struct buf in = text("[a]\nx = 1\n"), out = { 0 };
	struct ini_doc d = { 0 };
	struct err e;

	buf_add(&in, "y = \0\n", 6);
	OK(ini_parse("f", &in, note_line, &out, &e) == -1, "a NUL byte");
	IS_STR(e.msg, "f:3: there is a NUL byte, this is not a text", "is named");
	OK(ini_read(&d, "f", &in, &e) == -1 && d.count == 0 && !d.rows,
	    "the document is empty then");
	buf_drop(&in);
	buf_drop(&out);
}

/* One edit: set (or unset when value is NULL) in text gives want. */
static const struct edit_case {
	const char *what, *text, *section, *name, *value, *want;
} edits[] = {
	{ "a new file", "", "a", "x", "1", "[a]\nx = 1\n" },
	{ "the same value", "[a]\n  x=1 \n", "a", "x", "1", "[a]\n  x=1 \n" },
	{ "the manner stays", "# top\n[a]\n  x=1\ny = 2\n", "a", "x", "9",
	    "# top\n[a]\n  x=9\ny = 2\n" },
	{ "from nothing", "[a]\nx =\n", "a", "x", "9", "[a]\nx =9\n" },
	{ "behind the last setting", "[a]\nx = 1\n\n# about b\n[b]\nz = 1\n", "a", "y",
	    "2", "[a]\nx = 1\ny = 2\n\n# about b\n[b]\nz = 1\n" },
	{ "an empty section", "[a]\n\n[b]\n", "a", "x", "1", "[a]\nx = 1\n\n[b]\n" },
	{ "a new section", "[a]\nx = 1\n", "b", "y", "2", "[a]\nx = 1\n\n[b]\ny = 2\n" },
	{ "after a blank line", "[a]\nx = 1\n\n", "b", "y", "2",
	    "[a]\nx = 1\n\n[b]\ny = 2\n" },
	{ "no newline at the end", "[a]\nx = 1", "a", "y", "2", "[a]\nx = 1\ny = 2\n" },
	{ "nor before a section", "[a]\nx = 1", "b", "y", "2",
	    "[a]\nx = 1\n\n[b]\ny = 2\n" },
	{ "the second of one name", "[a]\nx = 1\n[b]\n[a]\ny = 2\n", "a", "y", "3",
	    "[a]\nx = 1\n[b]\n[a]\ny = 3\n" },
	{ "quotes when needed", "[a]\nx = 1\n", "a", "x", " \\\" ",
	    "[a]\nx = \" \\\\\\\" \"\n" },
	{ "a leading quote", "[a]\nx = 1\n", "a", "x", "\"", "[a]\nx = \"\\\"\"\n" },
	{ "no quotes when not", "[a]\nx = \" 1\"\n", "a", "x", "it's # 1",
	    "[a]\nx = it's # 1\n" },
	{ "unset", "# c\n[a]\nx = 1 \n# d\ny = 2\n", "a", "x", NULL,
	    "# c\n[a]\n# d\ny = 2\n" },
	{ "unset nothing", "[a]\nx = 1\n", "b", "x", NULL, "[a]\nx = 1\n" },
};

static void
test_edit(void)
{
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		const struct edit_case *c = edits + i;
		struct buf in = text(c->text), out = { 0 };
		struct ini_doc d = { 0 }, again = { 0 };
		struct err e;
		bool ok = ini_read(&d, "f", &in, &e) == 0;

		if (c->value)
			ok = ok && ini_set(&d, c->section, c->name, c->value, &e) == 0;
		else
			ini_unset(&d, c->section, c->name);
		ini_format(&d, &out);
		OK(ok, "edit: %s", c->what);
		IS_STR(buf_peek(&out), c->want, c->what);
		OK(ini_read(&again, "f", &out, &e) == 0, "and it reads");
		IS_STR(ini_get(&again, c->section, c->name), c->value, "with that value");
		ini_drop(&d);
		ini_drop(&again);
		buf_drop(&in);
		buf_drop(&out);
	}
}

static void
test_refused_edits(void)
{
	static const struct {
		const char *section, *name, *value;
	} rows[] = { { "", "x", "1" }, { "a]", "x", "1" }, { " a", "x", "1" },
		{ "a\nb", "x", "1" }, { "a", "", "1" }, { "a", "x y", "1" },
		{ "a", "x=", "1" }, { "a", "#x", "1" }, { "a", "[x", "1" },
		{ "a", "x", "1\n[b]" }, { "a", "x", "1\r" } };
	struct buf in = text("[a]\nx = 0\n"), out = { 0 };
	struct ini_doc d = { 0 };
	struct err e;

	OK(ini_read(&d, "f", &in, &e) == 0, "a document");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		OK(ini_set(&d, rows[i].section, rows[i].name, rows[i].value, &e) == -1 &&
			e.kind == ERR_CONFIG,
		    "refused edit %zu", i);
	ini_format(&d, &out);
	IS_STR(buf_peek(&out), "[a]\nx = 0\n", "nothing changed");
	ini_drop(&d);
	buf_reset(&in);
	buf_str(&in, "[a]\nx = 0\n\n[a]\nx = 1\n");
	OK(ini_read(&d, "f", &in, &e) == -1, "the same name twice");
	IS_STR(e.msg, "f:5: \"x\" is already set on line 2", "is refused");
	buf_drop(&in);
	buf_drop(&out);
}

static void
test_each(void)
{
	static const char lines[] = "# top\n[a]\nx = 1\r\n\tz=2\n\n;end";
	struct buf in = text(lines), out = { 0 }, seen = { 0 };
	struct ini_doc d = { 0 };
	struct err e;

	OK(ini_read(&d, "f", &in, &e) == 0, "a document");
	ini_format(&d, &out);
	IS_STR(buf_peek(&out), lines, "comes out byte for byte");
	OK(ini_each(&d, note_line, &seen, &e) == 0, "each");
	IS_STR(buf_peek(&seen), "a/x=1@3;a/z=2@4;", "setting");
	OK(!ini_get(&d, "a", "y") && !ini_get(&d, "b", "x"), "what is not there is NULL");
	ini_drop(&d);
	buf_drop(&in);
	buf_drop(&out);
	buf_drop(&seen);
}

int
main(void)
{
	test_parse();
	test_nul();
	test_edit();
	test_refused_edits();
	test_each();
	return tap_done();
}
