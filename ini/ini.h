/* The "[section] name = value" text: reading it, and editing it without losing a line. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_INI_H
#define INI_INI_H

#include <stddef.h>

struct buf;
struct err;

/*
 * Lines are blank, a comment ("#" or ";" first), "[section]" or "name = value". Blanks
 * around names and values do not count. There are no comments behind a value: passwords
 * and URIs may hold any of these characters. A value with blanks at its ends is written
 * in double quotes, with \" and \\ inside; anything between quotes is read that way.
 * Sections of one name are one section. Errors (ERR_CONFIG) begin with "file:line: ".
 */
struct ini_line {
	const char *section; /* "" before the first section */
	const char *name;
	const char *value; /* "" when nothing follows the "=" */
	int line;          /* from 1 */
};

/* Called for each setting in order; -1 with the error filled stops, and the reader puts
 * "file:line: " in front. The strings live until it returns. */
typedef int ini_fn(void *arg, const struct ini_line *, struct err *);

/* file is only used to name it. */
int ini_parse(const char *file, const struct buf *text, ini_fn *, void *arg, struct err *)
    __attribute__((warn_unused_result));

/* The same for the section lines alone: name and value are "". */
int ini_sections(const char *file, const struct buf *text, ini_fn *, void *arg,
    struct err *) __attribute__((warn_unused_result));

/* The editor: every line as it was, and what it means. Start from { 0 }. */
struct ini_row;
struct ini_doc {
	struct ini_row *rows;
	size_t count;
	size_t cap;
};

/* Read a text. The same name twice in a section is an error here. On -1 doc is empty. */
int ini_read(struct ini_doc *, const char *file, const struct buf *text, struct err *)
    __attribute__((warn_unused_result));
void ini_drop(struct ini_doc *);

/* NULL when not there; borrowed until the next change. */
const char *ini_get(const struct ini_doc *, const char *section, const char *name);

/*
 * Change the value in its line, or add a line behind the last setting of its section, or
 * a new section at the end. A value with a newline, or a name that would not be read
 * back, is ERR_CONFIG.
 */
int ini_set(struct ini_doc *, const char *section, const char *name, const char *value,
    struct err *) __attribute__((warn_unused_result));

/* Remove the line, if there is one. Comments stay. */
void ini_unset(struct ini_doc *, const char *section, const char *name);

/* Call fn for each setting, in order. */
int ini_each(const struct ini_doc *, ini_fn *, void *arg, struct err *)
    __attribute__((warn_unused_result));

/* Append the text: byte for byte what was read, except for what was changed. */
void ini_format(const struct ini_doc *, struct buf *);

#endif
