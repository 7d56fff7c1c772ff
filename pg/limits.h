/* What a standby must not have less of than its primary: replay stops where it has. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_LIMITS_H
#define PG_LIMITS_H

struct db;
struct err;
struct host;

/*
 * The five settings of the manual's section 27.4.3 (Administrator's Overview of hot
 * standby). The control file has the primary's values as soon as replay has met them.
 * While replay is paused for one of them a promotion ends the server, and so does the end
 * of the pause (facts 3.8); a start ends at once.
 */

/* Has this running standby enough of all? 0: yes; 1: no, and the error names the setting;
 * -1: that cannot be told. */
int limits_check(const struct host *, struct db *, struct err *)
    __attribute__((warn_unused_result));

/* While Postgres is down: what its files give less of is raised in postgresql.auto.conf.
 * 1: something was, 0: there is enough. */
int limits_raise(const struct host *, struct err *) __attribute__((warn_unused_result));

#endif
