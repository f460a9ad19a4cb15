/*
 * Contexts: made, set up, released. See asyncio/tls.h.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tls.h"
#include "tls/tls.h"
#include <errno.h>
#include <math.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>

#define HANDSHAKE_TIMEOUT_S 60.0
#define SHUTDOWN_TIMEOUT_S 30.0

char *asy_tls_copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = asyncio_filter_alloc_(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

/* Refuses a setting that makes no sense: -EINVAL, with a message. */
static int refuse_setting(const char *words)
{
    return (int)asyncio_raise(-EINVAL, "TLS: %s", words);
}

/* ---- Made and released -------------------------------------------------------------------- */

static bool is_server_context(const asyncio_tls_context *context)
{
    return context->is_server;
}

void asy_tls_context_ref(asyncio_tls_context *context)
{
    /* Relaxed: the caller has a reference, so nobody frees the context meanwhile. Nothing is published. */
    uint32_t refs = __atomic_fetch_add(&context->refs, 1, __ATOMIC_RELAXED);
    TLS_ASSERT(refs > 0);
}

/* Sessions are resumed by the context alone that made them: what it verified counts for no other. */
static void set_up_server(asyncio_tls_context *context, SSL_CTX *ssl)
{
    static uint64_t last;
    if (!context->session_id)
        context->session_id = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    SSL_CTX_set_session_id_context(ssl, (const unsigned char *)&context->session_id,
                                   sizeof context->session_id);
    SSL_CTX_set_client_hello_cb(ssl, asy_tls_hear_client, context);
}

void asy_tls_set_up(asyncio_tls_context *context, SSL_CTX *ssl)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    if (context->is_server)
        set_up_server(context, ssl);
    SSL_CTX_set_verify(ssl, context->is_server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    asy_tls_sessions_set_up(context, ssl);
}

SSL_CTX *asy_tls_inner(asyncio_tls_context *context)
{
    /* Relaxed: a program that sets a context up while another thread uses it makes a mistake, which this
     * finds out sooner or later. */
    __atomic_store_n(&context->is_used, true, __ATOMIC_RELAXED);
    pthread_mutex_lock(&context->lock);
    SSL_CTX *inner = context->ssl;
    SSL_CTX_up_ref(inner);
    pthread_mutex_unlock(&context->lock);
    return inner;
}

int asy_tls_check_unused(const asyncio_tls_context *context)
{
    if (!context)
        return -EINVAL;
    if (!__atomic_load_n(&context->is_used, __ATOMIC_RELAXED))
        return 0;
    return (int)asyncio_raise(ASYNCIO_ESTATE, "TLS: the context has been used: it is set up before that");
}

static int make_context(const SSL_METHOD *method, bool is_server, asyncio_tls_context **out)
{
    static const struct asy_tls_hooks hooks = {
        .start = asy_tls_start,
        .is_server = is_server_context,
        .ref = asy_tls_context_ref,
        .unref = asyncio_tls_context_release,
    };
    if (!out)
        return -EINVAL;
    asyncio_tls_context *context = asyncio_filter_alloc_(sizeof *context);
    if (!context)
        return -ENOMEM;
    ERR_clear_error();
    context->ssl = SSL_CTX_new(method);
    if (!context->ssl) {
        asyncio_filter_free_(context);
        return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: OpenSSL cannot be used: %s", asy_tls_reason());
    }
    context->refs = 1;
    context->is_server = is_server;
    context->verifies = context->verifies_names = context->resumes = !is_server;
    context->handshake_timeout = HANDSHAKE_TIMEOUT_S;
    context->shutdown_timeout = SHUTDOWN_TIMEOUT_S;
    context->keylog_fd = -1;
    pthread_mutex_init(&context->reload_lock, NULL);
    asy_tls_sessions_init(context);
    asy_tls_set_up(context, context->ssl);
    asyncio_tls_hook_(&hooks);
    *out = context;
    return 0;
}

int asyncio_tls_context_new_client(asyncio_tls_context **context)
{
    return make_context(TLS_client_method(), /* is_server= */ false, context);
}

int asyncio_tls_context_new_server(asyncio_tls_context **context)
{
    return make_context(TLS_server_method(), /* is_server= */ true, context);
}

void asyncio_tls_context_release(asyncio_tls_context *context)
{
    if (!context)
        return;
    /* Release: what this thread has done to the context is done before another one frees it. Acquire: the
     * thread that frees it sees all of that. */
    uint32_t refs = __atomic_fetch_sub(&context->refs, 1, __ATOMIC_ACQ_REL);
    TLS_ASSERT(refs > 0);
    if (refs > 1)
        return;
    asy_tls_sessions_clear(context);
    asy_tls_sites_clear(context);
    pthread_mutex_destroy(&context->lock);
    pthread_mutex_destroy(&context->reload_lock);
    SSL_CTX_free(context->ssl);
    asy_tls_identities_clear(context);
    if (context->keylog_fd >= 0)
        asyncio_filter_close_log_(context->keylog_fd);
    asyncio_filter_free_(context->ciphers);
    asyncio_filter_free_(context->suites);
    asyncio_filter_free_(context->groups);
    if (context->ticket_keys)
        OPENSSL_cleanse(context->ticket_keys, context->ticket_key_count * TLS_TICKET_KEY_BYTES);
    asyncio_filter_free_(context->ticket_keys);
    asyncio_filter_free_(context->alpn);
    asyncio_filter_free_(context);
}

/* ---- Files ------------------------------------------------------------------------------------ */

/* A file that is not there has an error of its own. 0: it is; *is_directory. */
static int check_file(const char *path, bool *is_directory)
{
    struct stat status;
    int saved = errno, err = stat(path, &status) == 0 ? 0 : -errno;
    errno = saved;
    if (err)
        return (int)asyncio_raise(err, "TLS: %s: %s", path, asyncio_strerror(err));
    *is_directory = S_ISDIR(status.st_mode);
    return 0;
}

static int refuse_file(const char *path)
{
    return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: %s cannot be used: %s", path, asy_tls_reason());
}

int asy_tls_check_file(const char *path)
{
    bool is_directory;
    return check_file(path, &is_directory);
}

/* Clients that have several certificates choose by the names of these. */
static void tell_clients(asyncio_tls_context *context, const char *path)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
    int count = names ? sk_X509_NAME_num(names) : 0;
    for (int i = 0; i < count; i++) {
        X509 *holder = X509_new();
        if (holder && X509_set_subject_name(holder, sk_X509_NAME_value(names, i)))
            SSL_CTX_add_client_CA(context->ssl, holder);
        X509_free(holder);
    }
    sk_X509_NAME_pop_free(names, X509_NAME_free);
}

int asyncio_tls_context_load_ca(asyncio_tls_context *context, const char *file_or_directory)
{
    bool is_directory = false;
    if (!context || !file_or_directory)
        return -EINVAL;
    int err = check_file(file_or_directory, &is_directory);
    if (err)
        return err;
    ERR_clear_error();
    int loaded = is_directory ? SSL_CTX_load_verify_dir(context->ssl, file_or_directory)
                              : SSL_CTX_load_verify_file(context->ssl, file_or_directory);
    if (loaded != 1)
        return refuse_file(file_or_directory);
    if (context->is_server && !is_directory)
        tell_clients(context, file_or_directory);
    ERR_clear_error();
    context->has_authorities = true;
    asy_tls_sessions_clear(context);
    return 0;
}

int asyncio_tls_context_load_system_ca(asyncio_tls_context *context)
{
    if (!context)
        return -EINVAL;
    ERR_clear_error();
    if (SSL_CTX_set_default_verify_paths(context->ssl) != 1)
        return refuse_file("the system's list of authorities");
    context->has_authorities = true;
    return 0;
}

int asy_tls_context_complete(asyncio_tls_context *context)
{
    pthread_mutex_lock(&context->lock);
    bool needs_system = context->verifies && !context->is_server && !context->has_authorities;
    int err = needs_system ? asyncio_tls_context_load_system_ca(context) : 0;
    pthread_mutex_unlock(&context->lock);
    return err;
}

/* ---- Settings ---------------------------------------------------------------------------------- */

/* A server's choice among what the client offers. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *length,
                       const unsigned char *offered, unsigned bytes, void *arg)
{
    const asyncio_tls_context *context = arg;
    unsigned char *chosen;
    (void)ssl;
    int result = SSL_select_next_proto(&chosen, length, context->alpn, context->alpn_bytes, offered, bytes);
    *out = chosen;
    if (result == OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return context->requires_alpn ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

int asy_tls_apply_alpn(asyncio_tls_context *context, SSL_CTX *ssl)
{
    if (!context->alpn)
        return 0;
    if (context->is_server)
        SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, context);
    else if (SSL_CTX_set_alpn_protos(ssl, context->alpn, context->alpn_bytes) != 0)
        return -ENOMEM;
    return 0;
}

int asyncio_tls_context_set_alpn(asyncio_tls_context *context, const char *const protocols[])
{
    size_t bytes = 0;
    if (!context || !protocols || !protocols[0])
        return refuse_setting("no protocol (ALPN) is named");
    for (size_t i = 0; protocols[i]; i++) {
        size_t length = strlen(protocols[i]);
        if (length == 0 || length > 255)
            return refuse_setting("the name of a protocol (ALPN) has 1 to 255 characters");
        bytes += 1 + length;
    }
    if (bytes > 65535)
        return refuse_setting("these are too many protocols (ALPN)");
    unsigned char *list = asyncio_filter_alloc_(bytes), *at = list;
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; protocols[i]; i++) {
        size_t length = strlen(protocols[i]);
        *at++ = (unsigned char)length;
        memcpy(at, protocols[i], length);
        at += length;
    }
    asyncio_filter_free_(context->alpn);
    context->alpn = list;
    context->alpn_bytes = (unsigned)bytes;
    return asy_tls_apply_alpn(context, context->ssl);
}

int asyncio_tls_context_require_alpn(asyncio_tls_context *context)
{
    if (!context || !context->alpn)
        return refuse_setting("the protocols (ALPN) are to be set first");
    context->requires_alpn = true;
    return 0;
}

static int number_of(asyncio_tls_version version, int otherwise)
{
    switch (version) {
    case ASYNCIO_TLS_DEFAULT:
        return otherwise;
    case ASYNCIO_TLS_1_2:
        return TLS1_2_VERSION;
    case ASYNCIO_TLS_1_3:
        return TLS1_3_VERSION;
    }
    return -1;
}

int asyncio_tls_context_set_versions(asyncio_tls_context *context, asyncio_tls_version oldest,
                                     asyncio_tls_version newest)
{
    int least = number_of(oldest, TLS1_2_VERSION), most = number_of(newest, 0);
    if (!context || least < 0 || most < 0 || (most && most < least))
        return refuse_setting("there are no such versions, or the newest is older than the oldest");
    SSL_CTX_set_min_proto_version(context->ssl, least);
    SSL_CTX_set_max_proto_version(context->ssl, most);
    return 0;
}

static int verify_clients(asyncio_tls_context *context, int mode)
{
    if (!context || !context->is_server)
        return refuse_setting("only a server asks for certificates of clients");
    context->verifies = true;
    SSL_CTX_set_verify(context->ssl, mode, NULL);
    return 0;
}

int asyncio_tls_context_require_client_cert(asyncio_tls_context *context)
{
    return verify_clients(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
}

int asyncio_tls_context_request_client_cert(asyncio_tls_context *context)
{
    return verify_clients(context, SSL_VERIFY_PEER);
}

int asyncio_tls_context_set_timeouts(asyncio_tls_context *context, double handshake, double shutdown)
{
    if (!context || isnan(handshake) || isnan(shutdown) || handshake < 0)
        return refuse_setting("these are no timeouts");
    context->handshake_timeout = handshake > 0 ? handshake : HANDSHAKE_TIMEOUT_S;
    context->shutdown_timeout = shutdown > 0 || shutdown < 0 ? shutdown : SHUTDOWN_TIMEOUT_S;
    return 0;
}

int asyncio_tls_context_set_resumption(asyncio_tls_context *context, bool on)
{
    if (!context || context->is_server)
        return refuse_setting("resumption is a client's choice");
    context->resumes = on;
    asy_tls_sessions_clear(context);
    return 0;
}

int asyncio_tls_context_dangerously_accept_any_name(asyncio_tls_context *context)
{
    if (!context || context->is_server)
        return refuse_setting("only a client can be told to accept any certificate, or name");
    context->verifies_names = false;
    asy_tls_sessions_clear(context);
    return 0;
}

int asyncio_tls_context_dangerously_accept_truncation(asyncio_tls_context *context)
{
    if (!context)
        return -EINVAL;
    SSL_CTX_set_options(context->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    return 0;
}

int asyncio_tls_context_dangerously_accept_any_cert(asyncio_tls_context *context)
{
    int err = asyncio_tls_context_dangerously_accept_any_name(context);
    if (err)
        return err;
    context->verifies = false;
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_NONE, NULL);
    return 0;
}
