/* Certificates: one made for a host that has none, and whether the ones there will do. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_TLS_H
#define PG_TLS_H

struct err;

/* PEM files. NULL or "" for what there is not. */
struct tls_files {
	const char *cert, *key;
	const char *ca, *crl;
};

/*
 * Would Postgres start with them? Readable, the key belongs to the certificate and is
 * kept from others. ERR_CONFIG names the file.
 */
int tls_check(const struct tls_files *, struct err *) __attribute__((warn_unused_result));

/*
 * A key and a certificate signed with it, for a year, for this name or address. Each file
 * is complete or not there, the key first, with mode 0600.
 */
int tls_self_sign(const struct tls_files *, const char *host, struct err *)
    __attribute__((warn_unused_result));

#endif
