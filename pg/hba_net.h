/* Addresses for pg_hba.conf: of a host, and of the network it is in. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_HBA_NET_H
#define PG_HBA_NET_H

#include <stddef.h>

#define HBA_ADDRESS 300
#define HBA_ADDRESSES 8

/*
 * What to write for a host: an address with its mask; a name when the name leads to
 * addresses that lead back to it, which is how Postgres checks names; else the addresses
 * of the name, or the name when it leads nowhere yet. The count; 0: no name of a host.
 */
size_t hba_addresses(const char *host, char out[HBA_ADDRESSES][HBA_ADDRESS]);

/* The network of the interface that has this host's address, such as 172.18.0.0/16. -1:
 * no interface has it. */
int hba_network(const char *host, char out[HBA_ADDRESS]);

#endif
