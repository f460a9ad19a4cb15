/*
 * TLS over streams, by OpenSSL 3. A library of its own: link with libasyncio_tls
 * (pkg-config asyncio-tls); <asyncio.h> does not include this.
 *
 *     asyncio_tls_context *tls;
 *     int err = asyncio_tls_context_new_client(&tls);
 *     if (err)
 *         return err;
 *     asyncio_connect_options options = {.tls = tls};
 *     asyncio_stream *stream;
 *     err = asyncio_open_connection("example.org", 443, &options, &stream);
 *
 * A client verifies the server's certificate, against the system's authorities, and the name in it,
 * and fails with ASYNCIO_ETLS and a message that says why: "TLS: certificate verify failed:
 * certificate has expired (example.org)".
 *
 * What it calls the server is a name, in ASCII, a last dot not minded; or an address, "fe80::1%eth0" and
 * "[::1]" among them, which is verified as one, without its zone, and not asked for (SNI). Any other text is
 * refused with -EINVAL before the handshake, also where names are not verified: an empty part, as in
 * ".example.org", an asterisk, a space.
 *
 * A context is set up first and used then: once a stream uses it, change it no more. It may be
 * shared by the loops of several threads. Streams and servers keep what they use of it: it may be
 * released while they are there. The calls that load files read them at once; none of these suspends.
 */
#ifndef ASYNCIO_TLS_H
#define ASYNCIO_TLS_H

#include <asyncio/streams.h>

ASYNCIO_BEGIN_DECLS

/*
 * Makes the settings of a client, or of a server, which needs a certificate then, or one for each name that
 * it answers to (asyncio_tls_context_add_server_name). Versions: TLS 1.2
 * and later. 0; -EINVAL, -ENOMEM, ASYNCIO_ETLS. (ssl.create_default_context)
 */
ASYNCIO_API int asyncio_tls_context_new_client(asyncio_tls_context **context);
ASYNCIO_API int asyncio_tls_context_new_server(asyncio_tls_context **context);
/* Drops the owner's reference to a context. Accepts NULL. */
ASYNCIO_API void asyncio_tls_context_release(asyncio_tls_context *context);

/*
 * Loads the own certificate, with those between it and the authority behind it, and its key, in PEM;
 * key_file NULL: it is in chain_file, too. A key with a password is refused. 0; -ENOENT and the like;
 * ASYNCIO_ETLS with words; -EINVAL. (load_cert_chain)
 */
ASYNCIO_API int asyncio_tls_context_load_cert(asyncio_tls_context *context, const char *chain_file,
                                              const char *key_file);
/*
 * Loads the authorities to trust: a PEM file, or a directory as `openssl rehash` makes it, whose files are
 * read during handshakes. May be repeated. A client then trusts these alone, and no more the system's. A
 * server needs it to verify clients. 0; -ENOENT and the like; ASYNCIO_ETLS; -EINVAL. (load_verify_locations)
 */
ASYNCIO_API int asyncio_tls_context_load_ca(asyncio_tls_context *context, const char *file_or_directory);
/* Trusts the system's authorities, besides those that were loaded. 0; ASYNCIO_ETLS. (load_default_certs) */
ASYNCIO_API int asyncio_tls_context_load_system_ca(asyncio_tls_context *context);
/*
 * Sets the protocols to agree on, the preferred first, and NULL: {"h2", "http/1.1", NULL}. A server takes
 * the first of its own that the client has. With none in common the connection goes on without one; see
 * asyncio_tls_info and asyncio_tls_context_require_alpn. 0; -EINVAL for a name that is empty or longer than
 * 255; -ENOMEM. (set_alpn_protocols)
 */
ASYNCIO_API int asyncio_tls_context_set_alpn(asyncio_tls_context *context, const char *const protocols[]);
/* With no protocol in common the handshake fails, with ASYNCIO_ETLS; a server tells the client why.
 * 0; -EINVAL before asyncio_tls_context_set_alpn. */
ASYNCIO_API int asyncio_tls_context_require_alpn(asyncio_tls_context *context);

/*
 * Adds a site to a server: several sites on one address: clients that ask a server for this name (SNI) get
 * what `site` says, another server's context: its certificate, authorities, demand for client certificates,
 * protocols and versions; the timeouts are those of `context`. "*.example.org" is for names with one part
 * more; a name itself goes before. Who asks for no name, or another, gets what `context` says, or is refused
 * if that has no certificate. `site`, which has its certificate and no names of its own, is kept, may be
 * released, and may be added for several names. 0; -EEXIST: the name was added before; -EINVAL: not a name,
 * such as an address, or not such contexts; -ENOMEM. (sni_callback)
 */
ASYNCIO_API int asyncio_tls_context_add_server_name(asyncio_tls_context *context, const char *name,
                                                    asyncio_tls_context *site);

/* Versions of the protocol. */
typedef enum asyncio_tls_version {
    ASYNCIO_TLS_DEFAULT,
    ASYNCIO_TLS_1_2,
    ASYNCIO_TLS_1_3
} asyncio_tls_version;

/* Sets the oldest and the newest version to accept; by default TLS 1.2, and the newest there is. 0; -EINVAL.
 * (minimum_version, maximum_version) */
ASYNCIO_API int asyncio_tls_context_set_versions(asyncio_tls_context *context, asyncio_tls_version oldest,
                                                 asyncio_tls_version newest);
/* A server demands a certificate of its clients, of an authority that was loaded; who has none is refused.
 * 0; -EINVAL for a client's. (verify_mode = CERT_REQUIRED) */
ASYNCIO_API int asyncio_tls_context_require_client_cert(asyncio_tls_context *context);
/* A server asks its clients for a certificate, and lets in who has none: asyncio_tls_info tells whether one
 * was `verified`. One that cannot be verified is refused. 0; -EINVAL for a client's. (verify_mode =
 * CERT_OPTIONAL) */
ASYNCIO_API int asyncio_tls_context_request_client_cert(asyncio_tls_context *context);
/*
 * Sets the seconds that a handshake may take, 60 by default, and that the peer may take to answer the
 * goodbye of asyncio_stream_close, 30. 0: the default; ASYNCIO_FOREVER: no limit; below 0, for the goodbye:
 * it is sent, and no answer waited for. 0; -EINVAL. (ssl_handshake_timeout, ssl_shutdown_timeout)
 */
ASYNCIO_API int asyncio_tls_context_set_timeouts(asyncio_tls_context *context, double handshake,
                                                 double shutdown);
/*
 * A client remembers the last session with each server, and resumes it: on by default, off with false.
 * Servers resume sessions in any case. Neither does so after a certificate that was verified for the session
 * has expired, or a day after the handshake in full that it comes of. 0; -EINVAL for a server's.
 */
ASYNCIO_API int asyncio_tls_context_set_resumption(asyncio_tls_context *context, bool on);
/*
 * Dangerous: a client accepts any certificate for any name, and so anybody between it and the server. For
 * experiments; asyncio_tls_context_load_ca trusts a certificate of one's own. 0; -EINVAL for a server's.
 * (check_hostname = False, verify_mode = CERT_NONE)
 */
ASYNCIO_API int asyncio_tls_context_dangerously_accept_any_cert(asyncio_tls_context *context);
/*
 * Dangerous: a client verifies the certificate, but not that it is the one of the server that it wanted. Of
 * use where the authority makes certificates for one purpose alone. 0; -EINVAL for a server's.
 * (check_hostname = False)
 */
ASYNCIO_API int asyncio_tls_context_dangerously_accept_any_name(asyncio_tls_context *context);
/*
 * Dangerous: a connection that ends without a goodbye counts as one that ends, so that whoever can cut it can
 * cut what is read. For peers that never say goodbye, and protocols that tell lengths. 0; -EINVAL.
 * (suppress_ragged_eofs)
 */
ASYNCIO_API int asyncio_tls_context_dangerously_accept_truncation(asyncio_tls_context *context);

/* What the two sides have agreed on. Texts that do not fit are cut off. */
typedef struct asyncio_tls_info {
    char version[16];      /* "TLSv1.3" */
    char cipher[64];       /* "TLS_AES_256_GCM_SHA384" */
    char alpn[256];        /* "h2"; "": none */
    char server_name[256]; /* the name that the client asked for (SNI), in small letters; "": none */
    bool resumed;          /* a session that was there before */
    bool verified;         /* the peer has a certificate, and it was verified */
    char subject[256];     /* of the peer's certificate, by RFC 2253: "CN=example.org"; "": it has none */
    char issuer[256];
    char fingerprint[65];  /* its SHA-256, in hexadecimal digits */
    uintptr_t reserved[4];
} asyncio_tls_info;

/* Tells about a stream with TLS. Does not wait. 0; ASYNCIO_ESTATE for one without, or before its
 * handshake is done; -EINVAL. (get_extra_info, SSLObject.version, cipher, getpeercert ...) */
ASYNCIO_API int asyncio_stream_tls_info(asyncio_stream *stream, asyncio_tls_info *info);

ASYNCIO_END_DECLS

#endif
