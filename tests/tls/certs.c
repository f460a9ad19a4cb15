/*
 * See certs.h.
 */
#include "tls/certs.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(condition) ((condition) ? (void)0 : die(#condition, __LINE__))
#define HOUR_S 3600L
#define DAY_S (24 * HOUR_S)

static char folder[64];
static pid_t owner;

static _Noreturn void die(const char *what, int line)
{
    fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, line, what);
    abort();
}

const char *cert(const char *file)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, file);
    return path;
}

struct made {
    X509 *certificate;
    EVP_PKEY *key;
};

struct wish {
    const char *file, *name, *alternatives;
    long from_s, until_s;
    const struct made *authority;            /* NULL: by itself */
    enum { PLAIN, AUTHORITY, ED25519 } kind; /* the last: a key whose signatures have one length, always */
};

static void extend(X509 *certificate, int what, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
    MUST(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static void save(const char *file, const struct made *made)
{
    char name[64];
    snprintf(name, sizeof name, "%s.pem", file);
    FILE *out = fopen(cert(name), "w");
    MUST(out && PEM_write_X509(out, made->certificate) == 1);
    fclose(out);
    snprintf(name, sizeof name, "%s.key", file);
    out = fopen(cert(name), "w");
    MUST(out && PEM_write_PrivateKey(out, made->key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(out);
}

static struct made make(const struct wish *wish)
{
    static long serial;
    struct made made = {X509_new(), wish->kind == ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                                          : EVP_EC_gen("P-256")};
    MUST(made.certificate && made.key);
    X509 *certificate = made.certificate;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), wish->from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wish->until_s);
    X509_set_pubkey(certificate, made.key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)wish->name, -1, -1, 0);
    const struct made *authority = wish->authority ? wish->authority : &made;
    X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
    extend(certificate, NID_basic_constraints, wish->kind == AUTHORITY ? "critical,CA:TRUE" : "CA:FALSE");
    extend(certificate, NID_subject_key_identifier, "hash");
    if (wish->alternatives)
        extend(certificate, NID_subject_alt_name, wish->alternatives);
    MUST(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
    save(wish->file, &made);
    return made;
}

static void drop(struct made made)
{
    X509_free(made.certificate);
    EVP_PKEY_free(made.key);
}

static void clean_up(void)
{
    char command[128];
    if (getpid() != owner)
        return;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
}

void certs_make(void)
{
    static const char names[] = "DNS:server.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1,IP:fe80::1";
    snprintf(folder, sizeof folder, "/tmp/asyncio-tls-XXXXXX");
    MUST(mkdtemp(folder));
    owner = getpid();
    atexit(clean_up);
    struct made ca = make(&(struct wish){"ca", "Test Authority", NULL, -DAY_S, 30 * DAY_S, NULL, AUTHORITY});
    struct made brief =
        make(&(struct wish){"brief_ca", "Test Authority", NULL, -DAY_S, HOUR_S, NULL, AUTHORITY});
    struct made other =
        make(&(struct wish){"other_ca", "Test Authority", NULL, -DAY_S, DAY_S, NULL, AUTHORITY});
    const struct wish wishes[] = {
        {"server", "server.test", names, -DAY_S, DAY_S, &ca, PLAIN},
        {"expired", "server.test", names, -9 * DAY_S, -DAY_S, &ca, PLAIN},
        {"early", "server.test", names, DAY_S, 9 * DAY_S, &ca, PLAIN},
        {"client", "A client", NULL, -DAY_S, DAY_S, &ca, PLAIN},
        {"stranger", "server.test", names, -DAY_S, DAY_S, &other, PLAIN},
        {"edwards", "server.test", names, -DAY_S, DAY_S, &ca, ED25519},
        {"self", "server.test", names, -DAY_S, DAY_S, NULL, PLAIN},
        {"common", "server.test", NULL, -DAY_S, DAY_S, &ca, PLAIN},
        {"lasting", "server.test", names, -DAY_S, 30 * DAY_S, &ca, PLAIN},
        {"brief", "server.test", names, -DAY_S, HOUR_S, &ca, PLAIN},
        {"under_brief", "server.test", names, -DAY_S, 30 * DAY_S, &brief, PLAIN},
        {"lasting_client", "A client", NULL, -DAY_S, 30 * DAY_S, &ca, PLAIN},
        {"brief_client", "A client", NULL, -DAY_S, HOUR_S, &ca, PLAIN},
        {"site_a", "a.test", "DNS:a.test,DNS:*.a.test", -DAY_S, DAY_S, &ca, PLAIN},
        {"site_b", "b.test", "DNS:b.test,DNS:b.a.test", -DAY_S, DAY_S, &ca, PLAIN},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        drop(make(&wishes[i]));
    drop(ca);
    drop(other);
    drop(brief);
}
