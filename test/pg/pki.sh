# An authority for tests, and the certificates it signs.
# SPDX-License-Identifier: PostgreSQL
command -v openssl >/dev/null || skip_all "no openssl"

pki=
# certificate NAME CN [SAN] : NAME.crt and NAME.key, signed by the authority.
certificate() {
	openssl req -new -newkey rsa:2048 -nodes -keyout "$pki/$1.key" -out "$pki/$1.csr" \
		-subj "/CN=$2" 2>/dev/null || return 1
	chmod 600 "$pki/$1.key"
	printf 'subjectAltName=%s\n' "${3:-DNS:$2}" >"$pki/ext"
	openssl ca -batch -config "$pki/ca.cnf" -extfile "$pki/ext" -in "$pki/$1.csr" \
		-out "$pki/$1.crt" 2>/dev/null
}

authority() {
	pki=$root/pki
	mkdir -p "$pki/new" && : >"$pki/index.txt" && echo 01 >"$pki/serial" && echo 01 >"$pki/crlnumber"
	cat >"$pki/ca.cnf" <<-END
		[ca]
		default_ca = own
		[own]
		database = $pki/index.txt
		new_certs_dir = $pki/new
		serial = $pki/serial
		crlnumber = $pki/crlnumber
		certificate = $pki/ca.crt
		private_key = $pki/ca.key
		default_md = sha256
		default_days = 30
		default_crl_days = 30
		unique_subject = no
		policy = any
		[any]
		commonName = supplied
	END
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" \
		-days 30 -subj /CN=authority 2>/dev/null &&
		openssl ca -config "$pki/ca.cnf" -gencrl -out "$pki/ca.crl" 2>/dev/null
}

# of_authority NAME : the options for its own certificate.
of_authority() {
	echo "--ssl-ca-file $pki/ca.crt --ssl-crl-file $pki/ca.crl --ssl-mode verify-full
		--server-cert $pki/$1.crt --server-key $pki/$1.key"
}
