# Sourced before uv or pip fetch anything. Both bring certificates of their own (pip before 24.2), among which that of a proxy
# that inspects TLS is not; the system has it. What the caller has set stays; a system without certificates is left to theirs.
for certificates in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
    /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem ""; do
    if [ -s "$certificates" ]; then break; fi
done
if [ -n "$certificates${SSL_CERT_DIR:-}" ]; then
    # Before uv 0.11 it had the second name.
    export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-${UV_NATIVE_TLS:-true}}
    export UV_NATIVE_TLS=${UV_NATIVE_TLS:-$UV_SYSTEM_CERTS}
fi
