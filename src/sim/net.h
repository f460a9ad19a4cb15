/*
 * What the files of the simulated network share: events, hosts, ways between them, sockets, connections.
 *
 * Everything happens on the thread of the world, at times of the run's clock: a call of the program takes no
 * time, and a packet is an event in a heap. Memory is asy_sim_alloc's, which never fails. Errors are the
 * kernel's. Nothing here calls the program: what it is to be told becomes an event of a descriptor, which the
 * virtual clock fetches.
 */
#ifndef ASY_SIM_NET_H
#define ASY_SIM_NET_H

#include "asyncio/sim.h"
#include "base/heap.h"
#include "base/list.h"
#include "sys/world.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- Events (queue.c) ---------------------------------------------------------------- */

struct sim_event {
    struct heap_node node;
    void (*happen)(struct sim_event *event); /* off the heap */
};

/* Has the event happen at this time, or, if that is over, at the next look; in place of an earlier plan. */
void asy_sim_event_at(struct sim_event *event, int64_t at_ns);
void asy_sim_event_cancel(struct sim_event *event);
/* All that is due happens. */
void asy_sim_events_run(int64_t now_ns);
int64_t asy_sim_events_next(void); /* INT64_MAX: never */
void asy_sim_events_end(void);

/* ---- Hosts and ways (hosts.c, links.c) --------------------------------------------------- */

enum sim_protocol { SIM_TCP, SIM_UDP, SIM_PROTOCOLS };

/* An address of the internet; version 4 as ::ffff:a.b.c.d. */
struct sim_place {
    struct in6_addr ip;
    uint16_t port; /* in the host's byte order */
};

/* Of 256 heads, of sim_socket.bound; NULL: none was there yet. */
struct sim_ports {
    struct list *pages[256];    /* of sockets that were bound */
    struct list *accepted[256]; /* of those that a listener there has accepted */
    uint16_t next;
};

/* A host between two crashes. */
struct sim_life {
    struct sim_host *host;
    bool is_over;
    struct list sockets; /* all of this host's: sim_socket.of_life */
    struct sim_ports ports[SIM_PROTOCOLS];
    struct list *names; /* of Unix sockets (unix_names.c) */
};

/* What was set for the ways of a host to or from any other. */
struct sim_rule {
    uint64_t turn; /* the later one counts; 0: nothing was set */
    asyncio_sim_link link;
};

struct sim_host {
    char *name;
    size_t number;         /* from 1 on */
    struct sim_life *life; /* the latest */
    struct sim_way **ways; /* to other hosts: an open hash table (links.c) */
    size_t way_room, way_count;
    struct sim_rule sends, takes;
};

/* What a task that was started on no host runs on, and after that the one that it inherited. */
struct sim_life *asy_sim_life_here(void);
/* Of this name, made if need be. */
struct sim_host *asy_sim_host(const char *name);
struct sim_host *asy_sim_host_find(const char *name);
/* 0, or -EINVAL, with words: no host can be found by that name. */
int asy_sim_host_check(const char *name);
/* To which an address belongs, seen from `life`: NULL if to none. */
struct sim_host *asy_sim_host_at(const struct sim_life *life, const struct in6_addr *ip);
/* The host's own address in a family, or the loopback's. */
struct in6_addr asy_sim_address_of(const struct sim_host *host, int family);
struct in6_addr asy_sim_loopback(int family);
bool asy_sim_is_loopback(const struct in6_addr *ip);
/* May sockets of this host be bound to it? */
bool asy_sim_is_own(const struct sim_life *life, const struct in6_addr *ip);
void asy_sim_hosts_begin(void);
void asy_sim_hosts_end(void);
/* The host on which a context's owner runs. */
const char *asy_sim_host_of_task(const asyncio_task *task);

/* One way between two hosts. */
struct sim_way {
    struct sim_host *from, *to;
    asyncio_sim_link link; /* with its defaults filled in */
    int64_t latency_ns, jitter_ns;
    int64_t busy_ns;   /* until then it sends what it was given */
    struct list held;  /* of sim_held: what has arrived while it holds */
    struct list stuck; /* of sim_pipe: those whose sender waits for room */
};

/* Something that waits until a way no longer holds. */
struct sim_held {
    struct list node;
    void (*release)(struct sim_held *held);
};

/* NULL: both are the same host, where nothing takes time or is lost. */
struct sim_way *asy_sim_way(struct sim_host *from, struct sim_host *to);
/* When so many bytes would arrive that are sent now. */
int64_t asy_sim_way_arrival(struct sim_way *way, size_t bytes);
void asy_sim_way_hold(struct sim_way *way, struct sim_held *held);
void asy_sim_links_begin(const asyncio_sim_link *usual);
void asy_sim_links_end(void);

/* ---- Sockets ------------------------------------------------------------------------------- */

struct sim_socket;

struct sim_kind {
    const char *name;
    int (*bind)(struct sim_socket *socket, const struct sockaddr *to, socklen_t length);
    int (*connect)(struct sim_socket *socket, const struct sockaddr *to, socklen_t length);
    int (*listen)(struct sim_socket *socket, int backlog);
    /* The connection's socket, still without a descriptor; it stays in the queue until it has one. */
    int (*first)(struct sim_socket *socket, struct sim_socket **out);
    int (*shutdown)(struct sim_socket *socket, int how);
    ssize_t (*receive)(struct sim_socket *socket, struct msghdr *message, int flags);
    ssize_t (*send)(struct sim_socket *socket, const struct msghdr *message, int flags);
    int (*name_of)(struct sim_socket *socket, struct sockaddr *name, socklen_t *length);
    int (*peer_of)(struct sim_socket *socket, struct sockaddr *name, socklen_t *length);
    uint32_t (*events)(const struct sim_socket *socket); /* EPOLLIN ... that hold now */
    size_t (*untaken)(const struct sim_socket *socket);
    void (*describe)(const struct sim_socket *socket, char *text, size_t bytes);
    /* The program closes it; or its host crashes, in silence. The memory is not theirs. */
    void (*close)(struct sim_socket *socket);
    void (*vanish)(struct sim_socket *socket);
};

/* FAILED: to connect. BROKEN: it was open. */
enum sim_state { SIM_FRESH, SIM_LISTENING, SIM_CONNECTING, SIM_FAILED, SIM_OPEN, SIM_BROKEN };

struct sim_option {
    struct sim_option *next;
    int level, name;
    socklen_t length;
    char value[];
};

struct sim_socket {
    const struct sim_kind *kind;
    struct sim_life *life;
    struct list of_life;
    int fd; /* -1: none yet */
    int family, type;
    bool is_gone; /* its host has crashed */
    /* Registered with the clock. */
    bool is_attached, is_told; /* told: a level-triggered event, which is to be told again */
    uint64_t tag;
    uint32_t wanted;
    struct list pending; /* among those that may have events */

    int error; /* SO_ERROR, positive */
    bool is_v6only, reuses_address, reuses_port, resets_at_close;
    size_t send_buffer, receive_buffer; /* 0: not set */
    struct sim_option *options;

    struct list bound; /* by its port, or its name */
    struct sim_place here, there;
    bool is_bound, has_peer, chose_port; /* chose: the program did, not the system */
    struct sim_name *name;               /* of a Unix socket; NULL: none */

    /* Streams: tcp.c, unix.c. */
    enum sim_state state;
    struct sim_connection *connection;
    unsigned side; /* which end of it */
    bool got_end, sent_end, shut_read, wants_room;
    bool is_coming;              /* amid the handshake */
    bool must_tell;              /* the next call to connect: what has become of the last one */
    struct sim_socket *listener; /* of which it is a client that was not accepted yet */
    struct list waiting;         /* there: among those on the way, or those to accept */
    struct list clients_coming, clients;
    size_t client_count, backlog;

    /* Datagrams: udp.c, unix.c. */
    struct list queue;
    size_t queued; /* bytes */
    uint64_t sent, received;
    struct sim_socket *other; /* a Unix datagram socket's peer */
    struct list pointed_at;   /* those whose peer it is, and its place there */
    struct list pointing;
};

struct sim_socket *asy_sim_socket_new(const struct sim_kind *kind, struct sim_life *life, int family,
                                      int type);
/* Gives it a number. That, or -EMFILE. */
int asy_sim_socket_install(struct sim_socket *socket);
/* The one with this number, or NULL. */
struct sim_socket *asy_sim_socket_at(int fd);
/* Frees the memory; the kind has closed it. */
void asy_sim_socket_free(struct sim_socket *socket);
/* The program has closed it, or it is lost. The number is the caller's to close. */
void asy_sim_socket_close(struct sim_socket *socket);
/* These events begin to hold, perhaps once more: the edge. */
void asy_sim_socket_woke(struct sim_socket *socket, uint32_t events);
/* Does a stream take no more bytes: it was reset, or shut down both ways? A reset answers them. */
static inline bool asy_sim_is_deaf(const struct sim_socket *socket)
{
    return socket->state == SIM_BROKEN || (socket->shut_read && socket->sent_end);
}
/* Takes and clears its error: 0 or negative. */
int asy_sim_socket_take_error(struct sim_socket *socket);
/* Says why something is not simulated, on stderr too, since callers have words of their own. -ENOSYS. */
int asy_sim_refuse(const char *what);

int64_t asy_sim_now(void);

extern const struct sim_kind asy_sim_tcp, asy_sim_udp, asy_sim_unix_stream, asy_sim_unix_datagram;

/* ---- The parts of a message (parts.c) ----------------------------------------------------------- */

size_t asy_sim_parts_bytes(const struct msghdr *message);
/* Copies all of them to memory that has room. */
void asy_sim_parts_gather(const struct msghdr *message, char *to);
/* Fills them, as far as they reach. Returns the number of bytes. */
size_t asy_sim_parts_scatter(const struct msghdr *message, const char *from, size_t bytes);

/* ---- Numbers (numbers.c) ----------------------------------------------------------------------- */

/* Somebody else has the number: a socket that had it is lost, which is told. */
void asy_sim_number_taken(int fd);
/* As close(2), for a number that a socket has. */
int asy_sim_number_close(int fd);
/* Takes over a descriptor, of which all are to be duplicates. */
void asy_sim_numbers_begin(int origin);
void asy_sim_numbers_close_all(void);
void asy_sim_numbers_end(void);

/* ---- Ports (ports.c) ------------------------------------------------------------------------- */

/* Reads an address for a socket of this family. 0, -EAFNOSUPPORT, -EINVAL. */
int asy_sim_place_read(const struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                       struct sim_place *place);
/* Writes one as the kernel does: *length is the room, then the whole length. */
void asy_sim_place_write(const struct sim_socket *socket, const struct sim_place *place,
                         struct sockaddr *name, socklen_t *length);
/* As "10.0.0.1:80". */
#define PLACE_TEXT (INET6_ADDRSTRLEN + 8)
const char *asy_sim_place_text(const struct sim_place *place, char text[PLACE_TEXT]);
int asy_sim_ports_bind(struct sim_socket *socket, enum sim_protocol protocol, const struct sockaddr *to,
                       socklen_t length);
/* A client takes part in its listener's port. */
void asy_sim_ports_join(struct sim_socket *client);
/* A connection that has ended leaves the port that the system chose for it. */
void asy_sim_ports_leave(struct sim_socket *socket);
/* A port of its own, unless it is bound already, and an address from which `to` can be reached. */
int asy_sim_ports_autobind(struct sim_socket *socket, enum sim_protocol protocol, const struct in6_addr *to);
/* Whom an address leads to: 0, -EHOSTUNREACH, -ENETUNREACH, or what the address itself is refused with. The
 * unspecified one is written over by the loopback's. */
int asy_sim_peer_find(struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                      struct sim_place *place, struct sim_host **host);
/* The address that a peer sees it under. */
struct in6_addr asy_sim_source_for(const struct sim_socket *socket, const struct in6_addr *to);
/* Sockets that are bound to the port, or NULL: a list of sim_socket.bound. */
struct list *asy_sim_ports_at(struct sim_life *life, enum sim_protocol protocol, uint16_t port);
/* Does the socket take what is sent to this address, and how exactly? 0: not. */
int asy_sim_place_fits(const struct sim_socket *socket, const struct in6_addr *ip);
void asy_sim_ports_end(struct sim_life *life);

/* ---- Connections (pipe.c): both kinds of streams --------------------------------------------- */

enum sim_chunk_kind {
    CHUNK_SYN,
    CHUNK_SYN_ACK,
    CHUNK_ACK,
    CHUNK_DATA,
    CHUNK_END,
    CHUNK_RESET,
    CHUNK_CREDIT /* the reader has made room */
};

struct sim_chunk {
    int64_t at_ns;
    uint32_t bytes;
    uint8_t kind;
    uint8_t tries; /* how often it was lost */
};

/* One way of a connection. What is sent lies in one ring: first what has arrived, then what is on the way. */
struct sim_pipe {
    struct sim_event event; /* the first chunk arrives */
    struct sim_held held;
    struct list stuck; /* of its way: the sender waits for room */
    struct sim_connection *connection;
    unsigned from; /* the sender's side */
    struct sim_way *way;
    char *ring;
    size_t room, first, unread, flying;
    size_t used; /* bytes sent for which there was no credit yet */
    size_t owed; /* bytes read that were not credited yet */
    struct sim_chunk *chunks;
    size_t chunk_room, chunk_first, chunk_count;
    int64_t last_ns; /* when its last chunk arrives */
    uint64_t sent, received;
    bool is_arriving;
};

struct sim_connection {
    struct sim_pipe pipes[2];   /* by the sender's side */
    struct sim_socket *ends[2]; /* NULL: closed, or not there yet */
    struct sim_place places[2];
    struct sim_host *hosts[2];
    uint64_t number;
};

struct sim_connection *asy_sim_connection_new(struct sim_host *from, struct sim_host *to);
void asy_sim_connections_begin(void);
/* Frees it if both ends are closed. */
void asy_sim_connection_settle(struct sim_connection *connection);
size_t asy_sim_pipe_window(const struct sim_pipe *pipe);
/* Sends a chunk without bytes. */
void asy_sim_pipe_signal(struct sim_pipe *pipe, enum sim_chunk_kind kind);
/* Sends as many bytes as there is room for: how many. */
size_t asy_sim_pipe_write(struct sim_pipe *pipe, const struct iovec *parts, size_t count);
/* Takes, or with `peeks` copies, what has arrived: how many bytes. */
size_t asy_sim_pipe_read(struct sim_pipe *pipe, const struct iovec *parts, size_t count, bool peeks);
/* The sender waits until there is room. */
void asy_sim_pipe_want_room(struct sim_pipe *pipe);
/* A sender that waits is woken, if there is room. */
void asy_sim_pipe_look_for_room(struct sim_pipe *pipe);
/* A sender that waits asks whether the other end is still there: if not, a reset answers. */
void asy_sim_pipe_probe(struct sim_pipe *pipe);
/* All that is on the way is lost. */
void asy_sim_pipe_cut(struct sim_pipe *pipe);

static inline struct sim_pipe *asy_sim_pipe_out(const struct sim_socket *socket)
{
    return &socket->connection->pipes[socket->side];
}
static inline struct sim_pipe *asy_sim_pipe_in(const struct sim_socket *socket)
{
    return &socket->connection->pipes[!socket->side];
}

/* ---- Streams (tcp.c, stream.c) -------------------------------------------------------------- */

/* A chunk has arrived, and is off the queue. False: it counts as lost, and comes again. */
bool asy_sim_tcp_arrived(struct sim_pipe *pipe, const struct sim_chunk *chunk);
/* It was lost too often; or the way refused it. */
void asy_sim_tcp_given_up(struct sim_pipe *pipe, const struct sim_chunk *chunk);
void asy_sim_tcp_refused(struct sim_pipe *pipe, const struct sim_chunk *chunk);
/* An end learns of a reset. */
void asy_sim_tcp_reset(struct sim_socket *socket);
/* Those who came and were not accepted are reset; it is a fresh socket again. */
void asy_sim_tcp_stop_listening(struct sim_socket *listener);
/* Both ends do, at once. */
void asy_sim_tcp_break(struct sim_connection *connection);

int asy_sim_stream_first(struct sim_socket *socket, struct sim_socket **out);
int asy_sim_stream_shutdown(struct sim_socket *socket, int how);
ssize_t asy_sim_stream_receive(struct sim_socket *socket, struct msghdr *message, int flags);
ssize_t asy_sim_stream_send(struct sim_socket *socket, const struct msghdr *message, int flags);
uint32_t asy_sim_stream_events(const struct sim_socket *socket);
size_t asy_sim_stream_untaken(const struct sim_socket *socket);
/* The end is closed, as the program sees it: no one hears of it but by what was sent before. */
void asy_sim_stream_leave(struct sim_socket *socket);
/* An open end that has been accepted: is on no listener's list any more. */
void asy_sim_stream_unlist(struct sim_socket *socket);

/* Frees what is still on its way. */
void asy_sim_datagrams_end(void);

/* ---- Unix sockets, names, options -------------------------------------------------------------- */

void asy_sim_unix_end(struct sim_life *life);
/* Two fresh sockets of one kind become each other's peers. */
void asy_sim_unix_join(struct sim_socket *one, struct sim_socket *other);
int asy_sim_path_stat(const char *path, struct stat *status);
int asy_sim_path_unlink(const char *path);
int asy_sim_path_chmod(const char *path, mode_t mode);

int asy_sim_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **result);
int asy_sim_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                        char *service, socklen_t service_length, int flags);
double asy_sim_lookup_delay(const char *host);
/* Is the text one of version 4 or 6? */
bool asy_sim_is_address(const char *text);
void asy_sim_names_end(void);

int asy_sim_getsockopt(struct sim_socket *socket, int level, int name, void *value, socklen_t *length);
int asy_sim_setsockopt(struct sim_socket *socket, int level, int name, const void *value, socklen_t length);
/* A client begins with its listener's. */
void asy_sim_options_inherit(struct sim_socket *socket, const struct sim_socket *listener);

#endif
