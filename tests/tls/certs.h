/*
 * Certificates for tests, made when they run, in a folder that goes with the process.
 *
 *   ca.pem          an authority, and server.pem, server.key: of it, for server.test, *.wild.test,
 *                   127.0.0.1 and ::1
 *   expired.pem     the same, until yesterday; early.pem: from tomorrow on
 *   client.pem      of the authority, for a client
 *   other_ca.pem    another authority, which has the same name; stranger.pem: of it, for server.test
 *   self.pem        by itself, for server.test
 *   site_a.pem      of the authority, for a.test and *.a.test; site_b.pem: for b.test and b.a.test
 *   common.pem      of the authority, with the name server.test where it counts no more
 */
#ifndef TESTS_TLS_CERTS_H
#define TESTS_TLS_CERTS_H

/* Makes all of them; aborts when it cannot. */
void certs_make(void);
/* The path of one, valid until the fourth call from here on. */
const char *cert(const char *file);

#endif
