/* Replication slots: on every node one for every other node. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/slot.h"

#include "ini/err.h"
#include "ini/str.h"
#include "pg/db.h"
#include "pg/host.h"
#include "pg/report.h"

#include "ini/ban.h"

/*
 * The three are independent, and each names only slots the others do not. A slot that was
 * just made has nothing to be advanced over. Advancing stops at what a standby has
 * replayed, and backwards is an error (facts 12): both are asked for here.
 */
const char slot_keep_sql[] =
    "with peer as (select n, l::pg_catalog.pg_lsn as lsn"
    "  from unnest($1::text[], $2::text[]) as p(n, l)),"
    " slot as (select * from pg_catalog.pg_replication_slots"
    "  where slot_type = 'physical' and slot_name ~ '^" HOST_STANDBY "[0-9]+$'),"
    " gone as (select pg_catalog.pg_drop_replication_slot(slot_name) from slot"
    "  where not active and (slot_name not in (select n from peer)"
    "   or wal_status = 'lost')),"
    " made as (select pg_catalog.pg_create_physical_replication_slot(n, true) from peer"
    "  where n not in (select slot_name from slot)),"
    " moved as (select pg_catalog.pg_replication_slot_advance(slot_name,"
    "   least(lsn, pg_catalog.pg_last_wal_replay_lsn()))"
    "  from slot join peer on n = slot_name"
    "  where pg_catalog.pg_is_in_recovery() and not active"
    "   and restart_lsn is not null and wal_status is distinct from 'lost'"
    "   and least(lsn, pg_catalog.pg_last_wal_replay_lsn()) > restart_lsn)"
    " select (select count(*) from gone) as gone, (select count(*) from made) as made,"
    " (select count(*) from moved) as moved";

void
slot_params(struct slot_params *p, const struct peer *peer, int n)
{
	char lsn[STR_LSN_MAX];

	buf_reset(&p->names);
	buf_reset(&p->lsns);
	buf_char(&p->names, '{');
	buf_char(&p->lsns, '{');
	for (int i = 0; i < n; i++) {
		buf_printf(&p->names, "%s" HOST_STANDBY "%lld", i ? "," : "",
		    (long long)peer[i].id);
		buf_printf(
		    &p->lsns, "%s%s", i ? "," : "", str_lsn_format(peer[i].lsn, lsn));
	}
	buf_char(&p->names, '}');
	buf_char(&p->lsns, '}');
	p->value[0] = buf_peek(&p->names);
	p->value[1] = buf_peek(&p->lsns);
}

void
slot_params_drop(struct slot_params *p)
{
	buf_drop(&p->names);
	buf_drop(&p->lsns);
}

int
slot_keep(struct db *d, const struct peer *peer, int n, struct err *e)
{
	struct slot_params p = { 0 };
	int rc;

	slot_params(&p, peer, n);
	rc = db_exec(d, NULL, slot_keep_sql, db_args(2, p.value), e);
	slot_params_drop(&p);
	return rc ? err_wrap(e, "replication slots") : 0;
}
