"""A client and a server of the extension contract on Google's gRPC stack, as peers for the Rust ones.

    peer.py server [--read-only]            answers each frame with the MD5 of its bytes; prints its address on stdout
    peer.py client TARGET [--frames N]      sends frames and compares the digests that come back

A target is host:port or unix:/path. Over a Unix socket the client sets the channel option grpc.default_authority: by default
Google's clients send the percent-encoded path of the socket as :authority, which the server's HTTP/2 library refuses with
RST_STREAM.

Both generate their stubs from this crate's own ../proto when they start, and both check what the other side numbers.
Needs grpcio and grpcio-tools (scripts/grpc-python.sh makes a Python that has them).
"""

import argparse
import hashlib
import json
import mmap
import os
import pathlib
import queue
import secrets
import sys
import tempfile
import threading
from concurrent import futures

import grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parent.parent / "proto"
FILES = ["media.proto", "inferencing.proto", "extension.proto"]
TIMESCALE = 90_000


def generate(directory):
    """Makes the stubs and returns the modules of messages and of the service."""
    arguments = ["protoc", f"-I{PROTO}", f"--python_out={directory}", f"--grpc_python_out={directory}"]
    if protoc.main(arguments + FILES) != 0:
        sys.exit("the stubs cannot be generated")
    sys.path.insert(0, str(directory))
    import extension_pb2
    import extension_pb2_grpc
    import inferencing_pb2
    import media_pb2

    return extension_pb2, extension_pb2_grpc, inferencing_pb2, media_pb2


with tempfile.TemporaryDirectory() as stubs:
    extension, service, inferencing, media = generate(stubs)


class Refusal(Exception):
    """What ends a stream, with its status."""

    def __init__(self, code, details):
        super().__init__(details)
        self.code, self.details = code, details


class Extension(service.MediaGraphExtensionServicer):
    """Opens the region for reading and writing and maps all of it, as the sample servers do."""

    def __init__(self, directory, read_only):
        self.directory, self.read_only = directory, read_only

    def ProcessMediaStream(self, requests, context):
        try:
            yield from self.answers(requests)
        except Refusal as refusal:
            context.abort(refusal.code, refusal.details)

    def answers(self, requests):
        expected, sent, region = 1, 0, None
        for request in requests:
            if request.sequence_number != expected:
                raise Refusal(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"sequence violation: {request.sequence_number} received instead of {expected}",
                )
            expected += 1
            answer = extension.MediaStreamMessage(ack_sequence_number=request.sequence_number)
            if request.HasField("media_stream_descriptor"):
                region = self.open(request.media_stream_descriptor)
                answer.media_stream_descriptor.media_descriptor.timescale = TIMESCALE
            else:
                sample = request.media_sample
                answer.media_sample.timestamp = sample.timestamp
                found = answer.media_sample.inferences.add()
                found.event.name = "seen"
                if self.read_only:
                    found.event.properties["bytes"] = str(len(bytes(self.pixels(sample, region))))
                else:
                    found.event.properties["digest"] = hashlib.md5(self.pixels(sample, region)).hexdigest()
            sent += 1
            answer.sequence_number = sent
            yield answer

    def open(self, descriptor):
        if not descriptor.HasField("shared_memory_buffer_transfer_properties"):
            return None
        properties = descriptor.shared_memory_buffer_transfer_properties
        with open(os.path.join(self.directory, properties.handle_name), "r+b") as file:
            return memoryview(mmap.mmap(file.fileno(), properties.length_bytes))

    def pixels(self, sample, region):
        if sample.HasField("content_bytes"):
            return sample.content_bytes.bytes
        start = sample.content_reference.address_offset
        return region[start : start + sample.content_reference.length_bytes]


def serve(arguments):
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=3),
        options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)],
    )
    service.add_MediaGraphExtensionServicer_to_server(
        Extension(arguments.directory, arguments.read_only), server
    )
    if arguments.unix:
        server.add_insecure_port(f"unix:{arguments.unix}")
        address = f"unix:{arguments.unix}"
    elif arguments.tls:
        certificate, key = (pathlib.Path(path).read_bytes() for path in arguments.tls)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
        address = f"tls://127.0.0.1:{port}"
    else:
        address = f"tcp://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    print(address, flush=True)
    # The parent process closes our input to stop us.
    sys.stdin.read()
    server.stop(grace=None)


class Client:
    """Sends frames in a window and checks the answers."""

    def __init__(self, arguments):
        self.size = arguments.width * arguments.height * 3
        self.arguments = arguments
        self.outgoing = queue.Queue()
        self.free = threading.Semaphore(arguments.window)
        self.lock = threading.Lock()
        self.expected = {}
        self.slots = list(range(arguments.window + 1))
        self.name, self.region = None, None
        if arguments.mode == "shared-memory":
            self.name = f"interop_{os.getpid()}_{secrets.token_hex(8)}"
            path = os.path.join(arguments.directory, self.name)
            flags = os.O_RDWR | os.O_SYNC | os.O_CREAT | os.O_EXCL
            file = os.open(path, flags, 0o600)
            os.ftruncate(file, self.size * (arguments.window + 1))
            self.region = mmap.mmap(file, 0)
            os.close(file)

    def descriptor(self):
        message = extension.MediaStreamMessage(sequence_number=1)
        descriptor = message.media_stream_descriptor
        descriptor.graph_identifier.graph_instance_name = "SampleGraph1"
        descriptor.graph_identifier.graph_node_name = "SampleGraph1"
        descriptor.media_descriptor.timescale = TIMESCALE
        video = descriptor.media_descriptor.video_frame_sample_format
        video.encoding = media.VideoFrameSampleFormat.Encoding.Value("RAW")
        video.pixel_format = media.VideoFrameSampleFormat.PixelFormat.Value("BGR24")
        video.dimensions.width = self.arguments.width
        video.dimensions.height = self.arguments.height
        if self.region is not None:
            properties = descriptor.shared_memory_buffer_transfer_properties
            properties.handle_name = self.name
            properties.length_bytes = len(self.region)
        return message

    def produce(self):
        noise = secrets.token_bytes(self.size)
        for number in range(2, self.arguments.frames + 2):
            self.free.acquire()
            # Another frame each time, and each byte of it matters.
            turn = number * 7919 % self.size
            frame = noise[turn:] + noise[:turn]
            message = extension.MediaStreamMessage(sequence_number=number)
            message.media_sample.timestamp = number * 3000
            with self.lock:
                slot = self.slots.pop(0)
                self.expected[number] = (hashlib.md5(frame).hexdigest(), slot)
            if self.region is None:
                message.media_sample.content_bytes.bytes = frame
            else:
                self.region[slot * self.size : (slot + 1) * self.size] = frame
                message.media_sample.content_reference.address_offset = slot * self.size
                message.media_sample.content_reference.length_bytes = self.size
            self.outgoing.put(message)
        self.outgoing.put(None)

    def run(self):
        arguments = self.arguments
        options = []
        if arguments.target.startswith("unix:"):
            options.append(("grpc.default_authority", "localhost"))
        if arguments.trust:
            roots = grpc.ssl_channel_credentials(pathlib.Path(arguments.trust).read_bytes())
            channel = grpc.secure_channel(arguments.target, roots, options)
        else:
            channel = grpc.insecure_channel(arguments.target, options)
        stub = service.MediaGraphExtensionStub(channel)
        self.outgoing.put(self.descriptor())
        # A server that cannot be reached, or is not trusted, ends it.
        responses = stub.ProcessMediaStream(iter(self.outgoing.get, None), wait_for_ready=True, timeout=60)
        first = next(responses)
        violations, equal, answered = 0, 0, 0
        if (first.sequence_number, first.ack_sequence_number) != (1, 1):
            violations += 1
        if not first.HasField("media_stream_descriptor"):
            violations += 1
        producer = threading.Thread(target=self.produce, daemon=True)
        producer.start()
        for expected, response in enumerate(responses, start=2):
            if response.sequence_number != expected:
                violations += 1
            with self.lock:
                digest, slot = self.expected.pop(response.ack_sequence_number, (None, None))
            if digest is None or response.media_sample.timestamp != response.ack_sequence_number * 3000:
                violations += 1
                continue
            answered += 1
            found = response.media_sample.inferences
            equal += len(found) == 1 and found[0].event.properties["digest"] == digest
            with self.lock:
                self.slots.append(slot)
            self.free.release()
        producer.join()
        return {"frames": self.arguments.frames, "answered": answered, "equal": equal, "violations": violations}

    def close(self):
        if self.name is not None:
            os.remove(os.path.join(self.arguments.directory, self.name))


def send(arguments):
    client = Client(arguments)
    try:
        counts = client.run()
    finally:
        client.close()
    print(json.dumps(counts), flush=True)
    good = counts["answered"] == counts["equal"] == counts["frames"] and counts["violations"] == 0
    sys.exit(0 if good else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", default="/dev/shm", help="directory of the shared memory")
    modes = parser.add_subparsers(required=True)
    server = modes.add_parser("server")
    server.add_argument("--read-only", action="store_true", help="read each byte once, without a digest")
    server.add_argument("--unix", metavar="PATH", help="listen on a Unix socket")
    server.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), help="PEM files")
    server.set_defaults(run=serve)
    client = modes.add_parser("client")
    client.add_argument("target")
    client.add_argument("--trust", metavar="FILE", help="use TLS, and trust the certificates of this PEM file")
    client.add_argument("--mode", choices=["shared-memory", "embedded"], default="shared-memory")
    client.add_argument("--frames", type=int, default=500)
    client.add_argument("--width", type=int, default=320)
    client.add_argument("--height", type=int, default=180)
    client.add_argument("--window", type=int, default=4)
    client.set_defaults(run=send)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
