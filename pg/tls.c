/* Certificates: one made for a host that has none, and whether the ones there will do. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/tls.h"

#define ERR_STATE openssl_err_state /* a type of theirs, and a constant of ours */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

#define KEY_BITS 2048
#define YEAR_S (365L * 24 * 3600)
#define BACKDATE_S (-3600L) /* clocks of other hosts may be behind */

/* What OpenSSL says of the last failure, in front of it what we wanted. */
static int
tls_err(struct err *e, const char *what, const char *file)
{
	unsigned long code = ERR_peek_last_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(e, ERR_CONFIG, "%s %s: %s", what, file, why ? why : "failed");
}

/* -- are they good -- */

static int
readable(const char *what, const char *file, struct err *e)
{
	if (str_empty(file) || access(file, R_OK) == 0)
		return 0;
	err_sys(e, "%s %s", what, file);
	if (e)
		e->kind = ERR_CONFIG;
	return -1;
}

/* As Postgres has it: ours and nobody else's, or root's and our group's. */
static int
key_is_private(const char *key, struct err *e)
{
	struct stat st;

	if (stat(key, &st))
		return err_sys(e, "private key %s", key);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, ERR_CONFIG,
		    "private key %s belongs to another user (uid %u)", key,
		    (unsigned)st.st_uid);
	if ((st.st_mode & (st.st_uid == 0 ? 027 : 077)) == 0)
		return 0;
	err_set(e, ERR_CONFIG, "private key %s can be read by others", key);
	return err_hint(e, "chmod 0600 %s", key);
}

static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return 0; /* nobody is there to be asked */
}

static int
load_all(SSL_CTX *ctx, const struct tls_files *f, struct err *e)
{
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, f->cert) != 1)
		return tls_err(e, "certificate", f->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, f->key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return tls_err(e, "private key", f->key);
	if (!str_empty(f->ca) && SSL_CTX_load_verify_locations(ctx, f->ca, NULL) != 1)
		return tls_err(e, "certificate authorities", f->ca);
	if (!str_empty(f->crl) &&
	    X509_STORE_load_locations(SSL_CTX_get_cert_store(ctx), f->crl, NULL) != 1)
		return tls_err(e, "revoked certificates", f->crl);
	return 0;
}

int
tls_check(const struct tls_files *f, struct err *e)
{
	SSL_CTX *ctx;
	int rc;

	if (readable("certificate", f->cert, e) || readable("private key", f->key, e) ||
	    readable("certificate authorities", f->ca, e) ||
	    readable("revoked certificates", f->crl, e) || key_is_private(f->key, e))
		return -1;
	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx)
		return tls_err(e, "prepare", "TLS");
	rc = load_all(ctx, f, e);
	SSL_CTX_free(ctx);
	return rc;
}

/* -- making one -- */

static bool
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool ok = ext && X509_add_ext(x, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return ok;
}

/* What clients look at. Not by text: a name might hold what means something there. */
static bool
add_host(X509 *x, const char *host)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool ok =
	    names && name && text && ASN1_STRING_set(text, host, (int)strlen(host)) == 1;

	if (ok && address)
		GENERAL_NAME_set0_value(name, GEN_IPADD, address);
	else if (ok)
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
	if (address || !ok)
		ASN1_IA5STRING_free(text);
	if (ok && sk_GENERAL_NAME_push(names, name) > 0)
		ok = X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1;
	else
		GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	return ok;
}

static bool
set_serial(X509 *x)
{
	unsigned char bytes[8];
	uint64_t n;

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	memcpy(&n, bytes, sizeof n);
	return ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), n >> 1) == 1;
}

/* A common name has room for 64 bytes; what counts is the other name. */
static bool
set_subject(X509 *x, const char *host)
{
	X509_NAME *n = X509_get_subject_name(x);
	size_t len = strlen(host);
	char name[65];

	snprintf(name, sizeof name, "%.*s", (int)(len > 64 ? 64 : len), host);
	return X509_NAME_add_entry_by_txt(
		   n, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, n) == 1;
}

static X509 *
make_certificate(EVP_PKEY *key, const char *host)
{
	X509 *x = X509_new();

	if (x && X509_set_version(x, 2) == 1 && set_serial(x) && set_subject(x, host) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), BACKDATE_S) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), YEAR_S) &&
	    X509_set_pubkey(x, key) == 1 &&
	    add_extension(x, NID_basic_constraints, "critical,CA:TRUE") &&
	    add_host(x, host) && X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static int
write_pem(BIO *bio, const char *path, mode_t mode, struct err *e)
{
	struct buf text = { 0 };
	char *data;
	long n = BIO_get_mem_data(bio, &data);
	int rc;

	buf_add(&text, data, (size_t)n);
	rc = file_replace(path, &text, mode, e);
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_drop(&text);
	return rc;
}

static int
write_both(const struct tls_files *f, EVP_PKEY *key, X509 *cert, struct err *e)
{
	BIO *k = BIO_new(BIO_s_mem());
	BIO *c = BIO_new(BIO_s_mem());
	int rc = -1;

	if (!k || !c ||
	    PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_bio_X509(c, cert) != 1)
		tls_err(e, "make", f->cert);
	else if (write_pem(k, f->key, 0600, e) == 0)
		rc = write_pem(c, f->cert, 0644, e);
	BIO_free(k);
	BIO_free(c);
	return rc;
}

int
tls_self_sign(const struct tls_files *f, const char *host, struct err *e)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)KEY_BITS);
	X509 *cert = key ? make_certificate(key, host) : NULL;
	int rc = cert ? write_both(f, key, cert, e) : tls_err(e, "make", f->cert);

	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}
