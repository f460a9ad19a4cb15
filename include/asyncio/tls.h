/*
 * TLS over streams, by OpenSSL 3. It is a library of its own: link with libasyncio_tls (pkg-config
 * asyncio-tls). <asyncio.h> does not include this header.
 *
 *     asyncio_tls_context *tls;
 *     int err = asyncio_tls_context_new_client(&tls);
 *     if (err)
 *         return err;
 *     asyncio_connect_options options = {.tls = tls};
 *     asyncio_stream *stream;
 *     err = asyncio_open_connection("example.org", 443, &options, &stream);
 *
 * A client verifies the server's certificate against the system's authorities, and the name in it. If that
 * fails the call returns ASYNCIO_ETLS, with a message that says why: "TLS: certificate verify failed:
 * certificate has expired (example.org)".
 *
 * The client names the server by a name in ASCII, which may end with a dot, or by an address such as
 * "192.0.2.1", "[::1]" or "fe80::1%eth0". An address is verified as an address, without its zone, and the
 * server is not asked for it (SNI). Any other text, such as one with an empty part (".example.org"), an
 * asterisk or a space, is refused with -EINVAL before the handshake, even if names are not verified.
 *
 * Set up a context first, and do not change it once a stream uses it; only asyncio_tls_context_reload_cert
 * may come later. The loops of several threads may share it. Streams and servers keep their own reference:
 * the program may release the context while they live. The calls that load files read them at once, on the
 * calling thread; none of them suspends.
 */
#ifndef ASYNCIO_TLS_H
#define ASYNCIO_TLS_H

#include <asyncio/streams.h>

ASYNCIO_BEGIN_DECLS

/*
 * Make the settings of a client, or of a server. A server then needs a certificate, or one for each name
 * that it answers to (asyncio_tls_context_add_server_name). Versions: TLS 1.2 and later. 0; -EINVAL,
 * -ENOMEM, ASYNCIO_ETLS. (ssl.create_default_context)
 */
ASYNCIO_API int asyncio_tls_context_new_client(asyncio_tls_context **context);
ASYNCIO_API int asyncio_tls_context_new_server(asyncio_tls_context **context);
/* Drops the owner's reference to a context. Accepts NULL. */
ASYNCIO_API void asyncio_tls_context_release(asyncio_tls_context *context);

/*
 * Loads the context's own certificate and its key, in PEM. chain_file has the certificate first, then
 * those between it and the authority. key_file NULL means that chain_file has the key, too. A key with a
 * password is refused. A context may have a certificate for each kind of key, such as RSA and EC: another
 * call replaces the one of its kind. On an error nothing changes. 0; -ENOENT, -EACCES and the like;
 * ASYNCIO_ETLS with a message that names the file; -EINVAL. (load_cert_chain)
 */
ASYNCIO_API int asyncio_tls_context_load_cert(asyncio_tls_context *context, const char *chain_file,
                                              const char *key_file);
/* Loads a certificate and its key, both in PEM, from memory, which stays the caller's. key NULL means
 * that the chain has it, too. 0; ASYNCIO_ETLS; -EINVAL for memory that is empty; ASYNCIO_ESTATE after the
 * context's first use. (load_cert_chain) */
ASYNCIO_API int asyncio_tls_context_load_cert_memory(asyncio_tls_context *context, const void *chain,
                                                     size_t chain_bytes, const void *key, size_t key_bytes);
/*
 * Loads a certificate and a key that has a password, which `ask` is asked for, at most once and during this
 * call: it writes up to `size` bytes to buf and returns how many, or an error below 0, which this call then
 * returns. The copy is wiped. 0; ASYNCIO_ETLS, also for a wrong password; -ENOENT and the like; -EINVAL;
 * ASYNCIO_ESTATE after the context's first use. (load_cert_chain with password)
 */
ASYNCIO_API int asyncio_tls_context_load_cert_password(asyncio_tls_context *context, const char *chain_file,
                                                       const char *key_file,
                                                       int (*ask)(char *buf, size_t size, void *arg),
                                                       void *arg);
/*
 * Loads a new certificate and key, such as a renewed one, while the context is in use, as load_cert does.
 * Handshakes that begin later have the new one; those under way, and connections, keep the old one. No
 * connection is dropped, and clients can resume their sessions. A client's own sessions are forgotten. Any
 * thread; reads the files on it. On an error nothing changes. 0; as load_cert.
 */
ASYNCIO_API int asyncio_tls_context_reload_cert(asyncio_tls_context *context, const char *chain_file,
                                                const char *key_file);
/*
 * Loads the authorities to trust: a PEM file, or a directory as `openssl rehash` makes it, whose files are
 * read during handshakes. May be repeated. A client then trusts these alone, and the system's no longer. A
 * server needs authorities to verify clients. 0; -ENOENT and the like; ASYNCIO_ETLS; -EINVAL.
 * (load_verify_locations)
 */
ASYNCIO_API int asyncio_tls_context_load_ca(asyncio_tls_context *context, const char *file_or_directory);
/*
 * Loads a list of revoked certificates, in PEM or DER; may be repeated. From then on each certificate of
 * the peer's chain must be on no list, and each authority in it must have one that has not expired:
 * without it the handshake fails, too ("unable to get certificate CRL"). 0; -ENOENT and the like;
 * ASYNCIO_ETLS if the file has no list; -EINVAL; ASYNCIO_ESTATE after the context's first use.
 * (load_verify_locations, VERIFY_CRL_CHECK_CHAIN)
 */
ASYNCIO_API int asyncio_tls_context_load_crl(asyncio_tls_context *context, const char *file);
/* Trusts the system's authorities, besides those that were loaded. 0; ASYNCIO_ETLS. (load_default_certs) */
ASYNCIO_API int asyncio_tls_context_load_system_ca(asyncio_tls_context *context);
/*
 * Sets the protocols to agree on, the preferred one first, NULL at the end: {"h2", "http/1.1", NULL}. A
 * server takes the first of its own that the client has, too. With none in common the connection goes on
 * without a protocol; see asyncio_tls_info and asyncio_tls_context_require_alpn. 0; -EINVAL for a name that
 * is empty or longer than 255; -ENOMEM. (set_alpn_protocols)
 */
ASYNCIO_API int asyncio_tls_context_set_alpn(asyncio_tls_context *context, const char *const protocols[]);
/* Requires a protocol: with none in common the handshake fails with ASYNCIO_ETLS. A server tells the client
 * why. 0; -EINVAL before asyncio_tls_context_set_alpn. */
ASYNCIO_API int asyncio_tls_context_require_alpn(asyncio_tls_context *context);

/*
 * Adds a site to a server, which may so serve several names on one address. `site` is another server's
 * context. Clients that ask for this name (SNI) get its certificate, authorities, demand for client
 * certificates, protocols and versions; the timeouts are those of `context`. "*.example.org" stands for all
 * names with one part more; an exact name takes precedence. A client that asks for no name, or for another
 * one, gets the settings of `context`, or is refused if that has no certificate.
 *
 * `site` must have its certificate, and no names of its own. The server keeps a reference: the program may
 * release `site`, and may add it for several names. 0; -EEXIST: the name was added before; -EINVAL: not a
 * name, such as an address, or not such contexts; -ENOMEM. (sni_callback)
 */
ASYNCIO_API int asyncio_tls_context_add_server_name(asyncio_tls_context *context, const char *name,
                                                    asyncio_tls_context *site);

/* Versions of the protocol. */
typedef enum asyncio_tls_version {
    ASYNCIO_TLS_DEFAULT,
    ASYNCIO_TLS_1_2,
    ASYNCIO_TLS_1_3
} asyncio_tls_version;

/* Sets the oldest and the newest version to accept; by default TLS 1.2, and the newest there is. 0;
 * -EINVAL. (minimum_version, maximum_version) */
ASYNCIO_API int asyncio_tls_context_set_versions(asyncio_tls_context *context, asyncio_tls_version oldest,
                                                 asyncio_tls_version newest);
/* Has a server demand a certificate of its clients, by an authority that was loaded. A client without one
 * is refused. 0; -EINVAL for a client's context. (verify_mode = CERT_REQUIRED) */
ASYNCIO_API int asyncio_tls_context_require_client_cert(asyncio_tls_context *context);
/* Has a server ask its clients for a certificate. A client without one is let in: asyncio_tls_info tells
 * whether one was `verified`. A client whose certificate cannot be verified is refused. 0; -EINVAL for a
 * client's context. (verify_mode = CERT_OPTIONAL) */
ASYNCIO_API int asyncio_tls_context_request_client_cert(asyncio_tls_context *context);
/*
 * Sets how many seconds a handshake may take, 60 by default, and how many the peer may take to answer the
 * goodbye of asyncio_stream_close, 30 by default. 0 means the default, ASYNCIO_FOREVER no limit. With a
 * number below 0 for the goodbye, the call sends it and does not wait for an answer. 0; -EINVAL.
 * (ssl_handshake_timeout, ssl_shutdown_timeout)
 */
ASYNCIO_API int asyncio_tls_context_set_timeouts(asyncio_tls_context *context, double handshake,
                                                 double shutdown);
/*
 * Switches the resumption of a client's sessions, on by default: the client remembers its last session with
 * each server and resumes it. Servers always resume sessions. Neither resumes one after a certificate that
 * was verified for it has expired, or a day after the full handshake that it comes from. 0; -EINVAL for a
 * server's context.
 */
ASYNCIO_API int asyncio_tls_context_set_resumption(asyncio_tls_context *context, bool on);
/*
 * Dangerous: has a client accept any certificate for any name, and so anybody between it and the server.
 * For experiments only: to trust a certificate of your own, use asyncio_tls_context_load_ca. 0; -EINVAL for
 * a server's context. (check_hostname = False, verify_mode = CERT_NONE)
 */
ASYNCIO_API int asyncio_tls_context_dangerously_accept_any_cert(asyncio_tls_context *context);
/*
 * Dangerous: has a client verify the certificate, but not the server's name in it. Useful where an
 * authority makes certificates for one purpose alone. 0; -EINVAL for a server's context. (check_hostname =
 * False)
 */
ASYNCIO_API int asyncio_tls_context_dangerously_accept_any_name(asyncio_tls_context *context);
/*
 * Dangerous: accepts a connection that ends without a goodbye as complete. Anybody who can cut the
 * connection can then cut off what is read. For peers that never say goodbye, with protocols that tell
 * lengths. 0; -EINVAL. (suppress_ragged_eofs)
 */
ASYNCIO_API int asyncio_tls_context_dangerously_accept_truncation(asyncio_tls_context *context);

/*
 * Sets the ciphers to offer or accept, by OpenSSL's names (openssl-ciphers(1)), with colons between them.
 * Those of TLS 1.3 begin with TLS_; without one of them in the list TLS 1.3 keeps its own, and TLS 1.2
 * likewise. Each element must stand for a cipher that there is, unlike in OpenSSL's own call. 0; -EINVAL
 * with a message that names the element; ASYNCIO_ESTATE after the context's first use. (set_ciphers)
 */
ASYNCIO_API int asyncio_tls_context_set_ciphers(asyncio_tls_context *context, const char *list);
/* Sets the groups for the key exchange, the preferred one first: "X25519:P-256". 0; -EINVAL with a
 * message that names the element; ASYNCIO_ESTATE after the context's first use. (set_groups) */
ASYNCIO_API int asyncio_tls_context_set_groups(asyncio_tls_context *context, const char *list);
/*
 * Sets the keys of a server's tickets, so that several processes or machines with the same keys resume
 * each other's sessions, also after a restart. Each key has 80 random bytes, as nginx has them; the first
 * one makes tickets, and all open them: to change keys, put a new one first and keep the old ones for a
 * day. The keys are copied. Whoever has them can read recorded connections of TLS 1.2. A context for a
 * name (asyncio_tls_context_add_server_name) needs the same call. 0; -EINVAL for a client's context or
 * another number of bytes; -ENOMEM; ASYNCIO_ESTATE after the context's first use.
 */
ASYNCIO_API int asyncio_tls_context_set_ticket_keys(asyncio_tls_context *context, const void *keys,
                                                    size_t bytes);
/*
 * Has the secrets of each connection appended to a file, in the format that Wireshark reads (SSLKEYLOGFILE).
 * Whoever can read the file can read the connections: it is made for its owner alone. Several contexts and
 * processes may share it. 0; -EACCES and the like; -EINVAL; ASYNCIO_ESTATE after the context's first use.
 * (keylog_filename)
 */
ASYNCIO_API int asyncio_tls_context_set_keylog(asyncio_tls_context *context, const char *path);

/* The settings that the two sides have agreed on. Texts that do not fit are cut off. */
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

/* Tells about a stream with TLS. Does not wait. 0; ASYNCIO_ESTATE for a stream without TLS, and before the
 * handshake is done; -EINVAL. (get_extra_info, SSLObject.version, cipher, getpeercert ...) */
ASYNCIO_API int asyncio_stream_tls_info(asyncio_stream *stream, asyncio_tls_info *info);
/*
 * Derives key material from a connection (RFC 5705): both sides that give the same label and context get
 * the same bytes, and nobody else can know them. context NULL is none, which TLS 1.2 tells from an empty
 * one. Does not wait. 0; ASYNCIO_ESTATE for a stream without TLS, and before the handshake is done;
 * ASYNCIO_ETLS; -EINVAL.
 */
ASYNCIO_API int asyncio_stream_tls_export(asyncio_stream *stream, const char *label, const void *context,
                                          size_t context_bytes, void *out, size_t bytes);
/* Returns the certificate of a stream's peer in DER, in a buffer that asyncio_buffer_destroy frees; of a
 * resumed session, too. Does not wait. 0; ASYNCIO_ETLS if the peer has shown none; ASYNCIO_ESTATE as
 * above; -ENOMEM, -EINVAL. (getpeercert with binary_form) */
ASYNCIO_API int asyncio_stream_tls_peer_cert(asyncio_stream *stream, asyncio_buffer *der);

ASYNCIO_END_DECLS

#endif
