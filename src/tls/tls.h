/*
 * The TLS library from within.
 *
 * A context is an SSL_CTX, the inner one, with what OpenSSL does not keep for us. A certificate that is
 * loaded while the context is in use comes with a new inner one (identity.c), so that handshakes under
 * way keep theirs. A filter (fd/stream.h) is one SSL between a stream and its descriptor, over a BIO that
 * reads what the stream has received and adds to what it is to send. So no call of OpenSSL ever waits or
 * enters the kernel, and between a call and the look at OpenSSL's error queue, which is the thread's, no
 * other task runs.
 *
 * This library reaches the other one by its exported names alone.
 */
#ifndef ASY_TLS_TLS_H
#define ASY_TLS_TLS_H

#include "asyncio/tls.h"
#include "base/assert.h"
#include "base/list.h"
#include "fd/stream.h"
#include "fd/tls_hook.h"
#include <openssl/ssl.h>
#include <pthread.h>
#include <time.h>

/* A certificate of our own, with its key. One of each kind of key may be loaded. */
struct tls_identity {
    X509 *certificate;
    STACK_OF(X509) * chain; /* those between it and the authority */
    EVP_PKEY *key;
};
#define TLS_IDENTITIES_MAX 8

/* OpenSSL's layout of a key for tickets: its name, then two secrets. */
#define TLS_TICKET_KEY_BYTES 80

struct asyncio_tls_context {
    SSL_CTX *ssl;  /* under the lock, once the context is in use: asy_tls_inner */
    uint32_t refs; /* atomic */
    bool is_used;  /* atomic: a handshake has begun */
    bool is_server;
    bool verifies, verifies_names, resumes, requires_alpn;
    bool has_authorities;        /* else the system's are loaded by the first handshake */
    pthread_mutex_t reload_lock; /* of what is loaded, one at a time; the other lock may be taken under it */
    struct tls_identity identities[TLS_IDENTITIES_MAX];
    size_t identity_count;
    char *ciphers, *suites, *groups; /* as OpenSSL has them; NULL: its own choice */
    unsigned char *ticket_keys;      /* the first one makes tickets; NULL: those that OpenSSL has drawn */
    size_t ticket_key_count;
    uint64_t session_id; /* of a server: sessions of other contexts are not its own */
    int keylog_fd;       /* -1: none */
    double handshake_timeout, shutdown_timeout;
    unsigned char *alpn; /* as on the wire: each with its length before it */
    unsigned alpn_bytes;
    struct site *sites; /* a server's, for names */
    size_t site_count;

    /* A client's sessions, the latest first; any thread. The lock is for what is said to be under it, too. */
    pthread_mutex_t lock;
    struct list sessions;
    size_t session_count;
};

#define TLS_NAME_BYTES 256

/* What a client calls its server. */
struct tls_name {
    char text[TLS_NAME_BYTES]; /* in small letters, without a last dot; not of an IPv6 address */
    unsigned char address[16];
    size_t address_bytes; /* 0: it is no address */
};

struct tls_filter {
    SSL *ssl;
    asyncio_stream *stream;
    asyncio_tls_context *context;
    asyncio_tls_context *site; /* the one that a server chose for a name; else the same */
    char *server;              /* the name that a client wants, as given; NULL: none, or this is the server */
    char *asked;               /* the name that a client asked this server for, in small letters; or NULL */
    const char *refusal;       /* why a server's own look at the client's hello failed; or NULL */
    char *session_key;         /* NULL: nothing is remembered */
    time_t trusted_until;      /* what the session says that is resumed, if one is */
    int error;                 /* stays, with its words */
    char *words;
    bool has_heard;    /* a client's hello */
    bool is_ready;     /* the handshake is done */
    bool has_left;     /* the goodbye was said */
    bool lacks_memory; /* the stream's, in the call of OpenSSL in progress */
    bool reads;        /* that call reads: what it sends are answers */
    bool is_swamped;   /* too many of these wait for the peer to read them */
    size_t answers;    /* bytes of answers since all was sent */
};

/* ---- context.c ------------------------------------------------------------------------ */
void asy_tls_context_ref(asyncio_tls_context *context);
/* The inner context, counted, which is the caller's to free; from then on the context is in use. Any
 * thread. */
SSL_CTX *asy_tls_inner(asyncio_tls_context *context);
/* 0 before the first use; after it ASYNCIO_ESTATE, with a message. NULL: -EINVAL. */
int asy_tls_check_unused(const asyncio_tls_context *context);
/* A file that is not there has an error of its own, with a message. 0: it is. */
int asy_tls_check_file(const char *path);
/* Options, modes and callbacks that each inner context has. */
void asy_tls_set_up(asyncio_tls_context *context, SSL_CTX *ssl);
/* The protocols of the context, for an inner one. */
int asy_tls_apply_alpn(asyncio_tls_context *context, SSL_CTX *ssl);
/* Makes the system's authorities the ones to trust, if none were named. 0 or ASYNCIO_ETLS. */
int asy_tls_context_complete(asyncio_tls_context *context);
char *asy_tls_copy_text(const char *text);

/* ---- identity.c ------------------------------------------------------------------------- */
void asy_tls_identities_clear(asyncio_tls_context *context);

/* ---- settings.c ------------------------------------------------------------------------- */
/* Ciphers, groups, ticket keys and the key log of the context, for an inner one. False: OpenSSL refuses. */
bool asy_tls_apply_settings(const asyncio_tls_context *context, SSL_CTX *ssl);

/* ---- sites.c ----------------------------------------------------------------------------- */
void asy_tls_sites_clear(asyncio_tls_context *context);
/* OpenSSL's callback for a client's hello; the argument is the context. */
int asy_tls_hear_client(SSL *ssl, int *alert, void *arg);

/* ---- names.c ----------------------------------------------------------------------------- */
/* In small letters, without the last dot. NULL, or why that cannot be the name of a server. */
const char *asy_tls_normalize(char to[TLS_NAME_BYTES], const char *name, size_t length);
/* Whether what was made so is an IPv4 address, in any spelling. */
bool asy_tls_is_address(const char *normal);
/* The same of what may be an address of either kind. */
const char *asy_tls_read_name(const char *given, struct tls_name *name);

/* ---- filter.c --------------------------------------------------------------------------- */
/* Suspends. */
int asy_tls_start(asyncio_stream *stream, asyncio_tls_context *context, const char *server_hostname);
extern const struct asy_stream_filter_ops asy_tls_filter_ops;

/* ---- bio.c -------------------------------------------------------------------------------- */
/* Between the filter's SSL and its stream. NULL: no memory. */
BIO *asy_tls_bio_new(struct tls_filter *filter);

/* ---- assert.c ------------------------------------------------------------------------------- */
/* asy_assert_failed is hidden in the other library, so this one has its own; it names no task. */
COLD _Noreturn void asy_tls_assert_failed(const struct asy_assertion *assertion);
#define TLS_ASSERT(condition)                                                                                \
    do {                                                                                                     \
        static const struct asy_assertion assertion_ = {#condition, __func__, __FILE__, __LINE__};           \
        if (UNLIKELY(!(condition)))                                                                          \
            asy_tls_assert_failed(&assertion_);                                                              \
    } while (0)

/* ---- words.c -------------------------------------------------------------------------------- */
/* What the error queue says, in a few words; empties it. */
const char *asy_tls_reason(void);
/* The same of a connection, in full: "certificate verify failed: certificate has expired". */
void asy_tls_describe(const struct tls_filter *filter, char *words, size_t bytes);

/* ---- sessions.c ------------------------------------------------------------------------------- */
void asy_tls_sessions_init(asyncio_tls_context *context);
/* For each inner context. */
void asy_tls_sessions_set_up(const asyncio_tls_context *context, SSL_CTX *ssl);
void asy_tls_sessions_clear(asyncio_tls_context *context);
/* Resumes the session that is known for the filter's server, if any. */
void asy_tls_session_use(struct tls_filter *filter);
/* The handshake has resumed a session. In TLS 1.2 the server may have given it a new ticket, of which
 * OpenSSL does not tell. */
void asy_tls_session_renew(const struct tls_filter *filter);
void asy_tls_session_forget(struct tls_filter *filter);

#endif
