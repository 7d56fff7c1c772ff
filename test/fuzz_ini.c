/* Any bytes as a settings file: read, written, edited, read again. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/ini.h"
#include "test/fuzz.h"

#include "ini/ban.h"

const char *const fuzz_seeds[] = {
	"",
	"[pg_autoctl]\nrole = keeper\nname = node_1\n\n# comment\n[timeout]\n"
	"network_partition_timeout = 20\n",
	"; c\r\n[ a b ] # why\r\nx=1\r\n\ty = \" quoted \\\" \\\\ \"\r\nz =",
	"top = 1\n[a]\n[a]\nx = postgres://u:p@h:5432/db?sslmode=require#;\n",
	"[formation one]\nkind = pgsql\nsecondary = true\n[formation two]\nkind = x\n",
	NULL,
};

static int
count_line(void *arg, const struct ini_line *l, struct err *e)
{
	int *left = arg;

	(void)e;
	assert(l->section && l->name && *l->name && l->value && l->line > 0);
	(*left)++;
	return 0;
}

/* Writes each setting once more, and some others, into a copy. */
static int
edit_line(void *arg, const struct ini_line *l, struct err *e)
{
	struct ini_doc *copy = arg;

	(void)e;
	if (*l->section == '\0')
		return 0;
	if (ini_set(copy, l->section, l->name, l->value, NULL) == 0)
		assert(strcmp(ini_get(copy, l->section, l->name), l->value) == 0);
	if (ini_set(copy, l->name, l->name, l->section, NULL) == 0)
		assert(strcmp(ini_get(copy, l->name, l->name), l->section) == 0);
	if (l->line % 2)
		ini_unset(copy, l->section, l->name);
	return 0;
}

/* What the editor writes must read back as what the editor holds. */
static void
check_edits(const struct ini_doc *doc, const struct buf *text)
{
	struct ini_doc copy = { 0 }, again = { 0 };
	struct buf a = { 0 }, b = { 0 };
	struct err e = { .kind = ERR_NONE };
	int held = 0, read = 0;

	assert(ini_read(&copy, "copy", text, &e) == 0);
	assert(ini_each(doc, edit_line, &copy, &e) == 0);
	ini_format(&copy, &a);
	assert(ini_read(&again, "again", &a, &e) == 0);
	assert(ini_each(&copy, count_line, &held, &e) == 0);
	assert(ini_each(&again, count_line, &read, &e) == 0);
	assert(held == read);
	ini_format(&again, &b);
	assert(strcmp(buf_peek(&a), buf_peek(&b)) == 0);
	ini_drop(&copy);
	ini_drop(&again);
	buf_drop(&a);
	buf_drop(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ini_doc doc = { 0 };
	struct buf text = { 0 }, out = { 0 };
	struct err e = { .kind = ERR_NONE };
	int lines = 0;

	buf_add(&text, data, size);
	if (ini_parse("f", &text, count_line, &lines, &e))
		assert(e.kind == ERR_CONFIG && strncmp(e.msg, "f:", 2) == 0);
	if (ini_read(&doc, "f", &text, &e) == 0) {
		ini_format(&doc, &out);
		assert(buf_len(&out) == size && memcmp(buf_peek(&out), data, size) == 0);
		check_edits(&doc, &text);
	}
	ini_drop(&doc);
	buf_drop(&text);
	buf_drop(&out);
	return 0;
}
