/*
 * What a connection gives out: keys for other uses, and the peer's certificate.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "tls/tls.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#define TLS_1_2_CONTEXT_MAX 65535

/* The filter of a stream whose handshake is done; NULL: *err says why there is none. */
static const struct tls_filter *find_filter(asyncio_stream *stream, const char *call, int *err)
{
    const struct tls_filter *filter = asyncio_filter_of_(stream, &asy_tls_filter_ops, call);
    if (!filter)
        *err = (int)asyncio_raise(ASYNCIO_ESTATE, "TLS: the stream has none, or is still shaking hands");
    return filter;
}

int asyncio_stream_tls_export(asyncio_stream *stream, const char *label, const void *context,
                              size_t context_bytes, void *out, size_t bytes)
{
    int err = 0;
    if (!stream || !label || !*label || !out || !bytes || (!context && context_bytes) ||
        context_bytes > TLS_1_2_CONTEXT_MAX)
        return -EINVAL;
    const struct tls_filter *filter = find_filter(stream, __func__, &err);
    if (!filter)
        return err;
    ERR_clear_error();
    int done = SSL_export_keying_material(filter->ssl, out, bytes, label, strlen(label), context,
                                          context_bytes, context != NULL);
    if (done == 1)
        return 0;
    OPENSSL_cleanse(out, bytes);
    return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: no key of %zu bytes can be exported: %s", bytes,
                              asy_tls_reason());
}

int asyncio_stream_tls_peer_cert(asyncio_stream *stream, asyncio_buffer *der)
{
    int err = 0;
    if (!stream || !der)
        return -EINVAL;
    const struct tls_filter *filter = find_filter(stream, __func__, &err);
    if (!filter)
        return err;
    X509 *certificate = SSL_get0_peer_certificate(filter->ssl);
    if (!certificate)
        return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: the peer has shown no certificate");
    ERR_clear_error();
    int length = i2d_X509(certificate, NULL);
    if (length <= 0)
        return (int)asyncio_raise(ASYNCIO_ETLS, "TLS: the peer's certificate: %s", asy_tls_reason());
    char *data = asyncio_filter_alloc_((size_t)length + 1);
    if (!data)
        return -ENOMEM;
    unsigned char *end = (unsigned char *)data;
    i2d_X509(certificate, &end);
    TLS_ASSERT((char *)end == data + length);
    *der = (asyncio_buffer){data, (size_t)length};
    return 0;
}
