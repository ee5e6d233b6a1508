"""What a consumer group has committed, metadata included, and where partitions
end: OffsetFetch and ListOffsets by hand, since no client of ours for Python
shows metadata."""

import base64
import socket
import struct

# (key, version): the last ones before the flexible forms, or older.
OFFSET_FETCH = 9, 5
LIST_OFFSETS = 2, 1
LATEST = -1


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


def ask(brokers, question, body):
    """The reply to ${question}, behind its correlation."""
    host, port = brokers.split(",")[0].rsplit(":", 1)
    request = struct.pack(">hhi", *question, 1) + text("synq-tests") + body
    with socket.create_connection((host, int(port)), 10) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        stream = broker.makefile("rb")
        reply = Reply(stream.read(struct.unpack(">i", stream.read(4))[0]))
    assert reply.number("i") == 1
    return reply


def committed(brokers, group, topic, partition):
    """Offset and metadata of ${group} in a partition; -1 and "" for none."""
    body = text(group) + struct.pack(">i", 1) + text(topic)
    body += struct.pack(">ii", 1, partition)
    reply = ask(brokers, OFFSET_FETCH, body)
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


def varint(data):
    """A number and what stands behind it."""
    number = at = 0
    while data[at] & 0x80:
        number |= (data[at] & 0x7f) << 7 * at
        at += 1
    return number | data[at] << 7 * at, data[at + 1:]


def reach(metadata):
    """How many offsets a dispatcher's map (libsynq/track/track.h) tells of,
    from the committed one on; the last of them is done."""
    if metadata == "":
        return 0
    assert metadata.startswith("S1:")
    text = metadata[3:].partition("@")[0]
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return varint(varint(data[2:])[1])[0]


def end_of(brokers, topic, partition):
    """The offset that the next record of a partition will have."""
    body = struct.pack(">ii", -1, 1) + text(topic)
    body += struct.pack(">iiq", 1, partition, LATEST)
    reply = ask(brokers, LIST_OFFSETS, body)
    assert reply.number("i") == 1
    assert reply.text() == topic
    assert reply.number("i") == 1
    assert reply.number("i") == partition
    assert reply.number("h") == 0
    reply.number("q")  # timestamp
    return reply.number("q")
