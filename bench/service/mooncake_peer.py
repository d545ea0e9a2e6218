# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Mooncake Store as a peer of bench/service/compare: a master, a process that owns the memory, and a
client, all on loopback over TCP, the one transport that needs no special hardware.

Run as a program it is one of the two clients; what it is to do it reads as lines of JSON:
  {"page_bytes": 4096, "batch": 512, "pages": 4096, "operation": "get", "seconds": 1}
and answers with the operation's rate and times, or {"error": ...}. Pages are registered buffers of
the client's, as a rank has them; what a get brings is compared with what was put, outside of the
time.
"""
import contextlib
import ctypes
import importlib.util
import json
import mmap
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time

MEMORY_BYTES = 1 << 30
BUFFER_BYTES = 64 << 20  # the library's own staging
START_SECONDS = 30


def is_installed():
    return (shutil.which("mooncake_master") is not None
            and importlib.util.find_spec("mooncake") is not None)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Mooncake:
    """`own_memory`: pages lie in the client's process, as where each engine lends the store its
    memory, and end with it; else in another process, as pinboardd's do."""

    def __init__(self, directory, own_memory):
        master_port, metrics_port, owner_port, client_port = free_ports(4)
        self.log = open(os.path.join(directory, "mooncake.log"), "w")
        self.processes = [subprocess.Popen(
            ["mooncake_master", "--rpc_address=127.0.0.1", f"--rpc_port={master_port}",
             f"--metrics_port={metrics_port}", "--enable_metric_reporting=false"],
            stdout=self.log, stderr=self.log)]
        self._await(master_port)
        master = f"127.0.0.1:{master_port}"
        if not own_memory:
            self._start(master, owner_port, MEMORY_BYTES)
        self.client = self._start(master, client_port, MEMORY_BYTES if own_memory else 0)

    @staticmethod
    def _await(port):
        deadline = time.time() + START_SECONDS
        while time.time() < deadline:
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port)).close()
            time.sleep(0.05)
        raise RuntimeError("mooncake_master does not listen")

    def _start(self, master, port, memory_bytes):
        process = subprocess.Popen(
            [sys.executable, __file__, master, f"127.0.0.1:{port}", str(memory_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.processes.append(process)
        self._answer(process)
        return process

    def _answer(self, process):
        # The library logs to standard output too.
        for line in process.stdout:
            if line.startswith("{"):
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer
        raise RuntimeError("its client ended")

    def run(self, page_bytes, batch, pages, operation, seconds):
        request = {"page_bytes": page_bytes, "batch": batch, "pages": pages,
                   "operation": operation, "seconds": seconds}
        self.client.stdin.write(json.dumps(request) + "\n")
        self.client.stdin.flush()
        return self._answer(self.client)

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.log.close()


class Client:
    def __init__(self, master, address, memory_bytes):
        from mooncake.store import MooncakeDistributedStore
        self.store = MooncakeDistributedStore()
        code = self.store.setup(address, "P2PHANDSHAKE", memory_bytes, BUFFER_BYTES, "tcp", "",
                                master)
        if code != 0:
            raise RuntimeError(f"setup: {code}")
        self.keys = 0

    def run(self, page_bytes, batch, pages, operation, seconds):
        memory = mmap.mmap(-1, page_bytes * batch)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._check([self.store.register_buffer(start, page_bytes * batch)], 0)
        places = [start + i * page_bytes for i in range(batch)]
        sizes = [page_bytes] * batch
        work = self._get if operation == "get" else self._put
        times = work(memory, places, sizes, pages, seconds)
        self.store.unregister_buffer(start)
        rate = batch * len(times) / sum(times)
        ranked = sorted(times)
        return {"pages": rate, "bytes": rate * page_bytes,
                "p50_us": statistics.median(ranked) * 1e6,
                "p99_us": ranked[int(len(ranked) * 0.99)] * 1e6}

    def _put(self, memory, places, sizes, pages, seconds):
        """Fresh names each time: a page that is there is not written again."""
        times, live = [], []
        while sum(times) < seconds:
            keys = self._fresh(len(places))
            memory[:] = os.urandom(len(memory))
            begin = time.perf_counter()
            results = self.store.batch_put_from(keys, places, sizes)
            times.append(time.perf_counter() - begin)
            self._check(results, 0)
            live.append(keys)
            if len(live) * len(places) > pages:
                self._remove(live.pop(0))
        for keys in live:
            self._remove(keys)
        return times

    def _get(self, memory, places, sizes, pages, seconds):
        keys, content = [], []
        for _ in range(pages // len(places)):
            memory[:] = os.urandom(len(memory))
            keys += self._fresh(len(places))
            self._check(self.store.batch_put_from(keys[-len(places):], places, sizes), 0)
            content += [memory[i:i + sizes[0]] for i in range(0, len(memory), sizes[0])]
        times = []
        while sum(times) < seconds:
            drawn = random.sample(range(len(keys)), len(places))
            names = [keys[page] for page in drawn]
            begin = time.perf_counter()
            results = self.store.batch_get_into(names, places, sizes)
            times.append(time.perf_counter() - begin)
            self._check(results, sizes[0])
            if memory[:] != b"".join(content[page] for page in drawn):
                raise RuntimeError("a get brought other bytes than were put")
        self._remove(keys)
        return times

    def _fresh(self, count):
        self.keys += count
        return [f"page-{key}" for key in range(self.keys - count, self.keys)]

    def _remove(self, keys):
        self.store.batch_remove(keys, True)

    @staticmethod
    def _check(results, expected):
        wrong = [result for result in results if result != expected]
        if wrong:
            raise RuntimeError(f"{len(wrong)} of {len(results)} calls failed with {wrong[0]}")


def main():
    master, address, memory_bytes = sys.argv[1:]
    try:
        client = Client(master, address, int(memory_bytes))
        print("{}", flush=True)
        for line in sys.stdin:
            print("\n" + json.dumps(client.run(**json.loads(line))), flush=True)
    except RuntimeError as error:
        print("\n" + json.dumps({"error": str(error)}), flush=True)
    os._exit(0)  # the library's own end waits for the master


if __name__ == "__main__":
    main()
