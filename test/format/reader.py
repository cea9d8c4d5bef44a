#!/usr/bin/env python3
"""Reads a walrus-wal log without the library, from docs/FORMAT.md alone.

    python3 reader.py <directory>

Prints one JSON object for each entry, then one with the log's range and its consumers. A log that is damaged ends the program with
exit code 1 and a line on standard error.
"""
import base64
import json
import os
import re
import struct
import sys
from zlib import crc32

BLOCK = 4096
COMMIT_HEADER = 48
ENTRY_HEADER = 32
BEGINS, GAP = 1, 2
ENDS_BATCH, IN_TRANSACTION = 1, 2
SEGMENT_NAME = re.compile(r"^(\d{16})-(\d{16})\.wal$")


class Damaged(Exception):
    pass


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def f64(data, at):
    return struct.unpack_from("<d", data, at)[0]


# ---- blocks and slots


def open_block(block, magic):
    """The block's content if it is whole, None if it is not."""
    if len(block) < BLOCK or block[:8] != magic:
        return None
    if crc32(block[24:], crc32(block[:20])) != u32(block, 20):
        return None
    if u32(block, 8) != 1 or u32(block, 16) != 0:
        raise Damaged("a later version wrote this log")
    return block


def read_slots(path, magic):
    """The payload of the newest valid slot, None if there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(2 * BLOCK)
    except FileNotFoundError:
        return None
    slots = [open_block(data[at : at + BLOCK], magic) for at in (0, BLOCK)]
    valid = [slot for slot in slots if slot is not None]
    if not valid:
        return None
    newest = max(valid, key=lambda slot: u64(slot, 32))
    return newest[48 : 48 + u32(newest, 40)]


class Epoch:
    """Made from its 24 bytes."""

    def __init__(self, data):
        self.counter = u64(data, 0)
        self.id = data[8:16]
        self.start_index = u64(data, 16)


class Claim:
    """A position that is said to be durable, and the epoch in which it was reached."""

    def __init__(self, epoch, segment_id, offset, index):
        self.epoch = epoch
        self.segment_id = segment_id
        self.offset = offset
        self.index = index


class Manifest:
    def __init__(self, data):
        self.log_id = data[0:16]
        self.format = u32(data, 16)
        self.encoding = data[28 : 28 + u32(data, 24)].decode()
        self.first_index = u64(data, 96)
        self.newest_id = u64(data, 104)
        count = u32(data, 168)
        self.epochs = [Epoch(data[at : at + 24]) for at in range(176, 176 + 24 * count, 24)]
        self.floor = Claim(self.epochs[-1], u64(data, 112), u64(data, 120), u64(data, 128))


def read_mark(directory, log_id):
    data = read_slots(os.path.join(directory, "mark"), b"WALRUSMK")
    if data is None or data[:16] != log_id:
        return None
    return Claim(Epoch(data[16:40]), u64(data, 40), u64(data, 48), u64(data, 56))


def read_consumers(directory, log_id):
    """The index that each named consumer has processed up to."""
    path = os.path.join(directory, "consumers")
    names = [name for name in os.listdir(path) if not name.startswith(".")] if os.path.isdir(path) else []
    checkpoints = {name: read_slots(os.path.join(path, name), b"WALRUSCP") for name in sorted(names)}
    return {name: u64(data, 16) for name, data in checkpoints.items() if data is not None and data[:16] == log_id}


# ---- segments


class Segment:
    """What segments of both formats have: the header, and whole commits one after the other."""

    def __init__(self, name, data):
        self.name = name
        self.data = data
        self.read_header()

    @property
    def lowest_index(self):
        """The first index it answers for: with entries that a repair declared lost."""
        return self.first_index if self.gap_first is None else self.gap_first

    def walk(self, limit):
        """Walks whole commits; the entries, where they end, and the CRC of the last one."""
        walked = Walked(self.content_start, self.previous_crc)
        while walked.end < limit:
            commit = self.read_commit(walked.end, limit, self.first_index + len(walked.entries), walked.crc)
            if commit is None:
                break
            walked.add(commit)
        return walked


class BinarySegment(Segment):
    def read_header(self):
        header = open_block(self.data[:BLOCK], b"WALRUSSG")
        if header is None:
            raise Damaged(f"{self.name} has no readable header")
        self.content_start = BLOCK
        self.log_id = header[32:48]
        self.id = u64(header, 48)
        self.first_index = u64(header, 56)
        self.epoch = Epoch(header[64:88])
        self.begins = u32(header, 92) & BEGINS != 0
        self.gap_first = u64(header, 224) if u32(header, 92) & GAP else None
        self.max_entry = u64(header, 168)
        self.salt = header[184:200]
        self.published_end = u64(header, 208)
        self.previous_id = u64(header, 240)
        self.previous_end = u64(header, 248)
        self.previous_last = u64(header, 256)
        self.previous_crc = 0 if self.begins else u32(header, 264)

    def proven_ends(self, offset):
        """What every commit header from this offset on says was durable, whatever lies behind it."""
        limit = len(self.data)
        return [u64(self.data, at + 32) for at in range(offset, limit, 8) if self.has_commit_header(at, limit)]

    def has_commit_header(self, offset, limit):
        data = self.data
        if offset + COMMIT_HEADER > limit or data[offset : offset + 4] != b"WLCM":
            return False
        bound = self.salt + struct.pack("<QQ", self.id, offset)
        return crc32(data[offset + 8 : offset + 48], crc32(bound)) == u32(data, offset + 4)

    def read_commit(self, offset, limit, index, previous_crc):
        """The commit at this offset; None if it is not valid."""
        data = self.data
        if not self.has_commit_header(offset, limit):
            return None
        if u32(data, offset + 44) != 0:
            raise Damaged(f"{self.name}: a later version wrote the commit at {offset}")
        count, body = u32(data, offset + 12), u64(data, offset + 16)
        at = offset + COMMIT_HEADER
        end = at + body
        if u64(data, offset + 24) != index or u32(data, offset + 40) != previous_crc:
            return None
        if count == 0 or body % 8 != 0 or end > limit:
            return None
        entries, body_crc, flags = [], 0, 0
        for ordinal in range(count):
            size = self.entry_size(at, end, index + ordinal)
            if size is None:
                return None
            flags = u32(data, at + 8)
            check_flags(self.name, index + ordinal, flags)
            body_crc = crc32(data[at : at + 8], body_crc)
            entries.append(self.entry(at, index + ordinal))
            at += size
        whole = at == end and flags & ENDS_BATCH and body_crc == u32(data, offset + 8)
        return Commit(entries, end, u32(data, offset + 4), u64(data, offset + 32)) if whole else None

    def entry_size(self, at, end, index):
        """Bytes of the entry with its padding; None if it is not valid."""
        data = self.data
        if at + ENTRY_HEADER > end:
            return None
        length = u32(data, at + 4)
        if length > self.max_entry:
            return None
        payload = at + ENTRY_HEADER + (8 if u32(data, at + 8) & IN_TRANSACTION else 0)
        after = payload + length
        padded = (after + 7) // 8 * 8
        if padded > end:
            return None
        bound = self.log_id + struct.pack("<Q", index)
        if crc32(data[at + 4 : after], crc32(bound)) != u32(data, at) or any(data[after:padded]):
            return None
        return padded - at

    def entry(self, at, index):
        data = self.data
        payload = at + ENTRY_HEADER
        entry = {"index": index, "term": u64(data, at + 24), "timestamp": f64(data, at + 16), "checksum": u32(data, at)}
        if u32(data, at + 8) & IN_TRANSACTION:
            entry["transactionId"] = data[payload : payload + 8].hex()
            payload += 8
        entry["data"] = base64.b64encode(data[payload : payload + u32(data, at + 4)]).decode()
        return entry


HEADER_CRC = re.compile(rb',"crc":(\d+) *}$')
LINE = re.compile(
    rb'^{"index":(\d+),"term":(\d+),"timestamp":([^,]+),"flags":(\d+),(?:"transactionId":"([\da-f]{16})",)?'
    rb'"checksum":(\d+),"(data|base64)":(.*)}$',
    re.DOTALL,
)
SEAL_START = b',"commit":{"first":'
SEAL = re.compile(
    rb'^,"commit":{"first":(\d+),"count":(\d+),"bytes":(\d+),"provenEnd":(\d+),"previous":(\d+),"crc":(\d+),"seal":(\d+)}}$'
)


class NdjsonSegment(Segment):
    def read_header(self):
        line = self.data[:BLOCK].split(b"\n", 1)[0]
        self.content_start = len(line) + 1
        crc = HEADER_CRC.search(line)
        if crc is None or crc32(line[: crc.start()]) != int(crc[1]) or self.content_start > BLOCK:
            raise Damaged(f"{self.name} has no readable header")
        header = json.loads(line)
        if header["version"] != 1 or header["incompatible"] != 0:
            raise Damaged("a later version wrote this log")
        self.log_id = bytes.fromhex(header["logId"])
        self.id = header["id"]
        self.first_index = header["firstIndex"]
        epoch = header["epoch"]
        self.epoch = Epoch(struct.pack("<Q8sQ", epoch["counter"], bytes.fromhex(epoch["id"]), epoch["startIndex"]))
        self.begins = header["begins"]
        self.gap_first = header["gap"]["firstIndex"] if header.get("gap") else None
        self.max_entry = header["maxEntryBytes"]
        self.salt = bytes.fromhex(header["salt"])
        self.published_end = header["publishedEnd"]
        predecessor = header.get("predecessor") or {}
        self.previous_id = predecessor.get("id")
        self.previous_end = predecessor.get("endOffset")
        self.previous_last = predecessor.get("lastIndex")
        self.previous_crc = predecessor.get("commitCrc", 0)

    def proven_ends(self, offset):
        found, at = [], self.data.find(SEAL_START, offset)
        while at >= 0:
            seal = self.seal_at(at, self.data.find(b"\n", at))
            if seal is not None:
                found.append(seal[3])
            at = self.data.find(SEAL_START, at + 1)
        return found

    def seal_at(self, at, line_end):
        """The numbers of the seal that begins here; None if there is none that belongs here."""
        match = SEAL.match(self.data[at:line_end]) if line_end > at else None
        if match is None:
            return None
        numbers = [int(group) for group in match.groups()]
        bound = self.salt + struct.pack("<QQ", self.id, max(at - numbers[2], 0))
        text = self.data[at : at + match.start(7) - len(b',"seal":')]
        return numbers if crc32(text, crc32(bound)) == numbers[6] else None

    def read_commit(self, offset, limit, index, previous_crc):
        lines, at = [], offset
        while True:
            line_end = self.data.find(b"\n", at, limit)
            if line_end < 0:
                return None
            seal_start = self.data.rfind(SEAL_START, at, line_end)
            seal = self.seal_at(seal_start, line_end) if seal_start >= 0 else None
            lines.append(self.data[at:line_end] if seal is None else self.data[at:seal_start] + b"}")
            at = line_end + 1
            if seal is not None:
                break
        first, count, size, proven, previous, crc, own = seal
        if first != index or count != len(lines) or previous != previous_crc or size != seal_start - offset:
            return None
        if crc32(self.data[offset:seal_start]) != crc:
            return None
        entries = [self.entry(line, index + ordinal) for ordinal, line in enumerate(lines)]
        return None if None in entries else Commit(entries, at, own, proven)

    def entry(self, line, index):
        """The entry of a line; None if it is not the one expected there."""
        match = LINE.match(line)
        if match is None or int(match[1]) != index:
            return None
        payload = match[8] if match[7] == b"data" else base64.b64decode(match[8][1:-1])
        term, timestamp, flags, checksum = int(match[2]), float(match[3]), int(match[4]), int(match[6])
        transaction = bytes.fromhex(match[5].decode()) if match[5] else b""
        head = struct.pack("<QIIIdQ", index, len(payload), flags, 0, timestamp, term)
        if crc32(self.log_id + head + transaction + payload) != checksum or len(payload) > self.max_entry:
            return None
        check_flags(self.name, index, flags)
        entry = {"index": index, "term": term, "timestamp": timestamp, "checksum": checksum}
        if transaction:
            entry["transactionId"] = transaction.hex()
        entry["data"] = base64.b64encode(payload).decode()
        return entry


def check_flags(name, index, flags):
    if flags & 0xFFFC:
        raise Damaged(f"{name}: a later version wrote entry {index}")


class Commit:
    def __init__(self, entries, end, crc, proven):
        self.entries = entries
        self.end = end
        self.crc = crc
        self.proven = proven


class Walked:
    """What a walk over a segment has seen."""

    def __init__(self, start, crc):
        self.entries = []
        self.end = start
        self.crc = crc
        self.proven = 0

    def add(self, commit):
        self.entries.extend(commit.entries)
        self.end = commit.end
        self.crc = commit.crc
        self.proven = max(self.proven, commit.proven)


# ---- the log


def follow_chain(segments, manifest):
    """The segments of the log, oldest first, and its first index."""
    first_index = manifest.first_index
    by_id = {segment.id: segment for segment in segments}
    newest_id = max(by_id, default=0)
    if newest_id < manifest.newest_id:
        raise Damaged(f"segment {manifest.newest_id} is missing")
    if newest_id == 0:
        return [], first_index
    chain = [by_id[newest_id]]
    while True:
        segment = chain[0]
        if segment.begins:
            known = manifest.epochs[-1]
            if segment.epoch.counter > known.counter and segment.epoch.start_index == segment.first_index:
                first_index = segment.first_index
            elif segment.lowest_index > first_index:
                raise Damaged(f"the segments from index {first_index} are missing")
            return chain, first_index
        if segment.lowest_index <= first_index:
            return chain, first_index
        chain.insert(0, predecessor(segment, by_id))


def predecessor(segment, by_id):
    found = by_id.get(segment.previous_id)
    if found is None:
        raise Damaged(f"segment {segment.previous_id}, the predecessor of {segment.name}, is missing")
    if segment.previous_last + 1 != segment.lowest_index or found.first_index > segment.first_index:
        raise Damaged(f"{segment.name} does not continue {found.name}")
    if len(found.data) < segment.previous_end:
        raise Damaged(f"{found.name} is shorter than {segment.name} says")
    older, newer = found.epoch, segment.epoch
    if older.counter > newer.counter or (older.counter == newer.counter and older.id != newer.id):
        raise Damaged(f"{found.name} is of another history")
    return found


def check_rest(segments, chain):
    for segment in segments:
        if segment in chain or segment.id < chain[0].id:
            continue
        if segment.epoch.counter >= chain[-1].epoch.counter:
            raise Damaged(f"{segment.name} is not linked to the rest")


def judge_end(walked, chain, claims):
    """Raises if anything that is proven to have been durable lies behind the end."""
    newest = chain[-1]
    offsets, indexes = [walked.proven, newest.published_end, *newest.proven_ends(walked.end)], []
    for claim in claims:
        same = claim.epoch.counter == newest.epoch.counter and claim.epoch.id == newest.epoch.id
        if same and claim.segment_id == newest.id:
            offsets.append(claim.offset)
        later = [s.epoch.start_index - 1 for s in chain if s.epoch.counter > claim.epoch.counter]
        indexes.append(min([claim.index, *later]))
    last_index = newest.first_index + len(walked.entries) - 1
    if walked.end < max(offsets) or last_index < max(indexes):
        raise Damaged(f"{newest.name} ends at {walked.end}, index {last_index}, and more of it was durable")


FORMATS = {1: BinarySegment, 2: NdjsonSegment}


def read_log(directory):
    """The entries of the log, its first index, and its consumers' positions."""
    payload = read_slots(os.path.join(directory, "manifest"), b"WALRUSMF")
    if payload is None:
        raise Damaged("the manifest is missing or damaged")
    manifest = Manifest(payload)
    segments = []
    for name in sorted(os.listdir(directory)):
        match = SEGMENT_NAME.match(name)
        if match is None:
            continue
        with open(os.path.join(directory, name), "rb") as file:
            segment = FORMATS[manifest.format](name, file.read())
        if segment.log_id != manifest.log_id or (segment.id, segment.first_index) != tuple(map(int, match.groups())):
            raise Damaged(f"{name} is not what its name says")
        segments.append(segment)
    chain, first_index = follow_chain(segments, manifest)
    consumers = read_consumers(directory, manifest.log_id)
    if not chain:
        return [], first_index, consumers
    check_rest(segments, chain)
    entries = []
    for segment, successor in zip(chain, chain[1:]):
        walked = segment.walk(successor.previous_end)
        if walked.end != successor.previous_end or walked.crc != successor.previous_crc:
            raise Damaged(f"{segment.name} is damaged at {walked.end}")
        entries += [entry for entry in walked.entries if entry["index"] <= successor.previous_last]
    walked = chain[-1].walk(len(chain[-1].data))
    mark = read_mark(directory, manifest.log_id)
    judge_end(walked, chain, [manifest.floor] + ([mark] if mark else []))
    entries += walked.entries
    return [entry for entry in entries if entry["index"] >= first_index], first_index, consumers


def main():
    try:
        entries, first_index, consumers = read_log(sys.argv[1])
    except Damaged as error:
        sys.exit(f"damaged: {error}")
    for entry in entries:
        print(json.dumps(entry))
    last_index = entries[-1]["index"] if entries else first_index - 1
    print(json.dumps({"firstIndex": first_index, "lastIndex": last_index, "consumers": consumers}))


if __name__ == "__main__":
    main()
