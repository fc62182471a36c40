"""Datagrams a second: the server's own sending beside a plain C `sendto` loop, same addresses.

    python -m bench.notify_sendto [ROUNDS]

10,000 addresses in 127.0.0.0/8, which one socket in another process drains. Needs gcc.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from multiprocessing import Event, Process
from multiprocessing.synchronize import Event as EventType
from pathlib import Path
from time import monotonic, perf_counter

from mangahub.sockets import listening
from notify_server.udp.clients import Client, Clients
from notify_server.udp.database_requests import DatabaseRequests
from notify_server.udp.delivery import Delivery
from notify_server.udp.replay import Replays
from notify_server.udp.sockets import MessageVector, prepare
from notify_server.udp.stats import Stats
from readers.datagram import Content, make_template
from readers.recipients import Recipients

CLIENTS = 10_000
MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
SOURCE = r"""
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
int main(int argc, char **argv) {
    int port = atoi(argv[1]), count = atoi(argv[2]), size = atoi(argv[3]);
    struct sockaddr_in *to = calloc(count, sizeof *to);
    for (int i = 0; i < count; i++) {
        to[i].sin_family = AF_INET;
        to[i].sin_port = htons(port);
        to[i].sin_addr.s_addr = htonl((127u << 24) + (1u << 16) + i);
    }
    char *body = malloc(size);
    memset(body, 'x', size);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < count; i++)
        sendto(fd, body, size, 0, (struct sockaddr *)&to[i], sizeof *to);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%f\n", (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9);
}
"""


def drain(sock: socket.socket, stop: EventType) -> None:
    sock.settimeout(0.1)
    buffer = bytearray(2048)
    while not stop.is_set():
        try:
            sock.recv_into(buffer)
        except TimeoutError:
            continue


def address(n: int) -> str:
    return socket.inet_ntoa(struct.pack("!I", (127 << 24) + (1 << 16) + n))


def send_with_server(port: int, ack: bool) -> float:
    """Return the seconds for one event to all clients, through the server's own code."""
    clients, stats = Clients(), Stats()
    requests = DatabaseRequests(lambda request: None)  # this measures sending only
    replays = Replays(clients, requests, stats)
    users = [os.urandom(16) for _ in range(CLIENTS)]
    for n, user in enumerate(users):
        client = Client((address(n), port), user, True, ack, monotonic())
        clients.add_candidate(client)
        clients.admit(client)
    recipients = Recipients.pack(enumerate(users, start=1))
    content = Content("NEW_MANGA", 1, "A Title", "New manga added: A Title", MOMENT, {}, [])
    with listening(socket.SOCK_DGRAM, "127.0.0.1", 0) as sock:
        prepare(sock)
        vector = MessageVector(sock)
        delivery = Delivery(clients, replays, requests, vector, stats)
        delivery.fan_out(make_template(content, monotonic()), recipients, 1)
        started = perf_counter()
        while delivery.has_work(monotonic()):
            delivery.send_some(monotonic(), 64)
        return perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if shutil.which("gcc") is None:
        sys.exit("gcc is needed for the comparison")
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("0.0.0.0", 0))
    port = sink.getsockname()[1]
    stop = Event()
    reader = Process(target=drain, args=(sink, stop))
    reader.start()
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "s.c"), Path(folder, "s")
        source.write_text(SOURCE)
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
        taken: dict[str, list[float]] = {}
        for _ in range(rounds):
            command = [str(program), str(port), str(CLIENTS), "240"]
            plain = float(subprocess.run(command, capture_output=True, check=True).stdout)
            taken.setdefault("C sendto loop", []).append(plain)
            taken.setdefault("server, with ACK", []).append(send_with_server(port, True))
            taken.setdefault("server, without ACK", []).append(send_with_server(port, False))
    stop.set()
    reader.join()
    sink.close()
    reference = statistics.median(taken["C sendto loop"])
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        print(f"{name:<22} {CLIENTS / middle:>9,.0f} datagrams/s  {reference / middle:.2f}")


if __name__ == "__main__":
    main()
