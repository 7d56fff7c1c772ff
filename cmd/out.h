/* Answers for people: aligned columns; JSON comes from the server or from buf_json. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_OUT_H
#define CMD_OUT_H

#include <stdbool.h>
#include <stddef.h>

#define OUT_COLUMNS_MAX 16

struct out_column {
	const char *title;
	int width; /* at least */
	bool left; /* else aligned to the right */
};

/* Cells are copied; rows are printed when it is known how wide they are. */
struct out {
	const struct out_column *column;
	int ncolumns;
	char **cell;
	size_t n, cap;
};

void out_init(struct out *, const struct out_column *, int ncolumns);
void out_cell(struct out *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_print(struct out *); /* to stdout, an empty line at the end; drops it */
void out_drop(struct out *);

void out_line(const char *); /* to stdout, what would steer a terminal as blanks */

/* Rows as they come: the titles now, at the widths of the columns; then what is complete.
 */
void out_begin(const struct out *);
void out_flush(struct out *);

#endif
