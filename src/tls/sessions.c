/*
 * Sessions, which make later handshakes shorter. A client knows the latest one of each server, by name and
 * port, and no more than so many; a server knows none: its tickets tell it all.
 *
 * A handshake that resumes one verifies nothing. So both sides trust what a handshake in full has verified,
 * and all the sessions that come of it, until the first of its certificates expires, and for a day at most.
 * Tickets are renewed at each use, but that time never is.
 */
#include "tls/tls.h"
#include <string.h>
#include <time.h>

#define SESSIONS_MAX 256
#define TRUST_S (24 * 3600)

struct known {
    struct list node; /* the one used last first */
    SSL_SESSION *session;
    time_t trusted_until;
    char *key;
};

/* ---- Trust ---------------------------------------------------------------------------------- */

/* A date that cannot be read counts as expired. */
static time_t expiry_of(const X509 *certificate)
{
    struct tm expiry;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &expiry) == 1 ? timegm(&expiry) : 0;
}

/* The time until which the connection's sessions are trusted, present and later ones. */
static time_t find_end_of_trust(const struct tls_filter *filter)
{
    if (SSL_session_reused(filter->ssl))
        return filter->trusted_until;
    time_t until = time(NULL) + TRUST_S;
    STACK_OF(X509) *chain = SSL_get0_verified_chain(filter->ssl);
    for (int i = 0; i < sk_X509_num(chain); i++) { /* -1 of NULL: no certificate was asked for */
        time_t expiry = expiry_of(sk_X509_value(chain, i));
        until = expiry < until ? expiry : until;
    }
    return until;
}

/* ---- A server's tickets ----------------------------------------------------------------------- */

/* OpenSSL calls this before it makes a ticket of the session. 1: go on. */
static int limit_ticket(SSL *ssl, void *arg)
{
    const struct tls_filter *filter = SSL_get_app_data(ssl);
    SSL_SESSION *session = SSL_get_session(ssl);
    long left = (long)find_end_of_trust(filter) - SSL_SESSION_get_time(session);
    (void)arg;
    return SSL_SESSION_set_timeout(session, left > 0 ? left : 0) == 1;
}

/* OpenSSL calls this when a client has shown a ticket; `session` is its content, if it could be read. */
static SSL_TICKET_RETURN judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                      size_t name_bytes, SSL_TICKET_STATUS status, void *arg)
{
    struct tls_filter *filter = SSL_get_app_data(ssl);
    (void)name, (void)name_bytes, (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    filter->trusted_until = SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session);
    if (time(NULL) > filter->trusted_until)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- What a client knows ------------------------------------------------------------------------ */

/* The lock is held. */
static struct known *find_session(asyncio_tls_context *context, const char *key)
{
    LIST_EACH(node, &context->sessions) {
        struct known *known = LIST_ENTRY(node, struct known, node);
        if (strcmp(known->key, key) == 0)
            return known;
    }
    return NULL;
}

/* The lock is held. */
static void drop_session(asyncio_tls_context *context, struct known *known)
{
    TLS_ASSERT(context->session_count > 0);
    list_remove(&known->node);
    context->session_count--;
    SSL_SESSION_free(known->session);
    asyncio_filter_free_(known->key);
    asyncio_filter_free_(known);
}

static struct known *add_session(asyncio_tls_context *context, const char *key)
{
    struct known *known = asyncio_filter_alloc_(sizeof *known);
    char *copy = known ? asy_tls_copy_text(key) : NULL;
    if (!copy) {
        asyncio_filter_free_(known);
        return NULL;
    }
    known->key = copy;
    list_prepend(&context->sessions, &known->node);
    if (++context->session_count > SESSIONS_MAX)
        drop_session(context, LIST_ENTRY(context->sessions.prev, struct known, node));
    return known;
}

/* OpenSSL has made a session, or got one from the server. 1: the reference is ours. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_filter *filter = SSL_get_app_data(ssl);
    asyncio_tls_context *context = filter->context;
    if (!filter->session_key || !context->resumes || !SSL_SESSION_is_resumable(session))
        return 0;
    pthread_mutex_lock(&context->lock);
    struct known *known = find_session(context, filter->session_key);
    if (!known)
        known = add_session(context, filter->session_key);
    if (known) {
        SSL_SESSION_free(known->session);
        known->session = session;
        known->trusted_until = find_end_of_trust(filter);
    }
    pthread_mutex_unlock(&context->lock);
    return known != NULL;
}

void asy_tls_session_renew(const struct tls_filter *filter)
{
    SSL *ssl = filter->ssl;
    if (!filter->session_key || !SSL_session_reused(ssl) || SSL_version(ssl) == TLS1_3_VERSION)
        return;
    SSL_SESSION *session = SSL_get1_session(ssl);
    if (!keep_session(ssl, session))
        SSL_SESSION_free(session);
}

void asy_tls_sessions_init(asyncio_tls_context *context)
{
    list_init(&context->sessions);
    pthread_mutex_init(&context->lock, NULL);
}

void asy_tls_sessions_set_up(const asyncio_tls_context *context, SSL_CTX *ssl)
{
    if (context->is_server) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets need none */
        SSL_CTX_set_session_ticket_cb(ssl, limit_ticket, judge_ticket, NULL);
        return;
    }
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, keep_session);
}

void asy_tls_sessions_clear(asyncio_tls_context *context)
{
    pthread_mutex_lock(&context->lock);
    while (!list_is_empty(&context->sessions))
        drop_session(context, LIST_ENTRY(context->sessions.next, struct known, node));
    pthread_mutex_unlock(&context->lock);
}

void asy_tls_session_use(struct tls_filter *filter)
{
    asyncio_tls_context *context = filter->context;
    if (!filter->session_key)
        return;
    pthread_mutex_lock(&context->lock);
    struct known *known = find_session(context, filter->session_key);
    if (known && time(NULL) > known->trusted_until) {
        drop_session(context, known);
    } else if (known) {
        list_remove(&known->node);
        list_prepend(&context->sessions, &known->node);
        filter->trusted_until = known->trusted_until;
        SSL_set_session(filter->ssl, known->session);
    }
    pthread_mutex_unlock(&context->lock);
}

void asy_tls_session_forget(struct tls_filter *filter)
{
    asyncio_tls_context *context = filter->context;
    if (!filter->session_key)
        return;
    pthread_mutex_lock(&context->lock);
    struct known *known = find_session(context, filter->session_key);
    if (known)
        drop_session(context, known);
    pthread_mutex_unlock(&context->lock);
}
