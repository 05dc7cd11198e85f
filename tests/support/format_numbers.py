# SPDX-License-Identifier: MIT
"""Numbers, arithmetic, checksum, hash and streams as docs/format.md defines them."""

import math
import struct
from bisect import bisect_right

WORD = 2**32
SEED = 2**64
CRC_POLYNOMIAL = 0x82F63B78
FREQUENCIES = 2048
LEAST_STATE = 65536
FIRST_RAW_SYMBOL = 16
SYMBOLS_OF_NUMBERS = 136


def require(condition: object, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


def crc_table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [(c >> 1) ^ (CRC_POLYNOMIAL if c & 1 else 0) for c in table]
    return table


CRC_TABLE = crc_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def exp(x: float) -> float:
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


def divided(a: float, b: float) -> float:
    """a / b where b, which is not negative, may be 0."""
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
    return a / b


def rounded(x: float) -> int:
    return math.floor(x + 0.5)


def limited(x: int, smallest: int, largest: int) -> int:
    return min(max(x, smallest), largest)


def unzigzag(x: int) -> int:
    return -((x + 1) // 2) if x & 1 else x // 2


def signed(field: int, bits: int) -> int:
    return field - (1 << bits) if field >> (bits - 1) else field


def hashed(seed: int, x: int) -> int:
    x ^= seed % WORD
    x ^= x >> 16
    x = x * 0x7FEB352D % WORD
    x ^= x >> 15
    x = (x + (seed >> 32)) % WORD
    x = x * 0x846CA68B % WORD
    x ^= x >> 16
    x = x * 0x9E3779B1 % WORD
    return x ^ x >> 15


class NextBits:
    """The random generator of 32 bits; its state is never 0."""

    def __init__(self, state: int) -> None:
        self.state = state

    def take(self) -> int:
        x = self.state
        x ^= x << 13 & WORD - 1
        x ^= x >> 17
        x ^= x << 5 & WORD - 1
        self.state = x
        return x

    def below(self, n: int) -> int:
        return self.take() * n // WORD


class Reader:
    """Bytes from front to back."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        require(n <= len(self.data) - self.at, "The chunk ends too early.")
        self.at += n
        return self.data[self.at - n : self.at]

    def numbers(self, layout: str) -> tuple:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def varint(self) -> int:
        x = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            x |= (byte & 0x7F) << shift
            if not byte & 0x80:
                require(x < SEED, "A varint is larger than 64 bits.")
                return x
        raise ValueError("A varint is longer than ten bytes.")

    def done(self) -> bool:
        return self.at == len(self.data)


class Bits:
    """Bits of bytes, from bit 0 to bit 7 of each."""

    def __init__(self, body: Reader) -> None:
        self.body, self.left, self.size = body, 0, 0

    def take(self, n: int) -> int:
        while self.size < n:
            self.left |= self.body.take(1)[0] << self.size
            self.size += 8
        found = self.left & ((1 << n) - 1)
        self.left >>= n
        self.size -= n
        return found

    def unary(self, most: int) -> int:
        n = 0
        while self.take(1):
            n += 1
            require(n <= most, "A number in a table is too large.")
        return n


def read_weights(bits: Bits) -> list[int]:
    size = bits.unary(9)
    if size == 0:
        return []
    m = (1 << size - 1) + bits.take(size - 1)
    require(m <= 256, "A context has more than 256 symbols.")
    q = bits.take(3)
    q = 10 if q == 7 else q
    weights, e = [], 0
    for _ in range(m):
        change = bits.unary(12)
        e += -change if change and bits.take(1) else change
        require(0 <= e <= 12, "A weight is out of range.")
        given = max(min(e - 1, q), 0)
        weights.append(((1 << given) + bits.take(given)) << (e - 1 - given) if e else 0)
    return weights


def frequencies_of_weights(weights: list[int]) -> list[int]:
    total = sum(weights)
    if not weights:
        return []
    require(total > 0, "A table has no weight.")
    found = [max(1, (2 * FREQUENCIES * w + total) // (2 * total)) if w else 0 for w in weights]
    largest = weights.index(max(weights))
    found[largest] += FREQUENCIES - sum(found)
    require(found[largest] > 0, "The weights of a table are uneven.")
    return found


class Stream:
    """Symbols and raw bits of one stream."""

    def __init__(
        self, chunk: Reader, version: int, name: str, contexts: int, states: int = 4
    ) -> None:
        self.name, self.version = name, version
        self.count = 0
        body = Reader(chunk.take(chunk.varint()))
        self.empty = body.done()
        if self.empty:
            return
        if version == 1:
            self.frequencies = [self.read_frequencies(body) for _ in range(contexts)]
        else:
            bits = Bits(body)
            self.frequencies = [frequencies_of_weights(read_weights(bits)) for _ in range(contexts)]
            require(bits.left == 0, f"The tables of the {name} are longer than their contents.")
        self.sums = [cumulative(f) for f in self.frequencies]
        raw = body.take(body.varint())
        self.raw, self.raw_left = int.from_bytes(raw, "little"), 8 * len(raw)
        self.states = list(body.numbers(f"{states}I"))
        self.words = iter(body.numbers(f"{self.number_of_words(body)}H"))
        require(body.done(), f"The stream of the {name} is longer than its contents.")
        least = min(self.states)
        require(least >= LEAST_STATE, f"A state of the {name} is too small.")

    def read_frequencies(self, body: Reader) -> list[int]:
        m = body.varint()
        require(m <= 256, f"A context of the {self.name} has more than 256 symbols.")
        found = [body.varint() for _ in range(m)]
        require(m == 0 or sum(found) == FREQUENCIES, f"Frequencies of the {self.name} are wrong.")
        return found

    def number_of_words(self, body: Reader) -> int:
        n = body.varint() if self.version == 1 else (len(body.data) - body.at) // 2
        require(2 * n <= len(body.data), f"The stream of the {self.name} ends too early.")
        return n

    def symbol(self, context: int) -> int:
        if self.empty:
            require(self.version > 1, f"The stream of the {self.name} ends too early.")
            return 0
        require(self.frequencies[context], f"A context of the {self.name} has no symbol.")
        at = self.count % len(self.states)
        x = self.states[at]
        u = x % FREQUENCIES
        sums = self.sums[context]
        s = bisect_right(sums, u) - 1
        x = self.frequencies[context][s] * (x // FREQUENCIES) + u - sums[s]
        if x < LEAST_STATE:
            word = next(self.words, None)
            require(word is not None, f"The words of the {self.name} end too early.")
            x = LEAST_STATE * x + word
        self.states[at] = x
        self.count += 1
        return s

    def number(self, context: int) -> int:
        s = self.symbol(context)
        if s < FIRST_RAW_SYMBOL:
            return s
        require(s < SYMBOLS_OF_NUMBERS, f"A number of the {self.name} is too large.")
        e, quarter = 4 + (s - FIRST_RAW_SYMBOL) // 4, (s - FIRST_RAW_SYMBOL) % 4
        bits = e - 2
        require(bits <= self.raw_left, f"The raw bits of the {self.name} end too early.")
        low = self.raw & ((1 << bits) - 1)
        self.raw >>= bits
        self.raw_left -= bits
        return (4 + quarter << bits) + low

    def signed(self, context: int) -> int:
        return unzigzag(self.number(context))

    def finish(self) -> None:
        """Refuse a stream that holds more than was taken from it."""
        if self.empty:
            return
        longer = f"The stream of the {self.name} is longer than its contents."
        require(self.count > 0, longer)
        require(self.raw_left < 8, longer)
        require(self.raw == 0, longer)
        require(next(self.words, None) is None, longer)
        are_done = all(x == LEAST_STATE for x in self.states)
        require(are_done, f"The states of the {self.name} are wrong.")


def cumulative(frequencies: list[int]) -> list[int]:
    """Sum of the frequencies of smaller symbols, for every symbol."""
    sums, total = [], 0
    for f in frequencies:
        sums.append(total)
        total += f
    return sums
