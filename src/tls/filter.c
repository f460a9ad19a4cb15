/*
 * One connection: the filter between a stream and its descriptor.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/timeouts.h"
#include "asyncio/tls.h"
#include "tls/tls.h"
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define WHO_BYTES 512

/* ---- Outcomes -------------------------------------------------------------------------------- */

/* The error of this connection, with its words, now and whenever it is used again. */
static int repeat_failure(const struct tls_filter *filter)
{
    if (filter->words)
        asyncio_raise(filter->error, "%s", filter->words);
    return filter->error;
}

/* Whom the connection is with, for messages: " (server.test)" is the server that a client wanted; else the
 * peer's address, behind the name that it asked for if that was refused. */
static void describe_peer(const struct tls_filter *filter, char text[WHO_BYTES])
{
    char address[ASYNCIO_FILTER_PEER_] = "";
    const char *name = filter->server ? filter->server : filter->refusal ? filter->asked : NULL;
    if (!filter->server)
        asyncio_filter_peer_(filter->stream, address);
    snprintf(text, WHO_BYTES, name || *address ? " (%.300s%s%s)" : "", name ? name : "",
             name && *address ? ", " : "", address);
}

static int set_failure(struct tls_filter *filter, int err, const char *words)
{
    char who[WHO_BYTES], text[256 + WHO_BYTES];
    describe_peer(filter, who);
    snprintf(text, sizeof text, "TLS: %s%s", words, who);
    TLS_ASSERT(err < 0);
    asyncio_filter_free_(filter->words);
    filter->words = asy_tls_copy_text(text);
    filter->error = err;
    return repeat_failure(filter);
}

/* A call of OpenSSL that returned `result` did not succeed: -EAGAIN if it needs more input, 0 at the peer's
 * goodbye, or an error. */
static int judge_result(struct tls_filter *filter, int result)
{
    char words[256];
    int kind = SSL_get_error(filter->ssl, result);
    if (filter->is_swamped) {
        ERR_clear_error();
        return set_failure(filter, ASYNCIO_ETLS, "the peer asks for answers, and does not read them");
    }
    if (kind == SSL_ERROR_WANT_READ)
        return -EAGAIN;
    if (kind == SSL_ERROR_ZERO_RETURN && filter->is_ready)
        return 0;
    unsigned long error = ERR_peek_error();
    bool is_at_end =
        ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (filter->lacks_memory) {
        ERR_clear_error();
        return set_failure(filter, -ENOMEM, "out of memory");
    }
    if (!filter->is_ready && (is_at_end || kind == SSL_ERROR_ZERO_RETURN || !error)) {
        ERR_clear_error();
        return set_failure(filter, -ECONNRESET, "the peer closed the connection during the handshake");
    }
    asy_tls_describe(filter, words, sizeof words);
    return set_failure(filter, ASYNCIO_ETLS, filter->refusal ? filter->refusal : words);
}

/* ---- Operations -------------------------------------------------------------------------------- */

/* Errors that others have left in OpenSSL's queue are not ours. It is almost always empty, and clearing it
 * is expensive: look first. */
static inline void clear_old_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* OpenSSL has finished the handshake: tells whether the protocol that we require was chosen. */
static int check_alpn(struct tls_filter *filter)
{
    const unsigned char *alpn;
    unsigned bytes;
    SSL_get0_alpn_selected(filter->ssl, &alpn, &bytes);
    if (bytes || !filter->site->requires_alpn)
        return 0;
    return set_failure(filter, ASYNCIO_ETLS, "the server has chosen none of the protocols (ALPN)");
}

static int continue_handshake(void *arg)
{
    struct tls_filter *filter = arg;
    if (filter->error)
        return repeat_failure(filter);
    clear_old_errors();
    int result = SSL_do_handshake(filter->ssl);
    if (result == 1) {
        filter->is_ready = true;
        asy_tls_session_renew(filter);
        return check_alpn(filter);
    }
    int err = judge_result(filter, result);
    if (err != -EAGAIN)
        asy_tls_session_forget(filter);
    return err;
}

/* The connection was lost, or nobody waits any more. The session that was to be resumed may have been the
 * reason: forget it. */
static int end_handshake(void *arg, int err, const char *words)
{
    struct tls_filter *filter = arg;
    char text[256];
    asy_tls_session_forget(filter);
    if (err == -ECANCELED || err == -ENOMEM)
        return err;
    snprintf(text, sizeof text, "the handshake failed: %.200s", words);
    return set_failure(filter, err, text);
}

/* Reads as much as there is. The next call returns what ended this one. */
static ssize_t pull_some(struct tls_filter *filter, char *buf, size_t n)
{
    size_t got = 0, part;
    while (got < n) {
        clear_old_errors();
        int result = SSL_read_ex(filter->ssl, buf + got, n - got, &part);
        if (result != 1) {
            int err = judge_result(filter, result);
            return got ? (ssize_t)got : err;
        }
        got += part;
    }
    return (ssize_t)got;
}

/* 1 if there is a byte to read, which stays. */
static ssize_t look_for_input(struct tls_filter *filter)
{
    char byte;
    size_t part;
    clear_old_errors();
    int result = SSL_peek_ex(filter->ssl, &byte, 1, &part);
    return result == 1 ? 1 : judge_result(filter, result);
}

/* OpenSSL keeps its buffers from one record to the next, but not while nothing comes. */
static ssize_t pull_input(void *arg, void *buf, size_t n)
{
    struct tls_filter *filter = arg;
    if (filter->error)
        return repeat_failure(filter);
    SSL_clear_mode(filter->ssl, SSL_MODE_RELEASE_BUFFERS);
    filter->reads = true;
    ssize_t got = n ? pull_some(filter, buf, n) : look_for_input(filter);
    filter->reads = false;
    SSL_set_mode(filter->ssl, SSL_MODE_RELEASE_BUFFERS);
    if (got == -EAGAIN)
        SSL_free_buffers(filter->ssl);
    return got;
}

static int push_output(void *arg, const void *data, size_t n)
{
    struct tls_filter *filter = arg;
    size_t done = 0, part;
    if (filter->error)
        return repeat_failure(filter);
    while (done < n) {
        clear_old_errors();
        int result = SSL_write_ex(filter->ssl, (const char *)data + done, n - done, &part);
        if (result != 1) {
            int err = judge_result(filter, result);
            return err == -EAGAIN || err == 0 ? set_failure(filter, ASYNCIO_ETLS, "unexpected state") : err;
        }
        done += part;
    }
    return 0;
}

static void say_goodbye(void *arg)
{
    struct tls_filter *filter = arg;
    if (filter->error || filter->has_left || !filter->is_ready)
        return;
    filter->has_left = true;
    SSL_shutdown(filter->ssl);
    ERR_clear_error();
}

static double shutdown_timeout(const void *arg)
{
    return ((const struct tls_filter *)arg)->context->shutdown_timeout;
}

static void free_filter(void *arg)
{
    struct tls_filter *filter = arg;
    SSL_free(filter->ssl);
    asyncio_tls_context_release(filter->context);
    asyncio_filter_free_(filter->server);
    asyncio_filter_free_(filter->asked);
    asyncio_filter_free_(filter->session_key);
    asyncio_filter_free_(filter->words);
    asyncio_filter_free_(filter);
}

const struct asy_stream_filter_ops asy_tls_filter_ops = {
    .handshake = continue_handshake,
    .give_up = end_handshake,
    .pull = pull_input,
    .push = push_output,
    .shutdown = say_goodbye,
    .shutdown_timeout = shutdown_timeout,
    .free = free_filter,
};

/* ---- Made ------------------------------------------------------------------------------------------ */

/* The name to ask for and to verify; an address is looked for among the certificate's addresses. */
static bool want_server(const struct tls_filter *filter, const struct tls_name *name)
{
    SSL *ssl = filter->ssl;
    size_t bytes = name->address_bytes;
    if (!bytes && SSL_set_tlsext_host_name(ssl, name->text) != 1)
        return false;
    if (!filter->context->verifies_names)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    int is_set = bytes ? X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), name->address, bytes)
                       : SSL_set1_host(ssl, name->text);
    return is_set == 1;
}

/* Sessions are remembered by name and port: another port may be another server, and so may the same address
 * in another zone. */
static char *session_key(const struct tls_filter *filter, const struct tls_name *name)
{
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof peer;
    char key[300];
    int port = 0;
    if (asyncio_stream_peername(filter->stream, (struct sockaddr *)&peer, &length) == 0) {
        if (peer.ss_family == AF_INET)
            port = ntohs(((struct sockaddr_in *)&peer)->sin_port);
        else if (peer.ss_family == AF_INET6)
            port = ntohs(((struct sockaddr_in6 *)&peer)->sin6_port);
    }
    snprintf(key, sizeof key, "%s:%d", name->address_bytes ? filter->server : name->text, port);
    return asy_tls_copy_text(key);
}

/* 0 or an error. */
static int make_client(struct tls_filter *filter, const char *server_hostname)
{
    struct tls_name name;
    SSL_set_connect_state(filter->ssl);
    if (!server_hostname)
        return 0;
    const char *fault = asy_tls_read_name(server_hostname, &name);
    if (fault)
        return (int)asyncio_raise(-EINVAL, "TLS: \"%s\" cannot be the name of a server: %s", server_hostname,
                                  fault);
    filter->server = asy_tls_copy_text(server_hostname);
    if (!filter->server || !want_server(filter, &name)) {
        ERR_clear_error();
        return -ENOMEM;
    }
    if (filter->context->resumes && !(filter->session_key = session_key(filter, &name)))
        return -ENOMEM;
    asy_tls_session_use(filter);
    return 0;
}

static int make_filter(asyncio_stream *stream, asyncio_tls_context *context, SSL_CTX *inner,
                       const char *server_hostname, struct tls_filter **out)
{
    struct tls_filter *filter = asyncio_filter_alloc_(sizeof *filter);
    if (!filter)
        return -ENOMEM;
    asy_tls_context_ref(context);
    filter->context = filter->site = context;
    filter->stream = stream;
    filter->ssl = SSL_new(inner);
    bool is_linked = filter->ssl && SSL_set_app_data(filter->ssl, filter) == 1;
    BIO *bio = is_linked ? asy_tls_bio_new(filter) : NULL;
    int err = bio ? 0 : -ENOMEM;
    if (bio) {
        SSL_set_bio(filter->ssl, bio, bio);
        if (context->is_server)
            SSL_set_accept_state(filter->ssl);
        else
            err = make_client(filter, server_hostname);
    }
    if (err) {
        free_filter(filter);
        return err;
    }
    *out = filter;
    return 0;
}

/* Within its time. The filter is the stream's, or freed. */
static int run_handshake(struct tls_filter *filter)
{
    double timeout = filter->context->handshake_timeout;
    asyncio_timeout limit;
    char who[WHO_BYTES];
    describe_peer(filter, who); /* the stream may be closed meanwhile, and the filter freed */
    int err = asyncio_timeout_enter(&limit, timeout);
    if (err) {
        free_filter(filter);
        return err;
    }
    err = asyncio_filter_set_(filter->stream, &asy_tls_filter_ops, filter);
    err = (int)asyncio_timeout_exit(&limit, err);
    if (err == -ETIMEDOUT && asyncio_timeout_expired(&limit))
        asyncio_raise(err, "TLS: the handshake took longer than %g seconds%s", timeout, who);
    if (err == -EBADF)
        asyncio_raise(err, "TLS: the stream was closed during the handshake%s", who);
    return err;
}

int asy_tls_start(asyncio_stream *stream, asyncio_tls_context *context, const char *server_hostname)
{
    struct tls_filter *filter = NULL;
    if (server_hostname && !*server_hostname)
        server_hostname = NULL;
    if (!context->is_server && context->verifies_names && !server_hostname)
        return (int)asyncio_raise(-EINVAL, "TLS: a client needs the name of the server, to verify it");
    int err = asy_tls_context_complete(context);
    if (err)
        return err;
    SSL_CTX *inner = asy_tls_inner(context);
    if (context->is_server && !context->site_count && !SSL_CTX_get0_certificate(inner))
        err = (int)asyncio_raise(-EINVAL, "TLS: a server needs a certificate");
    else
        err = make_filter(stream, context, inner, server_hostname, &filter);
    SSL_CTX_free(inner);
    return err ? err : run_handshake(filter);
}

/* ---- Looked at ------------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t bytes, const char *text)
{
    snprintf(to, bytes, "%s", text ? text : "");
}

static void describe_name(char *to, size_t bytes, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        int n = BIO_read(bio, to, (int)bytes - 1);
        to[n > 0 ? n : 0] = '\0';
    }
    BIO_free(bio);
}

static void describe_certificate(const X509 *certificate, asyncio_tls_info *info)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    describe_name(info->subject, sizeof info->subject, X509_get_subject_name(certificate));
    describe_name(info->issuer, sizeof info->issuer, X509_get_issuer_name(certificate));
    if (X509_digest(certificate, EVP_sha256(), digest, &bytes) != 1)
        return;
    for (unsigned i = 0; i < bytes && 2 * i + 2 < sizeof info->fingerprint; i++)
        snprintf(info->fingerprint + 2 * i, 3, "%02x", digest[i]);
}

int asyncio_stream_tls_info(asyncio_stream *stream, asyncio_tls_info *info)
{
    if (!stream || !info)
        return -EINVAL;
    const struct tls_filter *filter = asyncio_filter_of_(stream, &asy_tls_filter_ops, __func__);
    if (!filter)
        return ASYNCIO_ESTATE;
    const SSL *ssl = filter->ssl;
    const unsigned char *alpn;
    unsigned alpn_length;
    memset(info, 0, sizeof *info);
    ERR_clear_error();
    copy_text(info->version, sizeof info->version, SSL_get_version(ssl));
    copy_text(info->cipher, sizeof info->cipher, SSL_get_cipher_name(ssl));
    /* A server's OpenSSL forgets it where a session is resumed. */
    bool is_server = filter->context->is_server;
    const char *name = is_server ? filter->asked : SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    copy_text(info->server_name, sizeof info->server_name, name);
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
    if (alpn && alpn_length < sizeof info->alpn)
        memcpy(info->alpn, alpn, alpn_length);
    info->resumed = SSL_session_reused(ssl);
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate) {
        info->verified = filter->site->verifies && SSL_get_verify_result(ssl) == X509_V_OK;
        describe_certificate(certificate, info);
    }
    ERR_clear_error();
    return 0;
}
