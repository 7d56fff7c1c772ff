/* Addresses for pg_hba.conf: of a host, and of the network it is in. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/hba_net.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "ini/log.h"

#include "ini/ban.h"

/* The bytes of an address, and how many. */
static const unsigned char *
bytes(const struct sockaddr *sa, size_t *n)
{
	if (sa->sa_family == AF_INET) {
		*n = 4;
		return (const unsigned char *)&(
		    (const struct sockaddr_in *)(const void *)sa)
		    ->sin_addr;
	}
	*n = 16;
	return (const unsigned char *)&((const struct sockaddr_in6 *)(const void *)sa)
	    ->sin6_addr;
}

static bool
is_inet(const struct sockaddr *sa)
{
	return sa && (sa->sa_family == AF_INET || sa->sa_family == AF_INET6);
}

static bool
as_address(const char *host, char out[HBA_ADDRESS])
{
	unsigned char raw[16];

	if (inet_pton(AF_INET, host, raw) == 1)
		snprintf(out, HBA_ADDRESS, "%s/32", host);
	else if (inet_pton(AF_INET6, host, raw) == 1)
		snprintf(out, HBA_ADDRESS, "%s/128", host);
	else
		return false;
	return true;
}

static struct addrinfo *
look_up(const char *host)
{
	struct addrinfo hint = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;

	return getaddrinfo(host, NULL, &hint, &list) ? NULL : list;
}

static bool
leads_back(const struct addrinfo *a, const char *host)
{
	char name[HBA_ADDRESS];

	return getnameinfo(a->ai_addr, a->ai_addrlen, name, sizeof name, NULL, 0,
		   NI_NAMEREQD) == 0 &&
	       strcasecmp(name, host) == 0;
}

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789_-./:%";

size_t
hba_addresses(const char *host, char out[HBA_ADDRESSES][HBA_ADDRESS])
{
	struct addrinfo *list;
	size_t n = 0;

	/* nothing that could be another word, or another line, of the file */
	if (!*host || strlen(host) >= HBA_ADDRESS || host[strspn(host, plain)])
		return 0;
	if (strchr(host, '/')) {
		snprintf(out[0], HBA_ADDRESS, "%s", host);
		return 1;
	}
	if (as_address(host, out[0]))
		return 1;
	list = look_up(host);
	for (const struct addrinfo *a = list; a && n < HBA_ADDRESSES; a = a->ai_next) {
		char text[INET6_ADDRSTRLEN];
		size_t len;

		if (leads_back(a, host)) {
			n = 0;
			break;
		}
		if (inet_ntop(a->ai_family, bytes(a->ai_addr, &len), text, sizeof text) &&
		    as_address(text, out[n]))
			n++;
	}
	if (list)
		freeaddrinfo(list);
	if (n > 0)
		log_warn("Using IP address \"%s\" in HBA file instead of hostname \"%s\"",
		    out[0], host);
	else
		snprintf(out[n++], HBA_ADDRESS, "%s", host);
	return n;
}

static void
format_network(const struct ifaddrs *i, char out[HBA_ADDRESS])
{
	unsigned char net[16];
	char text[INET6_ADDRSTRLEN];
	size_t len, mask_len;
	const unsigned char *addr = bytes(i->ifa_addr, &len);
	const unsigned char *mask = bytes(i->ifa_netmask, &mask_len);
	int bits = 0;

	for (size_t k = 0; k < len; k++) {
		net[k] = addr[k] & mask[k];
		bits += __builtin_popcount(mask[k]);
	}
	inet_ntop(i->ifa_addr->sa_family, net, text, sizeof text);
	snprintf(out, HBA_ADDRESS, "%s/%d", text, bits);
}

static bool
same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	size_t n, m;
	const unsigned char *x = bytes(a, &n);
	const unsigned char *y = bytes(b, &m);

	return a->sa_family == b->sa_family && n == m && memcmp(x, y, n) == 0;
}

int
hba_network(const char *host, char out[HBA_ADDRESS])
{
	struct addrinfo *list = look_up(host);
	struct ifaddrs *all = NULL;
	int rc = -1;

	if (getifaddrs(&all))
		all = NULL;
	for (const struct addrinfo *a = list; a && rc; a = a->ai_next)
		for (const struct ifaddrs *i = all; i && rc; i = i->ifa_next)
			if (is_inet(i->ifa_addr) && i->ifa_netmask &&
			    same_address(a->ai_addr, i->ifa_addr)) {
				format_network(i, out);
				rc = 0;
			}
	if (all)
		freeifaddrs(all);
	if (list)
		freeaddrinfo(list);
	return rc;
}
