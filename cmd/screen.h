/* A full screen of a terminal: text drawn on it, keys taken from it, given back as it
 * was.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_SCREEN_H
#define CMD_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "ini/buf.h"

struct err;

/* Lines that begin with one of these are drawn so. */
#define SCREEN_BOLD '\001'
#define SCREEN_REVERSE '\002'
#define SCREEN_ALARM '\003'

enum screen_event {
	SCREEN_NOTHING, /* the time is over, or a key that means nothing here */
	SCREEN_SCROLLED,
	SCREEN_RESIZED,
	SCREEN_DATA, /* the descriptor is readable */
	SCREEN_QUIT  /* q, F1, or a signal that ends programs */
};

struct screen {
	int rows, cols;
	int top, left;     /* the first line and column that are shown */
	int lines, widest; /* of what was drawn last */
};

/* Take over the terminal of stdin and stdout. ERR_USAGE when they are none. */
int screen_open(struct screen *, struct err *) __attribute__((warn_unused_result));
void screen_close(struct screen *);

/* Text from elsewhere: without anything a terminal would obey. */
void screen_text(struct buf *, const char *);
/* The same in a column of that width: cut, or filled up on the left or the right. */
void screen_cell(struct buf *, const char *, int width, bool left);
/* How many columns it takes. */
int screen_width(const char *);

/* Draw lines ("\n" ends each), from top and left on. */
int screen_draw(struct screen *, const struct buf *lines, struct err *)
    __attribute__((warn_unused_result));

/* Wait for a key, a signal, or the descriptor (-1: none). */
enum screen_event screen_wait(struct screen *, int fd, int64_t ms);

#endif
