/* pg/uri: what goes in comes out, and secrets do not. */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "pg/uri.h"
#include "test/tap.h"

#include "ini/ban.h"

static void
test_format(void)
{
	static const struct {
		struct uri_parts p;
		const char *want;
	} cases[] = {
		{ { .user = "autoctl_node",
		      .host = "h",
		      .port = 5432,
		      .dbname = "d",
		      .sslmode = "require" },
		    "postgres://autoctl_node@h:5432/d?sslmode=require" },
		{ { .host = "::1", .port = 1, .dbname = "d" }, "postgres://[::1]:1/d" },
		{ { .host = "/tmp/x", .dbname = "d" }, "postgres://%2Ftmp%2Fx/d" },
		{ { .host = "a,b", .port = 7 }, "postgres://a:7,b:7/" },
		{ { .user = "a@b", .password = "p/:?#", .host = "h", .dbname = "x y" },
		    "postgres://a%40b:p%2F%3A%3F%23@h/x%20y" },
		{ { .host = "h", .sslmode = "verify-ca", .sslrootcert = "/etc/ca.crt" },
		    "postgres://h/?sslmode=verify-ca&sslrootcert=/etc/ca.crt" },
		{ { .host = NULL }, "postgres:///" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf b = { 0 };

		uri_format(&b, &cases[i].p);
		IS_STR(buf_peek(&b), cases[i].want, cases[i].want);
		OK(uri_check(buf_peek(&b), NULL) == 0, "libpq reads it");
		buf_drop(&b);
	}
}

static void
test_set(void)
{
	struct buf b = { 0 };
	struct buf got = { 0 };
	const char *from = "host=h port=5 user=u dbname=d sslmode=require";

	OK(uri_set(from, "port", "6", &b, NULL) == 0, "a keyword is replaced");
	IS_STR(buf_peek(&b), "postgres://u@h:6/d?sslmode=require", "and the rest stays");
	OK(uri_get("host=h port=5", "port", &got, NULL) == 0, "a keyword is read");
	IS_STR(buf_peek(&got), "5", "the port");
	buf_reset(&got);
	OK(uri_get("postgres://h/d", "port", &got, NULL) == 0, "one that is not set");
	IS_STR(buf_peek(&got), "", "is empty");
	buf_reset(&b);
	OK(uri_set("postgres://u@h:5/d?sslmode=require", "sslmode", "verify-full", &b,
	       NULL) == 0,
	    "sslmode is replaced");
	IS_STR(buf_peek(&b), "postgres://u@h:5/d?sslmode=verify-full", "in its place");
	buf_reset(&b);
	OK(uri_set("postgres://u:p@h:5/d", "password", NULL, &b, NULL) == 0,
	    "a keyword is removed");
	IS_STR(buf_peek(&b), "postgres://u@h:5/d", "and is gone");
	buf_reset(&b);
	OK(uri_set("postgres://a:1,b:2/d", "target_session_attrs", "read-write", &b,
	       NULL) == 0,
	    "a keyword is added");
	IS_STR(buf_peek(&b), "postgres://a:1,b:2/d?target_session_attrs=read-write",
	    "behind the rest");
	buf_drop(&b);
	buf_drop(&got);
}

static void
test_scrub(void)
{
	static const char *const secret[] = {
		"postgres://u:sesame@h:5/d",
		"postgres://u@h/d?password=sesame",
		"host=h password=sesame",
		"host=h password='sesame",
		"postgres://u:sesame@h:5:7/d",
		"postgres://h/d?sslpassword=sesame",
		"password = 'ses\\ame' nonsense=1",
	};

	for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };

		uri_scrub(secret[i], &b);
		OK(!strstr(buf_peek(&b), "sesame") && strstr(buf_peek(&b), "****"),
		    "no secret: %s", buf_peek(&b));
		buf_drop(&b);
		(void)!uri_check(secret[i], &e);
		OK(!strstr(e.msg, "sesame") && !strstr(e.detail, "sesame"),
		    "nor in the error: %s %s", e.msg, e.detail);
	}
}

static void
test_rotate(void)
{
	struct buf b = { 0 };

	IS_INT(uri_hosts("postgres://a,b:2,c/d"), 3, "three hosts");
	IS_INT(uri_hosts("postgres://a/d"), 1, "one host");
	OK(uri_rotate("postgres://a:1,b:2,c:3/d", 1, &b, NULL) == 0,
	    "the second one first");
	IS_STR(buf_peek(&b), "postgres://b:2,c:3,a:1/d", "with their ports");
	buf_reset(&b);
	OK(uri_rotate("host=a,b port=5 dbname=d", 3, &b, NULL) == 0, "around and around");
	IS_STR(buf_peek(&b), "postgres://b:5,a:5/d", "one port for all");
	buf_reset(&b);
	OK(uri_rotate("dbname=d", 1, &b, NULL) == 0, "no host");
	IS_STR(buf_peek(&b), "postgres:///d", "is as before");
	buf_drop(&b);
}

static void
test_errors(void)
{
	struct err e = { 0 };
	struct buf b = { 0 };

	OK(uri_check("postgres://h/d?x", &e) == -1 && e.kind == ERR_USAGE, "not a URI");
	OK(uri_check("hots=h", &e) == -1 && e.detail[0], "not a keyword: %s", e.detail);
	OK(uri_set("hots=h", "port", "1", &b, &e) == -1 && buf_len(&b) == 0,
	    "nothing made");
	buf_drop(&b);
	OK(uri_same("postgres://u@h:5/d", "host=h port=5 user=u dbname=d"),
	    "two spellings");
	OK(!uri_same("postgres://u@h:5/d", "postgres://u@h:6/d"), "two ports");
	OK(!uri_same("postgres://u@h:5/d", "nonsense"), "nonsense is like nothing");
}

int
main(void)
{
	test_format();
	test_set();
	test_scrub();
	test_rotate();
	test_errors();
	return tap_done();
}
