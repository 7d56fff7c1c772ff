/* Reads the JSON that others hand us: flat objects, and arrays of them. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <stdbool.h>

struct buf;

/* Is the whole text one well-formed value? */
bool cmd_json_valid(const char *text);

/*
 * The value of a member of an object, behind what is in the buf: a string without its
 * quotes, any other value as it is written. false: no such member, or not an object.
 */
bool cmd_json_member(const char *object, const char *key, struct buf *value);

/* The next element of an array: begin with *at at the text. NULL: no more. What is
 * returned begins with the element. */
const char *cmd_json_next(const char **at);

#endif
