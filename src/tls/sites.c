/*
 * Several sites on one address: a server's contexts for names, one of which is chosen when a client has
 * said what it wants, before anything is answered and before a session is resumed. So a session of one
 * site, with what was verified for it, counts for no other.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "tls/tls.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct site {
    char *name; /* in small letters; the first part may be "*" */
    asyncio_tls_context *context;
};

/* ---- Names -------------------------------------------------------------------------------- */

/* As asy_tls_normalize, for a name that may begin with "*.". False: no client can ask for it. */
static bool normalize_pattern(char to[TLS_NAME_BYTES], const char *name)
{
    bool is_wild = strncmp(name, "*.", 2) == 0;
    size_t skipped = is_wild ? 2 : 0;
    char rest[TLS_NAME_BYTES];
    if (asy_tls_normalize(rest, name + skipped, strlen(name + skipped)))
        return false;
    memcpy(to, "*.", 2);
    memcpy(to + skipped, rest, strlen(rest) + 1);
    return !asy_tls_is_address(to);
}

/* ---- The list, in the order of its names ------------------------------------------------------ */

static int compare_site(const void *name, const void *site)
{
    return strcmp(name, ((const struct site *)site)->name);
}

static struct site *find_site(const asyncio_tls_context *context, const char *name)
{
    size_t count = context->site_count;
    return count ? bsearch(name, context->sites, count, sizeof(struct site), compare_site) : NULL;
}

/* The context of the name itself, or else of "*." and the name without its first part. */
static asyncio_tls_context *choose_site(const asyncio_tls_context *context, const char *name)
{
    char wild[TLS_NAME_BYTES];
    const struct site *site = find_site(context, name);
    const char *dot = strchr(name, '.');
    if (!site && dot && dot > name) {
        wild[0] = '*';
        memcpy(wild + 1, dot, strlen(dot) + 1);
        site = find_site(context, wild);
    }
    return site ? site->context : NULL;
}

static int insert_site(asyncio_tls_context *context, const char *name, asyncio_tls_context *site)
{
    size_t count = context->site_count, at = 0;
    if ((count & (count - 1)) == 0) { /* full: 1, 2, 4 ... */
        struct site *more = asyncio_filter_alloc_((count ? 2 * count : 1) * sizeof *more);
        if (!more)
            return -ENOMEM;
        if (count)
            memcpy(more, context->sites, count * sizeof *more);
        asyncio_filter_free_(context->sites);
        context->sites = more;
    }
    char *copy = asy_tls_copy_text(name);
    if (!copy)
        return -ENOMEM;
    while (at < count && strcmp(context->sites[at].name, name) < 0)
        at++;
    memmove(context->sites + at + 1, context->sites + at, (count - at) * sizeof *context->sites);
    context->sites[at] = (struct site){copy, site};
    context->site_count++;
    asy_tls_context_ref(site);
    return 0;
}

int asyncio_tls_context_add_server_name(asyncio_tls_context *context, const char *name,
                                        asyncio_tls_context *site)
{
    char normal[TLS_NAME_BYTES];
    if (!context || !name || !site || site == context || !context->is_server || !site->is_server)
        return -EINVAL;
    if (site->site_count) /* one level is enough, and there are no circles */
        return (int)asyncio_raise(-EINVAL, "TLS: the context for \"%s\" has names of its own", name);
    if (!normalize_pattern(normal, name))
        return (int)asyncio_raise(-EINVAL, "TLS: no client can ask for the name \"%s\"", name);
    if (!SSL_CTX_get0_certificate(site->ssl))
        return (int)asyncio_raise(-EINVAL, "TLS: the context for \"%s\" has no certificate", name);
    if (find_site(context, normal))
        return (int)asyncio_raise(-EEXIST, "TLS: \"%s\" was added before", name);
    return insert_site(context, normal, site);
}

void asy_tls_sites_clear(asyncio_tls_context *context)
{
    for (size_t i = 0; i < context->site_count; i++) {
        asyncio_filter_free_(context->sites[i].name);
        asyncio_tls_context_release(context->sites[i].context);
    }
    asyncio_filter_free_(context->sites);
}

/* ---- What a client says first ------------------------------------------------------------------ */

/* The name that it asks for. False: none, or none that can be. */
static bool asked_name(SSL *ssl, char name[TLS_NAME_BYTES])
{
    const unsigned char *data;
    size_t bytes;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &bytes) != 1 || bytes < 5)
        return false;
    /* The length of the list, then a kind, the length, and the name; there is one kind, and one of a kind. */
    size_t length = (size_t)data[3] << 8 | data[4];
    return data[2] == TLSEXT_NAMETYPE_host_name && length <= bytes - 5 &&
           !asy_tls_normalize(name, (const char *)data + 5, length);
}

/* Takes over what SSL_set_SSL_CTX leaves as it is: verification and versions. */
static bool settle_at(struct tls_filter *filter, asyncio_tls_context *site)
{
    SSL *ssl = filter->ssl;
    SSL_CTX *inner = asy_tls_inner(site);
    TLS_ASSERT(filter->site == filter->context);
    filter->site = site;
    bool is_set = SSL_set_SSL_CTX(ssl, inner) != NULL; /* which counts it */
    SSL_CTX_free(inner);
    if (!is_set)
        return false;
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(inner), NULL);
    SSL_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_set_options(ssl, SSL_CTX_get_options(inner));
    return SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(inner)) == 1 &&
           SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(inner)) == 1;
}

static int refuse_client(struct tls_filter *filter, const char *words, int *alert, int why)
{
    filter->refusal = words;
    *alert = why;
    return SSL_CLIENT_HELLO_ERROR;
}

int asy_tls_hear_client(SSL *ssl, int *alert, void *arg)
{
    asyncio_tls_context *context = arg;
    struct tls_filter *filter = SSL_get_app_data(ssl);
    char name[TLS_NAME_BYTES];
    const unsigned char *data;
    size_t bytes;
    asyncio_tls_context *site = NULL;
    if (!filter->has_heard && asked_name(ssl, name)) { /* a second hello changes nothing */
        filter->asked = asy_tls_copy_text(name);
        filter->lacks_memory = !filter->asked;
        site = choose_site(context, name);
    }
    filter->has_heard = true;
    if (filter->lacks_memory)
        return refuse_client(filter, "out of memory", alert, SSL_AD_INTERNAL_ERROR);
    if (!site && !SSL_get_certificate(ssl))
        return refuse_client(filter, "no certificate for the name that the client asks for", alert,
                             SSL_AD_UNRECOGNIZED_NAME);
    if (site && !settle_at(filter, site))
        return refuse_client(filter, "the context for the name cannot be used", alert, SSL_AD_INTERNAL_ERROR);
    int proposes =
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &bytes);
    if (filter->site->requires_alpn && proposes != 1)
        return refuse_client(filter, "the client proposes no protocol (ALPN)", alert,
                             SSL_AD_NO_APPLICATION_PROTOCOL);
    return SSL_CLIENT_HELLO_SUCCESS;
}
