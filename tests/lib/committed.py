"""What a consumer group has committed, metadata included: OffsetFetch by hand,
since no client of ours for Python shows metadata."""

import socket
import struct

OFFSET_FETCH = 9
VERSION = 5  # the last one before the flexible forms


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


class Reply:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def number(self, form):
        [value] = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def text(self):
        size = self.number("h")
        value = self.data[self.at:self.at + max(size, 0)].decode()
        self.at += max(size, 0)
        return value


def committed(brokers, group, topic, partition):
    """Offset and metadata of ${group} in a partition; -1 and "" for none."""
    host, port = brokers.split(",")[0].rsplit(":", 1)
    body = struct.pack(">hhi", OFFSET_FETCH, VERSION, 1) + text("synq-tests")
    body += text(group) + struct.pack(">i", 1) + text(topic)
    body += struct.pack(">ii", 1, partition)
    with socket.create_connection((host, int(port)), 10) as broker:
        broker.sendall(struct.pack(">i", len(body)) + body)
        stream = broker.makefile("rb")
        reply = Reply(stream.read(struct.unpack(">i", stream.read(4))[0]))
    reply.number("i")  # correlation
    reply.number("i")  # throttle
    assert reply.number("i") == 1
    assert reply.text() == topic
    assert reply.number("i") == 1
    assert reply.number("i") == partition
    offset = reply.number("q")
    reply.number("i")  # leader epoch
    metadata = reply.text()
    assert reply.number("h") == 0
    return offset, metadata
