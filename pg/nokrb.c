/* Weak stand-ins for Kerberos and LDAP, so that Debian's libpq.a links statically. */
/* SPDX-License-Identifier: PostgreSQL */

/*
 * libpq.a refers to these functions; we have no use for them in one static file. Each
 * answers "not available": with the default gssencmode=prefer libpq asks for
 * credentials, gets none, and goes on without; a service file with an ldap: URL is an
 * error. Signatures: RFC 2744 and RFC 1823, pointers to their types as void *.
 * A real library on the link line wins over a weak symbol.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#include "ini/ban.h"

#define UNAVAILABLE ((uint32_t)16 << 16) /* GSS_S_UNAVAILABLE */
#define WEAK __attribute__((weak))

struct gss_text { /* gss_buffer_desc */
	size_t length;
	const void *value;
};

extern void *GSS_C_NT_HOSTBASED_SERVICE;
WEAK void *GSS_C_NT_HOSTBASED_SERVICE = NULL;

/* clang-format off */
uint32_t gss_acquire_cred(uint32_t *, void *, uint32_t, void *, int, void **, void *, uint32_t *);
uint32_t gss_delete_sec_context(uint32_t *, void **, struct gss_text *);
uint32_t gss_display_status(uint32_t *, uint32_t, int, void *, uint32_t *, struct gss_text *);
uint32_t gss_import_name(uint32_t *, struct gss_text *, void *, void **);
uint32_t gss_init_sec_context(uint32_t *, void *, void **, void *, void *, uint32_t, uint32_t,
    void *, struct gss_text *, void **, struct gss_text *, uint32_t *, uint32_t *);
uint32_t gss_release_buffer(uint32_t *, struct gss_text *);
uint32_t gss_release_cred(uint32_t *, void **);
uint32_t gss_release_name(uint32_t *, void **);
uint32_t gss_unwrap(uint32_t *, void *, struct gss_text *, struct gss_text *, int *, uint32_t *);
uint32_t gss_wrap(uint32_t *, void *, int, uint32_t, struct gss_text *, int *, struct gss_text *);
uint32_t gss_wrap_size_limit(uint32_t *, void *, int, uint32_t, uint32_t, uint32_t *);
int ldap_count_entries(void *, void *);
char *ldap_err2string(int);
void *ldap_first_entry(void *, void *);
void **ldap_get_values_len(void *, void *, const char *);
void *ldap_init(const char *, int);
int ldap_msgfree(void *);
int ldap_result(void *, int, int, struct timeval *, void **);
int ldap_search_st(void *, const char *, int, const char *, char **, int, struct timeval *, void **);
int ldap_set_option(void *, int, const void *);
int ldap_simple_bind(void *, const char *, const char *);
int ldap_unbind(void *);
void ldap_value_free_len(void **);

/* the names say what each would do, the parameters are the libraries' */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define NONE { *minor = 0; return UNAVAILABLE; }

WEAK uint32_t gss_acquire_cred(uint32_t *minor, void *name, uint32_t time, void *mechs, int usage,
    void **cred, void *actual, uint32_t *left) NONE
WEAK uint32_t gss_init_sec_context(uint32_t *minor, void *cred, void **context, void *target,
    void *mech, uint32_t flags, uint32_t time, void *binding, struct gss_text *in, void **actual,
    struct gss_text *out, uint32_t *got, uint32_t *left) NONE
WEAK uint32_t gss_import_name(uint32_t *minor, struct gss_text *text, void *type, void **name) NONE
WEAK uint32_t gss_wrap(uint32_t *minor, void *context, int secret, uint32_t qop,
    struct gss_text *in, int *state, struct gss_text *out) NONE
WEAK uint32_t gss_unwrap(uint32_t *minor, void *context, struct gss_text *in,
    struct gss_text *out, int *state, uint32_t *qop) NONE
WEAK uint32_t gss_wrap_size_limit(uint32_t *minor, void *context, int secret, uint32_t qop,
    uint32_t out, uint32_t *in) NONE

/* releasing nothing always works */
#define FINE { *minor = 0; return 0; }

WEAK uint32_t gss_delete_sec_context(uint32_t *minor, void **context, struct gss_text *out) FINE
WEAK uint32_t gss_release_cred(uint32_t *minor, void **cred) FINE
WEAK uint32_t gss_release_name(uint32_t *minor, void **name) FINE
WEAK uint32_t gss_release_buffer(uint32_t *minor, struct gss_text *text) FINE

/* libpq calls this until *more is 0 */
WEAK uint32_t gss_display_status(uint32_t *minor, uint32_t code, int type, void *mech,
    uint32_t *more, struct gss_text *text)
{
	static const char words[] = "Kerberos is not built in";

	*minor = 0;
	*more = 0;
	text->length = sizeof words - 1;
	text->value = words;
	return 0;
}

/* without a handle from ldap_init, libpq calls none of the others */
WEAK void *ldap_init(const char *host, int port) { return NULL; }
WEAK char *ldap_err2string(int code) { static char words[] = "LDAP is not built in"; return words; }
WEAK int ldap_count_entries(void *ld, void *result) { return 0; }
WEAK void *ldap_first_entry(void *ld, void *result) { return NULL; }
WEAK void **ldap_get_values_len(void *ld, void *entry, const char *attr) { return NULL; }
WEAK int ldap_msgfree(void *msg) { return 0; }
WEAK int ldap_result(void *ld, int id, int all, struct timeval *t, void **result) { return -1; }
WEAK int ldap_search_st(void *ld, const char *base, int scope, const char *filter, char **attrs,
    int only, struct timeval *t, void **result) { return -1; }
WEAK int ldap_set_option(void *ld, int option, const void *value) { return -1; }
WEAK int ldap_simple_bind(void *ld, const char *who, const char *password) { return -1; }
WEAK int ldap_unbind(void *ld) { return 0; }
WEAK void ldap_value_free_len(void **values) { }
/* clang-format on */
