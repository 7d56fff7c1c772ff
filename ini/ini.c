/* The "[section] name = value" text: reading it, and editing it without losing a line. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/ini.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/mem.h"

#include "ini/ban.h"

enum kind { END, OTHER, SECTION, SETTING };

/* A line of the text, as the editor keeps it. */
struct ini_row {
	char *text;    /* with its newline, if it had one */
	char *section; /* it stands in */
	char *name;    /* NULL when it is no setting */
	char *value;
};

/* Goes through a text line by line; the bufs describe the current one. */
struct reader {
	const char *at, *end;
	const char *text; /* the line */
	size_t text_len;  /* with its newline */
	int line;
	struct buf section, name, value;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Narrow [*s, *end) to what is between the blanks. */
static void
trim(const char **s, const char **end)
{
	while (*s < *end && is_blank(**s))
		++*s;
	while (*s < *end && is_blank((*end)[-1]))
		--*end;
}

static int
read_section(struct reader *r, const char *s, const char *end, struct err *e)
{
	const char *close = memchr(s, ']', (size_t)(end - s));
	const char *rest;

	if (!close)
		return err_set(e, ERR_CONFIG, "a section needs a closing \"]\"");
	rest = close + 1;
	trim(&rest, &end);
	if (rest < end && *rest != '#' && *rest != ';')
		return err_set(e, ERR_CONFIG, "there is something behind the \"]\"");
	s++;
	trim(&s, &close);
	if (s == close)
		return err_set(e, ERR_CONFIG, "a section needs a name");
	buf_reset(&r->section);
	buf_add(&r->section, s, (size_t)(close - s));
	return SECTION;
}

/* A value in double quotes, s at the first one. */
static int
read_quoted(struct reader *r, const char *s, const char *end, struct err *e)
{
	for (s++; s < end && *s != '"'; s++) {
		if (*s == '\\' && s + 1 < end && (s[1] == '"' || s[1] == '\\'))
			s++;
		buf_char(&r->value, *s);
	}
	if (s == end)
		return err_set(e, ERR_CONFIG, "a value needs a closing quote");
	if (s + 1 != end)
		return err_set(
		    e, ERR_CONFIG, "there is something behind the closing quote");
	return SETTING;
}

static int
read_setting(struct reader *r, const char *s, const char *end, struct err *e)
{
	const char *equals = memchr(s, '=', (size_t)(end - s));
	const char *name_end = equals;

	if (!equals)
		return err_set(
		    e, ERR_CONFIG, "expected \"[section]\" or \"name = value\"");
	trim(&s, &name_end);
	if (s == name_end)
		return err_set(e, ERR_CONFIG, "there is no name before the \"=\"");
	buf_reset(&r->name);
	buf_reset(&r->value);
	buf_add(&r->name, s, (size_t)(name_end - s));
	if (strpbrk(buf_peek(&r->name), " \t\""))
		return err_set(e, ERR_CONFIG,
		    "a name has no blanks and no quotes: \"%s\"", buf_peek(&r->name));
	s = equals + 1;
	trim(&s, &end);
	if (s < end && *s == '"')
		return read_quoted(r, s, end, e);
	buf_add(&r->value, s, (size_t)(end - s));
	return SETTING;
}

/* The kind of the next line, END behind the last, or -1. */
static int
next_line(struct reader *r, struct err *e)
{
	const char *s = r->at;
	const char *end;

	if (s == r->end)
		return END;
	r->line++;
	end = memchr(s, '\n', (size_t)(r->end - s));
	r->text = s;
	r->at = end ? end + 1 : r->end;
	r->text_len = (size_t)(r->at - s);
	if (!end)
		end = r->end;
	if (memchr(s, '\0', (size_t)(end - s)))
		return err_set(e, ERR_CONFIG, "there is a NUL byte, this is not a text");
	trim(&s, &end);
	if (s == end || *s == '#' || *s == ';')
		return OTHER;
	return *s == '[' ? read_section(r, s, end, e) : read_setting(r, s, end, e);
}

static void
reader_init(struct reader *r, const struct buf *text)
{
	*r = (struct reader){ .at = buf_peek(text) };
	r->end = r->at + buf_len(text);
}

static void
reader_drop(struct reader *r)
{
	buf_drop(&r->section);
	buf_drop(&r->name);
	buf_drop(&r->value);
}

struct parse {
	const char *file;
	int wanted;
	ini_fn *fn;
	void *arg;
};

/* Call fn for the lines of one kind. */
static int
each_line(struct reader *r, const struct parse *p, struct err *e)
{
	int kind;

	while ((kind = next_line(r, e)) > END) {
		struct ini_line l = { buf_peek(&r->section), "", "", r->line };

		if (kind == SETTING) {
			l.name = buf_peek(&r->name);
			l.value = buf_peek(&r->value);
		}
		if (kind == p->wanted && p->fn(p->arg, &l, e))
			return -1;
	}
	return kind;
}

static int
parse(const struct parse *p, const struct buf *text, struct err *e)
{
	struct reader r;
	int rc;

	reader_init(&r, text);
	rc = each_line(&r, p, e);
	if (rc < 0)
		err_wrap(e, "%s:%d", p->file, r.line);
	reader_drop(&r);
	return rc < 0 ? -1 : 0;
}

int
ini_parse(const char *file, const struct buf *text, ini_fn *fn, void *arg, struct err *e)
{
	return parse(&(struct parse){ file, SETTING, fn, arg }, text, e);
}

int
ini_sections(
    const char *file, const struct buf *text, ini_fn *fn, void *arg, struct err *e)
{
	return parse(&(struct parse){ file, SECTION, fn, arg }, text, e);
}

/* A new row at place i; section, name and value are copied, text is taken. */
static struct ini_row *
insert(struct ini_doc *d, size_t i, const char *section, char *text)
{
	if (d->count == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 64;
		d->rows = xrealloc(d->rows, d->cap * sizeof *d->rows);
	}
	memmove(d->rows + i + 1, d->rows + i, (d->count - i) * sizeof *d->rows);
	d->count++;
	d->rows[i] = (struct ini_row){ .text = text, .section = xstrdup(section) };
	return d->rows + i;
}

static void
row_drop(struct ini_row *row)
{
	free(row->text);
	free(row->section);
	free(row->name);
	free(row->value);
}

static struct ini_row *
find(const struct ini_doc *d, const char *section, const char *name)
{
	for (size_t i = 0; i < d->count; i++) {
		struct ini_row *row = d->rows + i;

		if (row->name && strcmp(row->name, name) == 0 &&
		    strcmp(row->section, section) == 0)
			return row;
	}
	return NULL;
}

static int
add_line(struct ini_doc *d, struct reader *r, int kind, struct err *e)
{
	const struct ini_row *twin = NULL;
	struct buf text = { 0 };
	struct ini_row *row;

	if (kind == SETTING)
		twin = find(d, buf_peek(&r->section), buf_peek(&r->name));
	if (twin)
		return err_set(e, ERR_CONFIG, "\"%s\" is already set on line %d",
		    buf_peek(&r->name), (int)(twin - d->rows) + 1);
	buf_add(&text, r->text, r->text_len);
	row = insert(d, d->count, buf_peek(&r->section), buf_take(&text));
	if (kind == SETTING) {
		row->name = xstrdup(buf_peek(&r->name));
		row->value = xstrdup(buf_peek(&r->value));
	}
	return 0;
}

int
ini_read(struct ini_doc *d, const char *file, const struct buf *text, struct err *e)
{
	struct reader r;
	int kind;

	reader_init(&r, text);
	while ((kind = next_line(&r, e)) > END)
		if (add_line(d, &r, kind, e)) {
			kind = -1;
			break;
		}
	if (kind < 0) {
		err_wrap(e, "%s:%d", file, r.line);
		ini_drop(d);
	}
	reader_drop(&r);
	return kind < 0 ? -1 : 0;
}

void
ini_drop(struct ini_doc *d)
{
	for (size_t i = 0; i < d->count; i++)
		row_drop(d->rows + i);
	free(d->rows);
	*d = (struct ini_doc){ 0 };
}

const char *
ini_get(const struct ini_doc *d, const char *section, const char *name)
{
	const struct ini_row *row = find(d, section, name);

	return row ? row->value : NULL;
}

/* Append the value so that the reader gives it back. */
static void
quote(struct buf *b, const char *value)
{
	size_t n = strlen(value);

	if (n == 0 || (*value != '"' && !is_blank(*value) && !is_blank(value[n - 1]))) {
		buf_str(b, value);
		return;
	}
	buf_char(b, '"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_char(b, '\\');
		buf_char(b, *value);
	}
	buf_char(b, '"');
}

/* Would section, name and value be read back as they are? */
static int
check(const char *section, const char *name, const char *value, struct err *e)
{
	static const char control[] = "\1\2\3\4\5\6\7\10\12\13\14\15\16\17\20\21\22\23\24"
				      "\25\26\27\30\31\32\33\34\35\36\37\177";

	if (section[strcspn(section, control)] || strpbrk(section, "]\t") ||
	    *section == ' ' || *section == '\0' || section[strlen(section) - 1] == ' ')
		return err_set(e, ERR_CONFIG, "\"%s\" cannot name a section", section);
	if (!*name || name[strcspn(name, control)] || strpbrk(name, "= \t\"") ||
	    strchr("#;[", *name))
		return err_set(e, ERR_CONFIG, "\"%s\" cannot name a setting", name);
	if (value[strcspn(value, control)])
		return err_set(e, ERR_CONFIG,
		    "the value of %s has a newline or control character", name);
	return 0;
}

/* Give the row a new value, keeping the manner of what is left of it. */
static void
rewrite(struct ini_row *row, const char *value)
{
	struct buf b = { 0 };
	size_t left = strcspn(row->text, "=") + 1;

	left += strspn(row->text + left, " \t");
	buf_add(&b, row->text, left);
	quote(&b, value);
	buf_char(&b, '\n');
	free(row->text);
	row->text = buf_take(&b);
	free(row->value);
	row->value = xstrdup(value);
}

/* Where a new setting of this section goes: behind its last setting or its header. */
static size_t
place(struct ini_doc *d, const char *section)
{
	size_t header = d->count;

	for (size_t i = d->count; i-- > 0;) {
		const struct ini_row *row = d->rows + i;

		if (strcmp(row->section, section) != 0)
			continue;
		if (row->name)
			return i + 1;
		if (row->text[strspn(row->text, " \t\r\v\f")] == '[')
			header = i + 1;
	}
	return header;
}

/* The row before place i must end in a newline for another to follow. */
static void
end_line(struct ini_doc *d, size_t i)
{
	struct ini_row *row;
	size_t n;

	if (i == 0)
		return;
	row = d->rows + i - 1;
	n = strlen(row->text);
	if (n == 0 || row->text[n - 1] != '\n') {
		char *text = xasprintf("%s\n", row->text);

		free(row->text);
		row->text = text;
	}
}

/* A header at the end, a blank line before it. */
static void
add_section(struct ini_doc *d, const char *section)
{
	const struct ini_row *last = d->count ? d->rows + d->count - 1 : NULL;

	if (last && last->text[strspn(last->text, " \t\r\v\f\n")])
		insert(d, d->count, last->section, xstrdup("\n"));
	insert(d, d->count, section, xasprintf("[%s]\n", section));
}

int
ini_set(struct ini_doc *d, const char *section, const char *name, const char *value,
    struct err *e)
{
	struct ini_row *row = find(d, section, name);
	size_t i;

	if (check(section, name, value, e))
		return -1;
	if (row && strcmp(row->value, value) == 0)
		return 0;
	if (row) {
		rewrite(row, value);
		return 0;
	}
	i = place(d, section);
	end_line(d, i);
	if (i == 0 || strcmp(d->rows[i - 1].section, section) != 0) {
		add_section(d, section);
		i = d->count;
	}
	row = insert(d, i, section, xasprintf("%s = ", name));
	row->name = xstrdup(name);
	rewrite(row, value);
	return 0;
}

void
ini_unset(struct ini_doc *d, const char *section, const char *name)
{
	struct ini_row *row = find(d, section, name);
	size_t i;

	if (!row)
		return;
	i = (size_t)(row - d->rows);
	row_drop(row);
	memmove(row, row + 1, (d->count - i - 1) * sizeof *row);
	d->count--;
}

int
ini_each(const struct ini_doc *d, ini_fn *fn, void *arg, struct err *e)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct ini_row *row = d->rows + i;
		struct ini_line l = { row->section, row->name, row->value, (int)i + 1 };

		if (row->name && fn(arg, &l, e))
			return -1;
	}
	return 0;
}

void
ini_format(const struct ini_doc *d, struct buf *b)
{
	for (size_t i = 0; i < d->count; i++)
		buf_str(b, d->rows[i].text);
}
