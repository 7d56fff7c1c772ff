/* Answers for people: aligned columns. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/out.h"
#include "ini/buf.h"
#include "ini/mem.h"

#include "ini/ban.h"

void
out_init(struct out *o, const struct out_column *column, int ncolumns)
{
	*o = (struct out){ .column = column, .ncolumns = ncolumns };
}

/* What nodes say of themselves must not steer the terminal. */
static char *
flat(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return text;
}

void
out_line(const char *text)
{
	char *copy = flat(xstrdup(text));

	puts(copy);
	free(copy);
}

void
out_cell(struct out *o, const char *fmt, ...)
{
	struct buf b = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 64;
		o->cell = xrealloc(o->cell, o->cap * sizeof *o->cell);
	}
	o->cell[o->n++] = flat(buf_take(&b));
}

static int
width(const struct out *o, int column)
{
	int w = o->column[column].width;
	int title = (int)strlen(o->column[column].title);

	if (title > w)
		w = title;
	for (size_t i = (size_t)column; i < o->n; i += (size_t)o->ncolumns)
		if ((int)strlen(o->cell[i]) > w)
			w = (int)strlen(o->cell[i]);
	return w;
}

static void
print_cell(const struct out *o, int c, const char *text, int w)
{
	bool last = c == o->ncolumns - 1;

	if (c)
		fputs(" | ", stdout);
	if (o->column[c].left && last)
		fputs(text, stdout);
	else if (o->column[c].left)
		printf("%-*s", w, text);
	else
		printf("%*s", w, text);
	if (last)
		putchar('\n');
}

static void
print_titles(const struct out *o, const int *w)
{
	for (int c = 0; c < o->ncolumns; c++)
		print_cell(o, c, o->column[c].title, w[c]);
	for (int c = 0; c < o->ncolumns; c++) {
		fputs(c ? "-+-" : "", stdout);
		for (int i = 0; i < w[c]; i++)
			putchar('-');
	}
	putchar('\n');
}

static void
print_rows(const struct out *o, const int *w)
{
	for (size_t i = 0; i < o->n; i++) {
		int c = (int)(i % (size_t)o->ncolumns);
		print_cell(o, c, o->cell[i], w[c]);
	}
}

static void
widths(const struct out *o, int *w)
{
	for (int c = 0; c < o->ncolumns; c++)
		w[c] = width(o, c);
}

void
out_print(struct out *o)
{
	int w[OUT_COLUMNS_MAX];

	widths(o, w);
	print_titles(o, w);
	print_rows(o, w);
	putchar('\n');
	out_drop(o);
}

void
out_begin(const struct out *o)
{
	int w[OUT_COLUMNS_MAX];

	widths(o, w);
	print_titles(o, w);
}

void
out_flush(struct out *o)
{
	const struct out_column *column = o->column;
	int ncolumns = o->ncolumns;
	int w[OUT_COLUMNS_MAX];

	widths(o, w);
	print_rows(o, w);
	fflush(stdout);
	out_drop(o);
	out_init(o, column, ncolumns);
}

void
out_drop(struct out *o)
{
	for (size_t i = 0; i < o->n; i++)
		free(o->cell[i]);
	free(o->cell);
	*o = (struct out){ 0 };
}
