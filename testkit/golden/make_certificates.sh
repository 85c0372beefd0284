#!/bin/sh
# Makes the certificates that tests of TLS use, in `certificates/`, with OpenSSL 3 (made with 3.0.19).
# They are for tests alone: their keys are public. They end in the year 2126.
set -eu
cd "$(dirname "$0")/certificates"
days=36500

authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days $days \
        -subj "/CN=rushlight tests: $1" -keyout "$1.key" -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}

certificate() { # NAME AUTHORITY EXTENSIONS
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc \
        -subj "/CN=rushlight tests: $1" -keyout "$1.key" -out "$1.csr"
    printf '%s\n' "basicConstraints=critical,CA:FALSE" subjectKeyIdentifier=hash \
        authorityKeyIdentifier=keyid "$3" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -days $days -extfile "$1.ext" \
        -out "$1.pem"
    rm "$1.csr" "$1.ext"
}

server="extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost,IP:127.0.0.1"
authority authority
certificate server authority "$server"
certificate renewed authority "$server"
certificate client authority "extendedKeyUsage=clientAuth"
authority stranger
certificate strange-client stranger "extendedKeyUsage=clientAuth"
rm authority.key stranger.key stranger.pem
