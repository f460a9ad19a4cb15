/*
 * A client's sessions: the latest one of each server, by name and port, and no more than
 * so many. Handshakes that resume one are shorter.
 */
#include "tls/tls.h"
#include <string.h>

#define SESSIONS_MAX 256

struct known {
    struct list node; /* the one used last first */
    SSL_SESSION *session;
    char *key;
};

/* The lock is held. */
static struct known *find(asyncio_tls_context *context, const char *key)
{
    LIST_EACH(node, &context->sessions) {
        struct known *known = LIST_ENTRY(node, struct known, node);
        if (strcmp(known->key, key) == 0)
            return known;
    }
    return NULL;
}

/* The lock is held. */
static void drop(asyncio_tls_context *context, struct known *known)
{
    list_remove(&known->node);
    context->session_count--;
    SSL_SESSION_free(known->session);
    asyncio_filter_free_(known->key);
    asyncio_filter_free_(known);
}

static struct known *add(asyncio_tls_context *context, const char *key)
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
        drop(context, LIST_ENTRY(context->sessions.prev, struct known, node));
    return known;
}

/* OpenSSL has made a session, or got one from the server. 1: the reference is ours. */
static int remember(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_filter *filter = SSL_get_app_data(ssl);
    asyncio_tls_context *context = filter->context;
    if (!filter->session_key || !context->resumes || !SSL_SESSION_is_resumable(session))
        return 0;
    pthread_mutex_lock(&context->lock);
    struct known *known = find(context, filter->session_key);
    if (!known)
        known = add(context, filter->session_key);
    if (known) {
        SSL_SESSION_free(known->session);
        known->session = session;
    }
    pthread_mutex_unlock(&context->lock);
    return known != NULL;
}

void asy_tls_sessions_init(asyncio_tls_context *context)
{
    list_init(&context->sessions);
    pthread_mutex_init(&context->lock, NULL);
    if (context->is_server) {
        SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF); /* tickets need none */
        return;
    }
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ssl, remember);
}

void asy_tls_sessions_clear(asyncio_tls_context *context)
{
    pthread_mutex_lock(&context->lock);
    while (!list_is_empty(&context->sessions))
        drop(context, LIST_ENTRY(context->sessions.next, struct known, node));
    pthread_mutex_unlock(&context->lock);
}

void asy_tls_session_use(struct tls_filter *filter)
{
    asyncio_tls_context *context = filter->context;
    if (!filter->session_key)
        return;
    pthread_mutex_lock(&context->lock);
    struct known *known = find(context, filter->session_key);
    if (known) {
        list_remove(&known->node);
        list_prepend(&context->sessions, &known->node);
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
    struct known *known = find(context, filter->session_key);
    if (known)
        drop(context, known);
    pthread_mutex_unlock(&context->lock);
}
