# SPDX-License-Identifier: MIT
"""Numbers, arithmetic, checksum and streams as docs/format.md defines them, in plain Python."""

import struct

CRC_POLYNOMIAL = 0x82F63B78
WORD = 2**32


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (CRC_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def exp(x):
    if not x > -700:
        return 0.0
    x = min(x, 700.0)
    scaled = x * 1.44269504088896338700
    k = int(scaled + (-0.5 if scaled < 0 else 0.5))
    r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10
    s = 1.0
    for n in range(14, 0, -1):
        s = 1.0 + s * r / n
    return s * 2.0**k


def unzigzag(x):
    return -(x + 1) // 2 if x & 1 else x // 2


def signed(field, bits):
    return field - (1 << bits) if field >> (bits - 1) else field


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        assert self.at <= len(self.data), "read past the end"
        return self.data[self.at - n : self.at]

    def numbers(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def varint(self):
        x = shift = 0
        while True:
            (byte,) = self.take(1)
            x |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return x

    def done(self):
        return self.at == len(self.data)

    def stream(self):
        (method,) = self.take(1)
        n = self.varint()
        if method == 0:
            return Reader(self.take(n))
        m = self.varint()
        lengths = [nibble for byte in self.take(128) for nibble in (byte & 15, byte >> 4)]
        codes, code = {}, 0
        for length in range(1, 13):
            for symbol in range(256):
                if lengths[symbol] == length:
                    codes[length, code] = symbol
                    code += 1
            code <<= 1
        bits = (byte >> k & 1 for byte in self.take(m) for k in range(8))
        out = bytearray()
        while len(out) < n:
            length = code = 0
            while (length, code) not in codes:
                code = code << 1 | next(bits)
                length += 1
            out.append(codes[length, code])
        return Reader(bytes(out))
