/*
 * What went wrong, in words. OpenSSL's queue of errors is emptied on the way.
 */
#include "tls/tls.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* Alerts of the peer come as reasons from here on. */
#define IS_ALERT(reason) ((reason) >= SSL_AD_REASON_OFFSET && (reason) < SSL_AD_REASON_OFFSET + 256)

/* The first one that the TLS code itself put there, else the first. */
static unsigned long take_error(void)
{
    unsigned long error = ERR_get_error(), next;
    while (ERR_GET_LIB(error) != ERR_LIB_SSL && (next = ERR_get_error()))
        if (ERR_GET_LIB(next) == ERR_LIB_SSL)
            error = next;
    ERR_clear_error();
    return error;
}

static const char *text_of(unsigned long error)
{
    const char *text = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) /* tables of the C library */
                                               : ERR_reason_error_string(error);
    return text ? text : "unknown error";
}

const char *asy_tls_reason(void)
{
    unsigned long error = ERR_peek_error();
    const char *text = text_of(error);
    ERR_clear_error();
    return text;
}

/* "tlsv13 alert certificate required": without the first words, which name old versions. */
static const char *alert_text(const char *text)
{
    const char *alert = strstr(text, "alert ");
    if (alert)
        return alert + strlen("alert ");
    const char *space = strchr(text, ' ');
    return space ? space + 1 : text;
}

void asy_tls_describe(const struct tls_filter *filter, char *words, size_t bytes)
{
    unsigned long error = take_error();
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    long verified = SSL_get_verify_result(filter->ssl);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        snprintf(words, bytes, "certificate verify failed: %s", X509_verify_cert_error_string(verified));
    else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        snprintf(words, bytes, "truncated: the connection ended without a goodbye (close_notify)");
    else if (IS_ALERT(reason))
        snprintf(words, bytes, "the peer refuses: %s", alert_text(text_of(error)));
    else
        snprintf(words, bytes, "%s", text_of(error));
}
